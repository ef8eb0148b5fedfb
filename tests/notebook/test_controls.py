"""The panel's fields: projected from the option table, as far as the chosen model takes them."""

import pytest

from ipyimagegen import Studio, catalog
from ipyimagegen.catalog import check
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.options import OPTIONS, normalise
from ipyimagegen.core.request import Request
from ipyimagegen.notebook.panel.controls import accepts, choices, controls, models
from ipyimagegen.notebook.panel.form import Form

# Every option, and the kind of field that it is; None: it has a place of its own, or is a button.
FIELDS = {
    "model": None,
    "size": "suggest",
    "aspect_ratio": "suggest",
    "n": "number",
    "seed": "number",
    "quality": "suggest",
    "style": "suggest",
    "background": "suggest",
    "output_format": "suggest",
    "output_compression": "number",
    "moderation": "suggest",
    "response_format": "suggest",
    "input_fidelity": "suggest",
    "negative_prompt": "text",
    "guidance_scale": "number",
    "watermark": "flag",
    "stream": "flag",
    "partial_images": "number",
    "user": "text",
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
    "executor": None,
    "send_key": None,
    "raw": None,
}
EVERY = [(one.name, name) for one in catalog.list_endpoints() if one.base_url for name in ("", *models(one))]


def shown(endpoint, model="", **more):
    made = controls(catalog.find_endpoint(endpoint), model, more.pop("configured", {}), **more)
    return {one.name: one for one in made}


def test_every_option_is_a_field_or_has_a_place_of_its_own():
    assert list(FIELDS) == list(OPTIONS)
    unknown = controls(catalog.find_endpoint("http://127.0.0.1:1/v1"), "", {})
    assert {one.name: one.kind for one in unknown} == {name: kind for name, kind in FIELDS.items() if kind}
    for one in unknown:
        assert one.help == OPTIONS[one.name].help
        assert one.choices == OPTIONS[one.name].choices
        assert (one.low, one.high) == (OPTIONS[one.name].low, OPTIONS[one.name].high)
        assert one.lists == OPTIONS[one.name].lists
        assert not one.lists or one.kind in ("number", "suggest")  # what a list can be written in


def test_a_model_shows_what_it_takes_and_bounds_it():
    found = shown("openai", "dall-e-3")
    assert {"style", "quality", "size"} <= set(found)
    assert not {"negative_prompt", "background", "guidance_scale", "seed"} & set(found)
    assert found["quality"].kind == "suggest"
    assert set(found["quality"].choices) == {"standard", "hd"}
    assert "1792x1024" in found["size"].choices


def test_several_models_show_what_all_of_them_take(home):
    studio = Studio(home=home, environ={})

    def shown_for(model):
        form = Form(endpoint="openai", options={"model": model})
        return {one["name"] for one in choices(studio, form, inputs=0, mask=False)["controls"]}

    one, other = shown_for("dall-e-3"), shown_for("gpt-image-1.5")
    assert one - other
    assert other - one
    assert shown_for("dall-e-3,gpt-image-1.5") == shown_for("gpt-image-1.5, dall-e-3") == one & other
    assert shown_for('dall-e-3,"gpt') == shown_for("never heard of it")  # while it is being typed


def test_what_is_configured_is_told():
    assert shown("sketch", configured={"n": 2})["n"].configured == "2"


def test_an_edit_may_take_other_fields():
    assert "input_fidelity" not in shown("openai", "gpt-image-1.5")
    assert "input_fidelity" in shown("openai", "gpt-image-1.5", inputs=1)


@pytest.mark.parametrize(("endpoint", "model"), EVERY)
def test_no_field_offers_what_is_then_refused(endpoint, model):
    """Whatever one chooses of a list, or types at a bound, passes the checks that a cell meets."""
    server = catalog.find_endpoint(endpoint)
    if server.model_required and not model:
        return
    for one in shown(endpoint, model).values():
        bounds = [f"{bound:g}" for bound in (one.low, one.high) if bound is not None and abs(bound) < 1e6]
        for text in (*one.choices, *bounds):
            if not OPTIONS[one.name].sent:
                continue
            options = {one.name: normalise(one.name, text)}
            if one.name == "output_compression":
                options["output_format"] = "webp"
            if one.name == "partial_images":
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
                check(request, server)
            except InvalidOption as refused:
                pytest.fail(f"{one.name} {text}: {refused}")


def test_images_to_start_from_only_where_a_model_edits():
    assert accepts(catalog.find_endpoint("openai"), "dall-e-3") == (0, False)
    assert accepts(catalog.find_endpoint("sketch"), "")[1]
