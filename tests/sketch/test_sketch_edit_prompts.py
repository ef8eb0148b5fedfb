"""Prompt of an edit in, EditPrompt out."""

import pytest

from ipyimagegen.sketch.reading.edit_prompts import EditPrompt, read_edit
from ipyimagegen.sketch.reading.prompts import Figure, Scene


def expect(*figures, adjust=(), remove=False, replace=False, **facts):
    scene = Scene(figures=tuple(Figure(*row) for row in figures), **facts)
    return EditPrompt(scene, adjust, remove, replace)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("give it a red cap", expect(("hat", 1, ("red",)))),
        ("Put a red cap on the fox.", expect(("hat", 1, ("red",)))),
        ("加一个月亮", expect(("moon",))),
        ("add the moon over the old house", expect(("moon",))),
        ("add a boat to the sea", expect(("boat",))),
        ("put the fox in the snow", expect(place="snow")),
        ("on the beach", expect(place="beach")),
        ("on a white background", expect(backdrop="white")),
        ("make it blue", expect(palette=("blue",))),
        ("make the big red car blue", expect(palette=("blue",))),
        ("把汽车变成蓝色", expect(palette=("blue",))),
        ("make it night, warmer and blurred", expect(time="night", adjust=("warmer", "soft"))),
        ("turn the photo into a watercolour", expect(style="watercolour")),
        ("remove the dog", expect(remove=True)),
        ("delete people", expect(remove=True)),
        ("remove the dog and add a cat", expect(("cat",), remove=True)),
        ("replace the dog with a cat", expect(("cat",), replace=True)),
        ("replace the sky with a sunset", expect(time="sunset")),
        ("Replace the whole background with a beach", expect(place="beach")),
        ("replace the sky with stars", expect(("star", 0))),
        ("把天空换成日落", expect(time="sunset")),
        ("把帽子换成蓝色", expect(palette=("blue",))),
        ("remove the background", expect(backdrop="white")),
        ("给它戴一顶红帽子", expect(("hat", 1, ("red",)))),
        ("给狐狸戴上红帽子", expect(("hat", 1, ("red",)))),
        ("给狐狸戴一顶红色的帽子", expect(("hat", 1, ("red",)))),
        ("让狐狸戴上一顶红帽子", expect(("hat", 1, ("red",)))),
        ("狐狸戴着红帽子", expect(("hat", 1, ("red",)))),
        ("戴上红帽子", expect(("hat", 1, ("red",)))),
        ("给狐狸一顶红帽子", expect(("hat", 1, ("red",)))),
        ("给狐狸加一顶红帽子", expect(("hat", 1, ("red",)))),
        ("请给这只狐狸加上一顶红帽子", expect(("hat", 1, ("red",)))),
        ("加一顶红帽子", expect(("hat", 1, ("red",)))),
        ("在狐狸头上画一顶红帽子", expect(("hat", 1, ("red",)))),
        ("give the fox a red hat", expect(("hat", 1, ("red",)))),
        ("Give fox a red hat", expect(("hat", 1, ("red",)))),
        ("give the cute little fox a red hat", expect(("hat", 1, ("red",)))),
        ("give foxes a red hat", expect(("hat", 1, ("red",)))),
        ("the fox wearing a red hat", expect(("hat", 1, ("red",)))),
        ("make the fox wear a red hat", expect(("hat", 1, ("red",)))),
        ("give a red hat to the fox", expect(("hat", 1, ("red",)))),
        ("给狐狸戴上红帽子，变成夜晚", expect(("hat", 1, ("red",)), time="night")),
        ("give the fox a red hat and make it night", expect(("hat", 1, ("red",)), time="night")),
        ("add a boat and the moon", expect(("boat",), ("moon",))),
        ("add the moon and a boat", expect(("moon",), ("boat",))),
        ("add a boat, a tree and the sun", expect(("boat",), ("tree",), ("sun",))),
        ("add a boat beside the house", expect(("boat",))),
        ("把狐狸变成猫", expect(("cat",), replace=True)),
        ("把狐狸换成一只猫", expect(("cat",), replace=True)),
        ("turn the fox into a cat", expect(("cat",), replace=True)),
        ("turn the fox into a big blue cat", expect(("cat", 1, ("blue",), "large"), replace=True)),
        ("狐狸变成蓝色", expect(palette=("blue",))),
        ("把狐狸变成水彩画", expect(style="watercolour")),
        ("在狐狸旁边加一只猫", expect(("cat",))),
        ("把一只猫放在狐狸旁边", expect(("cat",))),
        ("在雪地里加一只猫", expect(("cat",))),
        ("把狐狸放在雪地里", expect(place="snow")),
        ("change the image to winter and add a snowman", expect(("snowman",))),
        ("给我画一只猫", expect(("cat",))),
        ("换成夜晚", expect(time="night", replace=True)),
        ("together, in autumn", expect(season="autumn")),
        ("拼贴，更亮", expect(adjust=("brighter",))),
        ("justice", expect()),
    ],
)
def test_edits(prompt, expected):
    assert read_edit(prompt) == expected


def test_a_guest_that_wears_something_comes_in_with_it():
    fox = Figure("fox", wears=Figure("hat", 1, ("red",)))
    for prompt in ("add a fox wearing a red hat", "加一只戴红帽子的狐狸"):
        assert read_edit(prompt).scene.figures == (fox,)


def test_what_fills_a_mask_is_drawn_though_the_prompt_mentions_it_as_known():
    assert read_edit("the moon").empty
    assert read_edit("the moon", masked=True) == expect(("moon",))
    assert read_edit("make the fox pop", masked=True).empty
    assert read_edit("the red car blue", masked=True) == read_edit("the red car blue")


def test_what_is_empty():
    assert read_edit("justice").empty
    assert read_edit("replace it, together").empty
    assert read_edit("justice", negative="no red").empty
    assert not any(read_edit(p).empty for p in ("warmer", "remove it", "a dog", "blue", "fog", "ink"))


def test_the_style_that_was_named_beside_the_prompt_goes_first():
    assert read_edit("an ink drawing", style="oil").scene.style == "oil"
