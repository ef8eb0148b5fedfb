"""What is on the images, and that they never change."""

import hashlib
import io
import os
import subprocess
import sys

import pytest
from PIL import Image

from ipyimagegen.sketch.drawing.engine import draw, encode
from ipyimagegen.sketch.drawing.figures import SHAPES, THINGS
from ipyimagegen.sketch.drawing.landscapes import PLACES
from ipyimagegen.sketch.drawing.styles import STYLES

# sha256 of the raw pixels; a change here is a change of every user's images, so it needs a reason
PINNED = {
    "a red fox in the snow, watercolour": "f1d3dede4ee73ce0e3bc75c86da3fd7674619f6ac087aa675b106597a6023c54",
    "three red circles on blue": "131c24557be0403769396ba7ee9cd61819ef13fc6b22f6166f6f65fbd6f3cba1",
    "justice": "e81b0c60aa06b0c2a7ab6668d51d0fcaf6e068d0f274a7b35c6a5796622f726c",
    "日落时大海上的两艘白色帆船，油画": "d36256fd208752d85a9287254746dd57defe25dbd26d0bce065dccb248f6fb9f",
}


def digest(prompt, **options):
    return hashlib.sha256(draw(prompt, **options).tobytes()).hexdigest()


def regions(image, matches):
    """Return the sizes of the connected areas whose pixels are matches, without specks."""
    width, height = image.size
    pixels = image.convert("RGB").load()
    todo = {(x, y) for x in range(width) for y in range(height) if matches(*pixels[x, y])}
    sizes = []
    while todo:
        stack, size = [todo.pop()], 1
        while stack:
            x, y = stack.pop()
            for near in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if near in todo:
                    todo.remove(near)
                    stack.append(near)
                    size += 1
        sizes.append(size)
    return [size for size in sizes if size > 12]


def red(r, g, b):
    return r > 150 and g < 110 and b < 110


@pytest.mark.parametrize("prompt", ["three red circles on a blue background", "蓝色背景上的三个红色圆"])
@pytest.mark.parametrize("size", [(160, 160), (256, 128), (96, 192)])
@pytest.mark.parametrize("seed", [0, 1, 2, 7, 2**40])
def test_three_red_circles_are_three_on_blue(prompt, size, seed):
    image = draw(prompt, width=size[0], height=size[1], seed=seed)
    areas = regions(image, red)
    assert len(areas) == 3
    assert max(areas) < 2.2 * min(areas)
    blue = sum(regions(image, lambda r, g, b: b > 150 and r < 110))
    assert blue > 0.4 * size[0] * size[1]


@pytest.mark.parametrize("count", [1, 2, 5, 9, 12, 20])
@pytest.mark.parametrize("shape", ["hearts", "squares", "stars"])
def test_counts_are_kept(count, shape):
    prompt = f"{count} red {shape if count > 1 else shape[:-1]} on a white background"
    assert len(regions(draw(prompt, width=200, height=200), red)) == count


def test_the_seed_moves_the_composition():
    assert len({digest("three red circles", width=64, height=64, seed=seed) for seed in range(4)}) == 4


def test_more_detail_leaves_the_figures_where_they_are():
    images = [
        draw("three red circles on a blue background", width=96, height=96, quality=q) for q in ("low", "max")
    ]
    assert images[0].tobytes() == images[1].tobytes()
    assert digest("a forest", width=96, height=96, quality="low") != digest(
        "a forest", width=96, height=96, quality="high"
    )


@pytest.mark.parametrize("prompt", PINNED)
def test_pixels_are_pinned(prompt):
    assert digest(prompt, width=192, height=128, seed=3) == PINNED[prompt]


def test_another_process_with_another_hash_seed_draws_the_same():
    code = (
        "import hashlib, sys\n"
        "from ipyimagegen.sketch.drawing.engine import draw\n"
        "for prompt in sys.argv[1:]:\n"
        "    print(hashlib.sha256(draw(prompt, width=192, height=128, seed=3).tobytes()).hexdigest())"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "4242", "PYTHONUTF8": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code, *PINNED], env=environ, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == list(PINNED.values())


@pytest.mark.parametrize("name", [*THINGS, *SHAPES])
def test_everything_in_the_tables_is_drawn_and_cut_out(name):
    image = draw(f"a {name}", width=96, height=96, background="transparent")
    alpha = image.getchannel("A").crop((0, 0, 96, 80))
    shares = alpha.histogram()
    assert shares[0] > 0.25 * 96 * 80
    assert shares[255] > 60


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("background", ["opaque", "transparent"])
def test_styles(style, background):
    image = draw("a red fox in the snow", width=128, height=96, style=style, background=background)
    assert image.size == (128, 96)
    assert image.mode == ("RGBA" if background == "transparent" else "RGB")
    assert image.tobytes() != draw("a red fox in the snow", width=128, height=96, style="vivid").tobytes()
    if background == "transparent":
        assert image.getpixel((1, 1))[3] == 0


@pytest.mark.parametrize("place", PLACES)
def test_places_are_painted_in_any_shape(place):
    for size in ((64, 64), (192, 64), (64, 192)):
        image = draw(f"{place} at night", width=size[0], height=size[1])
        assert image.size == size
        assert len(image.getcolors(size[0] * size[1])) > 20


def test_an_abstract_image_has_few_good_colours_and_is_its_prompts_own():
    assert (
        len({digest(prompt, width=64, height=64) for prompt in ("hope", "justice", "jazz", "梦", "x", "")})
        == 6
    )


def test_transparent_abstract_is_round():
    alpha = draw("justice", width=100, height=100, background="transparent").getchannel("A")
    assert (alpha.getpixel((0, 0)), alpha.getpixel((99, 0)), alpha.getpixel((50, 50))) == (0, 0, 255)


@pytest.mark.parametrize("ground", ["white", "black", "yellow", "navy"])
def test_the_mark_stands_out(ground):
    image = draw(f"a circle on a {ground} background", width=256, height=256).convert("L")
    corner = image.crop((256 - 40, 256 - 14, 256 - 6, 256 - 5))
    low, high = corner.getextrema()
    assert high - low > 110


def test_what_is_not_wanted_is_not_drawn():
    plain = draw("a red ball on a white background", width=96, height=96, negative_prompt="red")
    assert regions(plain, red) == []


def test_formats():
    opaque, cut = (
        draw("a cat", width=64, height=64),
        draw("a cat", width=64, height=64, background="transparent"),
    )
    for kind in ("png", "jpeg", "webp"):
        assert Image.open(io.BytesIO(encode(opaque, kind))).format == kind.upper()
    for kind in ("png", "webp"):
        assert Image.open(io.BytesIO(encode(cut, kind))).convert("RGBA").getpixel((0, 0))[3] == 0
    assert len(encode(opaque, "jpeg", 10)) < len(encode(opaque, "jpeg", 95))


def test_importing_the_room_imports_no_pillow():
    code = "import sys, ipyimagegen.sketch, ipyimagegen.sketch.server.app; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
