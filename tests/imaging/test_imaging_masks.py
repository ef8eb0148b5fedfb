"""A mask has one meaning inside, what may change, and two forms outside."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import load, read_refusal, save
from matplotlib.figure import Figure
from PIL import Image, ImageFilter

from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.imaging import convert_mask, read_mask

SIZE = (8, 6)


def grid(mask):
    """Return the mask as rows of booleans."""
    image = load(mask.data)
    assert (image.mode, mask.mime, image.size) == ("L", "image/png", (mask.width, mask.height))
    array = np.asarray(image)
    assert set(np.unique(array)) <= {0, 255}
    assert len(mask.pixels) == 64
    return array == 255


def left_half(size=SIZE):
    array = np.zeros((size[1], size[0]), bool)
    array[:, : size[0] // 2] = True
    return array


def refusal(thing, name="mask.png", size=SIZE, **options):
    return read_refusal(name, lambda: read_mask(thing, size, name, **options))


# Boxes


@pytest.mark.parametrize(
    "box",
    [
        "1,2,3,4",
        " 1, 2, 3, 4 ",
        "(1,2,3,4)",
        "１，２，３，４",
        (1, 2, 3, 4),
        [1, 2, 3, 4],
        tuple(np.array([1, 2, 3, 4])),
        np.array([1, 2, 3, 4], "uint8"),
    ],
    ids=str,
)
def test_a_box_counts_from_the_upper_left(box):
    wanted = np.zeros((6, 8), bool)
    wanted[2:6, 1:4] = True
    assert np.array_equal(grid(read_mask(box, SIZE)), wanted)
    assert read_mask(box, SIZE).notes == ()


@given(st.tuples(*[st.integers(-3, 12)] * 4))
@settings(max_examples=200, deadline=None)
def test_a_box_is_drawn_whole_or_refused(box):
    x, y, width, height = box
    inside = x >= 0 and y >= 0 and width > 0 and height > 0 and x + width <= 8 and y + height <= 6
    if inside:
        assert grid(read_mask(box, SIZE)).sum() == width * height
    else:
        text = refusal(box)
        box_text = f"{x},{y},{width},{height}"
        assert text.startswith(f"{box_text} ")
        assert ("8x6" in text) == (width > 0 and height > 0)


def test_a_box_that_is_its_own_name_is_named_once():
    with pytest.raises(InvalidInput) as caught:
        read_mask("0,0,900,2", SIZE, "--mask 0,0,900,2")
    assert str(caught.value).count("0,0,900,2") == 1


@pytest.mark.parametrize(
    "thing",
    [
        "1,2,3",
        "1,2,3,4,5",
        "a fox",
        "",
        "1.5,2,3,4",
        (1, 2, 3),
        (0.1, 0.2, 0.5, 0.5),
        [True, 1, 2, 3],
        np.array([0.5, 1, 2, 3]),
    ],
    ids=str,
)
def test_half_a_box_is_refused(thing):
    assert "0,0,256,256" in refusal(thing)


class Broken:
    """What raises whatever it is asked for."""

    shape = property(lambda self: 1 / 0)
    __index__ = __str__ = shape


@pytest.mark.parametrize("thing", [Broken(), [Broken()] * 4, [1, 2, 3, Broken()]])
def test_what_raises_is_neither_a_box_nor_an_image(thing):
    assert refusal(thing)


def test_the_whole_image_may_change_and_says_so():
    (note,) = read_mask((0, 0, 8, 6), SIZE).notes
    for whole in (np.ones((6, 8), bool), Image.new("L", SIZE, 255), Image.new("RGBA", SIZE)):
        assert read_mask(whole, SIZE).notes == (note,)


# Images and arrays


def forms():
    may = left_half()
    white = Image.fromarray(may.astype("uint8") * 255)
    holes = Image.new("RGB", SIZE, "green").convert("RGBA")
    holes.putalpha(Image.fromarray((~may).astype("uint8") * 255))
    yield "bool array", may
    yield "bool array with a channel", may[:, :, None]
    yield "labels 0 and 1", may.astype("int64")
    yield "bytes 0 and 255", may.astype("uint8") * 255
    yield "floats", may.astype("float32")
    yield "floats to 255", may * 255.0
    yield "sixteen bits", may.astype("uint16") * 65535
    yield "mode 1", white.convert("1")
    yield "mode L", white
    yield "mode RGB", white.convert("RGB")
    yield "mode P", white.convert("P")
    yield "labels as a file", save(Image.fromarray(may.astype("uint8")))
    yield "mode F", white.convert("F")
    yield "CMYK", white.convert("RGB").convert("CMYK")
    yield "opaque RGBA", white.convert("RGBA")
    yield "transparent", holes
    yield "transparent array", np.asarray(holes)
    yield "transparent file", save(holes)
    yield "transparent WebP", save(holes, "WEBP", lossless=True)
    yield "premultiplied", holes.convert("RGBa")
    yield "grey and alpha", holes.convert("LA")
    yield "channels first", np.asarray(white.convert("RGB")).transpose(2, 0, 1)
    palette = Image.fromarray(may.astype("uint8"))
    palette.putpalette([0, 0, 0, 9, 9, 9])
    yield "palette with a hole", save(palette, transparency=1)
    dark = Image.new("RGB", SIZE, "white").convert("RGBA")
    dark.putalpha(Image.fromarray(np.where(may, 127, 128).astype("uint8")))
    yield "half transparent", dark
    turned = Image.Exif()
    turned[0x0112] = 3
    yield "turned file", save(white.transpose(Image.Transpose.ROTATE_180), exif=turned)


@pytest.mark.parametrize(("what", "thing"), list(forms()), ids=[what for what, _ in forms()])
def test_whatever_holds_it_the_mask_is_the_same(what, thing):
    mask = read_mask(thing, SIZE)
    assert np.array_equal(grid(mask), left_half())
    assert replace(mask, notes=()) == read_mask((0, 0, 4, 6), SIZE)
    assert bool(mask.notes) == (what == "half transparent")  # cut at one half


def test_half_is_where_grey_becomes_white():
    greys = np.array([[0, 30, 127, 128, 255, 255, 0, 0], [0] * 8, [255] * 8] * 2, "uint8")
    assert grid(read_mask(greys, SIZE))[0].tolist() == [False, False, False, True, True, True, False, False]


def test_a_soft_mask_says_that_it_is_cut():
    soft, hard = Image.linear_gradient("L").resize((8, 6)), Image.new("L", (8, 6))
    hole = Image.new("RGBA", (8, 6))
    hole.putalpha(soft)
    hard.paste(255, (0, 0, 4, 6))
    blurred = hard.resize((80, 60)).filter(ImageFilter.GaussianBlur(1))
    assert len(read_mask(hole, (8, 6)).notes) == 1
    assert len(read_mask(blurred, (80, 60)).notes) == 1
    assert read_mask(hard, (8, 6)).notes == ()
    noisy = save(hard.resize((80, 64), Image.Resampling.NEAREST), "JPEG", quality=95)
    assert read_mask(noisy, (80, 64)).notes == ()


def test_a_photograph_is_no_mask():
    ramp = np.tile(np.linspace(0, 255, 64).astype("uint8"), (48, 1))
    for thing in (ramp, np.dstack([ramp, ramp[::-1], ramp]), Image.new("L", SIZE, "#808080")):
        size = thing.size if isinstance(thing, Image.Image) else thing.shape[1::-1]
        with pytest.raises(InvalidInput):
            read_mask(thing, size)
    soft = Image.new("L", (64, 48)).convert("L")
    soft.paste(255, (10, 10, 40, 40))
    assert grid(read_mask(soft.filter(ImageFilter.GaussianBlur(1)), (64, 48)))[20, 20]


def test_a_figure_is_a_mask_too():
    figure = Figure(figsize=(2, 1), dpi=40, facecolor="black")
    axes = figure.add_axes((0, 0, 0.5, 1), facecolor="white")
    axes.set_axis_off()
    figure.add_artist(__import__("matplotlib").patches.Rectangle((0, 0), 0.5, 1, color="white", lw=0))
    assert np.array_equal(grid(read_mask(figure, (80, 40))), left_half((80, 40)))


def test_a_path_is_a_mask_too(tmp_path):
    path = tmp_path / "mask.png"
    path.write_bytes(save(Image.fromarray(left_half())))
    assert np.array_equal(grid(read_mask(path, SIZE)), left_half())
    (tmp_path / "bad.png").write_text("no")
    assert refusal(tmp_path / "bad.png", "bad.png")


def test_the_mask_that_was_given_is_not_changed():
    image = Image.fromarray(left_half().astype("uint8") * 255).convert("RGBA")
    before = image.tobytes()
    read_mask(image, SIZE)
    assert (image.mode, image.tobytes()) == ("RGBA", before)


# Refusals


@pytest.mark.parametrize(
    "thing",
    [
        np.zeros((6, 8), bool),
        Image.new("L", SIZE, 0),
        Image.new("RGB", SIZE, "#202020"),
        Image.new("RGBA", SIZE, (255, 255, 255, 255)),
        Image.new("RGBA", SIZE, (0, 0, 0, 255)),
        Image.new("RGBA", SIZE, (0, 0, 0, 200)),
        Image.new("LA", SIZE, (255, 255)),
    ],
)
def test_a_mask_that_changes_nothing_is_refused(thing):
    assert refusal(thing) == refusal(np.zeros((6, 8), bool))


def test_another_size_is_refused_with_both():
    for thing in (Image.new("L", (6, 8), 255), np.ones((8, 6), bool)):
        text = refusal(thing)
        assert "6x8" in text
        assert "8x6" in text


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (None, "NoneType"),
        ([Image.new("L", SIZE)] * 4, " 4 "),
        (np.full((6, 8), -1), " -1 "),
        (Image.new("I", SIZE, -1), " -1 "),
        (b"", " 0 "),
    ],
)
def test_what_is_no_mask(thing, text):
    assert text in refusal(thing)


# An image that was scaled


def test_a_mask_for_an_image_that_was_scaled_goes_with_it():
    mask = read_mask((4, 0, 4, 12), SIZE, scaled_from=(16, 12))
    assert grid(mask)[0].tolist() == [False, False, True, True, False, False, False, False]
    assert np.array_equal(grid(read_mask(left_half((16, 12)), SIZE, scaled_from=(16, 12))), left_half())
    for at in (4, 5):
        assert grid(read_mask((at, at, 1, 1), SIZE, scaled_from=(16, 12))).sum() == 1  # small, and not lost
    assert "16x12" in refusal((0, 0, 17, 12), scaled_from=(16, 12))
    assert "8x6" in refusal(left_half(), scaled_from=(16, 12))


# As servers read them


@given(st.integers(1, 30), st.integers(1, 30), st.randoms())
@settings(max_examples=60, deadline=None)
def test_both_forms_say_the_same(width, height, source):
    may = np.frombuffer(source.randbytes(width * height), "uint8").reshape(height, width) > 127
    may[0, 0] = True
    mask = read_mask(may, (width, height))
    white, alpha = convert_mask(mask, "white"), convert_mask(mask, "alpha")
    assert np.array_equal(grid(white), may)
    image = load(alpha.data)
    assert (image.mode, image.size, alpha.mime) == ("RGBA", (width, height), "image/png")
    array = np.asarray(image)
    assert np.array_equal(array[..., 3], np.where(may, 0, 255))
    assert all(np.array_equal(array[..., band], np.where(may, 255, 0)) for band in range(3))
    assert (white.notes, alpha.notes) == (mask.notes, mask.notes)
    assert alpha.pixels != white.pixels
    assert np.array_equal(grid(read_mask(alpha.data, (width, height))), may)  # comes back as it went


def test_another_style_is_our_own_mistake():
    with pytest.raises(ValueError, match="alpha"):
        convert_mask(read_mask((0, 0, 2, 2), SIZE), "black")


@pytest.mark.parametrize("style", ["alpha", "white"])
def test_a_mask_stays_under_four_megabytes(style):
    large = read_mask((100, 100, 3000, 2000), (7700, 5100))
    assert len(convert_mask(large, style).data) < 400_000
    noise = np.frombuffer(random.Random(1).randbytes(2048 * 2048), "uint8").reshape(2048, 2048) > 127
    assert len(convert_mask(read_mask(noise, (2048, 2048)), style).data) < 4_000_000
