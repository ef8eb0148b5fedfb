"""The controls of the panel follow the option table and the chosen model; its labels are complete."""

import re
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from ipyimagegen import Studio, catalog
from ipyimagegen.catalog import check, find_capabilities
from ipyimagegen.core.errors import InvalidInput, InvalidOption
from ipyimagegen.core.messages import OptionName, Remedy, _, render, render_remedy
from ipyimagegen.core.options import OPTIONS, normalise
from ipyimagegen.core.request import Request
from ipyimagegen.core.user_input import from_call
from ipyimagegen.notebook.display import write_status
from ipyimagegen.notebook.fronts import PANEL, load_labels
from ipyimagegen.notebook.panel.form import (
    Form,
    describe_choices,
    find_input_limits,
    list_controls,
    list_models,
)
from ipyimagegen.notebook.panel.widget import STATIC

LABELS = load_labels()
# Every option and the kind of its control; None where it has a place of its own, or a button.
KINDS = {
    "model": None,
    "size": "suggest",
    "aspect_ratio": "suggest",
    "n": "number",
    "seed": "number",
    "quality": "suggest",
    "complexity": "suggest",
    "style": "suggest",
    "background": "suggest",
    "output_format": "suggest",
    "output_compression": "number",
    "frame_count": "number",
    "frame_duration_ms": "number",
    "moderation": "suggest",
    "response_format": "suggest",
    "input_fidelity": "suggest",
    "negative_prompt": "text",
    "guidance_scale": "number",
    "steps": "number",
    "watermark": "flag",
    "stream": "flag",
    "partial_images": "number",
    "user": "text",
    "safety_identifier": "text",
    "image": None,
    "mask": None,
    "endpoint": None,
    "as_": "text",
    "save": "text",
    "new": None,
    "retry": None,
    "offline": "flag",
    "dry_run": None,
    "timeout": None,
    "wait": None,
    "executor": None,
    "send_key": None,
    "raw": None,
}
ENDPOINTS = [endpoint for endpoint in catalog.Registry() if endpoint.base_url]
MODELS = [(endpoint.name, model) for endpoint in ENDPOINTS for model in ("", *list_models(endpoint))]


def controls_of(endpoint, model="", configured=None, **inputs):
    controls = list_controls(catalog.Registry().find(endpoint), model, configured or {}, **inputs)
    return {control.name: control for control in controls}


def test_a_retirement_is_stated_before_the_call(home):
    studio = Studio(home=home, environ={"OPENAI_API_KEY": "sk-" + "a" * 40})
    form = Form(prompt="a fox", endpoint="openai", options={"model": "gpt-image-1,gpt-image-2"})
    assert "2026-10-23" in describe_choices(studio, form, inputs=0, mask=False)["notice"]
    newest = Form(prompt="a fox", endpoint="openai")
    assert describe_choices(studio, newest, inputs=0, mask=False)["notice"] == ""
    plan = studio.plan(from_call("a fox", {"endpoint": "openai", "model": "gpt-image-1"}))
    assert "2026-10-23" in write_status(SimpleNamespace(plan=plan, calls=(), job=None))


def test_every_option_has_a_control_or_a_place_of_its_own():
    assert list(KINDS) == list(OPTIONS)
    controls = controls_of("http://127.0.0.1:1/v1")
    assert {name: control.kind for name, control in controls.items()} == {
        name: kind for name, kind in KINDS.items() if kind
    }
    for name, control in controls.items():
        option = OPTIONS[name]
        assert (control.help, control.choices) == (render(option.help, PANEL), option.choices)
        assert (control.low, control.high, control.lists) == (option.low, option.high, option.lists)
        assert not control.lists or control.kind in ("number", "suggest")  # a list can be typed there


def test_a_model_decides_controls_and_bounds():
    controls = controls_of("openai", "dall-e-3")
    assert {"style", "quality", "size"} <= set(controls)
    assert not {"negative_prompt", "background", "guidance_scale", "seed"} & set(controls)
    assert set(controls["quality"].choices) == {"standard", "hd"}
    assert "1792x1024" in controls["size"].choices


def test_several_models_have_the_controls_that_all_of_them_support(home):
    studio = Studio(home=home, environ={})

    def names(model):
        form = Form(endpoint="openai", options={"model": model})
        choices = describe_choices(studio, form, inputs=0, mask=False)
        return {control["name"] for control in choices["controls"]}

    first, second = names("dall-e-3"), names("gpt-image-1.5")
    assert first - second
    assert second - first
    assert names("dall-e-3,gpt-image-1.5") == names("gpt-image-1.5, dall-e-3") == first & second
    assert names('dall-e-3,"gpt') == names("never heard of it")  # while it is being typed


def test_a_control_knows_its_configured_value():
    assert controls_of("sketch", configured={"n": 2})["n"].configured == "2"


def test_an_edit_may_have_other_controls():
    assert "input_fidelity" not in controls_of("openai", "gpt-image-1.5")
    assert "input_fidelity" in controls_of("openai", "gpt-image-1.5", inputs=1)


@pytest.mark.parametrize(("endpoint", "model"), MODELS)
def test_no_control_offers_what_is_then_refused(endpoint, model):
    """Every choice of a list, and every bound, passes the checks of a cell."""
    server = catalog.Registry().find(endpoint)
    if server.model_required and not model:
        return
    for name, control in controls_of(endpoint, model).items():
        limits = (control.low, control.high)
        bounds = [f"{bound:g}" for bound in limits if bound is not None and abs(bound) < 1e6]
        for text in (*control.choices, *bounds) if OPTIONS[name].sent else ():
            options = {name: normalise(name, text)}
            if name == "output_compression":
                options["output_format"] = "webp"
            if name.startswith("frame_"):
                options["output_format"] = "gif"
            if name == "partial_images":
                options["stream"] = True
            request = Request(
                endpoint=server.name,
                base_url=server.base_url,
                dialect=server.dialect,
                model=model or None,
                prompt="a fox",
                options=options,
            )
            try:
                check(request, find_capabilities(request, server))
            except InvalidOption as error:
                pytest.fail(f"{name} {text}: {error}")


def test_input_images_only_where_a_model_edits():
    assert find_input_limits(catalog.Registry().find("openai"), "dall-e-3") == (0, False)
    assert find_input_limits(catalog.Registry().find("sketch"), "")[1]


# Words


def test_every_label_exists_in_both_languages():
    source = (STATIC / "panel.js").read_text(encoding="utf-8")
    used = set(re.findall(r'\bt\("([a-z._]+)"[,)]', source))
    used |= {f"option.{name}" for name, kind in KINDS.items() if kind or name in ("model", "endpoint")}
    for language in ("en", "zh"):
        assert used - set(LABELS[language]) == set(), language
        assert set(LABELS["en"]) ^ set(LABELS[language]) == set(), language
    for key, text in LABELS["en"].items():
        placeholders = [set(re.findall(r"\{\w+\}", LABELS[language][key])) for language in LABELS]
        assert placeholders.count(placeholders[0]) == len(placeholders), f"{key}: {text}"


def test_chinese_labels_have_chinese_punctuation():
    wrong = re.compile(r"[\u4e00-\u9fff] ?[,.:;?!()]|[,.:;?!()] ?[\u4e00-\u9fff]")
    assert [text for text in LABELS["zh"].values() if wrong.search(text)] == []


def test_messages_name_controls_and_buttons_in_place_of_flags():
    message = _("{mask} needs an image ({image}).", mask=OptionName("mask"), image=OptionName("image"))
    assert render(message, PANEL) == "Mask needs an image (Input images)."
    words = [render(_("{option}", option=OptionName(name)), PANEL) for name in OPTIONS]
    words += [render_remedy(remedy, PANEL, run="run") for remedy in Remedy]
    words = [text.replace("%imagine_", "").replace("b64_json", "") for text in words]
    assert not [text for text in words if "--" in text or "_" in text]


def test_the_front_end_is_valid_javascript(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing")
    copy = tmp_path / "panel.mjs"
    copy.write_bytes((STATIC / "panel.js").read_bytes())
    checked = subprocess.run([node, "--check", copy], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_an_empty_prompt_says_that_nothing_was_sent():
    with pytest.raises(InvalidInput, match="Nothing was sent"):
        Form(prompt=" ").to_cell({})
