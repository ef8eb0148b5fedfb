"""The labelled sheet of a sweep: every tile in its place, every label in full or in the legend."""

import io
import itertools
import math
import os
import random
import shutil
from pathlib import Path

import matplotlib as mpl
import pytest
from fontTools.ttLib import TTFont
from hypothesis import example, given
from hypothesis import settings as tried
from hypothesis import strategies as st
from image_files import open_preview
from PIL import Image, ImageChops, ImageDraw, features

from ipyimagegen.imaging import EDGE, LIMIT, contact_sheet, lettering, make_contact_sheet, measure_tile_edge

DEJAVU = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
INKED = 150  # a letter's pixels are darker, pale tiles and the paper are not
CHINESE = ["一只红色的狐狸站在雪地里", "水彩画风格的狐狸，背景是森林", "蓝色的 fox 在 snow 里奔跑", "雨夜"]


@pytest.fixture
def only_own(monkeypatch):
    """A machine without fonts."""
    monkeypatch.setattr(lettering, "FONTS", ())


@pytest.fixture
def chinese():
    """A machine with a Chinese font; where the tests are meant to run there must be one."""
    if not lettering.can_draw("红狐狸，雪"):
        reason = "a Chinese font is missing"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI") else pytest.skip(reason)


def opened(made):
    image = open_preview(made.preview)
    assert max(image.size) <= EDGE
    assert len(made.preview.data) <= LIMIT
    return image


def colours(count):
    """Pale ones that differ, so that letters are the only dark things."""
    return [(255, 255 - i * 2, 160 + i) for i in range(count)]


def flat(count, size=(600, 600)):
    return [Image.new("RGB", size, colour) for colour in colours(count)]


def boxes(sheet, count):
    """Where the tile of each colour stands."""
    assert sheet.mode == "RGB"
    places = []
    for colour in colours(count):
        alike = ImageChops.difference(sheet, Image.new("RGB", sheet.size, colour))
        bands = [band.point(lambda value: 255 if value == 0 else 0) for band in alike.split()]
        same = ImageChops.darker(ImageChops.darker(*bands[:2]), bands[2])
        places.append(same.getbbox())
    return places


def ink(sheet, box):
    """The bounds of what is written there, or None."""
    return sheet.convert("L").crop(box).point(lambda value: 255 if value < INKED else 0).getbbox()


def written(text):
    """The bounds of a text as it is written."""
    sheet = Image.new("RGB", (EDGE, 40), "white")
    draw = ImageDraw.Draw(sheet)
    lettering.draw_lines(
        draw, (4, 20), [text], width=EDGE, size=contact_sheet.FONT_SIZE, ink="#3c424b", anchor="lm"
    )
    return ink(sheet, (0, 0, *sheet.size))


def same_ink(bounds, other):
    """Whether two bounds are of one size, but for how letters fall between pixels."""
    return all(abs((bounds[n + 2] - bounds[n]) - (other[n + 2] - other[n])) <= 2 for n in (0, 1))


@pytest.mark.parametrize(("count", "least"), [(1, 700), (2, 370), (4, 350), (12, 180), (30, 110), (48, 80)])
def test_a_strip_flows_in_reading_order_with_large_tiles_of_one_size(count, least):
    labels = [f"{n}" for n in range(count)]
    made = make_contact_sheet(flat(count, (800, 800)), [], labels)
    assert made.legend == ()
    places = boxes(opened(made), count)
    assert places == sorted(places, key=lambda box: (box[1], box[0]))
    assert len({(box[2] - box[0], box[3] - box[1]) for box in places}) == 1
    assert places[0][2] - places[0][0] >= least
    assert all(abs((right - left) - (bottom - top)) <= 1 for left, top, right, bottom in places)


@pytest.mark.parametrize("count", [3, 12, 48])
def test_each_label_of_a_strip_stands_whole_under_its_tile(count):
    labels = [f"seed {n * 37}" for n in range(count)]
    sheet = opened(make_contact_sheet(flat(count), [], labels))
    for (left, _, right, bottom), label in zip(boxes(sheet, count), labels, strict=True):
        bounds = ink(sheet, (left - 4, bottom + 1, right + 4, bottom + 1 + contact_sheet.LINE))
        assert same_ink(bounds, written(label)), label


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (3, 4), (6, 2), (6, 8)])
def test_a_grid_has_rows_and_columns_with_their_headings(rows, columns):
    across = [f"model {n}" for n in range(columns)]
    down = [f"a fox number {n} in the snow, in the style of a woodcut" for n in range(rows)]
    made = make_contact_sheet(flat(rows * columns), down, across, title="quality high")
    assert made.legend == ()
    sheet = opened(made)
    places = boxes(sheet, rows * columns)
    for n, (left, top, right, bottom) in enumerate(places):
        assert (left, right) == (places[n % columns][0], places[n % columns][2])
        assert (top, bottom) == (places[n // columns * columns][1], places[n // columns * columns][3])
    line = contact_sheet.LINE
    for text, base in [("quality high", line + 6), *((down[n], places[n * columns][1]) for n in range(rows))]:
        assert same_ink(ink(sheet, (0, base - line, sheet.width, base)), written(text))
    for n, text in enumerate(across):
        left, top, right, _ = places[n]
        base = top - line - contact_sheet.UNDER_HEADINGS
        bounds = ink(sheet, (left - 5, base - line, right + 5, base))
        assert same_ink(bounds, written(text))
        assert abs((bounds[0] + bounds[2]) / 2 - (right - left + 10) / 2) <= 2


def test_a_label_that_is_too_long_for_one_line_takes_two():
    labels = [f"flux.1-kontext-pro-max number {n}" for n in range(12)]
    assert lettering.wrap_evenly(labels[3], 183, 13) == ["flux.1-kontext-", "pro-max number 3"]
    made = make_contact_sheet(flat(12), [], labels)
    assert made.legend == ()
    sheet = opened(made)
    for left, _, right, bottom in boxes(sheet, 12):
        first, second = (
            ink(
                sheet,
                (left, bottom + 1 + n * contact_sheet.LINE, right, bottom + 1 + (n + 1) * contact_sheet.LINE),
            )
            for n in (0, 1)
        )
        assert first
        assert second


@pytest.mark.parametrize("count", [12, 30])
def test_strip_labels_that_do_not_fit_become_letters(count):
    labels = [f"{'a fox in the snow, ' * 12}{n}" for n in range(count)]
    made = make_contact_sheet(flat(count), [], labels)
    names = ["".join(two) for two in itertools.product(["", "A"], "ABCDEFGHIJKLMNOPQRSTUVWXYZ")]
    assert made.legend == tuple(zip(names, labels, strict=False))
    sheet = opened(made)
    for (left, _, right, bottom), name in zip(boxes(sheet, count), names, strict=False):
        assert same_ink(ink(sheet, (left, bottom + 1, right, bottom + 1 + contact_sheet.LINE)), written(name))


LONG = ["a very long prompt about a fox " * 8 + str(n) for n in range(3)]
SHORT = ["low", "medium", "high"]


@pytest.mark.parametrize(
    ("rows", "columns", "title", "legend"),
    [
        (SHORT, SHORT, "t", []),
        (LONG, SHORT, "t", list(zip("ABC", LONG, strict=True))),
        (SHORT, LONG, "t", list(zip("ABC", LONG, strict=True))),
        (LONG, LONG, "t", [*zip("ABC", LONG, strict=True), *zip("123", LONG, strict=True)]),
        (SHORT, SHORT, LONG[0], [("sheet 2", LONG[0])]),
        (SHORT, SHORT, "\U0010fffd", [("sheet 2", "\U0010fffd")]),
        (SHORT, LONG, LONG[1], [("sheet 2", LONG[1]), *zip("ABC", LONG, strict=True)]),
        ([], [*LONG, *LONG, *LONG], "", list(zip("ABCDEFGHI", LONG * 3, strict=True))),
        ([], ["a–b", "a-b", *"cdefghi"], "", list(zip("ABCDEFGHI", ["a–b", "a-b", *"cdefghi"], strict=True))),
        ([], ["a\u200bb", *"bcdefghi"], "", list(zip("ABCDEFGHI", ["a\u200bb", *"bcdefghi"], strict=True))),
    ],
)
def test_the_legend_has_what_does_not_stand_on_the_sheet_in_full(rows, columns, title, legend):
    made = make_contact_sheet(flat(9), rows, columns, title=title, mark="sheet 2")
    assert made.legend == tuple(legend)
    assert all(boxes(opened(made), 9))


def test_labels_in_full_are_worth_tiles_that_are_a_bit_smaller():
    labels = [f"seed {n}, quality {'medium' if n % 2 else 'low'}" for n in range(48)]
    assert make_contact_sheet(flat(48), [], labels).legend == ()


def test_images_of_any_ratio_are_whole_and_as_large_as_their_cell():
    sizes = [(600, 400), (400, 600), (600, 600), (600, 200), (600, 400)]
    tiles = [Image.new("RGB", size, colour) for size, colour in zip(sizes, colours(5), strict=True)]
    places = boxes(opened(make_contact_sheet(tiles, [], list("abcde"))), 5)
    for (width, height), (left, top, right, bottom) in zip(sizes, places, strict=True):
        assert abs((right - left) * height / width - (bottom - top)) <= 2
    widths, heights = zip(*((box[2] - box[0], box[3] - box[1]) for box in places), strict=True)
    for width, height in zip(widths, heights, strict=True):  # none could be larger in its cell
        assert max(widths) - width <= 1 or max(heights) - height <= 1


def test_what_stands_for_a_title_stands_on_the_sheet():
    bare, marked, titled = (
        opened(make_contact_sheet(flat(4), ["a", "b"], ["1", "2"], title=title, mark="sheet 2"))
        for title in ("", LONG[0], "sheet 2")
    )
    assert marked.height > bare.height
    assert not ImageChops.difference(marked, titled).getbbox()


def test_images_of_a_grid_stand_under_the_label_of_their_row():
    tiles = [
        Image.new("RGB", size, colour)
        for size, colour in zip([(600, 150), (600, 600)] * 2, colours(4), strict=True)
    ]
    low, high, *_ = boxes(opened(make_contact_sheet(tiles, ["a", "b"], ["1", "2"])), 4)
    assert abs(low[1] - high[1]) <= 1


@pytest.mark.parametrize("size", [(160, 90), (90, 160), (100, 100)])
def test_nothing_is_enlarged(size):
    places = boxes(opened(make_contact_sheet(flat(4, size), [], list("abcd"))), 4)
    assert {(right - left, bottom - top) for left, top, right, bottom in places} == {size}


@pytest.mark.parametrize(("rows", "columns"), [(0, 1), (0, 4), (0, 12), (0, 48), (3, 4), (6, 2), (6, 8)])
def test_tile_edge_is_the_longest_that_a_tile_gets(rows, columns):
    longest = measure_tile_edge(rows, columns)
    count = max(1, rows) * columns
    seen = []
    for size in [(2400, 800), (1600, 900), (1500, 1000), (900, 900), (800, 1200), (900, 1600), (800, 2400)]:
        made = make_contact_sheet(flat(count, size), ["r"] * rows, [str(n) for n in range(columns)])
        left, top, right, bottom = boxes(opened(made), count)[0]
        seen.append(max(right - left, bottom - top))
    assert longest - 2 <= max(seen) <= longest


def test_missing_tiles_have_a_frame_and_as_much_of_the_reason_as_fits():
    tiles = [None if n % 2 else tile for n, tile in enumerate(flat(4, (700, 500)))]
    reason = (
        "400 Bad request: rejected by the safety system, see https://platform.test/a/very/long/address " * 3
    )
    shown = {
        why: opened(make_contact_sheet(tiles, [], list("abcd"), ["", why, "", "waiting"]))
        for why in ("waiting", reason[:40], reason[:300])
    }
    assert len({sheet.size for sheet in shown.values()}) == 1
    places = boxes(shown["waiting"], 4)
    box = (places[0][2] + 12, places[0][1] + 4, shown["waiting"].width - 12, places[0][3] - 4)
    dark = [sum(sheet.convert("L").crop(box).histogram()[:200]) for sheet in shown.values()]
    assert 0 < dark[0] < dark[1] < dark[2]
    assert dark[2] > 4 * dark[1]  # all of the 300 characters


def test_a_sheet_of_missing_tiles_and_a_short_row_of_them():
    waiting = opened(make_contact_sheet([None] * 5, ["x", "y"], ["1", "2", "3"], ["waiting"] * 5))
    assert waiting.size == opened(make_contact_sheet([None] * 6, ["x", "y"], ["1", "2", "3"])).size
    with pytest.raises(ValueError, match="nothing"):
        make_contact_sheet([], [], [])


@pytest.mark.parametrize("limit", [100 * 1024, 33 * 1024, 20 * 1024])
@pytest.mark.parametrize(("rows", "columns"), [(0, 48), (6, 8), (0, 12)])
def test_noise_stays_within_the_limit_and_the_letters_readable(limit, rows, columns):
    chance = random.Random(limit)
    noise = [Image.frombytes("RGB", (300, 300), chance.randbytes(300 * 300 * 3)) for _ in range(4)]
    count = max(1, rows) * columns
    labels = [f"fox {n}" for n in range(columns)]
    made = make_contact_sheet(
        [noise[n % 4] for n in range(count)],
        [f"row {n}" for n in range(rows)],
        labels,
        title="Letters as large as ever",
        limit=limit,
    )
    assert len(made.preview.data) <= limit
    assert made.legend == ()
    sheet = opened(made)
    head = ink(sheet, (0, 6, sheet.width, 6 + contact_sheet.LINE))
    assert same_ink(head, written("Letters as large as ever"))


def test_the_same_input_gives_the_same_bytes():
    tiles = [*flat(3), None, Image.new("RGBA", (50, 90), (9, 200, 9, 99))]
    once, again = (
        make_contact_sheet(tiles, [], ["a", "b", "café", "红", "e"], [""] * 5, title="x") for _ in range(2)
    )
    assert once == again


def test_ascii_labels_look_for_no_font(monkeypatch):
    class Unwanted(tuple):
        __slots__ = ()

        def __iter__(self):
            raise AssertionError("looked for a font")

    monkeypatch.setattr(lettering, "FONTS", Unwanted())
    make_contact_sheet(
        [*flat(3), None], ["a", "b"], ["1", "2"], ["", "", "", "it's refused"], title="A ~ title!"
    )
    with pytest.raises(AssertionError, match="looked"):
        make_contact_sheet(flat(1), [], ["é"])


@pytest.mark.usefixtures("chinese")
def test_chinese_labels_stand_on_the_sheet():
    made = make_contact_sheet(flat(4), [], CHINESE, title="模型 gpt-image-1，质量 high")
    assert made.legend == ()
    sheet = opened(made)
    for (left, _, right, bottom), label in zip(boxes(sheet, 4), CHINESE, strict=True):
        assert same_ink(
            ink(sheet, (left, bottom + 1, right, bottom + 1 + contact_sheet.LINE)), written(label)
        )
    assert lettering.to_legible("红狐狸", "7") == "红狐狸"


@pytest.mark.usefixtures("chinese")
def test_chinese_breaks_between_characters_but_not_before_a_comma():
    text = "水彩画风格的狐狸，背景是森林（雪）里的 gpt-image 夜晚"
    for width in range(40, 200, 7):
        lines = lettering.wrap(text, width, 40, 13)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert all(lettering.choose_font(text, 13).getlength(line) <= width for line in lines)
        assert not any(line.startswith(("，", "）")) or line.endswith("（") for line in lines)
    assert len(lettering.wrap(text, 100, 40, 13)) > 2


@pytest.mark.usefixtures("only_own")
def test_without_a_font_for_them_labels_become_letters():
    made = make_contact_sheet(flat(4), CHINESE[:2], ["low", "高"], title="模型")
    assert made.legend == (("", "模型"), ("A", "low"), ("B", "高"), ("1", CHINESE[0]), ("2", CHINESE[1]))
    assert make_contact_sheet(flat(4), [], ["1", "2", "3", "🦊"]).legend[3] == ("D", "🦊")


def test_a_font_is_found_in_the_systems_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(lettering, "FONTS", (("Nowhere to be found.ttf", 0), ("Found for a test.ttf", 0)))
    (tmp_path / "fonts" / "deep").mkdir(parents=True)
    shutil.copy(DEJAVU, tmp_path / "fonts" / "deep" / "Found for a test.ttf")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")  # which folders are searched there is known
    assert lettering.to_legible("Ελληνικά, café", "7") == "Ελληνικά, café"
    assert make_contact_sheet(flat(2), [], ["русский", "čeština"]).legend == ()


@pytest.mark.parametrize("keep", [0, 12, 3000, 200_000, 500_000])
def test_a_damaged_font_counts_as_absent(keep, tmp_path, monkeypatch):
    damaged = tmp_path / f"damaged {keep}.ttf"
    damaged.write_bytes(DEJAVU.read_bytes()[:keep])
    labels = ["русский", "é", "⅔", "Ω"]
    monkeypatch.setattr(lettering, "FONTS", ((str(damaged), 0),))
    assert make_contact_sheet(flat(4), [], labels).legend == tuple(zip("ABCD", labels, strict=True))
    monkeypatch.setattr(lettering, "FONTS", ((str(damaged), 0), (str(DEJAVU), 0)))
    assert make_contact_sheet(flat(4), [], labels).legend == ()


def test_a_font_that_went_away_is_no_error(tmp_path, monkeypatch):
    shutil.copy(DEJAVU, tmp_path / "going.ttf")
    monkeypatch.setattr(lettering, "FONTS", ((str(tmp_path / "going.ttf"), 0),))
    assert lettering.can_draw("Ω")
    (tmp_path / "going.ttf").unlink()
    assert opened(make_contact_sheet(flat(2), [], ["Ω", "é"]))


@pytest.mark.parametrize("text", ["عربى", "עברית", "e\u0323\u0301", "क्षि", "ภาษาไทย"])
def test_what_needs_shaping_is_written_only_where_pillow_can(text, monkeypatch):
    monkeypatch.setattr(lettering, "FONTS", ((str(DEJAVU), 0),))
    able = all(ord(char) in TTFont(DEJAVU).getBestCmap() for char in lettering.to_exact(text, 13) or text)
    assert (lettering.to_exact(text, 13) is not None) == (able and features.check("raqm"))
    monkeypatch.setattr(features, "check", lambda name: False)
    assert lettering.to_exact(text, 13) is None
    assert lettering.to_legible(text, "7") in {"7", "e"}


def test_piled_up_accents_do_not_run_over_the_tiles(monkeypatch):
    monkeypatch.setattr(lettering, "FONTS", ((str(DEJAVU), 0),))
    assert make_contact_sheet(flat(2), [], ["a" + "\u0301" * 12, "b"]).legend


OWN_CMAP = set(TTFont(io.BytesIO(lettering.load_own_font(13).font_bytes)).getBestCmap())
CMAP = set(TTFont(DEJAVU).getBestCmap())


@tried(max_examples=300)
@given(st.text(max_size=30) | st.text(st.characters(max_codepoint=0x2FFF), min_size=1, max_size=4))
def test_no_character_is_drawn_that_its_font_lacks(text):
    """What a font has is read from its table of characters, by another library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lettering, "FONTS", ((str(DEJAVU), 0),))
        for shown in (lettering.to_exact(text, 13), lettering.to_legible(text, "7")):
            drawn = {ord(char) for char in shown or ""}
            assert drawn <= OWN_CMAP or drawn <= CMAP
            face = lettering.choose_font(shown or "", 13)
            assert drawn <= (OWN_CMAP if face is lettering.load_own_font(13) else CMAP)


@example("", -7.0, -1)
@given(st.text(max_size=200), st.floats(-5, 300), st.integers(-2, 6))
def test_lines_keep_to_their_room_and_lose_nothing_but_the_end(text, width, most):
    text = lettering.to_legible(text, "some words that are longer than others", 200)
    lines = lettering.wrap(text, width, most, 13)
    assert len(lines) <= max(0, most)
    face = lettering.choose_font(text, 13)
    assert all(face.getlength(line) <= width or not line for line in lines)
    first, two = lettering.measure_breadths(text, 13)
    for count, room in ((1, math.ceil(first)), (2, math.ceil(two))):
        whole = lettering.wrap(text, room, count, 13)
        assert "".join(whole).replace(" ", "") == text.replace(" ", "")


sizes = st.tuples(st.integers(1, 900), st.integers(1, 900))
kinds = st.sampled_from(["RGB", "RGBA", "L", "LA", "P", "I;16", "1", "CMYK"])
labels = st.lists(st.text(max_size=60), max_size=9)


@tried(max_examples=60)
@given(
    st.lists(st.none() | st.tuples(sizes, kinds), min_size=1, max_size=20),
    labels,
    labels,
    st.lists(st.text(max_size=320), max_size=20),
    st.text(max_size=100),
    st.sampled_from([EDGE, 300, 60]),
)
def test_whatever_comes_there_is_a_sheet(chosen, rows, columns, notes, title, edge):
    tiles = [tile and Image.new(tile[1], tile[0]) for tile in chosen]
    made = make_contact_sheet(tiles, rows, columns, notes, title=title, edge=edge)
    assert max(opened(made).size) <= edge
    legend = [label for letter, label in made.legend if letter]
    assert all(label in {*rows, *columns, ""} for label in legend)
