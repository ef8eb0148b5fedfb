"""Vendors, Azure and LiteLLM: the fields of their own packages, narrowed by their documents and sources."""

from frozen import list_fields, read_checks
from strict import (
    Document,
    as_asked,
    envelope,
    flag,
    never,
    number,
    one_of,
    pixels,
    plain_reply,
    ratio,
    text,
    whole,
)

PROMPT = {"model": text(), "prompt": text()}
SEED = whole(-1, 2**31 - 1)
FORMATS = one_of("png", "jpeg", "webp")
FREE_SIZE = pixels()
OPENAI = {
    **read_checks("openai"),
    "n": whole(1, 10),
    "size": lambda v: v == "auto" or FREE_SIZE(v),
    "output_compression": whole(0, 100),
    "partial_images": whole(0, 3),
    "frame_count": whole(2, 16),
    "frame_duration_ms": whole(20, 655_350),
}


# --- Volcengine Ark -------------------------------------------------------------------------------

_WATERMARK = {"watermark": flag, "response_format": one_of("url", "b64_json")}
_SERIES = {"sequential_image_generation": one_of("disabled", "auto"), "stream": flag}


def _seedream_size(smallest, *tiers):
    """Take a tier, or pixels whose product is between `smallest` and 4096²."""

    def check(value):
        if value in tiers or not pixels()(value):
            return value in tiers
        width, height = map(int, value.split("x"))
        return smallest <= width * height <= 16_777_216 and 1 / 16 <= width / height <= 16

    return check


def _ark_item(drawn):
    size = {"size": f"{drawn.width}x{drawn.height}"}
    return {**as_asked("url")(drawn), **size}


def _ark_reply(asked, items):
    usage = {"generated_images": len(items), "output_tokens": 4096, "total_tokens": 4096}
    return {"model": asked["model"], "created": 1_780_000_000, "data": items, "usage": usage}


ARK = Document(
    path="/api/v3/images/generations",
    fields=PROMPT,
    models={
        "doubao-seedream-3-0-t2i-250415": {
            **_WATERMARK,
            "size": pixels(512, 2048),
            "seed": SEED,
            "guidance_scale": number(1, 10),
        },
        "doubao-seedream-4-0-250828": {
            **_WATERMARK,
            **_SERIES,
            "size": _seedream_size(921_600, "1K", "2K", "4K"),
        },
        "doubao-seedream-4-5-251128": {
            **_WATERMARK,
            **_SERIES,
            "size": _seedream_size(3_686_400, "2K", "4K"),
        },
        "doubao-seedream-5-0-pro-260628": {
            **_WATERMARK,
            "size": _seedream_size(921_600, "1K", "1.5K", "2K"),
            "output_format": one_of("png", "jpeg"),
        },
    },
    no_model=404,
    item=_ark_item,
    reply=_ark_reply,
    kind="jpeg",
    size=lambda asked: (
        tuple(map(int, asked["size"].split("x"))) if "x" in asked.get("size", "") else (512, 512)
    ),
)

# --- Together, xAI, OpenRouter --------------------------------------------------------------------

TOGETHER = Document(
    fields={
        **read_checks("together"),
        "width": whole(64, 2048),
        "height": whole(64, 2048),
        "n": whole(1, 4),
        "guidance_scale": number(0, 100),
    },
    item=lambda drawn: {
        "index": 0,
        **(
            {"b64_json": drawn.base64}
            if drawn.asked.get("response_format") == "base64"
            else {"url": drawn.url}
        ),
    },
    reply=lambda asked, items: {"id": "o1", "model": asked["model"], "object": "list", "data": items},
    kind="jpeg",
    size=lambda asked: (asked.get("width", 512), asked.get("height", 512)),
)


def _xai_error(status, code, message):
    return {"code": code, "error": message}


def _xai_item(drawn):
    if drawn.asked.get("response_format") == "b64_json":
        return {"b64_json": f"data:image/jpeg;base64,{drawn.base64}"}
    return {"url": drawn.url, "revised_prompt": ""}


XAI = Document(
    fields={
        **PROMPT,
        "n": whole(1, 10),
        "aspect_ratio": ratio,
        "resolution": one_of("1k", "2k"),
        "response_format": one_of("url", "b64_json"),
        "user": text(),
    },
    models={
        "grok-imagine-image": {},
        "grok-imagine-image-quality": {},
        "grok-imagine-image-2.0": {"quality": one_of("low", "medium", "auto")},
    },
    reply=lambda asked, items: {
        **plain_reply(asked, items),
        **({"usage": {"cost_in_usd_ticks": 600_000_000}} if asked["model"].endswith("2.0") else {}),
    },
    bad_value=422,
    error=_xai_error,
    item=_xai_item,
    kind="jpeg",
)

OPENROUTER = Document(
    path="/api/v1/images",
    fields={
        **read_checks("openrouter"),
        "n": whole(1, 10),
        "output_compression": whole(0, 100),
        "size": lambda v: v in ("512", "768", "1K", "1.5K", "2K", "4K") or FREE_SIZE(v),
    },
    error=envelope("error", status_as_code=True),
    item=lambda drawn: {"b64_json": drawn.base64, "media_type": f"image/{drawn.kind}"},
    reply=lambda asked, items: {
        **plain_reply(asked, items),
        "usage": {"prompt_tokens": 5, "completion_tokens": 1300, "total_tokens": 1305, "cost": 0.0387},
    },
)

# --- SiliconFlow, Zhipu, ModelScope ---------------------------------------------------------------


def _size_of(name):
    return lambda asked: tuple(map(int, asked[name].split("x"))) if name in asked else (1024, 1024)


_SILICONFLOW = {
    "seed": whole(0, 9_999_999_999),
    "negative_prompt": text(),
    "num_inference_steps": whole(1, 100),
}
SILICONFLOW = Document(
    fields={**PROMPT, **_SILICONFLOW},
    models={
        "Kwai-Kolors/Kolors": {
            "image_size": pixels(),
            "batch_size": whole(1, 4),
            "guidance_scale": number(0, 20),
        },
        "Qwen/Qwen-Image": {"image_size": pixels()},
    },
    item=lambda drawn: {"url": drawn.url},
    reply=lambda asked, items: {"images": items, "timings": {"inference": 2.5}, "seed": 7},
    kind="jpeg",
    size=_size_of("image_size"),
)
ZHIPU = Document(
    path="/api/paas/v4/images/generations",
    fields={
        **PROMPT,
        "size": pixels(512, 2048),
        "quality": one_of("hd"),
        "watermark_enabled": flag,
        "user_id": text(),
    },
    item=lambda drawn: {"url": drawn.url},
    size=_size_of("size"),
)
MODELSCOPE = Document(
    fields={
        **PROMPT,
        "size": pixels(64, 2048),
        "seed": whole(0, 2**31 - 1),
        "negative_prompt": text(),
        "steps": whole(1, 100),
        "guidance": number(1.5, 20),
    },
    item=lambda drawn: {"url": drawn.url},
    reply=lambda asked, items: {"images": items, "request_id": "r1"},
    size=_size_of("size"),
)

# --- Azure: a deployment in the path, or the newer route -------------------------------------------

# What no GPT image model has: "Unsupported for GPT image models", in the openai package.
GPT = {k: v for k, v in OPENAI.items() if k not in ("style", "response_format")}
AZURE_V1 = Document(
    path="/openai/v1/images/generations?api-version=preview", key_header="api-key", fields=GPT
)
AZURE = Document(
    path="/openai/deployments/my-gpt/images/generations?api-version=2025-04-01-preview",
    key_header="api-key",
    fields={**GPT, "model": never},
    required=("prompt",),
)

# --- LiteLLM --------------------------------------------------------------------------------------


def _litellm_error(status, code, message):
    text = f"litellm.UnsupportedParamsError: {message}" if code == "unknown_parameter" else message
    return {"error": {"message": text, "type": "None", "param": None, "code": str(status)}}


LITELLM = Document(
    fields={**PROMPT, **{name: OPENAI[name] for name in list_fields("litellm")}},
    error=_litellm_error,
    headers={"x-litellm-call-id": "c1", "x-litellm-response-cost": "0.042"},
    reply=lambda asked, items: {
        **plain_reply(asked, items),
        "size": "1024x1024",
        "quality": asked.get("quality", "high"),
        "output_format": "png",
    },
)
