"""The gateways as their documents describe them: fields, values, models, replies, errors."""

from strict import Document, envelope, flag, never, number, one_of, pixels, ratio, text, whole

GPT_SIZE = one_of("1024x1024", "1536x1024", "1024x1536", "auto")
GPT_QUALITY = one_of("low", "medium", "high", "auto")
DALLE3 = {
    "prompt": text(4000),
    "n": whole(1, 1),
    "size": one_of("1024x1024", "1792x1024", "1024x1792"),
    "quality": one_of("hd", "standard"),
    "style": one_of("vivid", "natural"),
    "response_format": one_of("url", "b64_json"),
}
DALLE2 = {
    "prompt": text(1000),
    "n": whole(1, 10),
    "size": one_of("256x256", "512x512", "1024x1024"),
    "quality": one_of("standard"),
    "style": never,
    "response_format": one_of("url", "b64_json"),
}
_GPT_ONLY = {
    "background": one_of("transparent", "opaque", "auto"),
    "moderation": one_of("low", "auto"),
    "output_compression": whole(0, 100),
    "output_format": one_of("png", "jpeg", "webp"),
}
_NOT_GPT = dict.fromkeys(_GPT_ONLY, never)


def new_api_error(status, code, message):
    """Write an error of the gateway software that all these servers run."""
    error = {"message": f"{message} (request id: 20261120113214)", "type": "new_api_error", "param": ""}
    return {"error": {**error, "code": code}}


# --- xzbzq and whatai: one document, two hosts ----------------------------------------------------

_KONTEXT_SIZES = {"1:1": (1024, 1024), "16:9": (1392, 752), "9:16": (752, 1392), "21:9": (1568, 672)}
_KONTEXT = {"n": whole(1, 1), "size": never, "quality": one_of("low", "medium", "high")}
_IMAGEN = {
    "n": whole(1, 4),
    "size": never,
    "quality": never,
    "aspect_ratio": one_of("1:1", "3:4", "4:3", "9:16", "16:9"),
}


def _size(asked):
    if asked["model"].startswith("flux"):
        return _KONTEXT_SIZES[asked.get("aspect_ratio", "1:1")]
    if "size" in asked and asked["size"] != "auto":
        return tuple(int(v) for v in asked["size"].split("x"))
    across, down = (int(v) for v in asked.get("aspect_ratio", "1:1").split(":"))
    return 512 * across // down, 512


def _item(drawn):
    """Give seedream-3.0 only as base64: asked for anything else, no image comes."""
    wanted = drawn.asked.get("response_format", "url")
    if drawn.asked["model"] == "seedream-3.0" and wanted != "b64_json":
        return {"url": "", "revised_prompt": ""}
    if wanted == "url":
        return {"url": drawn.url, "revised_prompt": ""}
    return {"url": "", "b64_json": drawn.base64, "revised_prompt": ""}


XZBZQ = Document(
    fields={
        "model": text(),
        "prompt": text(),
        "n": whole(1, 10),
        "aspect_ratio": ratio,
        "size": pixels(),
        "seed": whole(-1, 2**31 - 1),
        "response_format": one_of("url", "b64_json"),
        "quality": GPT_QUALITY,
    },
    models={
        "gpt-image-1": {"size": GPT_SIZE},
        "seedream-3.0": {"size": pixels(512, 2048), "n": whole(1, 1)},
        "imagen4": _IMAGEN,
        "flux-kontext-max": _KONTEXT,
        "flux-kontext-pro": _KONTEXT,
    },
    required=("prompt",),
    default_model="gpt-image-1",
    error=new_api_error,
    no_model=503,
    item=_item,
    size=_size,
)

# --- dmxapi ---------------------------------------------------------------------------------------

_DMX_GPT = {"quality": GPT_QUALITY, "size": GPT_SIZE, "style": never, "response_format": never}


def _dmx_item(drawn):
    of_openai = drawn.asked["model"].startswith("gpt")
    as_base64 = of_openai or drawn.asked.get("response_format") == "b64_json"
    return {"b64_json": drawn.base64} if as_base64 else {"url": drawn.url}


DMXAPI = Document(
    fields={"model": text(), "prompt": text(32_000), "n": whole(1, 10), **_GPT_ONLY},
    models={
        "seedream-4.0": {**_NOT_GPT, "n": whole(1, 1), "size": pixels()},
        "gpt-image-1": _DMX_GPT,
        "gpt-image-1-mini": _DMX_GPT,
        "dall-e-3": {**_NOT_GPT, **DALLE3},
        "dall-e-2": {**_NOT_GPT, **DALLE2},
    },
    error=envelope("rix_api_error"),
    item=_dmx_item,
)

# --- api000 ---------------------------------------------------------------------------------------


def _revised(drawn):
    wanted = drawn.asked.get("response_format", "url")
    way = {"url": drawn.url} if wanted == "url" else {"b64_json": drawn.base64}
    return {**way, "revised_prompt": f"In great detail: {drawn.asked['prompt']}"}


API000 = Document(
    fields={
        "model": text(),
        "prompt": text(4000),
        "n": whole(1, 10),
        "size": pixels(),
        "quality": one_of("standard", "hd"),
        "style": one_of("vivid", "natural"),
        "response_format": one_of("url", "b64_json"),
    },
    models={
        "dall-e-3": DALLE3,
        "dall-e-2": DALLE2,
        "flux-1.1-pro": {"size": pixels(256, 2048), "n": whole(1, 1)},
        "flux-schnell": {"n": whole(1, 4)},
    },
    error=envelope("api_error"),
    item=_revised,
)

# --- a generic gateway of the new-api software ----------------------------------------------------


def _repeating(drawn):
    """Repeat in each item what was made, beside an address and a null."""
    if drawn.asked.get("response_format", "url") == "b64_json":
        return {"url": "", "b64_json": drawn.base64, "revised_prompt": ""}
    made = {k: drawn.asked[k] for k in ("output_format", "quality", "size") if k in drawn.asked}
    return {"b64_json": None, "url": drawn.url, "revised_prompt": "", **made}


def _with_usage(asked, items):
    usage = {"prompt_tokens": 12, "completion_tokens": 1056, "total_tokens": 1068}
    background = {"background": asked["background"]} if "background" in asked else {}
    return {"created": 1_780_000_000, "data": items, "usage": usage, **background}


NEW_API = Document(
    fields={
        "model": text(),
        "prompt": text(),
        "n": whole(1, 10),
        "response_format": one_of("url", "b64_json"),
        "user": text(),
    },
    models={
        "dall-e-2": DALLE2,
        "dall-e-3": DALLE3,
        "gpt-image-1": {"size": GPT_SIZE, "quality": GPT_QUALITY, **_GPT_ONLY},
        "doubao-seedream-3-0-t2i": {
            "n": whole(1, 1),
            "size": pixels(512, 2048),
            "watermark": flag,
            "seed": whole(-1, 2_147_483_647),
            "guidance_scale": number(1, 10),
        },
    },
    error=new_api_error,
    no_model=503,
    item=_repeating,
    reply=_with_usage,
)

# --- one-api, the older software ------------------------------------------------------------------

ONE_API = Document(
    fields={
        "model": text(),
        "prompt": text(),
        "n": whole(1, 10),
        "size": pixels(),
        "quality": one_of("standard", "hd"),
        "response_format": one_of("url", "b64_json"),
        "style": one_of("vivid", "natural"),
        "user": text(),
    },
    models={"dall-e-2": DALLE2, "dall-e-3": DALLE3},
    required=("prompt",),
    default_model="dall-e-2",
    error=envelope("one_api_error"),
    item=lambda drawn: {"url": drawn.url},
)

GATEWAYS = {
    "xzbzq": XZBZQ,
    "whatai": XZBZQ,
    "dmxapi": DMXAPI,
    "api000": API000,
    "new-api": NEW_API,
}
