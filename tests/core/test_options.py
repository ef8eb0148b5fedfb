"""The table of options, and every projection of it against one table of what is expected."""

import inspect
import types

import numpy as np
import pytest
from raising import assert_names, raising, values_of

import ipyimagegen
from ipyimagegen.client import write_call
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.errors import InvalidInput, InvalidOption
from ipyimagegen.core.options import (
    DEFAULT,
    INPUTS,
    OPTIONS,
    SENT,
    Kind,
    normalise,
    parse_size,
    suggest_option,
)
from ipyimagegen.core.request import PreparedRequest, Request, read_setting
from ipyimagegen.core.user_input import from_call
from ipyimagegen.notebook import help_text
from ipyimagegen.notebook.completion import list_values
from ipyimagegen.notebook.config import Imagine
from ipyimagegen.notebook.fronts import BY_FLAG
from ipyimagegen.notebook.parser import parse_line

# option: flags, typed text and the value it becomes, a text that is refused, part of the identity,
# configurable, in Python. What begins with a capital N is not so.
POOL = object()
EXPECTED = {
    "model": ("-m --model", ("gpt-image-2", "gpt-image-2"), "", True, True, True),
    "size": ("--size", ("１０２４×１５３６", "1024x1536"), "16:9", True, True, True),
    "aspect_ratio": ("--aspect-ratio", ("16：9", "16:9"), "16x9", True, True, True),
    "n": ("-n --n", ("３", 3), "0", True, True, True),
    "seed": ("--seed", ("-1", -1), "-2", True, True, True),
    "quality": ("--quality", ("HIGH", "high"), "", True, True, True),
    "complexity": ("--complexity", ("LOW", "low"), "max", True, True, True),
    "style": ("--style", ("vivid", "vivid"), "", True, True, True),
    "background": ("--background", ("Transparent", "transparent"), "clear", True, True, True),
    "output_format": ("--output-format", ("GIF", "gif"), "bmp", True, True, True),
    "output_compression": ("--output-compression", ("85", 85), "101", True, True, True),
    "frame_count": ("--frame-count", ("９", 9), "17", True, True, True),
    "frame_duration_ms": ("--frame-duration-ms", ("40", 40), "19", True, True, True),
    "moderation": ("--moderation", ("low", "low"), "high", True, True, True),
    "response_format": ("--response-format", ("url", "url"), "base64", False, True, True),
    "input_fidelity": ("--input-fidelity", ("high", "high"), "medium", True, True, True),
    "negative_prompt": ("--negative-prompt", ("blur，ry", "blur，ry"), " ", True, True, True),
    "guidance_scale": ("--guidance-scale", ("3.50", 3.5), "x", True, True, True),
    "steps": ("--steps", ("20", 20), "0", True, True, True),
    "watermark": ("--watermark", ("true", True), "maybe", True, True, True),
    "stream": ("--stream", ("true", True), "maybe", False, True, True),
    "partial_images": ("--partial-images", ("2", 2), "4", False, True, True),
    "user": ("--user", ("ann, class 3", "ann, class 3"), "", False, True, True),
    "safety_identifier": ("--safety-identifier", ("class 3", "class 3"), "", False, True, True),
    "image": ("--image", ("@3", "@3"), "", None, False, True),
    "mask": ("--mask", ("1,2,3,4", "1,2,3,4"), "", None, False, True),
    "endpoint": ("--endpoint", ("lab", "lab"), "", None, True, True),
    "as_": ("--as", ("fox", "fox"), "3x", None, False, False),
    "save": ("--save", (r"out\{id}", r"out\{id}"), "", None, False, False),
    "new": ("--new", ("true", True), "2", None, False, True),
    "retry": ("--retry", ("true", True), "2", None, False, True),
    "offline": ("--offline", ("true", True), "2", None, False, True),
    "dry_run": ("--dry-run", ("true", True), "2", None, False, True),
    "timeout": ("--timeout", ("0.5", 0.5), "0", None, True, True),
    "wait": ("--wait", ("true", True), "2", None, False, True),
    "executor": ("--executor", ("pool", POOL), "1x", None, False, True),
    "send_key": ("--send-key", ("true", True), "2", None, False, True),
    "raw": ("--raw", ("true", True), "2", None, False, False),
}
EVERY = pytest.mark.parametrize("name", OPTIONS)
WRITTEN = pytest.mark.parametrize(
    "name", [name for name, option in OPTIONS.items() if option.kind is not Kind.OBJECT]
)


def test_every_option_is_expected():
    assert set(EXPECTED) == set(OPTIONS)


@WRITTEN
def test_validation(name):
    _, (typed, value), refused, *_ = EXPECTED[name]
    assert normalise(name, typed) == value
    assert normalise(name, value) == value
    assert normalise(name, DEFAULT) == DEFAULT
    with raising(InvalidOption, name):
        normalise(name, refused)


class Scalar:
    """A number of a library such as torch: its text is none, and every method is there and may raise."""

    shape = ()
    dtype = types.SimpleNamespace(itemsize=4)

    def __init__(self, number):
        self.number = number

    def __str__(self):
        return f"tensor({self.number})"

    def item(self):
        return self.number

    def tolist(self):
        return self.number

    def __index__(self):
        raise TypeError("only integer tensors of a single element can be converted to an index")

    def __ne__(self, other):
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")


class Unreadable(Scalar):
    """What raises whatever it is asked for."""

    dtype = shape = property(lambda self: 1 / 0)
    iloc = index = tolist = columns = item = __str__ = __float__ = shape


class Decimals(Unreadable):
    """A number that only `float` reads."""

    def __float__(self):
        return self.number


class Grid(Unreadable):
    """What has an array for its shape."""

    shape = np.arange(3)

    def tolist(self):
        raise RuntimeError("no values on this device")


def test_a_number_of_another_library_is_a_number():
    assert from_call("a fox", {"guidance_scale": Scalar(7.5)}).options == {"guidance_scale": 7.5}
    assert from_call("a fox", {"steps": Scalar(30.0), "seed": Scalar(7)}).options == {"steps": 30, "seed": 7}
    assert from_call("a fox", {"seed": [Scalar(7), Scalar(8)]}).options == {"seed": (7, 8)}
    assert normalise("timeout", Decimals(0.5)) == 0.5
    assert normalise("timeout", np.float32(0.7)) == 0.7


@pytest.mark.parametrize("value", [Unreadable(7), Grid(7), Scalar(1j), [Unreadable(7)]])
@WRITTEN
def test_a_value_that_raises_is_refused(name, value):
    if OPTIONS[name].python and name not in INPUTS:
        with raising(InvalidOption, name):
            from_call("a fox", {name: value})


@pytest.mark.parametrize("prompt", [Unreadable(7), Grid(7), ["a fox", Unreadable(7)], ["a fox", Grid(7)]])
def test_a_prompt_that_raises_is_refused(prompt):
    with raising(InvalidInput):
        from_call(prompt, {})


@WRITTEN
def test_line(name):
    flags, (typed, value), *_ = EXPECTED[name]
    assert {flag for flag, option in BY_FLAG.items() if option.name == name} == set(flags.split())
    for flag in flags.split():
        spelled = f"{flag}='{typed}'" if flag.startswith("--") else f"{flag} '{typed}'"
        parsed = parse_line(f"{spelled} a fox", {})
        assert {**parsed.values, **parsed.images} == {name: (value,) if name in INPUTS else value}


def test_a_variable_is_taken_as_it_is():
    _, (typed, value), refused, *_ = EXPECTED["executor"]
    for spelled in (typed, f"{{{typed}}}", "cluster.executor"):
        cluster = type("Cluster", (), {"executor": value})
        assert parse_line(f"--executor {spelled} a fox", {typed: value, "cluster": cluster}).executor is value
    with raising(InvalidOption, "executor", refused):
        parse_line(f"--executor {refused} a fox", {})
    with raising(InvalidInput, "nowhere"):
        parse_line("--executor nowhere a fox", {})


@EVERY
def test_settings(name):
    *_, configurable, _ = EXPECTED[name]
    traits = Imagine.class_traits(config=True)
    assert (name in traits) == configurable
    if configurable:
        assert traits[name].help.startswith(OPTIONS[name].help)


@EVERY
def test_wire_and_identity(name):
    _, (_, value), _, identity, *_ = EXPECTED[name]
    if identity is None or name == "model":
        assert name not in SENT or name == "model"
        return
    endpoint = Endpoint(name="lab", base_url="http://127.0.0.1/v1")
    plain = Request(endpoint="lab", base_url=endpoint.base_url, prompt="a fox")
    asked = Request(endpoint="lab", base_url=endpoint.base_url, prompt="a fox", options={name: value})
    assert write_call(asked, PreparedRequest(options={name: value}), endpoint).body == {
        "prompt": "a fox",
        name: value,
    }
    assert (asked.identity != plain.identity) == identity


@EVERY
def test_python(name):
    *_, in_python = EXPECTED[name]
    assert (name in inspect.signature(ipyimagegen.imagine).parameters) == in_python


@EVERY
def test_completion(name):
    flag = OPTIONS[name].flag
    studio = ipyimagegen.Studio()
    suggested = list_values(flag, studio)
    if OPTIONS[name].choices:
        assert suggested == list(OPTIONS[name].choices)
    if name in ("model", "endpoint"):
        assert {"sketch"} <= set(suggested)


@EVERY
def test_help(name):
    assert OPTIONS[name].flag in help_text.write_help("imagine")


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("a=1", ("a", 1)),
        ("a=true", ("a", True)),
        ("a=hello", ("a", "hello")),
        ('a={"b": [1, 2]}', ("a", {"b": [1, 2]})),
        ("a=", ("a", "")),
        ("a=NaN", ("a", "NaN")),
        ("a=x=y", ("a", "x=y")),
    ],
)
def test_settings_of_any_name(text, read_as):
    assert read_setting(text) == read_as


@pytest.mark.parametrize("text", ["a", "=1", "a b=1", "a={b: 1}", "a\n=1"])
def test_settings_refused(text):
    with raising(InvalidOption, "extra"):
        read_setting(text)


# What other tools call an option, and ours.
OTHERS = {
    "aspect_ratio": "ratio ar aspect",
    "n": "count number num num_images batch samples how_many number_of_images",
    "size": "width height w res resolution dimensions image_size",
    "guidance_scale": "cfg cfg_scale guidance scale",
    "steps": "iterations num_inference_steps",
    "save": "output out file o path filename output_dir save_path dest",
    "negative_prompt": "negative neg no without",
    "output_format": "format type ext",
    "new": "force no_cache regenerate",
    "image": "init_image input_image images reference image_url",
    "mask": "mask_image",
    "model": "engine deployment",
    "endpoint": "base_url server provider",
    "dry_run": "preview estimate cost",
    "background": "transparent bg",
    "output_compression": "compression jpeg_quality",
    "raw": "literal",
}


@pytest.mark.parametrize(
    ("meant", "name"), [(k, name) for k, names in OTHERS.items() for name in names.split()]
)
def test_the_name_of_another_tool_is_answered_with_ours(meant, name):
    assert_names(suggest_option(name), meant)
    flag = f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
    with raising(InvalidOption, flag, meant):
        parse_line(f"{flag} 1 a fox", {})
    with raising(InvalidOption, name, meant):
        from_call("a fox", {name: 1})


@pytest.mark.parametrize(
    "name", ["prompt", "text", "strength", "mode", "task", "sampler", "outpaint", "silent"]
)
def test_a_name_that_shares_only_letters_is_no_hint(name):
    assert {*values_of(suggest_option(name))} <= {"extra"}


def test_a_synonym_names_one_option():
    synonyms = [name for option in OPTIONS.values() for name in option.synonyms.split()]
    assert len({*synonyms}) == len(synonyms)
    assert not {*synonyms} & {*OPTIONS}


@pytest.mark.parametrize(
    ("text", "pixels"),
    [
        ("1024x1536", (1024, 1536)),
        ("１０２４×１５３６", (1024, 1536)),
        (" 512 * 0512 ", (512, 512)),
        ("0x512", None),
        ("2K", None),
        ("auto", None),
        ("16:9", None),
        ("1234567x1", None),
    ],
)
def test_parse_size(text, pixels):
    assert parse_size(text) == pixels
