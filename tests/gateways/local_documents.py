"""Servers of one's own, as far as their documents and sources describe them."""

import json
import re

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
from vendor_documents import FORMATS, OPENAI, PROMPT, SEED

DIFFUSION = {
    "negative_prompt": text(),
    "num_inference_steps": whole(1, 200),
    "guidance_scale": number(0, 100),
    "true_cfg_scale": number(0, 100),
    "seed": SEED,
}


LOCALAI = Document(
    key=False,
    fields={
        **PROMPT,
        "size": pixels(),
        "n": whole(1, 10),
        "step": whole(1, 200),
        "mode": whole(0, 10),
        "seed": SEED,
        "quality": lambda v: isinstance(v, str) and v.isdigit(),
        "response_format": one_of("url", "b64_json"),
    },
    required=("prompt",),
    error=envelope("", status_as_code=True),
    item=as_asked("url"),
)

_TAG = re.compile(r"[^<>]+?(?: <sd_cpp_extra_args>(\{.*\})</sd_cpp_extra_args>)?")
_SD_ARGS = {
    "seed": SEED,
    "negative_prompt": text(),
    "sample_params": lambda v: set(v) <= {"sample_steps", "guidance"},
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
        "n": whole(1, 8),
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

SGLANG = Document(
    key=False,
    fields={
        **OPENAI,
        **DIFFUSION,
        "width": whole(64, 4096),
        "height": whole(64, 4096),
        "generator_device": one_of("cuda", "cpu"),
        "max_sequence_length": whole(1, 4096),
    },
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

VLLM_OMNI = Document(
    key=False,
    fields={**OPENAI, **DIFFUSION, "response_format": one_of("b64_json", "file")},
    required=("prompt",),
    bad_value=422,
    error=detail,
)

_KWARGS = {"seed": SEED, "negative_prompt": text(), "guidance_scale": number(0, 100)}


def _kwargs(value):
    """Take a JSON text, not an object."""
    inside = json.loads(value) if isinstance(value, str) else None
    return isinstance(inside, dict) and all(_KWARGS.get(name, never)(v) for name, v in inside.items())


XINFERENCE = Document(
    key=False,
    fields={
        **PROMPT,
        "n": whole(1, 10),
        "size": pixels(sign="*"),
        "response_format": one_of("url", "b64_json"),
        "kwargs": _kwargs,
    },
    error=detail,
    item=lambda drawn: (
        {"b64_json": drawn.base64, "url": None}
        if drawn.asked.get("response_format", "url") == "b64_json"
        else {"b64_json": None, "url": f"/root/.xinference/image/{drawn.name}"}
    ),
)

LEMONADE = Document(
    key=False,
    fields={
        **PROMPT,
        "n": whole(1, 1),
        "size": pixels(),
        "response_format": one_of("b64_json"),
        "steps": whole(1, 200),
        "cfg_scale": number(0, 100),
        "seed": SEED,
    },
    item=lambda drawn: {"b64_json": drawn.base64},
)
