"""The gateways' documented examples typed as cells: the body that arrived, the image, the caption."""

import pytest
from gateway_documents import GATEWAYS, XZBZQ
from strict import strict
from typed import Example, check_example


def relayed(gateway, options):
    return f"- …{gateway}…{options}"


def of_one_document(at):
    """Return the examples of xzbzq and whatai, which publish one document."""
    return [
        Example(
            at=at,
            document=XZBZQ,
            cell="",
            body={"model": "flux-kontext-pro"},
            shown="1024x1024",
        ),
        Example(
            at=at,
            document=XZBZQ,
            cell="-m gpt-image-1 --size 1024x1536 --quality high -n 2 --response-format url",
            body={
                "model": "gpt-image-1",
                "size": "1024x1536",
                "quality": "high",
                "n": 2,
                "response_format": "url",
            },
            shown="1024x1536 · 2 images",
            cost="at least ¥2.00",
        ),
        Example(
            at=at,
            document=XZBZQ,
            cell="-m gpt-image-1 --size 1536x1024 --seed -1 --response-format b64_json",
            body={"model": "gpt-image-1", "size": "1536x1024", "seed": -1, "response_format": "b64_json"},
            shown="1536x1024",
            cost="at least ¥1.00",
            notes=(relayed(at, "seed"),),
        ),
        Example(
            at=at,
            document=XZBZQ,
            cell="-m gpt-image-1 --aspect-ratio 16:9",
            body={"model": "gpt-image-1", "size": "1536x1024"},
            shown="1536x1024",
            cost="at least ¥1.00",
            notes=("- 16:9…1536x1024 (3:2)",),
        ),
        Example(
            at=at,
            document=XZBZQ,
            cell="-m seedream-3.0 --size 1664x936 --seed 42",
            body={"model": "seedream-3.0", "size": "1664x936", "seed": 42, "response_format": "b64_json"},
            shown="1664x936",
            cost="¥0.08",
            notes=(relayed(at, "seed"),),
        ),
        Example(
            at=at,
            document=XZBZQ,
            cell="-m seedream-3.0 --aspect-ratio 16:9 --response-format b64_json",
            body={"model": "seedream-3.0", "size": "1280x720", "response_format": "b64_json"},
            shown="1280x720",
            cost="¥0.08",
        ),
        Example(
            at=at,
            document=XZBZQ,
            cell="-m imagen4 --aspect-ratio 16:9 -n 2",
            body={"model": "imagen4", "aspect_ratio": "16:9", "n": 2},
            shown="910x512 · 2 images",
            notes=(relayed(at, "aspect_ratio"),),
        ),
        Example(
            at=at,
            document=XZBZQ,
            cell="-m flux-kontext-max --aspect-ratio 16:9 --seed 7 --quality medium",
            body={"model": "flux-kontext-max", "aspect_ratio": "16:9", "seed": 7, "quality": "medium"},
            shown="1392x752",
            notes=("! …16:9…1392x752", relayed(at, "seed, aspect_ratio")),
        ),
        Example(
            at=at,
            document=XZBZQ,
            cell="-m flux-kontext-pro --size 1024x1024",
            body={"model": "flux-kontext-pro", "aspect_ratio": "1:1"},
            shown="1024x1024",
            notes=("- 1024x1024…1:1", relayed(at, "aspect_ratio")),
        ),
    ]


DMXAPI = {"at": "dmxapi", "document": GATEWAYS["dmxapi"]}
API000 = {"at": "api000", "document": GATEWAYS["api000"]}
NEW_API = {"at": "new-api", "document": GATEWAYS["new-api"]}

OF_DMXAPI = [
    Example(**DMXAPI, cell="", body={"model": "seedream-4.0"}, shown="256x256"),
    Example(
        **DMXAPI,
        cell="-m gpt-image-1 --size 1536x1024 --quality high --background transparent --output-format webp "
        "--output-compression 85 --moderation low -n 2",
        body={
            "model": "gpt-image-1",
            "size": "1536x1024",
            "quality": "high",
            "background": "transparent",
            "output_format": "webp",
            "output_compression": 85,
            "moderation": "low",
            "n": 2,
        },
        shown="1536x1024 · 2 images",
    ),
    Example(
        **DMXAPI,
        cell="-m gpt-image-1-mini --output-format jpeg --output-compression 0 --background opaque "
        "--size auto",
        body={
            "model": "gpt-image-1-mini",
            "output_format": "jpeg",
            "output_compression": 0,
            "background": "opaque",
            "size": "auto",
        },
        shown="256x256",
    ),
    Example(
        **DMXAPI,
        cell="-m dall-e-3 --size 1792x1024 --quality hd --style natural --response-format url -n 1",
        body={
            "model": "dall-e-3",
            "size": "1792x1024",
            "quality": "hd",
            "style": "natural",
            "response_format": "url",
            "n": 1,
        },
        shown="1792x1024",
    ),
    Example(
        **DMXAPI,
        cell="-m dall-e-2 --size 512x512 -n 3 --quality standard --response-format b64_json",
        body={
            "model": "dall-e-2",
            "size": "512x512",
            "n": 3,
            "quality": "standard",
            "response_format": "b64_json",
        },
        shown="512x512 · 3 images",
    ),
    Example(
        **DMXAPI,
        cell="--seed 3 --quality auto",
        body={"model": "seedream-4.0"},
        shown="256x256 · seed 3",
        notes=("- seed=3…seedream-4.0 on dmxapi…seed",),
    ),
]

OF_API000 = [
    Example(**API000, cell="", body={"model": "flux-1.1-pro"}, shown="256x256"),
    Example(
        **API000,
        cell="-m dall-e-3 --size 1024x1792 --quality hd --style vivid --response-format b64_json -n 1",
        body={
            "model": "dall-e-3",
            "size": "1024x1792",
            "quality": "hd",
            "style": "vivid",
            "response_format": "b64_json",
            "n": 1,
        },
        shown="1024x1792",
    ),
    Example(
        **API000,
        cell="-m dall-e-2 --size 256x256 -n 2",
        body={"model": "dall-e-2", "size": "256x256", "n": 2},
        shown="256x256 · 2 images",
    ),
    Example(
        **API000,
        cell="-m flux-1.1-pro --size 2048x2048 --response-format url",
        body={"model": "flux-1.1-pro", "size": "2048x2048", "response_format": "url"},
        shown="2048x2048",
    ),
    Example(
        **API000,
        cell="-m flux-schnell --size 1280x720 -n 4 --seed 5",
        body={"model": "flux-schnell", "size": "1280x720", "n": 4},
        shown="1280x720 · 4 images · seed 5",
        notes=("- seed=5…flux-schnell on api000…seed",),
    ),
]

OF_NEW_API = [
    Example(
        **NEW_API,
        cell="-m gpt-image-1 --seed 7 --quality high",
        body={"model": "gpt-image-1", "quality": "high"},
        shown="gpt-image-1 · 256x256 · seed 7",
        cost="$0.08",
        notes=("- seed=7…gpt-image-1 on new-api…seed",),
    ),
    Example(
        **NEW_API,
        cell="-m gpt-image-1 --size 1024x1024 --quality low --background transparent --output-format png "
        "--moderation low --user class-3 -n 2",
        body={
            "model": "gpt-image-1",
            "size": "1024x1024",
            "quality": "low",
            "background": "transparent",
            "output_format": "png",
            "moderation": "low",
            "user": "class-3",
            "n": 2,
        },
        shown="1024x1024 · 2 images · quality low",
        cost="$0.04",
    ),
    Example(
        **NEW_API,
        cell="-m gpt-image-1 --output-format webp --output-compression 85",
        body={"model": "gpt-image-1", "output_format": "webp", "output_compression": 85},
        shown="256x256 · output format webp",
        cost="$0.02–0.08",
    ),
    Example(
        **NEW_API,
        cell="-m dall-e-3 --size 1792x1024 --quality hd --style vivid --response-format url",
        body={
            "model": "dall-e-3",
            "size": "1792x1024",
            "quality": "hd",
            "style": "vivid",
            "response_format": "url",
        },
        shown="1792x1024",
    ),
    Example(
        **NEW_API,
        cell="-m dall-e-2 --size 256x256 -n 10 --response-format b64_json",
        body={"model": "dall-e-2", "size": "256x256", "n": 10, "response_format": "b64_json"},
        shown="256x256 · 10 images",
    ),
    Example(
        **NEW_API,
        cell="-m doubao-seedream-3-0-t2i --size 1024x1024 --seed -1 --guidance-scale 2.5 --no-watermark",
        body={
            "model": "doubao-seedream-3-0-t2i",
            "size": "1024x1024",
            "seed": -1,
            "guidance_scale": 2.5,
            "watermark": False,
        },
        shown="1024x1024 · seed -1",
        notes=(relayed("new-api", "seed, guidance_scale"),),
    ),
    Example(
        **NEW_API,
        cell="-m doubao-seedream-3-0-t2i --size 512×2048 --seed 2147483647 --guidance-scale 10 --watermark",
        body={
            "model": "doubao-seedream-3-0-t2i",
            "size": "512x2048",
            "seed": 2147483647,
            "guidance_scale": 10,
            "watermark": True,
        },
        shown="512x2048",
        notes=(relayed("new-api", "seed, guidance_scale"),),
    ),
]

EXAMPLES = [
    *of_one_document("xzbzq"),
    *of_one_document("whatai"),
    *OF_DMXAPI,
    *OF_API000,
    *OF_NEW_API,
]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_example(kernel, serve, example):
    check_example(kernel, serve(strict(example.document)), example)
