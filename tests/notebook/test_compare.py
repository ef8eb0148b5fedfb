"""Runs side by side: the sheet, and the text below it."""

import json
import re

import pytest
from loopback import CANARY, b64, image_bytes

from ipyimagegen.notebook.help_text import PAGES


@pytest.fixture
def drawn(kernel):
    """Return a kernel whose session has three runs of sketch, the last with two images."""
    done = kernel.run(
        "%imagine --size 64x64 a red fox in the snow\n"
        "%imagine --size 64x64 --seed 7 a blue fox in the snow\n"
        "%imagine --size 64x96 --seed 7 -n 2 a red fox in the snow\n"
    )
    assert done.error is None, done.error
    return kernel


def lines(text):
    """Return the words of each line: columns are as wide as the seconds happen to be."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_wide_images_stand_side_by_side_too(drawn):
    assert drawn.run("%imagine --endpoint sketch --size 640x480 --seed 1,2 a fox").error is None
    (sheet,) = drawn.run("%imagine_compare 4-5").images
    assert sheet.width > 2 * sheet.height
    assert drawn.run("%imagine_compare 4–5").images == [sheet]


def test_images_side_by_side_and_what_differs(drawn):
    cell = drawn.run("%imagine_compare 1 2 3")
    assert cell.error is None, cell.error
    assert [output["output_type"] for output in cell.outputs] == ["display_data", "display_data"]
    assert set(cell.outputs[1]["data"]) == {"text/plain"}
    (sheet,) = cell.images
    assert sheet.width > sheet.height  # four small tiles in a row, none alone
    assert max(sheet.size) <= 768
    assert len(json.dumps(cell.outputs)) < 150 * 1024
    text = lines(cell.caption)
    assert text[:4] == [
        "prompt, against 1:",
        "1 a red fox in the snow",
        "2 a [-red-] {+blue+} fox in the snow",
        "3 same as 1",
    ]
    assert "1 2 3" in text
    assert "size 64x64 64x64 64x96" in text
    assert "seed – 7 7" in text
    assert "n – – 2" in text
    assert not any(line.startswith("size got") for line in text)  # they came as asked
    # The seconds are among them where they happen to be the same.
    assert re.sub(r" seconds [\d.]+,", "", text[-1]) == "same: endpoint sketch, cost free"


def test_equal_values_are_listed_once(drawn):
    text = lines(drawn.run("%imagine_compare 3.1 3.2").caption)
    assert text[:2] == ["prompt: the same", "a red fox in the snow"]
    (same,) = (line for line in text if line.startswith("same: "))
    assert "size 64x96, seed 7, n 2" in same
    assert not any(line.startswith("3.1 3.2") for line in text)  # no table


def test_ids_in_every_form(drawn):
    lasting = drawn.run("from ipyimagegen import history\nprint(history[2].id)").texts[0].strip()
    drawn.run("first, fox, blue = 1, history[1], history[2]\nboth = [fox, blue]\nnested = [[fox], (blue,)]")
    results = ("{fox} {blue}", "{both}", "{nested}", "{both[0]}，2")
    for named in (
        "1 2",
        "1-2",
        "{first} 2",
        f"@1 {lasting}",
        "-3 -2",
        "1 2 1-2",
        "1,2",
        "1, 2",
        "2-1",
        *results,
    ):
        cell = drawn.run(f"%imagine_compare {named}")
        assert cell.error is None, (named, cell.error)
        assert "2 a [-red-] {+blue+} fox in the snow" in lines(cell.caption), named
    assert "3.2 same as 1" in lines(drawn.run("%imagine_compare 1 2 3.2").caption)
    images = drawn.run("%imagine_compare {fox[0]}, {blue[0]}").caption
    assert "2.1 a [-red-] {+blue+} fox in the snow" in lines(images)


REFUSED = [
    ("", "2 to 12"),
    ("1", "12"),
    ("1 1", "12"),
    ("1 9", "9"),
    ("20-30", "3"),
    ("1-99", "3"),
    ("1 fox", "'fox'"),
    ("1 3.5", "5"),
    ("--all", "--all"),
    ("1 {nope}", "'nope'"),
]


@pytest.mark.parametrize(("ids", "named"), REFUSED)
def test_refused_in_one_line(drawn, ids, named):
    cell = drawn.run(f"%imagine_compare {ids}")
    assert named in cell.error
    assert len(cell.error.splitlines()) == 1
    assert not cell.images


def test_twelve_at_most(kernel):
    assert kernel.run("for k in range(13):\n    %imagine --size 64x64 --seed {k} a fox").error is None
    assert "13" in kernel.run("%imagine_compare 1-13").error
    cell = kernel.run("%imagine_compare 1-12")
    assert len(lines(cell.caption)) < 12
    assert max(map(len, cell.caption.splitlines())) <= 100
    assert "seed 0 1 2 3 4 5 6 7 8 9 10 11" in lines(cell.caption)


def test_too_wide_for_columns_is_a_line_each(kernel):
    done = kernel.run(
        "for k in range(9):\n    %imagine --size 64x64 --seed {k} a fox\n"
        "from ipyimagegen import history\nprint(*(run.id for run in history))\n"
        "import ipyimagegen\nipyimagegen._DEFAULT.clear()\n%reload_ext ipyimagegen"
    )
    # In another session they have long ids.
    (run_ids,) = (text for text in done.texts if text.count("/") == 9)
    text = kernel.run(f"%imagine_compare {run_ids}").caption
    assert max(map(len, text.splitlines())) <= 100
    of_runs = [line.split() for line in text.splitlines() if line[:1].isdigit()]
    assert [line[:2] for line in of_runs] == [[run_id, str(k)] for k, run_id in enumerate(run_ids.split())]


def test_the_python_call_shows_the_same(drawn):
    shown = drawn.run("%imagine_compare 1 3.2")
    called = drawn.run("from ipyimagegen import history\nhistory.compare('1', history[3][1])")
    assert called.error is None, called.error
    assert [output["data"] for output in called.outputs] == [output["data"] for output in shown.outputs]
    assert drawn.run("print(history.compare(1, 3), end='')").texts == [
        drawn.run("%imagine_compare 1 -1").caption
    ]
    bundle = drawn.run("data, more = history.compare(-1, 1)._repr_mimebundle_()\nprint(*data, more)").texts[0]
    assert bundle.startswith(("image/png text/plain", "image/jpeg text/plain"))
    assert "'alt': '3, 1 " in bundle
    assert "12" in drawn.run("history.compare(1)").error


def test_a_missing_image_has_a_reason(drawn):
    drawn.run("%imagine --set fault=refusal a red fox")
    cell = drawn.run("%imagine_compare 1 4")
    text = lines(cell.caption)
    assert "status done refused" in text
    assert text[-1].startswith("! 4: sketch ")
    assert "400: Your request was rejected" in text[-1]
    alone = drawn.run("%imagine_compare 1 2").images[0]
    assert cell.images[0].size == alone.size  # a dashed tile in its place


def test_forgotten_runs_are_listed(drawn):
    drawn.run("%imagine_forget 1")
    cell = drawn.run("%imagine_compare 1 2 3")
    text = lines(cell.caption)
    assert text[:4] == [
        "prompt, against 2:",
        "1 (forgotten)",
        "2 a blue fox in the snow",
        "3 a [-blue-] {+red+} fox in the snow",
    ]
    assert "size (forgotten) 64x64 64x96" in text
    assert text[-1] == "forgotten: 1"
    drawn.run("%imagine_forget 2 3 --yes")
    cell = drawn.run("%imagine_compare 1 2")
    assert cell.error is None
    assert lines(cell.caption)[-1] == "forgotten: 1, 2"
    assert "fox" not in cell.caption
    assert cell.images


def test_a_file_that_is_gone_is_a_dashed_tile(drawn, home):
    for file in home.glob("images/*/*"):
        file.unlink()
    cell = drawn.run("%imagine_compare 1 2")
    assert cell.error is None, cell.error
    assert cell.images


def test_mismatches_and_inputs(kernel, serve):
    def answer(seen):
        width = 32 if b"small" in seen.body else 64
        return 200, {}, {"created": 1, "data": [{"b64_json": b64(image_bytes(width, width))}]}

    server = serve(answer)
    entry = {"base_url": server.base_url, "key_env": "LAB_API_KEY", "free": False}
    kernel.run(
        f"import os\nos.environ['LAB_API_KEY'] = {CANARY!r}\n"
        f"%config Imagine.endpoints = {{'lab': {entry!r}}}\n%config Imagine.endpoint = 'lab'\n"
        "%imagine --size 64x64 a fox\n%imagine --size 64x64 a small fox\n"
        "%imagine --image @1 a hat\n%imagine --image @2 a hat"
    )
    text = lines(kernel.run("%imagine_compare 1 2").caption)
    assert "! size – asked 64x64, got 32x32" in text
    assert "size got 64x64 32x32" in text
    text = lines(kernel.run("%imagine_compare 3 4").caption)
    assert "prompt: the same" in text
    assert "image 1.1 2.1" in text
    kernel.run("from pathlib import Path\npath = Path('cat.png')")
    kernel.run("from ipyimagegen import history")
    for number in (1, 2):
        kernel.run(f"path.write_bytes(history[{number}][0].bytes)\n%imagine --image cat.png a cap")
    (image,) = (x for x in lines(kernel.run("%imagine_compare 5 6").caption) if x.startswith("image"))
    assert image.count("cat.png (") == 2  # two images of the same name are different
    again = kernel.run("%imagine_rerun 5 --image cat.png")
    assert "image: cat.png (" in again.texts[-1]


def test_hostile_texts_stay_inert(kernel, serve):
    evil = "a \\x1b[2Jred\\u202e fox\\r\\nsame: everything <script>alert(1)</script>"
    server = serve(lambda seen: (200, {}, {"data": [{"b64_json": b64(image_bytes(64, 64))}]}))
    done = kernel.run(
        "from ipyimagegen import imagine, history\n"
        f"url = {server.base_url!r}\n"
        f"imagine('{evil}', endpoint=url, extra={{'x': '\\u202ey\\x1b[1m'}}, negative_prompt='a\\u202eb')\n"
        f"imagine('{evil} at night', endpoint=url)"
    )
    assert done.error is None, done.error
    cell = kernel.run("%imagine_compare 1 2")
    assert cell.error is None, cell.error
    assert "{+at night+}" in cell.caption
    assert all(c.isprintable() or c == "\n" for c in cell.caption)
    assert "\nsame: everything" not in cell.caption


def test_long_texts_beside_the_prompt_are_compared_word_by_word(drawn):
    some = "blurry, dark, low contrast, text, watermark"
    drawn.run(f'%imagine --size 64x64 --negative-prompt "{some}" a fox')
    drawn.run(f'%imagine --size 64x64 --negative-prompt "{some}, frame" a fox')
    text = lines(drawn.run("%imagine_compare 4 5").caption)
    assert "negative prompt, against 4:" in text
    assert text[text.index("negative prompt, against 4:") + 2] == f"5 {some}{{+, frame+}}"
    changed = drawn.run("%imagine_rerun 5 --negative-prompt blurry").texts[-1]
    assert "negative prompt: blurry[-, dark, low contrast, text, watermark, frame-]" in changed


def test_the_examples_of_the_help_run(drawn):
    for example in PAGES["imagine_compare"].examples:
        cell = drawn.run(example)
        assert cell.error is None, (example, cell.error)
        assert "%imagine_compare" in example
    page = drawn.run("%imagine_compare --help").texts[0]
    assert "%imagine_compare fox owl" in page
    assert "%imagine_compare" in drawn.run("%imagine compare").error
