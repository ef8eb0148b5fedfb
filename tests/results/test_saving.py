"""Where an image is saved."""

import io

import pytest
from PIL import Image
from raising import assert_names, raising
from samples import image, request, run

from ipyimagegen.core.errors import InvalidOption, StoreError
from ipyimagegen.core.formats import BY_MIME
from ipyimagegen.core.request import PreparedRequest
from ipyimagegen.results import saving


@pytest.mark.parametrize(
    ("template", "several", "path"),
    [
        ("fox", False, "fox.png"),
        ("fox.PNG", False, "fox.png"),
        ("fox.jpg", False, "fox.jpg"),  # converted
        ("fox.svg", False, "fox.png"),  # no image of pixels becomes a drawing
        ("fox{index:03d}.tiff", True, "fox001.tiff"),
        ("{seed:04d}", False, "0007.png"),
        ("{date:%Y}/{prompt}", False, "1970/a-fox.png"),
        ("{prompt:.3}", False, "a-f.png"),
        ("{{{model}}}", False, "{m_1}.png"),
        ("out/{model}-{seed}-{index}", True, "out/m_1-7-1.png"),
        ("fox.png", True, "fox-1.png"),
        ("{id}", False, "1120-k7f2-3.png"),
        ("{size}/{endpoint}", False, "1024x1024/lab.png"),
        ("v1.5-fox", False, "v1.5-fox.png"),
        ("con", False, "_con.png"),
    ],
)
def test_targets(template, several, path):
    made = run(images=(image(),), request=request(options={"seed": 7}), sent=PreparedRequest(model="m:1"))
    assert saving.find_target(template, made, made.images[0], several=several).as_posix() == path


def png(mode, size=(12, 8)):
    out = io.BytesIO()
    Image.new(mode, size).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("path", [None, "", " ", 3, b"fox", io.BytesIO(), ["fox"]])
def test_what_is_no_path_is_refused(path):
    with raising(InvalidOption, "save"):
        saving.read_template(path)


FORMATS = [
    *("{seed:02z}", "{index:1000000000d}", "{date:%Y/%m}", "{date:02d}", "{model!r}", "{model:{seed}}"),
    *("{index", "index}", "{seed.real}", "{index[0]}", "{}", "{prompt:.9999}"),
]


@pytest.mark.parametrize("template", FORMATS)
def test_a_field_that_cannot_be_written_is_refused(template):
    with pytest.raises(InvalidOption):
        saving.read_template(f"out/{template}.png")


def test_folders_of_a_person(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    monkeypatch.setenv("KEY", "secret")
    assert saving.read_template("~/{id}") == str(tmp_path / "{id}")
    assert saving.read_template("$OUT/{id}") == str(tmp_path / "out" / "{id}")
    assert saving.read_template("a$OUT/$KEY") == "a$OUT/$KEY"
    with raising(InvalidOption, "KEY"):
        saving.read_template("$KEY/{id}")


def test_a_missing_value_takes_no_format():
    made = run(images=(image(),))
    assert saving.find_target("{seed:03d}", made, made.images[0], several=False).name == "none.png"


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".gif", ".avif", ".tiff", ".bmp", ".jp2"])
@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L", "I;16", "P"])
def test_an_image_is_converted_to_the_format_of_the_suffix(tmp_path, suffix, mode):
    data, path = png(mode), tmp_path / f"fox{suffix}"
    written, note = saving.write_image(data, "image/png", path)
    assert (written, note is not None) == (path, True)
    with Image.open(path) as converted:
        assert BY_MIME[Image.MIME[converted.format]].suffixes.count(suffix) == 1
        assert converted.size == (12, 8)
        converted.load()
    assert saving.write_image(data, "image/png", path)[0] == path  # the same bytes again


def test_a_format_that_cannot_be_written_is_refused_before_paying(tmp_path):
    for suffix in (".heic", ".jxl"):
        with raising(InvalidOption, tmp_path / f"fox{suffix}"):
            saving.check_place(str(tmp_path / f"fox{suffix}"))
    saving.check_place(str(tmp_path / "fox.svg"))  # what a server may send


def test_holes_become_white_where_a_format_has_none(tmp_path):
    data = png("RGBA")
    path, _note = saving.write_image(data, "image/png", tmp_path / "fox.jpg")
    assert Image.open(path).getpixel((4, 4)) == (255, 255, 255)


def test_what_cannot_be_converted_is_kept_as_it_is(tmp_path):
    path, note = saving.write_image(b"damaged", "image/png", tmp_path / "fox.jpg")
    assert (path.name, path.read_bytes()) == ("fox.png", b"damaged")
    assert_names(note, path)


def test_a_value_never_leaves_its_folder():
    made = run(images=(image(),), sent=PreparedRequest(model="../../etc/passwd"))
    assert (
        saving.find_target("out/{model}", made, made.images[0], several=False).as_posix()
        == "out/-..-etc-passwd.png"
    )


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "deep" / "fox.png"
    assert saving.write_file(b"one", path) == path
    assert saving.write_file(b"one", path) == path
    assert saving.write_file(b"two", path) == path.with_stem("fox-2")
    assert path.read_bytes() == b"one"
    with raising(StoreError, path / "below-a-file.png"):
        saving.write_file(b"x", path / "below-a-file.png")
    for name in ("a\0b", "\ud800", "W" * 3000):
        with pytest.raises(StoreError):
            saving.write_file(b"x", tmp_path / name / "fox.png")


def test_a_refusal_names_the_next_step(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(InvalidOption, match=r"is not a folder. Nothing was sent. Choose another folder."):
        saving.check_place(str(tmp_path / "file" / "fox.png"))
    with pytest.raises(StoreError, match="Save it to another file"):
        saving.write_file(b"x", tmp_path / "file" / "fox.png")
    assert "Save a result that has one" in str(saving.make_empty_error("1120-k7f2/3", None))
