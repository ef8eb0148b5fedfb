"""What a gateway cannot take: refused here in short with the right values, or there and told."""

import re

import pytest
from gateway_documents import GATEWAYS, ONE_API
from raising import UNBILLED
from strict import KEY, strict
from typed import list_notes, use

HERE = [
    ("xzbzq", "-m seedream-3.0 --response-format url", "b64_json."),
    ("xzbzq", "-m seedream-3.0 --size 256x256", "512x512"),
    ("xzbzq", "-m seedream-3.0 --seed 2147483648", "2147483647"),
    ("xzbzq", "-m seedream-3.0 -n 2", "--seed 1..2"),
    ("xzbzq", "-m gpt-image-1 --size 1664x936", "1536x1024"),
    ("xzbzq", "-m gpt-image-1 --quality ultra", "auto, low, medium, high"),
    ("xzbzq", "-m gpt-image-1 --style vivid", "size, aspect_ratio, n,"),
    ("xzbzq", "-m gpt-image-1 --background transparent", "--background"),
    ("xzbzq", "-m imagen4 -n 5", "4"),
    ("xzbzq", "-m imagen4 --size 1000x700", "1:1, 4:3, 3:4, 16:9, 9:16"),
    ("whatai", "-m flux-kontext-pro -n 2", "--seed 1..2"),
    ("whatai", "-m flux-kontext-max --quality hihg", "high?"),
    ("whatai", "-m flux-kontext-max --size 100x1000", "--size"),
    ("dmxapi", "-m dall-e-3 -n 2", "--seed 1..2"),
    ("dmxapi", "-m dall-e-3 --quality high", "standard, hd"),
    ("dmxapi", "-m dall-e-3 --size 1536x1024", "1792x1024"),
    ("dmxapi", "-m dall-e-2 --size 1792x1024", "256x256, 512x512, 1024x1024"),
    ("dmxapi", "-m gpt-image-1 --quality hd", "auto, low, medium, high"),
    ("dmxapi", "-m gpt-image-1 -n 11", "10"),
    ("dmxapi", "-m gpt-image-1 --background transparent --output-format jpeg", "--output-format png"),
    ("dmxapi", "-m gpt-image-1 --output-format png --output-compression 85", "jpeg, webp"),
    ("dmxapi", "--quality high", "--quality"),
    ("dmxapi", "--output-compression 101", "100"),
    ("dmxapi", "--moderation high", "auto, low"),
    ("dmxapi", "--negative-prompt dogs", "--negative-prompt"),
    ("api000", "-m dall-e-3 --quality medium", "standard, hd"),
    ("api000", "-m dall-e-3 --style natral", "natural?"),
    ("api000", "-m flux-schnell -n 5", "4"),
    ("api000", "-m flux-1.1-pro --output-format png", "--output-format"),
    ("api000", "--guidance-scale 3", "--guidance-scale"),
    ("new-api", "", "new-api"),
    ("new-api", "-m doubao-seedream-3-0-t2i --guidance-scale 11", "10"),
    ("new-api", "-m doubao-seedream-3-0-t2i --seed 2147483648", "2147483647"),
    ("new-api", "-m doubao-seedream-3-0-t2i --size 2064x1024", "2,048"),
    (
        "new-api",
        "-m gpt-image-1 --output-format png --output-compression 85",
        "jpeg, webp",
    ),
    ("new-api", "-m dall-e-3 --background opaque", "size, n, quality, style, response_format, user"),
    ("new-api", "-m gpt-image-1 --guidance-scale 3", "--guidance-scale"),
    ("new-api", "-m gpt-image-1 --input-fidelity high", "--input-fidelity"),
    ("new-api", "-m doubao-seedream-3-0-t2i --quality high", "--quality"),
    ("new-api", "-m dall-e-3 --negative-prompt dogs", "--negative-prompt"),
]


@pytest.mark.parametrize("at", GATEWAYS)
def test_refused_here(kernel, serve, at):
    server = serve(strict(GATEWAYS[at]))
    use(kernel, server, at)
    for options, says in ((o, s) for name, o, s in HERE if name == at):
        cell = kernel.run(f"%%imagine {options}\na fox")
        assert says in (cell.error or ""), options
        assert len(cell.error.splitlines()) <= 2
        assert not server.requests


def test_a_prompt_too_long_for_the_model_is_refused_here(kernel, serve):
    server = serve(strict(GATEWAYS["dmxapi"]))
    use(kernel, server, "dmxapi")
    for model, most in (("dall-e-2", 1000), ("dall-e-3", 4000), ("gpt-image-1", 32_000)):
        cell = kernel.run(f"%imagine -m {model} {'x' * (most + 1)}")
        assert re.search(f"{most + 1:,} .*{model} .* {most:,}", cell.error)
        assert kernel.run(f"%imagine -m {model} {'x' * most}").error is None
    assert len(server.posts) == 3


# What our tables let through because the documents do not say it, or because --set is never checked.
THERE = [
    ("xzbzq", "--set surprise=1", "Unknown parameter: 'surprise'."),
    ("xzbzq", "-m gpt-image-9", "No available channel for model gpt-image-9"),
    ("xzbzq", "-m gpt-image-1 --set size=1024×1024", "Invalid value for 'size'."),
    ("whatai", "-m flux-kontext-max --set size=1024x1024", "Unknown parameter: 'size'."),
    ("dmxapi", "-m gpt-image-1 --set response_format=b64_json", "Unknown parameter: 'response_format'."),
    ("dmxapi", "-m dall-e-2 --set style=vivid", "Unknown parameter: 'style'."),
    ("api000", "-m flux-1.1-pro --size 4096x4096", "Invalid value for 'size'."),
    ("new-api", "-m dall-e-3 --set seed=1", "Unknown parameter: 'seed'."),
    ("new-api", "-m gpt-image-1 --set n=11", "Invalid value for 'n'."),
]


@pytest.mark.parametrize("at", GATEWAYS)
def test_refused_there(kernel, serve, at):
    server = serve(strict(GATEWAYS[at]))
    use(kernel, server, at)
    for sent, (options, says) in enumerate((o, s) for name, o, s in THERE if name == at):
        reason, bill = kernel.run(f"%%imagine {options}\na fox").error.splitlines()
        assert reason.startswith(f"{at} ")
        assert says in reason, options
        assert bill.startswith(UNBILLED)
        assert len(server.posts) == sent + 1


def test_what_is_only_configured_is_left_out_where_it_cannot_go(kernel, serve):
    server = serve(strict(GATEWAYS["xzbzq"]))
    use(kernel, server, "xzbzq")
    kernel.run("%config Imagine.response_format = 'url'\n%config Imagine.style = 'vivid'")
    cell = kernel.run("%imagine -m seedream-3.0 a fox")
    assert server.posts[0].json == {
        "model": "seedream-3.0",
        "prompt": "a fox",
        "response_format": "b64_json",
    }
    style, response_format = list_notes(cell)
    assert "style=vivid" in style
    assert re.search("response_format=url.* seedream-3.0 .*b64_json", response_format)


def test_the_sign_for_times_is_read_as_meant(kernel, serve):
    server = serve(strict(GATEWAYS["xzbzq"]))
    use(kernel, server, "xzbzq")
    assert kernel.run("%imagine -m gpt-image-1 --size １０２４×１０２４ a fox").error is None
    assert server.posts[0].json["size"] == "1024x1024"


@pytest.mark.parametrize("at", GATEWAYS)
def test_without_a_key_or_with_a_wrong_one(kernel, serve, at):
    server = serve(strict(GATEWAYS[at]))
    variable = at.upper().replace("NEW-API", "NEW") + "_API_KEY"
    use(kernel, server, at)
    kernel.run(f"del os.environ[{variable!r}]")
    cell = kernel.run("%imagine -m dall-e-3 a fox")
    assert variable in cell.error
    assert not server.posts
    kernel.run(f"os.environ[{variable!r}] = 'sk-another-key'")
    cell = kernel.run("%imagine -m dall-e-3 a fox")
    assert cell.error.splitlines()[1].startswith(UNBILLED)
    assert "sk-another-key" not in str(cell.outputs)
    assert len(server.posts) == 1


def test_one_api_takes_what_it_documents_and_refuses_the_rest(kernel, serve):
    server = serve(strict(ONE_API))
    use(kernel, server, "mine", key_env="MINE_API_KEY")
    fields = "-m dall-e-3 --size 1792x1024 --quality hd --style vivid --response-format url --user me"
    cell = kernel.run(f"%%imagine {fields}\na fox")
    assert cell.error is None
    assert "1792x1024" in cell.caption
    assert cell.caption.endswith("cost unknown")
    bare = kernel.run("%imagine a fox")
    assert bare.error is None
    assert server.posts[1].json == {"prompt": "a fox"}
    assert "Unknown parameter: 'seed'." in kernel.run("%imagine --seed 1 a fox").error
    assert len(server.posts) == 3
    assert all(post.headers["Authorization"] == f"Bearer {KEY}" for post in server.posts)
