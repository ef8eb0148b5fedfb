"""Prompt of an edit in, Wish out."""

import pytest

from ipyimagegen.sketch.reading import Figure, Scene
from ipyimagegen.sketch.wishes import Wish, wish


def asked(*figures, adjust=(), remove=False, replace=False, arrange="", **facts):
    scene = Scene(figures=tuple(Figure(*row) for row in figures), **facts)
    return Wish(scene, adjust, arrange, remove, replace)


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("give it a red cap", asked(("hat", 1, ("red",)))),
        ("Put a red cap on the fox.", asked(("hat", 1, ("red",)))),
        ("加一个月亮", asked(("moon",))),
        ("add the moon over the old house", asked(("moon",))),
        ("add a boat to the sea", asked(("boat",))),
        ("put the fox in the snow", asked(place="snow")),
        ("on the beach", asked(place="beach")),
        ("on a white background", asked(backdrop="white")),
        ("make it blue", asked(palette=("blue",))),
        ("make the big red car blue", asked(palette=("blue",))),
        ("把汽车变成蓝色", asked(palette=("blue",))),
        ("make it night, warmer and blurred", asked(time="night", adjust=("warmer", "soft"))),
        ("turn the photo into a watercolour", asked(style="watercolour")),
        ("remove the dog", asked(remove=True)),
        ("delete people", asked(remove=True)),
        ("remove the dog and add a cat", asked(("cat",), remove=True)),
        ("replace the dog with a cat", asked(("cat",), replace=True)),
        ("replace the sky with a sunset", asked(time="sunset")),
        ("Replace the whole background with a beach", asked(place="beach")),
        ("replace the sky with stars", asked(("star", 0))),
        ("把天空换成日落", asked(time="sunset")),
        ("把帽子换成蓝色", asked(palette=("blue",))),
        ("remove the background", asked(backdrop="white")),
        ("side by side, in autumn", asked(season="autumn", arrange="beside")),
        ("拼贴，更亮", asked(adjust=("brighter",), arrange="collage")),
        ("justice", asked()),
    ],
)
def test_wishes(prompt, wanted):
    assert wish(prompt) == wanted


def test_what_is_empty():
    assert wish("justice").empty
    assert wish("replace it, side by side").empty
    assert wish("justice", negative="no red").empty
    assert not any(wish(p).empty for p in ("warmer", "remove it", "a dog", "blue", "fog", "ink"))


def test_the_style_that_was_named_beside_the_prompt_goes_first():
    assert wish("an ink drawing", style="oil").scene.style == "oil"
