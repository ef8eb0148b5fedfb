"""Edits of servers of one's own, as their packages and sources read them; and which server answers what."""

import edit_documents as docs
import gateway_documents as gateways
import local_documents as local
import vendor_documents as vendors
from edit_documents import listed
from frozen import read_checks
from strict import event, never, one_of, pixels, whole
from strict_edits import BareEdit, Edit, Mask, edit
from vendor_documents import FORMATS, PROMPT

GREY = Mask(form="grey")


def _localai(body):
    """`file`, or the first of `files`, is the source; `ref_images` are all used."""
    if "file" in body:
        return [body.pop("file")], None, body
    return listed(body.pop("files" if "files" in body else "ref_images")), None, body


LOCALAI = edit(  # core/http/endpoints/openai/image.go
    local.LOCALAI,
    BareEdit,
    path=local.LOCALAI.path,
    place=_localai,
    places=("file", "files", "ref_images", "image", "images", "mask"),
)
LOCALAI_INPAINT = edit(  # …/inpainting.go: nothing else is read, and the image is 512x512
    local.LOCALAI,
    path="/v1/images/inpainting",
    fields={**PROMPT, "steps": whole(1, 1000)},
    required=("model", "prompt"),
    single=("image",),
    several=(),
    most=1,
    mask=Mask(form="grey", required=True),
    size=lambda _: (512, 512),
)
SDCPP = edit(  # examples/server/routes_openai.cpp
    local.SDCPP, fields={**local.SDCPP.fields, "output_format": one_of("png", "jpeg")}, mask=GREY
)
SGLANG = edit(  # a mask is taken and never used
    local.SGLANG,
    fields={**read_checks("sglang", "edits"), **local.SGLANG_VALUES},
    several=("image", "image[]"),
    item=lambda drawn: (
        {"url": f"/v1/images/{drawn.name}"}
        if drawn.asked.get("response_format") == "url"
        else {"b64_json": drawn.base64}
    ),
)


def _chunks(asked, items):
    """Write vLLM-Omni's own stream: text first, then all images at once."""
    chunk = {"object": "image.edit.chunk", "created": 1_780_000_000, "model": "m"}
    images = [{**item, "url": None, "revised_prompt": None} for item in items]
    final = {**chunk, "type": "image", "data": images, "output_format": "png", "size": "64x48"}
    return [event({**chunk, "type": "ar_delta", "delta": "A hat", "index": 0}), event(final), event("[DONE]")]


def _progress(asked, items):
    """Write Xinference's own stream: what is done, then the whole reply."""
    begun = {"type": "image_edit_started", "prompt": asked["prompt"], "image_count": len(asked.images)}
    going = {"type": "starting_generation", "timestamp": "2026-11-20T12:00:00"}
    done = {"created": 1_780_000_000, "data": items}
    return [event(begun, "start"), event(going, "processing"), event(done, "complete")]


VLLM_OMNI = edit(
    local.VLLM_OMNI,
    fields={
        **read_checks("vllm-omni", "edits"),
        "size": lambda v: v == "auto" or pixels()(v),
        "response_format": one_of("b64_json"),
        "background": one_of("transparent", "opaque", "auto"),
        "output_format": FORMATS,
        "user": never,  # "unused now"
    },
    several=("image", "image[]"),
    mask=Mask(form="grey", names=("mask_image",)),
    events=_chunks,
)


class _Xinference(Edit):
    """A mask without a size fails: `original` becomes nothing, of which no number can be made."""

    def refusals(self, seen):
        yield from super().refusals(seen)
        asked = self.read(seen)
        if asked.mask and "size" not in asked:
            yield 500, "server_error", "invalid literal for int() with base 10: ''"


_UPLOADS = ("images", "images[]", "image", "image[]")
XINFERENCE = edit(
    local.XINFERENCE,
    _Xinference,
    fields={
        **read_checks("xinference", "edits"),
        "n": whole(1, 128),
        "size": lambda v: v == "original" or pixels()(v) or pixels(sign="*")(v),
        "response_format": one_of("url", "b64_json"),
    },
    required=("prompt",),
    events=_progress,
    single=_UPLOADS,
    several=_UPLOADS,
    mask=GREY,
)
# src/cpp/server/routes/openai/images/images_edits.cpp: the first file alone is read, and user, background,
# quality, input_fidelity and output_compression are taken and not passed on.
LEMONADE = edit(
    local.LEMONADE,
    fields={**local.LEMONADE.fields, "n": whole(1, 10)},
    several=(),
    most=1,
    kinds=("png",),
    mask=GREY,
)
# What each server answers to: its edits first, then what it makes without images.
EDITS = {
    "openai": (docs.OPENAI_FORM, docs.OPENAI_JSON, docs.OPENAI_ITSELF),
    "strict": (docs.OPENAI_FORM, docs.OPENAI_JSON, docs.OPENAI_ITSELF),
    "azure": (docs.AZURE, docs.AZURE_V1, vendors.AZURE, vendors.AZURE_V1),
    "new-api": (docs.NEW_API, gateways.NEW_API),
    "xzbzq": (docs.XZBZQ, gateways.XZBZQ),
    "whatai": (docs.XZBZQ, gateways.XZBZQ),
    "dmxapi": (gateways.DMXAPI,),
    "api000": (gateways.API000,),
    "litellm": (docs.LITELLM, vendors.LITELLM),
    "ark": (docs.ARK, vendors.ARK),
    "xai": (docs.XAI, vendors.XAI),
    "together": (docs.TOGETHER, vendors.TOGETHER),
    "openrouter": (docs.OPENROUTER, vendors.OPENROUTER),
    "localai": (LOCALAI, LOCALAI_INPAINT, local.LOCALAI),
    "sdcpp": (SDCPP, local.SDCPP),
    "sglang": (SGLANG, local.SGLANG),
    "vllm-omni": (VLLM_OMNI, local.VLLM_OMNI),
    "xinference": (XINFERENCE, local.XINFERENCE),
    "lemonade": (LEMONADE, local.LEMONADE),
}
