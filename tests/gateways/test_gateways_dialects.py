"""Each other server, strict: the exact path, header and body of a cell, and its reply as an image."""

import local_documents as local
import pytest
import vendor_documents as vendors
from strict import strict
from typed import Example, check_example

ARK = {"at": "ark", "document": vendors.ARK, "entry": {"vendor": "ark"}}
SEEDREAM_3, SEEDREAM_4 = "doubao-seedream-3-0-t2i-250415", "doubao-seedream-4-0-250828"
SEEDREAM_5 = "doubao-seedream-5-0-pro-260628"
TOGETHER = {"at": "together", "document": vendors.TOGETHER}
XAI = {"at": "xai", "document": vendors.XAI, "entry": {"vendor": "xai"}}
SILICONFLOW = {"at": "siliconflow", "document": vendors.SILICONFLOW, "entry": {"vendor": "siliconflow"}}
ZHIPU = {"at": "zhipu", "document": vendors.ZHIPU, "entry": {"vendor": "zhipu"}}
OPENROUTER = {"at": "openrouter", "document": vendors.OPENROUTER}
LITELLM = {"at": "litellm", "document": vendors.LITELLM}
XINFERENCE = {"at": "xinference", "document": local.XINFERENCE}
SDCPP = {"at": "sdcpp", "document": local.SDCPP}

EXAMPLES = [
    Example(
        **ARK,
        cell=f"-m {SEEDREAM_3} --size 1280x720 --seed 7 --guidance-scale 2.5 --no-watermark",
        body={
            "model": SEEDREAM_3,
            "size": "1280x720",
            "seed": 7,
            "guidance_scale": 2.5,
            "watermark": False,
        },
        shown="1280x720 · seed 7",
        cost="¥0.259",
    ),
    Example(**ARK, cell="", body={"model": SEEDREAM_5}, shown="512x512"),
    Example(
        **ARK,
        cell="-m seedream-5.0-pro --size 1.5K --output-format png",
        body={"model": SEEDREAM_5, "size": "1.5K", "output_format": "png"},
        shown="512x512",
    ),
    Example(
        **ARK,
        cell="-m seedream-4.0 --size 2K --response-format b64_json --set sequential_image_generation=auto",
        body={
            "model": SEEDREAM_4,
            "size": "2K",
            "response_format": "b64_json",
            "sequential_image_generation": "auto",
        },
        shown="512x512",
        cost="¥0.20",
    ),
    Example(
        **ARK,
        cell="-m seedream-4.0 --aspect-ratio 16:9 --seed 3",
        body={"model": SEEDREAM_4, "size": "1280x720"},
        shown="1280x720 · seed 3",
        cost="¥0.20",
        notes=("- seed=3…seedream-4.0 on ark…seed",),
    ),
    Example(
        **TOGETHER,
        cell="-m black-forest-labs/FLUX.1-schnell --size 1024x768 -n 2 --seed 7 --negative-prompt dogs "
        "--guidance-scale 3.5 --response-format b64_json --output-format png --steps 4",
        body={
            "model": "black-forest-labs/FLUX.1-schnell",
            "width": 1024,
            "height": 768,
            "n": 2,
            "seed": 7,
            "negative_prompt": "dogs",
            "guidance_scale": 3.5,
            "response_format": "base64",
            "output_format": "png",
            "steps": 4,
        },
        shown="1024x768 · 2 images",
    ),
    Example(
        **TOGETHER,
        cell="-m flux --response-format url --size auto",
        body={"model": "flux", "response_format": "url"},
        shown="512x512",
    ),
    Example(
        **XAI,
        cell="-n 2 --aspect-ratio 16:9 --response-format b64_json --size 2K",
        body={
            "model": "grok-imagine-image",
            "n": 2,
            "aspect_ratio": "16:9",
            "response_format": "b64_json",
            "resolution": "2k",
        },
        shown="455x256 · 2 images",
        cost="$0.04",
    ),
    Example(
        **XAI,
        cell="-m grok-imagine-image-2.0 --quality medium --size 1k",
        body={"model": "grok-imagine-image-2.0", "quality": "medium", "resolution": "1k"},
        shown="256x256",
        cost="$0.06",
    ),
    Example(
        **XAI,
        cell="--size 1920x1080",
        body={"model": "grok-imagine-image", "aspect_ratio": "16:9"},
        shown="455x256",
        cost="$0.02",
        notes=("! …1920x1080…455x256", "- 1920x1080…16:9"),
    ),
    Example(
        **OPENROUTER,
        cell="-m google/gemini-image --aspect-ratio 3:2 --seed 7 --output-format jpeg "
        "--output-compression 80 --quality high --background opaque",
        body={
            "model": "google/gemini-image",
            "aspect_ratio": "3:2",
            "seed": 7,
            "output_format": "jpeg",
            "output_compression": 80,
            "quality": "high",
            "background": "opaque",
        },
        shown="384x256",
        cost="$0.0387",
    ),
    Example(
        **OPENROUTER,
        cell="-m google/gemini-image --size 2K --aspect-ratio 3:2 --user me",
        body={"model": "google/gemini-image", "size": "2K", "aspect_ratio": "3:2", "user": "me"},
        shown="384x256",
        cost="$0.0387",
    ),
    Example(
        **SILICONFLOW,
        cell="-n 2 --steps 20 --guidance-scale 7.5 --seed 7 --negative-prompt dogs",
        body={
            "model": "Kwai-Kolors/Kolors",
            "image_size": "1024x1024",
            "batch_size": 2,
            "num_inference_steps": 20,
            "guidance_scale": 7.5,
            "seed": 7,
            "negative_prompt": "dogs",
        },
        shown="1024x1024 · 2 images",
    ),
    Example(
        **SILICONFLOW,
        cell="-m Qwen/Qwen-Image --aspect-ratio 16:9",
        body={"model": "Qwen/Qwen-Image", "image_size": "1664x928"},
        shown="1664x928",
        notes=("- 16:9…1664x928…",),
    ),
    Example(
        **ZHIPU,
        cell="--size 1728x960 --quality hd --no-watermark --user class-3",
        body={
            "model": "glm-image",
            "size": "1728x960",
            "quality": "hd",
            "watermark_enabled": False,
            "user_id": "class-3",
        },
        shown="1728x960",
        cost="¥0.10",
    ),
    Example(
        at="modelscope",
        document=vendors.MODELSCOPE,
        cell="-m Qwen/Qwen-Image --size 1024x768 --steps 30 --guidance-scale 3.5 --seed 7",
        body={"model": "Qwen/Qwen-Image", "size": "1024x768", "steps": 30, "guidance": 3.5, "seed": 7},
        shown="1024x768",
    ),
    Example(
        at="azure",
        document=vendors.AZURE,
        cell="-m my-gpt --size 1024x1024 --quality low -n 2",
        body={"size": "1024x1024", "quality": "low", "n": 2},
        shown="1024x1024 · 2 images",
        entry={"query": {"api-version": "2025-04-01-preview"}},
    ),
    Example(
        at="azure",
        document=vendors.AZURE_V1,
        cell="-m my-gpt --size 1024x1536",
        body={"model": "my-gpt", "size": "1024x1536"},
        shown="1024x1536",
        entry={"query": {"api-version": "preview"}},
    ),
    Example(
        **LITELLM,
        cell="-m gpt-image-1 --size 1024x1024 --quality low --background transparent --moderation low "
        "--output-format webp --output-compression 80 --user me",
        body={
            "model": "gpt-image-1",
            "size": "1024x1024",
            "quality": "low",
            "background": "transparent",
            "moderation": "low",
            "output_format": "webp",
            "output_compression": 80,
            "user": "me",
        },
        shown="1024x1024",
        cost="$0.042",
    ),
    Example(
        at="localai",
        document=local.LOCALAI,
        cell="--size 256x256 --seed 7 --negative-prompt dogs -n 2 --set mode=1",
        body={"size": "256x256", "seed": 7, "n": 2, "mode": 1},
        prompt="a fox|dogs",
        shown="256x256 · 2 images",
    ),
    Example(
        **SDCPP,
        cell="--size 512x256 --seed 42 --negative-prompt dogs --guidance-scale 7.5 --output-format jpeg -n 2",
        body={"size": "512x256", "output_format": "jpeg", "n": 2},
        prompt='a fox <sd_cpp_extra_args>{"seed": 42, "negative_prompt": "dogs", '
        '"sample_params": {"guidance": {"txt_cfg": 7.5}}}</sd_cpp_extra_args>',
        shown="512x256 · 2 images",
    ),
    Example(**SDCPP, cell="", body={}, shown="256x256"),
    Example(
        at="sglang",
        document=local.SGLANG,
        cell="--size 512x768 --seed 7 --negative-prompt dogs --guidance-scale 4 --steps 9",
        body={
            "size": "512x768",
            "seed": 7,
            "negative_prompt": "dogs",
            "guidance_scale": 4.0,
            "num_inference_steps": 9,
            "response_format": "b64_json",
        },
        shown="512x768",
    ),
    Example(
        at="vllm-omni",
        document=local.VLLM_OMNI,
        cell="-m Qwen/Qwen-Image --size 512x512 -n 2 --seed 7 --negative-prompt dogs --guidance-scale 4 "
        "--set true_cfg_scale=2.5",
        body={
            "model": "Qwen/Qwen-Image",
            "size": "512x512",
            "n": 2,
            "seed": 7,
            "negative_prompt": "dogs",
            "guidance_scale": 4.0,
            "true_cfg_scale": 2.5,
        },
        shown="512x512 · 2 images",
    ),
    Example(
        **XINFERENCE,
        cell="-m sd3 --size 512x256 --seed 7 --negative-prompt 狗 --guidance-scale 4",
        body={
            "model": "sd3",
            "size": "512*256",
            "response_format": "b64_json",
            "kwargs": '{"seed": 7, "negative_prompt": "狗", "guidance_scale": 4.0}',
        },
        shown="512x256",
    ),
    Example(
        at="lemonade",
        document=local.LEMONADE,
        cell="-m SD-Turbo --size 512x512 --seed 7 --guidance-scale 1 --response-format b64_json --steps 4",
        body={
            "model": "SD-Turbo",
            "size": "512x512",
            "seed": 7,
            "cfg_scale": 1.0,
            "response_format": "b64_json",
            "steps": 4,
        },
        shown="512x512",
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_example(kernel, serve, example):
    check_example(kernel, serve(strict(example.document)), example)
