"""Servers of one's own: the fields of their packages, or of their sources, narrowed by the latter."""

import json
import re

from frozen import read_checks
from strict import (
    Document,
    as_asked,
    detail,
    envelope,
    never,
    number,
    one_of,
    pixels,
    plain_reply,
    text,
    whole,
)
from vendor_documents import FORMATS, PROMPT, SEED

WIDE_SEED = whole(-1, 2**63 - 1)

# core/http/endpoints/openai/image.go, core/schema/openai.go. A number as `quality` is `step` by another name,
# and any other word is ignored.
LOCALAI = Document(
    key=False,
    fields={
        **PROMPT,
        "size": pixels(),
        "n": whole(1, 128),
        "step": whole(1, 1000),
        "mode": whole(0, 10),
        "seed": WIDE_SEED,
        "quality": lambda v: isinstance(v, str) and v.isdigit(),
        "response_format": one_of("url", "b64_json"),
    },
    required=("prompt",),
    error=envelope("", status_as_code=True),
    item=as_asked("url"),
)

# examples/server/routes_openai.cpp and api.md.
_TAG = re.compile(r"[^<>]+?(?: <sd_cpp_extra_args>(\{.*\})</sd_cpp_extra_args>)?")
_SAMPLE = {
    "sample_steps": whole(1, 1000),
    "guidance": lambda v: set(v) == {"txt_cfg"} and number(0, 100)(v["txt_cfg"]),
}
_SD_ARGS = {
    "seed": WIDE_SEED,
    "negative_prompt": text(),
    "sample_params": lambda v: all(_SAMPLE.get(name, never)(value) for name, value in v.items()),
}


def _tagged(value):
    """Take a prompt that ends, if with a tag at all, with JSON that holds only known arguments."""
    tag = _TAG.fullmatch(value) if isinstance(value, str) else None
    inside = json.loads(tag[1]) if tag and tag[1] else {}
    return bool(tag) and all(_SD_ARGS.get(name, never)(v) for name, v in inside.items())


SDCPP = Document(
    key=False,
    fields={
        "prompt": _tagged,
        "n": whole(1, 128),
        "size": pixels(),
        "output_format": FORMATS,
        "output_compression": whole(0, 100),
    },
    required=("prompt",),
    error=lambda status, code, message: {"error": message},
    item=lambda drawn: {"b64_json": drawn.base64},
    reply=lambda asked, items: {
        **plain_reply(asked, items),
        "output_format": asked.get("output_format", "png"),
    },
)

# runtime/entrypoints/openai/image_api.py and configs/sample/sampling_params.py of the package. `style` and
# `user` are taken and never read; `n` is cut to 10.
SGLANG_VALUES = {
    "n": whole(1, 10),
    "size": pixels(),
    "quality": one_of("auto", "exact", "lossless", "high", "extra-high"),
    "background": one_of("transparent", "opaque", "auto"),
    "output_format": one_of("png", "jpeg", "jpg", "webp"),
    "response_format": one_of("url", "b64_json"),
    "num_inference_steps": whole(1, 1000),
    "style": never,
    "user": never,
}
SGLANG = Document(
    key=False,
    fields={**read_checks("sglang"), **SGLANG_VALUES, "width": whole(1, 8192), "height": whole(1, 8192)},
    required=("prompt",),
    error=detail,
    item=lambda drawn: (
        {"url": f"/v1/images/{drawn.name}", "file_path": f"/outputs/{drawn.name}"}
        if drawn.asked.get("response_format", "url") == "url"
        else {"b64_json": drawn.base64}
    ),
    reply=lambda asked, items: {**plain_reply(asked, items), "id": "img_1", "inference_time_s": 2.5},
    kind="jpeg",
)

# entrypoints/openai/protocol/images.py of the package: what its validators refuse besides.
VLLM_OMNI = Document(
    key=False,
    fields={
        **read_checks("vllm-omni"),
        "user": never,  # taken and never read
        "size": pixels(),
        "response_format": one_of("b64_json", "file"),
        "output_format": FORMATS,
    },
    required=("prompt",),
    bad_value=422,
    error=detail,
)

# What goes on to the model, model/image/stable_diffusion/core.py of the package.
_KWARGS = {
    "seed": WIDE_SEED,
    "negative_prompt": text(),
    "guidance_scale": number(0, 100),
    "num_inference_steps": whole(1, 1000),
}


def _kwargs(value):
    """Take a JSON text, not an object."""
    inside = json.loads(value) if isinstance(value, str) else None
    return isinstance(inside, dict) and all(_KWARGS.get(name, never)(v) for name, v in inside.items())


XINFERENCE = Document(
    key=False,
    fields={
        **read_checks("xinference"),
        "n": whole(1, 128),
        "size": pixels(sign="*"),
        "response_format": one_of("url", "b64_json"),
        "kwargs": _kwargs,
        "user": never,  # taken and never read
    },
    error=detail,
    item=lambda drawn: (
        {"b64_json": drawn.base64, "url": None}
        if drawn.asked.get("response_format", "url") == "b64_json"
        else {"b64_json": None, "url": f"/root/.xinference/image/{drawn.name}"}
    ),
)

# src/cpp/server/routes/openai/images/images_generations.cpp: "Only 1 is supported".
LEMONADE = Document(
    key=False,
    fields={
        **PROMPT,
        "n": whole(1, 1),
        "size": pixels(),
        "response_format": one_of("b64_json"),
        "steps": whole(1, 1000),
        "cfg_scale": number(0, 100),
        "seed": SEED,
    },
    item=lambda drawn: {"b64_json": drawn.base64},
)
