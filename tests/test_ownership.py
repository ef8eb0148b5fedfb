"""What may be deleted: by place, by whole name, by kind, and nothing else whatever lies there."""

import os
import re
import socket
import time
from pathlib import Path

import pytest
from foreign import OTHER, needs_root

from ipyimagegen.store.files import (
    check_folder,
    delete_file,
    delete_old_files,
    is_private_folder,
    make_private_folder,
)


def link_to_file(path):
    (path.parent / "mine").write_bytes(b"mine")
    path.symlink_to(path.parent / "mine")


def unix_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def others(path):
    path.write_bytes(b"mine")
    os.chown(path, OTHER, OTHER)


NO_FILE = [
    link_to_file,
    lambda path: path.symlink_to("nowhere"),
    os.mkdir,
    os.mkfifo,
    unix_socket,
    pytest.param(others, marks=needs_root),
]


@pytest.mark.parametrize("make", NO_FILE)
def test_what_is_no_file_of_the_user_stays(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    make(Path("x"))
    before = sorted(tmp_path.iterdir())
    assert not delete_file(tmp_path, Path("x"))
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_of_the_user_is_deleted_and_nothing_counts_as_deleted(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").write_bytes(b"ours")
    assert delete_file(tmp_path, Path("a/b/x"))
    assert not list((tmp_path / "a" / "b").iterdir())
    assert delete_file(tmp_path, Path("a/b/x"))
    assert delete_file(tmp_path / "gone", Path("x"))


@pytest.mark.parametrize("linked", ["root", "root/a", "root/a/b"])
def test_nothing_is_deleted_through_a_link(tmp_path, linked):
    real = tmp_path / "real" / linked.removeprefix("root").strip("/")
    inside = Path("root/a/b/x").relative_to(linked)
    (real / inside).parent.mkdir(parents=True)
    (real / inside).write_bytes(b"mine")
    (tmp_path / linked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / linked).symlink_to(real, target_is_directory=True)
    assert (tmp_path / "root" / "a" / "b" / "x").exists()
    assert not delete_file(tmp_path / "root", Path("a/b/x"))
    assert (real / inside).read_bytes() == b"mine"


def test_a_folder_that_turns_into_a_link_meanwhile_is_not_followed(tmp_path, monkeypatch):
    """The link comes when the file was looked at and not yet deleted."""
    for folder in ("spool", "documents"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").write_bytes(b"mine")
    unlink = os.unlink

    def late(path, **named):
        (tmp_path / "spool").rename(tmp_path / "moved")
        (tmp_path / "spool").symlink_to(tmp_path / "documents", target_is_directory=True)
        unlink(path, **named)

    monkeypatch.setattr(os, "unlink", late)
    assert delete_file(tmp_path, Path("spool/x"))
    assert (tmp_path / "documents" / "x").read_bytes() == b"mine"
    assert not (tmp_path / "moved" / "x").exists()


def link(folder):
    (folder.parent / "real").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "real", target_is_directory=True)


def open_to_others(folder):
    folder.mkdir()
    folder.chmod(0o750)


def owned_by_another(folder):
    folder.mkdir(mode=0o700)
    os.chown(folder, OTHER, OTHER)


NOT_PRIVATE = [
    link,
    open_to_others,
    lambda folder: folder.write_text("no folder"),
    lambda folder: folder.symlink_to("nowhere"),
    pytest.param(owned_by_another, marks=needs_root),
]


@pytest.mark.parametrize("make", NOT_PRIVATE)
def test_what_is_not_private_is_not_used(tmp_path, make):
    folder = tmp_path / "folder"
    make(folder)
    (tmp_path / "real").mkdir(exist_ok=True)
    old = tmp_path / "real" / ("0" * 16)
    old.write_bytes(b"mine")
    os.utime(old, (0, 0))
    assert not is_private_folder(folder)
    assert not make_private_folder(folder)
    delete_old_files(folder, re.compile("[0-9a-f]{16}"), 60)
    assert old.read_bytes() == b"mine"
    assert folder.lstat()


def test_only_old_files_with_the_whole_name_go(tmp_path):
    folder = tmp_path / "marks"
    assert make_private_folder(folder)
    assert make_private_folder(folder)
    day = time.time() - 90_000
    names = {"0" * 16: day, "1" * 16: time.time(), "0" * 16 + ".txt": day, "a" * 17: day, "thesis.docx": day}
    for name, when in names.items():
        (folder / name).write_bytes(b"mine")
        os.utime(folder / name, (when, when))
    (folder / ("2" * 16)).mkdir()
    os.utime(folder / ("2" * 16), (day, day))
    delete_old_files(folder, re.compile("[0-9a-f]{16}"), 86_400)
    assert {path.name for path in folder.iterdir()} == {*names, "2" * 16} - {"0" * 16}


@needs_root
def test_a_shared_folder_without_owners_is_taken_as_it_is(tmp_path, monkeypatch):
    """As a container sees a folder of its host: everything belongs to one user, and is open."""
    os.chown(tmp_path, 65534, 65534)
    tmp_path.chmod(0o777)
    with pytest.raises(PermissionError):
        check_folder(tmp_path, tmp_path, close=True)
    kept = os.fstat

    def fstat(descriptor):
        info = list(kept(descriptor))
        info[0] |= 0o777
        return os.stat_result(info)

    monkeypatch.setattr("os.fstat", fstat)
    check_folder(tmp_path, tmp_path, close=True)
