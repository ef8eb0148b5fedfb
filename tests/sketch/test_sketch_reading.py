"""Prompt in, Scene out."""

import pytest

from ipyimagegen.sketch.reading.prompts import SOME, Figure, Scene, read_scene

CIRCLES = Scene(figures=(Figure("circle", 3, ("red",)),), backdrop="blue")
FOX = Scene(figures=(Figure("fox", 1, ("red",)),), place="snow", style="watercolour")


def figures(*rows, **facts):
    return Scene(figures=tuple(Figure(*row) for row in rows), **facts)


@pytest.mark.parametrize(
    ("prompt", "scene"),
    [
        ("a red fox in the snow, watercolour", FOX),
        ("雪地里的一只红狐狸，水彩画", FOX),
        ("three red circles on a blue background", CIRCLES),
        ("3 red circles on blue", CIRCLES),
        ("Blue background. Three very shiny RED circles!", CIRCLES),
        ("three circles that are red, background: blue", CIRCLES),
        ("蓝色背景上的三个红色圆", CIRCLES),
        ("背景是蓝色，三个红色的圆形", CIRCLES),
        ("３个红色圆，蓝色背景", CIRCLES),
        ("a red cube and a blue ball", figures(("cube", 1, ("red",)), ("sphere", 1, ("blue",)))),
        ("two cats and a dog", figures(("cat", 2), ("dog", 1))),
        ("两只猫和一只狗", figures(("cat", 2), ("dog", 1))),
        ("a dozen dark green triangles", figures(("triangle", 12, ("dark green",)))),
        ("十二个浅蓝色的五角星", figures(("star", 12, ("light blue",)))),
        ("二十条鱼", figures(("fish", 20))),
        ("two dozen stars at night", figures(("star", 24), time="night")),
        ("balloons", figures(("balloon", SOME))),
        ("a pair of butterflies", figures(("butterfly", 2))),
        ("red and blue circles on white", figures(("circle", SOME, ("red", "blue")), backdrop="white")),
        ("a tiny house under a huge tree", figures(("house", 1, (), "small"), ("tree", 1, (), "large"))),
        ("a cup of coffee on a table", figures(("cup",), place="table")),
        (
            "a lighthouse by the sea at sunset, oil painting",
            figures(("lighthouse",), place="sea", time="sunset", style="oil"),
        ),
        ("日落时大海上的两艘白色帆船", figures(("boat", 2, ("white",)), place="sea", time="sunset")),
        ("a cat with a red hat", Scene(figures=(Figure("cat", wears=Figure("hat", 1, ("red",))),))),
        ("一只戴着红色帽子的猫", Scene(figures=(Figure("cat", wears=Figure("hat", 1, ("red",))),))),
        ("水墨画：山，月亮", figures(("mountain",), ("moon",), style="ink")),
        ("a city, black and white photo", Scene(place="city", style="mono")),
        ("a black and white cat", figures(("cat", 1, ("black", "white")))),
        ("blue and gold", Scene(palette=("blue", "gold"))),
        ("the idea of justice", Scene()),
        ("三月一起学习", Scene()),
        ("", Scene()),
    ],
)
def test_reading(prompt, scene):
    assert read_scene(prompt) == scene


def test_what_is_named_with_no_or_in_the_negative_prompt_is_not_there():
    assert read_scene("a dog without a hat, no cats").figures == (Figure("dog"),)
    scene = read_scene("a fox and a red ball in the snow", negative="fox, snow, red")
    assert (scene.figures, scene.place) == ((Figure("sphere"),), "")


@pytest.mark.parametrize(
    "prompt", ["1000000 stars", "100 stars", "-1 star", "\ud800", "((((", "零个圆", "a " * 20_000]
)
def test_odd_prompts_are_read_without_harm(prompt):
    assert all(0 <= figure.count <= 60 for figure in read_scene(prompt).figures)


def test_a_scene_is_frozen_and_hashable():
    assert hash(FOX) == hash(read_scene("a red fox in the snow, watercolour"))
