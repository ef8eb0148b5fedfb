"""Edits that a server's document does not know: refused here before sending, or left out and told."""

import edit_documents as docs
import edit_local_documents as own
import pytest
from raising import UNBILLED
from test_gateways_edits import FLUX2, KONTEXT, SEEDEDIT
from typed import list_notes
from typed_edits import EditExample, check_arrived

ONE, TWO, BOX = "--image cat.png", "--image cat.png --image hat", "--mask 8,8,16,16"
FIRST = {at: documents[0] for at, documents in own.EDITS.items()}
BESIDE = {
    "openai": {"vendor": "openai", "key_env": "OPENAI_API_KEY"},
    "ark": {"vendor": "ark"},
    "xai": {"vendor": "xai"},
    "azure": {"query": {"api-version": "2025-04-01-preview"}},
}


# The server · the cell · what the refusal must name
HERE = [
    ("dmxapi", ONE, "dmxapi"),
    ("dmxapi", f"-m gpt-image-1-mini {ONE} {BOX}", "dmxapi"),
    ("api000", f"-m dall-e-2 {ONE}", "api000"),
    ("xzbzq", f"-m seedream-3.0 {ONE}", "seedream-3.0"),
    ("whatai", f"-m imagen4 {ONE}", "imagen4"),
    ("ark", f"-m doubao-seedream-3-0-t2i-250415 {ONE}", "doubao-seedream-3-0-t2i"),
    ("new-api", f"-m dall-e-3 {ONE}", "dall-e-3"),
    # no mask
    ("xzbzq", f"-m gpt-image-1 {ONE} {BOX}", "mask"),
    ("whatai", f"-m flux-kontext-pro {ONE} {BOX}", "mask"),
    ("ark", f"{ONE} {BOX}", "mask"),
    ("xai", f"{ONE} {BOX}", "mask"),
    ("together", f"-m {FLUX2} {ONE} {BOX}", "mask"),
    ("openrouter", f"-m google/image {ONE} {BOX}", "mask"),
    ("sglang", f"{ONE} {BOX}", "mask"),
    # a mask alone, or of another size
    ("openai", f"-m gpt-image-1 {BOX}", "--image"),
    ("openai", f"-m gpt-image-1 {ONE} --mask square.png", "48x48"),
    ("openai", f"-m gpt-image-1 {ONE} --mask 60,40,16,16", "64x48"),
    ("sdcpp", f"{ONE} --mask square.png", "48x48"),
    # too many
    ("openai", "-m gpt-image-1" + " --image cat.png" * 17, "16"),
    ("ark", "-m seedream-4.0 --image cat.png" + " --image hat" * 14, "14"),
    ("ark", "--image cat.png" + " --image hat" * 10, "10"),
    ("ark", f"-m {SEEDEDIT} {TWO}", " 1 "),
    ("xai", "--image cat.png" + " --image hat" * 3, "3"),
    ("together", f"-m {KONTEXT} {TWO}", " 1 "),
    ("lemonade", f"-m SD-Turbo {TWO}", " 1 "),
    ("localai", f"-m dreamshaper {TWO} {BOX}", " 1 "),
    # options
    ("localai", f"{ONE} {BOX}", "model"),
    ("sdcpp", f"{ONE} --output-format webp", "png, jpeg"),
    ("openai", f"-m gpt-image-1 {ONE} --style vivid", "style"),
    ("openai", f"-m gpt-image-2 {ONE} --input-fidelity high", "input"),
    ("openai", f"-m gpt-image-1 {ONE} --quality standard", "quality"),
    ("xinference", f"-m sd3 {ONE} --negative-prompt dogs", "negative"),
    ("xinference", f"-m sd3 {ONE} --guidance-scale 4", "guidance"),
    ("lemonade", f"-m SD-Turbo {ONE} --negative-prompt dogs", "negative"),
    ("lemonade", f"-m SD-Turbo {ONE} --output-format png", "output"),
    ("localai", f"-m dreamshaper {ONE} {BOX} --size 64x48", "size"),
    ("localai", f"-m dreamshaper {ONE} {BOX} -n 2", "n"),
    ("xai", f"{ONE} --quality high", "quality"),
    ("ark", f"{ONE} --quality high", "quality"),
    ("azure", f"-m my-gpt {ONE} --style vivid", "style"),
    ("azure", f"-m my-gpt {ONE} --moderation low", "moderation"),
]


@pytest.mark.parametrize(("at", "cell", "names"), HERE)
def test_refused_here(kernel, start, at, cell, names):
    server = start(given(at, cell))
    done = kernel.run(f"%%imagine {cell}\ngive it a hat")
    assert done.error is not None
    assert names in done.error
    assert len(done.error.splitlines()) <= 2
    assert not server.requests


def given(at, cell, **more):
    more = {"entry": BESIDE.get(at, {}), **more}
    return EditExample(**{"at": at, "document": FIRST[at], "cell": cell, "fields": {}} | more)


@pytest.mark.parametrize("at", ["dmxapi", "api000"])
def test_a_server_that_cannot_edit_is_named_in_the_first_line(kernel, start, at):
    server = start(given(at, ""))
    line = kernel.run(f"%imagine {ONE} give it a hat").error.splitlines()[0]
    assert at in line
    assert not server.requests


# Seeds that have no channel in an edit stay here; the rest arrives.
KEPT = [
    ("openai", f"-m gpt-image-1 {ONE} --seed 7", {"model": "gpt-image-1"}, docs.OPENAI_FORM),
    (
        "xinference",
        f"-m sd3 {ONE} --seed 7",
        {"model": "sd3", "response_format": "b64_json"},
        own.XINFERENCE,
    ),
    ("localai", f"-m dreamshaper {ONE} {BOX} --seed 7", {"model": "dreamshaper"}, own.LOCALAI_INPAINT),
    ("xai", f"{ONE} --seed 7", {"model": "grok-imagine-image"}, docs.XAI),
]


@pytest.mark.parametrize("kept", KEPT, ids=[case[0] for case in KEPT])
def test_a_seed_without_a_channel_is_not_sent(kernel, start, tmp_path, kept):
    at, cell, fields, document = kept
    example = given(at, cell, fields=fields, document=document, masked=BOX in cell)
    server = start(example)
    done = kernel.run(f"%%imagine {cell}\ngive it a hat")
    assert done.error is None
    check_arrived(server.posts[0], example, tmp_path)
    assert any(line.startswith("- seed=7 ") for line in list_notes(done))


IGNORED = [
    ("vllm-omni", "--quality high", {}),
    ("vllm-omni", "--style vivid", {}),
    ("sglang", "--style vivid", {"response_format": "b64_json"}),
    ("lemonade", "-m SD-Turbo --background opaque", {"model": "SD-Turbo"}),
]


@pytest.mark.parametrize(("at", "options", "fields"), IGNORED)
def test_what_a_server_ignores_is_not_sent(kernel, start, tmp_path, at, options, fields):
    example = given(at, f"{ONE} {options}", fields=fields)
    server = start(example)
    done = kernel.run(f"%%imagine {example.cell}\ngive it a hat")
    assert done.error is None
    check_arrived(server.posts[0], example, tmp_path)
    name, value = options.split("--")[1].split()
    assert any(line.startswith(f"- {name}={value} ") for line in list_notes(done))


def test_xinference_cannot_fail_for_want_of_a_size(kernel, start, tmp_path):
    """Its inpainting makes numbers of the size, and of `original` there are none."""
    fields = {"model": "sd3", "response_format": "b64_json"}
    server = start(given("xinference", ""))
    bare = kernel.run(f"%imagine -m sd3 {ONE} {BOX} give it a hat")
    if not server.posts:
        assert "--size" in bare.error
        bare = kernel.run(f"%imagine -m sd3 {ONE} {BOX} --size 64x48 give it a hat")
    assert bare.error is None
    (post,) = server.posts
    size = own.XINFERENCE.read(post)["size"]
    assert size.replace("*", "x") == "64x48"
    check_arrived(post, given("xinference", "", fields={**fields, "size": size}, masked=True), tmp_path)


# What our tables let through because --set is never checked, and the server refuses.
THERE = [
    ("openai", f"-m gpt-image-1 {ONE} --set seed=1", "Unknown parameter: 'seed'."),
    ("sdcpp", f"{ONE} --set output_format=webp", "Invalid value for 'output_format'."),
    ("sdcpp", f"{ONE} --set stepz=4", "Unknown parameter: 'stepz'."),
    ("vllm-omni", f"{ONE} --set mask=here", "Unknown parameter: 'mask'."),
    ("xinference", f"-m sd3 {ONE} --set kwargs={{}}", "Unknown parameter: 'kwargs'."),
    ("litellm", f"-m gpt-image-1 {ONE} --set style=vivid", "UnsupportedParamsError"),
    ("xai", f"{ONE} --set size=1024x1024", "Unknown parameter: 'size'."),
]


@pytest.mark.parametrize(("at", "cell", "says"), THERE)
def test_refused_there(kernel, start, at, cell, says):
    server = start(given(at, cell))
    reason, bill = kernel.run(f"%%imagine {cell}\ngive it a hat").error.splitlines()
    assert reason.startswith(f"{at} ")
    assert says in reason
    assert bill.startswith(UNBILLED)
    assert len(server.posts) == 1
