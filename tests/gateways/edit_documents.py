"""Routes that take images, as far as documents and sources describe them: who reads what, and where."""

import gateway_documents as gateways
import vendor_documents as vendors
from frozen import read_checks
from strict import Document, event, flag, never, number, one_of, text, whole
from strict_edits import MIB, Mask, edit
from vendor_documents import GPT, PROMPT, SEED

FIDELITY = one_of("high", "low")
ALPHA = Mask(form="alpha", same_kind=True)
GPT_SIZES = one_of("1024x1024", "1536x1024", "1024x1536", "auto")
SQUARE = one_of("256x256", "512x512", "1024x1024")


def without(fields, *names):
    return {k: v for k, v in fields.items() if k not in names}


def only(reference, name, **beside):
    """Return the one value of an object that holds nothing else."""
    if set(reference) != {name, *beside} or any(reference[k] != v for k, v in beside.items()):
        raise ValueError(f"{name} was expected: {sorted(reference)}")
    return reference[name]


def listed(value):
    if not isinstance(value, list):
        raise TypeError("a list was expected")
    return value


# --- OpenAI: the openai package for forms; openapi.yaml, EditImageBodyJsonParam, for JSON --------------

_FORM = {**read_checks("openai", "edits"), **without(GPT, "moderation"), "size": GPT_SIZES}
del _FORM["response_format"]
_JSON = {**_FORM, "quality": one_of("low", "medium", "high", "auto"), "moderation": one_of("low", "auto")}
_NO_FIDELITY = {"input_fidelity": never}
_MODELS = {"gpt-image-1": {}, "gpt-image-1.5": {}}
_NEWER = {"gpt-image-1-mini": _NO_FIDELITY, "gpt-image-2": {**_NO_FIDELITY, "size": GPT["size"]}}


def _events(asked, items):
    """Write partial images and then finished ones, without an index."""
    shape = {"created_at": 1_780_000_000, "size": asked.get("size", "auto"), "quality": "high"}
    partial = [
        {"type": "image_edit.partial_image", "partial_image_index": k, **items[0], **shape}
        for k in range(asked.get("partial_images", 0))
    ]
    done = [{"type": "image_edit.completed", **item, **shape, "usage": {"total_tokens": 9}} for item in items]
    return [event(chunk, chunk["type"]) for chunk in (*partial, *done)]


def _references(body):
    images = [only(item, "image_url") for item in listed(body.pop("images"))]
    mask = body.pop("mask", None)
    return images, None if mask is None else only(mask, "image_url"), body


OPENAI_ITSELF = Document(fields=GPT)
OPENAI_FORM = edit(OPENAI_ITSELF, fields=_FORM, models={**_MODELS, **_NEWER}, mask=ALPHA, events=_events)
OPENAI_JSON = edit(
    OPENAI_FORM,
    fields=_JSON,
    place=_references,
    places=("images", "image", "mask"),
    most_text=20_971_520,
    mask=ALPHA,
)

DALLE2 = edit(
    OPENAI_ITSELF,
    fields={**PROMPT, "n": whole(1, 10), "size": SQUARE, "response_format": one_of("url", "b64_json")},
    models={"dall-e-2": {"prompt": text(1000)}},
    single=("image",),
    several=(),
    most=1,
    kinds=("png",),
    most_bytes=4 * MIB,
    mask=ALPHA,
)

# --- Azure: the same form at a deployment's route, PNG and JPEG only -----------------------------------

AZURE_V1 = edit(
    vendors.AZURE_V1,
    path="/openai/v1/images/edits?api-version=preview",
    fields=_FORM,
    mask=ALPHA,
    kinds=("png", "jpeg"),
)
AZURE = edit(
    AZURE_V1,
    path="/openai/deployments/my-gpt/images/edits?api-version=2025-04-01-preview",
    fields=without(_FORM, "model"),
    required=("prompt",),
    mask=ALPHA,
    kinds=("png", "jpeg"),
)

# --- gateways: the documents of xzbzq and whatai; new-api's relay/channel/openai/adaptor.go -----------

XZBZQ = edit(
    gateways.XZBZQ,
    fields={**PROMPT, "quality": one_of("low", "medium", "high", "auto")},
    models={"gpt-image-1": {}, "flux-kontext-pro": {}, "flux-kontext-max": {}},
    by_model={
        "gpt-image-1": ("image",),
        "flux-kontext-pro": ("image[]",),
        "flux-kontext-max": ("image[]",),
    },
)
NEW_API = edit(
    gateways.NEW_API,
    fields={**gateways.NEW_API.fields, "input_fidelity": FIDELITY},
    models={"gpt-image-1": {**_FORM, "response_format": one_of("url", "b64_json")}},
    several=("image", "image[]"),
    mask=Mask(form="alpha"),
)
LITELLM = edit(  # what it does not know goes on to OpenAI as it is: litellm/images/main.py
    vendors.LITELLM,
    fields={
        **without(_FORM, "stream", "partial_images"),
        **without(read_checks("litellm", "edits"), "mask", "imageConfig"),
        "quality": text(),
    },
    several=("image", "image[]"),
    both=422,
    mask=Mask(form="alpha", names=("mask", "mask[]")),
)

# --- vendors that take JSON ---------------------------------------------------------------------------


def _ark(body):
    images = body.pop("image")
    if isinstance(images, list) and body.get("model", "").startswith("doubao-seededit"):
        raise TypeError("seededit takes one image, as a text")
    return [images] if isinstance(images, str) else listed(images), None, body


_SEEDEDIT = {
    "watermark": flag,
    "response_format": one_of("url", "b64_json"),
    "size": one_of("adaptive"),
    "seed": SEED,
    "guidance_scale": number(1, 10),
}
ARK = edit(
    vendors.ARK,
    path=vendors.ARK.path,
    models={**vendors.ARK.models, "doubao-seededit-3-0-i2i-250628": _SEEDEDIT},
    place=_ark,
    places=("image",),
    size=vendors.ARK.size,
    most=14,
    model_most={"doubao-seededit-3-0-i2i-250628": 1, "doubao-seedream-3-0-t2i-250415": 0},
    most_bytes=10 * MIB,
)


def _xai(body):
    if "image" in body:
        return [only(body.pop("image"), "url", type="image_url")], None, body
    return [only(item, "url", type="image_url") for item in listed(body.pop("images"))], None, body


XAI = edit(
    vendors.XAI,
    fields={**vendors.XAI.fields, "user": text()},
    place=_xai,
    places=("image", "images"),
    most=3,
)


def _together(body):
    """FLUX.1 Kontext has `image_url`, a text; FLUX.2 `reference_images`, and [pro] and [flex] both."""
    model = body.get("model", "").lower()
    if "image_url" in body and ("kontext" in model or model.endswith(("flux.2-pro", "flux.2-flex"))):
        return [body.pop("image_url")], None, body
    if "kontext" in model:
        raise KeyError("image_url")
    return listed(body.pop("reference_images")), None, body


TOGETHER = edit(
    vendors.TOGETHER,
    path=vendors.TOGETHER.path,
    place=_together,
    places=("image_url", "reference_images"),
    size=vendors.TOGETHER.size,
)


def _openrouter(body):
    urls = [only(item, "image_url", type="image_url") for item in listed(body.pop("input_references"))]
    return [only(item, "url") for item in urls], None, body


OPENROUTER = edit(
    vendors.OPENROUTER, path=vendors.OPENROUTER.path, place=_openrouter, places=("input_references",)
)
