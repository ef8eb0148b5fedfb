"""A preview is small, legible and the same every time, whatever is to be shown."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import open_preview
from PIL import Image, ImageChops

from ipyimagegen.imaging import EDGE, LIMIT, make_preview
from ipyimagegen.imaging.lettering import load_own_font, to_legible, wrap


def noise(width, height, mode="RGB", seed=0):
    bands = Image.new(mode, (1, 1)).getbands()
    data = random.Random(seed).randbytes(width * height * len(bands))
    return Image.frombytes(mode, (width, height), data)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_noise_stays_within_the_limits(mode, count):
    made = make_preview([noise(768, 768, mode, seed) for seed in range(count)])
    assert len(made.data) <= LIMIT
    assert max(open_preview(made).size) <= EDGE


def test_a_single_image_is_itself():
    image = Image.radial_gradient("L").resize((700, 500)).convert("RGB")
    shown = open_preview(make_preview([image], ["3.1"]))
    assert shown.size == (700, 500)
    assert max(high for _, high in ImageChops.difference(shown, image).getextrema()) < 24


def test_an_image_beyond_the_edge_is_made_smaller():
    assert open_preview(make_preview([noise(2000, 1000)], edge=300, limit=9000)).size <= (300, 150)


def test_flat_art_is_a_png_without_loss():
    art = Image.new("RGB", (600, 600), "#fafafa")
    art.paste("#cc3311", (100, 100, 400, 300))
    made = make_preview([art])
    assert made.mime == "image/png"
    assert ImageChops.difference(open_preview(made), art).getbbox() is None


def test_transparent_pixels_show_a_light_checkerboard():
    shown = open_preview(make_preview([Image.new("RGBA", (300, 300), (0, 0, 0, 0))]))
    colours = {colour for _, colour in shown.getcolors()}
    assert len(colours) == 2
    assert all(min(colour) > 220 for colour in colours)


def test_the_same_input_gives_the_same_bytes():
    thumbs = [noise(300, 200, seed=1), None, Image.new("RGBA", (50, 90), (9, 200, 9, 99))]
    assert make_preview(thumbs, ["1", "2", "3"], ["", "gone", ""]) == make_preview(
        thumbs, ["1", "2", "3"], ["", "gone", ""]
    )


@pytest.mark.parametrize("count", [2, 3, 4, 10, 30, 100])
def test_reading_order_and_whole_images(count):
    """Each tile has a colour of its own; all appear, from left to right and from top to bottom."""
    colours = [(255, i * 2, 255 - i * 2) for i in range(count)]
    sheet = open_preview(
        make_preview([Image.new("RGB", (400, 300), colour) for colour in colours], ["9.9"] * count)
    )
    boxes = []
    for colour in colours:
        alike = ImageChops.difference(sheet, Image.new("RGB", sheet.size, colour)).convert("L")
        boxes.append(alike.point(lambda value: 255 if value == 0 else 0).getbbox())
    assert [tuple(box) for box in boxes] == sorted(boxes, key=lambda box: (box[3], box[0]))
    for left, top, right, bottom in boxes:
        assert abs((right - left) / (bottom - top) - 4 / 3) < 0.1
        assert bottom - top >= 36


def test_labels_stand_under_the_images_not_on_them():
    plain = Image.new("RGB", (300, 300), "#3366cc")
    with_labels, without = (
        open_preview(make_preview([plain, plain], labels)) for labels in (["3.1", "3.2"], ())
    )
    assert with_labels.height > without.height
    box = (0, 0, with_labels.width, without.height - 8)
    assert ImageChops.difference(with_labels.crop(box), without.crop(box)).getbbox() is None


def test_missing_images_get_a_frame_and_a_reason():
    image = Image.new("RGB", (300, 300), "#3366cc")
    reason, default = (
        open_preview(make_preview([image, None], ["1", "2"], notes))
        for notes in (["", "refused by the server"], ())
    )
    assert reason.size == default.size
    assert ImageChops.difference(reason, default).getbbox() is not None
    assert open_preview(make_preview([None], ["3"], ["may have been billed"])).size


def test_nothing_to_show_is_an_error():
    with pytest.raises(ValueError, match="nothing"):
        make_preview([])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3.1", "3.1"),
        ("seed 1 … 4", "seed 1 … 4"),
        ("4×3 – ok", "4x3 - ok"),
        ("café", "cafe"),
        ("红狐狸", "7"),
        ("fox 红", "7"),
        ("عربى", "7"),
        ("🦊", "7"),
        ("a\x1b[31mb\u202e\n", "ab"),
        ("１２", "12"),
        ("\u00af", "7"),  # nothing but an accent over a blank
    ],
)
def test_no_label_shows_boxes(text, shown, monkeypatch):
    """With Pillow's own font alone."""
    monkeypatch.setattr("ipyimagegen.imaging.lettering.FONTS", ())
    assert to_legible(text, "7") == shown


def test_long_text_is_cut_to_its_room():
    assert load_own_font(12).getlength(wrap("w" * 200, 100, 1, 12)[0]) <= 100
    assert wrap("short", 100, 1, 12) == ["short"]
    lines = wrap("one two three four five six seven eight nine ten", 60, 3, 12)
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert wrap("one", 60, 0, 12) == []


def test_a_sheet_has_at_most_so_many_rows():
    tall = [Image.new("RGB", (150, 300), colour) for colour in ("red", "green", "blue", "black")]
    heights = [open_preview(make_preview(tall, edge=300, rows=rows)).height for rows in (1, 2, 4)]
    assert heights[0] < heights[1] <= heights[2]


def test_a_long_label_takes_two_lines_and_is_cut_if_it_has_to_be():
    tiles = [Image.new("RGB", (300, 300), "#3366cc")] * 2
    labels = ["3", "a label of a dozen words that needs two lines under an image", "word " * 100]
    heights = [open_preview(make_preview(tiles, [label, ""], edge=600, rows=1)).height for label in labels]
    assert heights[0] == heights[2] < heights[1]


sizes = st.tuples(st.integers(1, 900), st.integers(1, 900))
tiles = st.lists(
    st.one_of(st.none(), st.tuples(sizes, st.sampled_from(["RGB", "RGBA", "L"]))), min_size=1, max_size=24
)


@settings(max_examples=40, deadline=None)
@given(tiles, st.lists(st.text(max_size=30), max_size=30), st.lists(st.text(max_size=60), max_size=30))
def test_any_mix_fits(chosen, labels, notes):
    thumbs = [tile and Image.new(tile[1], tile[0]) for tile in chosen]
    made = make_preview(thumbs, labels, notes)
    assert len(made.data) <= LIMIT
    assert max(open_preview(made).size) <= EDGE
