"""Edits typed as cells, at each strict server: route, form, fields, and every image byte for byte."""

import edit_documents as docs
import edit_local_documents as own
import pytest
from typed_edits import EditExample, check_edit

GPT = {"model": "gpt-image-1"}
OPENAI = {"at": "openai", "entry": {"vendor": "openai", "key_env": "OPENAI_API_KEY"}}
FORM = {**OPENAI, "document": docs.OPENAI_FORM}
JSON = {**OPENAI, "document": docs.OPENAI_JSON}
OWN = {"at": "strict", "document": docs.OPENAI_FORM, "entry": {"key_env": "STRICT_API_KEY"}}
OWN_JSON = {
    "at": "strict",
    "document": docs.OPENAI_JSON,
    "entry": {"key_env": "STRICT_API_KEY", "edit_form": "json"},
}
AZURE = {"at": "azure", "entry": {"query": {"api-version": "2025-04-01-preview"}}, "document": docs.AZURE}
AZURE_V1 = {"at": "azure", "entry": {"query": {"api-version": "preview"}}, "document": docs.AZURE_V1}
NEW_API = {"at": "new-api", "document": docs.NEW_API}
LITELLM = {"at": "litellm", "document": docs.LITELLM}
ARK = {"at": "ark", "entry": {"vendor": "ark"}, "document": docs.ARK}
XAI = {"at": "xai", "entry": {"vendor": "xai"}, "document": docs.XAI}
TOGETHER = {"at": "together", "document": docs.TOGETHER}
OPENROUTER = {"at": "openrouter", "document": docs.OPENROUTER}
LOCALAI = {"at": "localai", "document": own.LOCALAI}
INPAINT = {"at": "localai", "document": own.LOCALAI_INPAINT}
SDCPP = {"at": "sdcpp", "document": own.SDCPP}
SGLANG = {"at": "sglang", "document": own.SGLANG}
VLLM = {"at": "vllm-omni", "document": own.VLLM_OMNI}
XINFERENCE = {"at": "xinference", "document": own.XINFERENCE}
LEMONADE = {"at": "lemonade", "document": own.LEMONADE}

ONE = "--image cat.png"
TWO = "--image cat.png --image {hat}"
BOTH = ("cat.png", "hat")
BOX = "--mask 8,8,16,16"
SEEDREAM, SEEDEDIT = "doubao-seedream-4-0-250828", "doubao-seededit-3-0-i2i-250628"
KONTEXT, FLUX2 = "black-forest-labs/FLUX.1-kontext-pro", "black-forest-labs/FLUX.2-dev"


def of_one_document(at):
    """Return the examples of xzbzq and whatai: `image` repeated for gpt-image-1, `image[]` for flux."""
    here = {"at": at, "document": docs.XZBZQ}
    kontext = {"model": "flux-kontext-pro"}
    return [
        EditExample(**here, cell=ONE, fields=kontext, names=("image[]",)),
        EditExample(**here, cell=f"-m gpt-image-1 {TWO}", fields=GPT, given=BOTH, names=("image", "image")),
        EditExample(
            **here,
            cell=f"-m flux-kontext-pro --quality high {ONE}",
            fields={**kontext, "quality": "high"},
            names=("image[]",),
        ),
        EditExample(
            **here,
            cell=f"-m flux-kontext-pro {TWO}",
            fields=kontext,
            given=BOTH,
            names=("image[]", "image[]"),
        ),
    ]


OF_OPENAI = [
    EditExample(**FORM, cell=f"-m gpt-image-1 {ONE}", fields=GPT),
    EditExample(**FORM, cell=f"-m gpt-image-1 {TWO} {BOX}", fields=GPT, given=BOTH, masked=True),
    EditExample(
        **FORM,
        cell=f"-m gpt-image-1.5 {ONE} --size 1536x1024 -n 2 --quality high --background opaque "
        "--output-format webp --output-compression 80 --input-fidelity high --user me",
        fields={
            "model": "gpt-image-1.5",
            "size": "1536x1024",
            "n": 2,
            "quality": "high",
            "background": "opaque",
            "output_format": "webp",
            "output_compression": 80,
            "input_fidelity": "high",
            "user": "me",
        },
    ),
    EditExample(
        **FORM,
        cell=ONE + " --image glass.png" * 15,
        fields={"model": "gpt-image-2"},
        given=("cat.png", *["glass.png"] * 15),
    ),
    EditExample(**FORM, cell="-m gpt-image-1 --image hat", fields=GPT, given=("hat",)),
    EditExample(**FORM, cell="-m gpt-image-1 --image photo.jpg", fields=GPT, given=("photo.jpg",)),
    EditExample(**FORM, cell="-m gpt-image-1 --image web.webp", fields=GPT, given=("web.webp",)),
    EditExample(**FORM, cell=f"-m gpt-image-1 {ONE} --mask white.png", fields=GPT, masked=True),
    EditExample(**FORM, cell=f"-m gpt-image-1 {ONE} --mask clear.png", fields=GPT, masked=True),
    EditExample(**JSON, cell=f"-m gpt-image-1 {ONE} --moderation low", fields={**GPT, "moderation": "low"}),
    EditExample(
        **JSON,
        cell=f"-m gpt-image-1 {TWO} {BOX} --moderation auto -n 2 --output-compression 50 "
        "--output-format jpeg",
        fields={**GPT, "moderation": "auto", "n": 2, "output_compression": 50, "output_format": "jpeg"},
        given=BOTH,
        masked=True,
    ),
    EditExample(**OWN, cell=f"-m gpt-image-1 {TWO} {BOX}", fields=GPT, given=BOTH, masked=True),
    EditExample(**OWN_JSON, cell=f"-m gpt-image-1 {ONE}", fields=GPT),
    EditExample(
        **OWN_JSON, cell=f"-m gpt-image-1 {TWO} {BOX} -n 2", fields={**GPT, "n": 2}, given=BOTH, masked=True
    ),
    EditExample(**AZURE, cell=f"-m my-gpt {ONE} --quality low", fields={"quality": "low"}),
    EditExample(**AZURE, cell=f"-m my-gpt {TWO} {BOX}", fields={}, given=BOTH, masked=True),
    EditExample(**AZURE_V1, cell=f"-m my-gpt {TWO} -n 2", fields={"model": "my-gpt", "n": 2}, given=BOTH),
]

OF_GATEWAYS = [
    *of_one_document("xzbzq"),
    *of_one_document("whatai"),
    EditExample(
        **NEW_API,
        cell=f"-m gpt-image-1 {ONE} --input-fidelity high -n 2",
        fields={**GPT, "input_fidelity": "high", "n": 2},
    ),
    EditExample(**NEW_API, cell=f"-m gpt-image-1 {TWO} {BOX}", fields=GPT, given=BOTH, masked=True),
    EditExample(**NEW_API, cell="-m gpt-image-1 --image photo.jpg", fields=GPT, given=("photo.jpg",)),
    EditExample(**NEW_API, cell="-m gpt-image-1 --image web.webp", fields=GPT, given=("web.webp",)),
    EditExample(**LITELLM, cell=f"-m gpt-image-1 {ONE} {BOX}", fields=GPT, masked=True),
    EditExample(
        **LITELLM,
        cell=f"-m gpt-image-1 {TWO} --quality low",
        fields={**GPT, "quality": "low"},
        given=BOTH,
    ),
]

OF_VENDORS = [
    EditExample(**ARK, cell=ONE, fields={"model": "doubao-seedream-5-0-pro-260628"}),
    EditExample(
        **ARK,
        cell=f"-m seedream-4.0 {TWO} --size 2K --no-watermark",
        fields={"model": SEEDREAM, "size": "2K", "watermark": False},
        given=BOTH,
    ),
    EditExample(
        **ARK,
        cell=f"-m seedream-4.0 {ONE}" + " --image glass.png" * 13,
        fields={"model": SEEDREAM},
        given=("cat.png", *["glass.png"] * 13),
    ),
    EditExample(
        **ARK,
        cell=f"-m {SEEDEDIT} {ONE} --seed 21 --guidance-scale 5.5 --set size=adaptive",
        fields={"model": SEEDEDIT, "seed": 21, "guidance_scale": 5.5, "size": "adaptive"},
    ),
    EditExample(**XAI, cell=ONE, fields={"model": "grok-imagine-image"}),
    EditExample(
        **XAI,
        cell=f"{TWO} --image photo.jpg -n 2 --response-format b64_json",
        fields={"model": "grok-imagine-image", "n": 2, "response_format": "b64_json"},
        given=(*BOTH, "photo.jpg"),
    ),
    EditExample(
        **TOGETHER,
        cell=f"-m {KONTEXT} {ONE} --size 512x384 --response-format b64_json",
        fields={"model": KONTEXT, "width": 512, "height": 384, "response_format": "base64"},
    ),
    EditExample(**TOGETHER, cell=f"-m {FLUX2} {ONE}", fields={"model": FLUX2}),
    EditExample(**TOGETHER, cell=f"-m {FLUX2} {TWO}", fields={"model": FLUX2}, given=BOTH),
    EditExample(**OPENROUTER, cell=f"-m google/image {ONE}", fields={"model": "google/image"}),
    EditExample(
        **OPENROUTER,
        cell=f"-m google/image {TWO} --seed 7 --size 64x48",
        fields={"model": "google/image", "seed": 7, "size": "64x48"},
        given=BOTH,
    ),
]

OF_ONES_OWN = [
    EditExample(**LOCALAI, cell=f"{ONE} --size 64x48 --seed 7", fields={"size": "64x48", "seed": 7}),
    EditExample(**INPAINT, cell=f"-m dreamshaper {ONE} {BOX}", fields={"model": "dreamshaper"}, masked=True),
    EditExample(**SDCPP, cell=ONE, fields={}),
    EditExample(
        **SDCPP,
        cell=f"{TWO} {BOX} --size 64x48 -n 2 --output-format jpeg",
        fields={"size": "64x48", "n": 2, "output_format": "jpeg"},
        given=BOTH,
        names=("image[]", "image[]"),
        masked=True,
    ),
    EditExample(
        **SDCPP,
        cell=f"{ONE} --seed 42",
        fields={},
        prompt='give it a hat <sd_cpp_extra_args>{"seed": 42}</sd_cpp_extra_args>',
    ),
    EditExample(
        **SGLANG,
        cell=f"{ONE} --seed 7 --negative-prompt dogs --guidance-scale 4 --size 64x48",
        fields={
            "seed": 7,
            "negative_prompt": "dogs",
            "guidance_scale": 4.0,
            "size": "64x48",
            "response_format": "b64_json",
        },
    ),
    EditExample(**SGLANG, cell=TWO, fields={"response_format": "b64_json"}, given=BOTH),
    EditExample(**VLLM, cell=f"{ONE} {BOX} --seed 7", fields={"seed": 7}, masked=True),
    EditExample(
        **VLLM,
        cell=f"{TWO} --negative-prompt 狗 --guidance-scale 2.5 -n 2",
        fields={"negative_prompt": "狗", "guidance_scale": 2.5, "n": 2},
        given=BOTH,
    ),
    EditExample(**XINFERENCE, cell=f"-m sd3 {ONE}", fields={"model": "sd3", "response_format": "b64_json"}),
    EditExample(
        **XINFERENCE, cell=f"-m sd3 {TWO}", fields={"model": "sd3", "response_format": "b64_json"}, given=BOTH
    ),
    EditExample(
        **LEMONADE,
        cell=f"-m SD-Turbo {ONE} {BOX} --seed 7 --guidance-scale 1.5 --size 64x48 -n 2",
        fields={"model": "SD-Turbo", "seed": 7, "cfg_scale": 1.5, "size": "64x48", "n": 2},
        masked=True,
    ),
    EditExample(**LEMONADE, cell="-m SD-Turbo --image {hat}", fields={"model": "SD-Turbo"}, given=("hat",)),
]

EXAMPLES = [*OF_OPENAI, *OF_GATEWAYS, *OF_VENDORS, *OF_ONES_OWN]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_example(kernel, start, tmp_path, example):
    check_edit(kernel, start(example), example, tmp_path)
