"""Prompt of an edit in, Wish out."""

import pytest

from ipyimagegen.sketch.reading.reading import Figure, Scene
from ipyimagegen.sketch.reading.wishes import Wish, wish


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
        ("给它戴一顶红帽子", asked(("hat", 1, ("red",)))),
        ("给狐狸戴上红帽子", asked(("hat", 1, ("red",)))),
        ("给狐狸戴一顶红色的帽子", asked(("hat", 1, ("red",)))),
        ("让狐狸戴上一顶红帽子", asked(("hat", 1, ("red",)))),
        ("狐狸戴着红帽子", asked(("hat", 1, ("red",)))),
        ("戴上红帽子", asked(("hat", 1, ("red",)))),
        ("给狐狸一顶红帽子", asked(("hat", 1, ("red",)))),
        ("给狐狸加一顶红帽子", asked(("hat", 1, ("red",)))),
        ("请给这只狐狸加上一顶红帽子", asked(("hat", 1, ("red",)))),
        ("加一顶红帽子", asked(("hat", 1, ("red",)))),
        ("在狐狸头上画一顶红帽子", asked(("hat", 1, ("red",)))),
        ("give the fox a red hat", asked(("hat", 1, ("red",)))),
        ("Give fox a red hat", asked(("hat", 1, ("red",)))),
        ("give the cute little fox a red hat", asked(("hat", 1, ("red",)))),
        ("give foxes a red hat", asked(("hat", 1, ("red",)))),
        ("the fox wearing a red hat", asked(("hat", 1, ("red",)))),
        ("make the fox wear a red hat", asked(("hat", 1, ("red",)))),
        ("give a red hat to the fox", asked(("hat", 1, ("red",)))),
        ("给狐狸戴上红帽子，变成夜晚", asked(("hat", 1, ("red",)), time="night")),
        ("give the fox a red hat and make it night", asked(("hat", 1, ("red",)), time="night")),
        ("add a boat and the moon", asked(("boat",), ("moon",))),
        ("add the moon and a boat", asked(("moon",), ("boat",))),
        ("add a boat, a tree and the sun", asked(("boat",), ("tree",), ("sun",))),
        ("add a boat beside the house", asked(("boat",))),
        ("把狐狸变成猫", asked(("cat",), replace=True)),
        ("把狐狸换成一只猫", asked(("cat",), replace=True)),
        ("turn the fox into a cat", asked(("cat",), replace=True)),
        ("turn the fox into a big blue cat", asked(("cat", 1, ("blue",), "large"), replace=True)),
        ("狐狸变成蓝色", asked(palette=("blue",))),
        ("把狐狸变成水彩画", asked(style="watercolour")),
        ("在狐狸旁边加一只猫", asked(("cat",))),
        ("把一只猫放在狐狸旁边", asked(("cat",))),
        ("在雪地里加一只猫", asked(("cat",))),
        ("把狐狸放在雪地里", asked(place="snow")),
        ("change the picture to winter and add a snowman", asked(("snowman",))),
        ("给我画一只猫", asked(("cat",))),
        ("换成夜晚", asked(time="night", replace=True)),
        ("side by side, in autumn", asked(season="autumn", arrange="beside")),
        ("拼贴，更亮", asked(adjust=("brighter",), arrange="collage")),
        ("justice", asked()),
    ],
)
def test_wishes(prompt, wanted):
    assert wish(prompt) == wanted


def test_a_guest_that_wears_something_comes_in_with_it():
    fox = Figure("fox", wears=Figure("hat", 1, ("red",)))
    for prompt in ("add a fox wearing a red hat", "加一只戴红帽子的狐狸"):
        assert wish(prompt).scene.figures == (fox,)


def test_what_fills_a_mask_is_drawn_though_it_is_spoken_of_as_known():
    assert wish("the moon").empty
    assert wish("the moon", filling=True) == asked(("moon",))
    assert wish("make the fox pop", filling=True).empty
    assert wish("the red car blue", filling=True) == wish("the red car blue")


def test_what_is_empty():
    assert wish("justice").empty
    assert wish("replace it, side by side").empty
    assert wish("justice", negative="no red").empty
    assert not any(wish(p).empty for p in ("warmer", "remove it", "a dog", "blue", "fog", "ink"))


def test_the_style_that_was_named_beside_the_prompt_goes_first():
    assert wish("an ink drawing", style="oil").scene.style == "oil"
