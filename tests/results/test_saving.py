"""Where an image is saved."""

import pytest
from raising import raising
from samples import image, request, run

from ipyimagegen.core.errors import InvalidOption, StoreError
from ipyimagegen.core.request import PreparedRequest
from ipyimagegen.results import saving


@pytest.mark.parametrize(
    ("template", "several", "path"),
    [
        ("fox", False, "fox.png"),
        ("fox.PNG", False, "fox.png"),
        ("fox.jpg", False, "fox.png"),
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
