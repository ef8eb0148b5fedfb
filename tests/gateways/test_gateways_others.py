"""What the other servers do not take, how they say so, and replies of theirs that are odd."""

import re

import local_documents as local
import pytest
import vendor_documents as vendors
from raising import UNBILLED
from strict import Drawn, draw, strict
from typed import base_of, list_notes, use

from ipyimagegen.core.messages import Remedy
from ipyimagegen.notebook.fronts import CELL

DOCUMENTS = {
    "ark": vendors.ARK,
    "together": vendors.TOGETHER,
    "xai": vendors.XAI,
    "openrouter": vendors.OPENROUTER,
    "azure": vendors.AZURE_V1,
    "litellm": vendors.LITELLM,
    "localai": local.LOCALAI,
    "sdcpp": local.SDCPP,
    "sglang": local.SGLANG,
    "vllm-omni": local.VLLM_OMNI,
    "xinference": local.XINFERENCE,
    "lemonade": local.LEMONADE,
}
BESIDE = {"ark": {"vendor": "ark"}, "xai": {"vendor": "xai"}, "azure": {"query": {"api-version": "preview"}}}


def use_at(kernel, server, at):
    """Make the server the endpoint, at the address that its vendor or software has."""
    use(kernel, server, at, base_url=base_of(server, DOCUMENTS[at]), **BESIDE.get(at, {}))


HERE = [
    ("ark", "-m doubao-seedream-4-5-251128 --size 1024x1024", "1920x1920"),
    ("ark", "-m doubao-seedream-3-0-t2i-250415 --size 256x256", "2,048"),
    ("ark", "-m doubao-seedream-3-0-t2i-250415 --guidance-scale 11", "10"),
    ("ark", "--quality high", "--quality"),
    ("ark", "-n 2", "--seed 1..2"),
    ("azure", "-m my-gpt --aspect-ratio 16:9 --guidance-scale 3", "my-gpt"),
    ("litellm", "-m gpt-image-1 --response-format b64_json", "--response-format"),
    ("together", "", "together"),
    ("together", "-m flux --quality high", "--quality"),
    ("xai", "--size 4K", "1K, 2K"),
    ("xai", "--quality high", "--quality"),
    ("xai", "--style vivid", "--style"),
    ("xai", "-n 11", "10"),
    ("openrouter", "", "openrouter"),
    ("openrouter", "-m flux --response-format b64_json", "--response-format"),
    ("azure", "", "azure"),
    ("litellm", "", "litellm"),
    ("localai", "--style vivid", "--style"),
    ("localai", "--quality high", "--quality"),
    ("sdcpp", "--quality high", "--quality"),
    ("sdcpp", "--response-format url", "--response-format"),
    ("sglang", "--no-watermark", "watermark"),
    ("sglang", "--quality low", "exact, lossless, high"),
    ("sglang", "-n 11", "10"),
    ("sglang", "--size 2K", "WIDTHxHEIGHT"),
    ("sglang", "--stream", "--stream"),
    ("vllm-omni", "--guidance-scale 21", "20"),
    ("vllm-omni", "--aspect-ratio 16:9 --size 512x512", "--aspect-ratio 16:9"),
    ("xinference", "", "xinference"),
    ("xinference", "-m sd3 --quality high", "--quality"),
    ("lemonade", "", "lemonade"),
    ("lemonade", "-m SD-Turbo --negative-prompt dogs", "--negative-prompt"),
    ("lemonade", "-m SD-Turbo -n 2", "--seed 1..2"),
    ("lemonade", "-m SD-Turbo --response-format url", "b64_json"),
]


@pytest.mark.parametrize("at", DOCUMENTS)
def test_refused_here(kernel, serve, at):
    server = serve(strict(DOCUMENTS[at]))
    use_at(kernel, server, at)
    for options, says in ((o, s) for name, o, s in HERE if name == at):
        cell = kernel.run(f"%%imagine {options}\na fox")
        assert says in (cell.error or ""), options
        assert len(cell.error.splitlines()) <= 2
        assert not server.requests


# One refusal in each server's own form of an error.
THERE = [
    ("ark", "-m doubao-seedream-9", "No available channel for model doubao-seedream-9"),
    ("together", "-m flux --set size=1024x1024", "Unknown parameter: 'size'."),
    ("xai", "--set size=1024x1024", "Unknown parameter: 'size'."),
    ("openrouter", "-m flux --set negative_prompt=dogs", "Unknown parameter: 'negative_prompt'."),
    ("azure", "-m my-gpt --set seed=1", "Unknown parameter: 'seed'."),
    ("litellm", "-m gpt-image-1 --set response_format=b64_json", "UnsupportedParamsError"),
    ("localai", "--set quality=high", "Invalid value for 'quality'."),
    ("sdcpp", "--set stepz=4", "Unknown parameter: 'stepz'."),
    ("sglang", "--set watermark=true", "Unknown parameter: 'watermark'."),
    ("vllm-omni", "--set steps=4", "Unknown parameter: 'steps'."),
    ("xinference", "-m sd3 --set seed=1", "Unknown parameter: 'seed'."),
    ("lemonade", "-m SD-Turbo --set response_format=url", "Invalid value for 'response_format'."),
]


@pytest.mark.parametrize(("at", "options", "says"), THERE)
def test_refused_there(kernel, serve, at, options, says):
    server = serve(strict(DOCUMENTS[at]))
    use_at(kernel, server, at)
    cell = kernel.run(f"%%imagine {options}\na fox")
    reason, bill = cell.error.splitlines()
    assert reason.startswith(f"{at} ")
    assert says in reason
    assert bill.startswith(UNBILLED)
    assert len(server.posts) == 1


def test_an_item_of_ark_can_be_an_error(kernel, serve):
    ark = strict(vendors.ARK)

    def second_fails(seen):
        status, headers, body = ark(seen)
        if seen.method == "POST":
            error = {"code": "OutputImageSensitiveContentDetected", "message": "The output is sensitive"}
            body["data"].append({"error": error})
        return status, headers, body

    server = serve(second_fails)
    use_at(kernel, server, "ark")
    cell = kernel.run("%imagine -m seedream-4.0 --set sequential_image_generation=auto a fox")
    (note,) = list_notes(cell)
    assert re.fullmatch("! .*The output is sensitive", note)
    assert len(cell.images) == 1
    assert list_notes(kernel.run("%imagine_show -1")) == list_notes(cell)
    assert len(server.posts) == 1


def test_an_answer_of_ark_with_errors_only_names_them(kernel, serve):
    error = {"code": "OutputImageSensitiveContentDetected", "message": "The output is sensitive"}
    server = serve(lambda seen: (200, {}, {"model": "m", "created": 1, "data": [{"error": error}]}))
    use_at(kernel, server, "ark")
    reason, bill = kernel.run("%imagine a fox").error.splitlines()
    assert "The output is sensitive" in reason
    assert bill.endswith(CELL.remedies[Remedy.CHANGE_PROMPT])


def test_a_relative_address_is_of_the_same_server(kernel, serve):
    server = serve(strict(local.SGLANG))
    use_at(kernel, server, "sglang")
    assert kernel.run("%imagine --size 512x512 --response-format url a fox").error is None
    assert [request.path for request in server.requests] == [
        "/v1/images/generations",
        "/v1/images/512x512.jpeg",
    ]


def test_a_path_on_the_servers_disk_is_not_opened(kernel, serve, tmp_path):
    server = serve(strict(local.XINFERENCE))
    use_at(kernel, server, "xinference")
    cell = kernel.run("%imagine -m sd3 --response-format url a fox")
    assert "b64_json" in cell.error
    assert len(cell.error.splitlines()) <= 2
    assert len(server.requests) == 1


def test_a_format_other_than_asked_is_told(kernel, serve):
    server = serve(lambda seen: (200, {}, {"data": [{"b64_json": Drawn({}, "", 64, 64, "jpeg").base64}]}))
    use_at(kernel, server, "openrouter")
    cell = kernel.run("%imagine -m flux --output-format png a fox")
    (note,) = list_notes(cell)
    assert re.fullmatch("! .*png.*jpeg", note)


@pytest.mark.parametrize("at", ["localai", "sdcpp", "sglang", "vllm-omni", "lemonade"])
def test_a_server_on_this_machine_is_free_and_needs_no_key(kernel, serve, at):
    server = serve(strict(DOCUMENTS[at]))
    done = kernel.run(
        f"%config Imagine.endpoints = {{{at!r}: {{'base_url': {server.base_url!r}}}}}\n"
        f"%config Imagine.endpoint = {at!r}\n"
    )
    assert done.error is None
    model = "-m SD-Turbo " if at == "lemonade" else ""
    assert kernel.run(f"%imagine {model}a fox").caption.endswith(" s · free")
    assert "Authorization" not in server.posts[0].headers


def test_raw_bytes_as_an_answer_are_the_image(kernel, serve):
    server = serve(lambda seen: (200, {"Content-Type": "image/png"}, draw("64x64.png")))
    use_at(kernel, server, "vllm-omni")
    cell = kernel.run("%imagine --set response_format=file a fox")
    assert cell.error is None, cell.error
    assert cell.images[0].size == (64, 64)
    assert len(server.posts) == 1


def test_a_negative_prompt_within_the_prompt_is_told(kernel, serve):
    server = serve(strict(local.LOCALAI))
    use_at(kernel, server, "localai")
    cell = kernel.run("%imagine --size 64x64 a fox|dogs")
    assert server.posts[0].json["prompt"] == "a fox|dogs"
    (note,) = list_notes(cell)
    assert re.fullmatch(r"- localai .*\|.*", note)
