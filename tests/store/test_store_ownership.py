"""HOME may hold files of others and links: only the store's own files are changed, and not through a link."""

import contextlib
import hashlib
import os
import re
import sqlite3
import stat
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from foreign import OTHER, PREPARED, needs_root
from raising import raising
from store_samples import SESSION, ids, run

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.run import ImageRecord, Status
from ipyimagegen.store import Store
from ipyimagegen.store.blobs import find_fallback
from ipyimagegen.store.health import inspect_store

PNG = b"\x89PNG\r\n\x1a\n" + b"image" * 100
HASH = hashlib.sha256(PNG).hexdigest()
FOLDERS = ("images", "records", "quarantine", "unindexed", "spool")
HEX = "0123456789abcdef" * 2


def keep(store, data=PNG):
    return store.keep([data], cap=9999)


def live(store):
    """Do all that a store does, deletions too."""
    store.probe(9)
    session = store.new_session(date(2025, 11, 20))
    record = run(1, session=session)
    store.create(record)
    store.spool(record)
    kept = keep(store)
    keep(store, b"no image")
    store.update(record.replace(status=Status.DONE, images=(ImageRecord(index=1, sha256=kept.sha256),)))
    store.create(run(2, "a cat", session=session))
    assert store.runs(search="fox")[0].images
    store.forget([f"{session}/2"])
    store.forget([f"{session}/1"])


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def age(folder):
    """Let everything in a folder be two days old."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 200_000,) * 2, follow_symlinks=False)


# Names that are nearly the store's, in the folder whose names they resemble
NEARLY = [
    "spool/notes.part",
    "spool/print.reply",
    f"spool/{HEX}.partial",
    f"spool/{HEX}.part~",
    f"spool/{HEX.upper()}.part",
    f"spool/x{HEX}.part",
    f"spool/{HEX}.{SESSION}.1.reply.bak",
    f"spool/sub/{HEX}.part",
    f"unindexed/{SESSION}.1.txt",
    f"unindexed/{SESSION}.01",
    "unindexed/TODO",
    f"images/{HASH[:2]}/{HASH}.xmp",
    f"images/{HASH[:2]}/{HASH}.png.xmp",
    f"images/{HASH[:2]}/{HASH[:63]}.png",
    f"images/00/{HASH}.png",
    f"images/{HASH}.png",
    f"quarantine/{HASH}.exe",
    "quarantine/sample.bin",
    f"records/{SESSION}/1.json.orig",
    f"records/{SESSION}/01.json",
    f"records/{SESSION}/notes.json",
    "records/thesis/1.json",
    "tmp/thesis.docx",
    "index.sqlite.bak",
    "index.damaged",
    "index.1.damaged",
    "index.damaged.txt",
    "thesis.docx",
]


def test_files_of_others_in_the_folders_of_a_store_stay(tmp_path):
    home = tmp_path / "home"
    for name in NEARLY:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(b"mine")
        (home / name).chmod(0o644)
    age(home)
    live(Store(home))
    for name in NEARLY:
        assert (home / name).read_bytes() == b"mine", name
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o644, name


def test_files_of_others_are_not_read_as_the_store_s(tmp_path):
    store = Store(tmp_path)
    for name in (f"images/{HASH[:2]}/{HASH}.xmp", f"quarantine/{HASH}.exe"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(PNG)
    assert store.path(HASH) is None
    assert not store.verify(HASH)


def test_old_files_of_the_store_go(tmp_path):
    store = Store(tmp_path)
    left = [store.spool(), store.spool(run(7))]
    age(tmp_path)
    store.spool()
    assert not any(path.exists() for path in left)


# Things that have the name of a file of the store and are not files: reading them must not wait


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
@pytest.mark.parametrize(
    "name",
    [
        f"records/{SESSION}/1.json",
        f"unindexed/{SESSION}.1",
        f"images/{HASH[:2]}/{HASH}.png",
        f"quarantine/{HASH}.bin",
        f"spool/{HEX}.part",
        f"spool/{HEX}.{SESSION}.2.reply",
        "index.sqlite",
    ],
)
def test_a_thing_with_the_name_of_a_file_is_left_and_not_waited_for(tmp_path, make, name):
    home = tmp_path / "home"
    (home / name).parent.mkdir(parents=True)
    make(home / name)
    age(home)
    store = Store(home, wait=0.2)
    store.create(run(2))
    assert ids(store.runs()) == [f"{SESSION}/2"]
    assert store.path(HASH) is None
    assert store.list_responses() == []
    store.spool()
    store.forget([f"{SESSION}/2"])
    assert os.path.lexists(home / name)


# Links


@pytest.mark.parametrize("link", ["home", "above", "both"])
def test_home_may_be_a_link_and_is_resolved_once(tmp_path, link):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "other" / "deep").mkdir(parents=True)
    named = tmp_path / "link" / "deep" if link == "above" else tmp_path / "link"
    (tmp_path / "link").symlink_to(tmp_path / "real" if link == "above" else tmp_path / "real" / "deep")
    if link == "both":
        (tmp_path / "second").symlink_to(tmp_path / "link")
        named = tmp_path / "second"
    store = Store(named)
    assert store.home == tmp_path / "real" / "deep"
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "other")
    live(store)
    assert list((tmp_path / "real" / "deep").glob("records/*/*.json"))
    assert not list((tmp_path / "other" / "deep").iterdir())


@pytest.mark.parametrize("name", ["home", "above/home"])
def test_a_home_behind_a_link_to_nowhere_is_refused(tmp_path, name):
    (tmp_path / name.partition("/")[0]).symlink_to(tmp_path / "not-mounted")
    with pytest.raises(StoreError, match="IPYIMAGEGEN_HOME"):
        Store(tmp_path / name).probe()
    assert not (tmp_path / "not-mounted").exists()


def linked(tmp_path, folder, target):
    """Make a home in which a folder is a link to another one."""
    home = tmp_path / "home"
    (home / folder).parent.mkdir(parents=True)
    target.mkdir(parents=True, exist_ok=True)
    (home / folder).symlink_to(target, target_is_directory=True)
    return Store(home, wait=0.2)


@pytest.mark.parametrize("folder", ["images", f"images/{HASH[:2]}", "records", "quarantine", "spool"])
@pytest.mark.parametrize("disk", ["the same", "another"])
def test_a_link_to_a_folder_of_the_user_is_followed_and_nothing_deleted_through_it(
    tmp_path, folder, disk, quick
):
    if disk == "another" and os.stat(quick).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is one disk here")
    target = (quick if disk == "another" else tmp_path) / "documents"
    store = linked(tmp_path, folder, target)
    (target / "tax.pdf").write_bytes(b"mine")
    (target / f"{HEX}.part").write_bytes(b"mine")
    age(target)
    with contextlib.suppress(StoreError):  # forgetting names the files that stay
        live(store)
    assert (target / "tax.pdf").read_bytes() == (target / f"{HEX}.part").read_bytes() == b"mine"
    kept = keep(store)
    assert store.verify(kept.sha256)
    store.create(run(5, "an owl"))
    store.update(run(5, "an owl", status=Status.DONE))
    assert [record.status for record in store.runs(search="owl")] == [Status.DONE]
    if folder != "spool":
        assert len(contents(target)) > 2  # it is used


@pytest.mark.parametrize("folder", ["images", f"images/{HASH[:2]}"])
def test_forgetting_names_the_files_that_stay_behind_a_link(tmp_path, folder):
    store = linked(tmp_path, folder, tmp_path / "documents")
    kept = keep(store)
    store.create(run(1, status=Status.DONE, images=(ImageRecord(index=1, sha256=kept.sha256),)))
    with pytest.raises(StoreError, match=HASH):
        store.forget([f"{SESSION}/1"])
    assert store.run(f"{SESSION}/1").forgotten
    assert store.verify(HASH)
    assert ids(store.runs()) == [f"{SESSION}/1"]  # later looks do not fail


def test_an_image_behind_a_link_is_not_replaced(tmp_path):
    store = linked(tmp_path, "images", tmp_path / "documents")
    mine = tmp_path / "documents" / HASH[:2] / f"{HASH}.png"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    with pytest.raises(StoreError, match=HASH):
        keep(store)
    assert mine.read_bytes() == b"mine"
    mine.write_bytes(PNG)
    inode = mine.stat().st_ino
    assert keep(store).sha256 == HASH
    assert mine.stat().st_ino == inode


def to_a_file(tmp_path):
    (tmp_path / "target").write_bytes(b"mine")


def to_another_user(tmp_path):
    (tmp_path / "target").mkdir()
    os.chown(tmp_path / "target", OTHER, OTHER)


REFUSED = [to_a_file, lambda _: None, pytest.param(to_another_user, marks=needs_root)]


@pytest.mark.parametrize("make", REFUSED)
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_link_that_leads_elsewhere_is_refused_by_name_before_paying(tmp_path, folder, make):
    make(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    (home / folder).symlink_to(tmp_path / "target")
    with pytest.raises(StoreError, match=re.escape(str(home / folder))):
        Store(home).probe()
    assert folder in inspect_store(home).trouble
    if folder == "records":
        with pytest.raises(StoreError, match=re.escape(str(home / folder))):
            Store(home).find_identical("f" * 64)  # not "there is none": that is paid for again


def test_the_folder_in_which_all_is_deleted_is_no_link(tmp_path):
    store = linked(tmp_path, "unindexed", tmp_path / "documents")
    with pytest.raises(StoreError, match="unindexed"):
        store.probe()


# The index


def database(path):
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE runs (km REAL, day TEXT)")
        base.execute("CREATE TABLE prompts (text TEXT)")
        base.execute("INSERT INTO runs VALUES (42.2, 'sunday')")


def write_ahead(path):
    """A database that another program has open, with what it wrote last next to it."""
    code = (
        "import os, sqlite3, sys\nbase = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "base.execute('PRAGMA journal_mode = WAL')\nbase.execute('CREATE TABLE runs (km REAL)')\n"
        "base.execute('INSERT INTO runs VALUES (42.2)')\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert Path(f"{path}-wal").stat().st_size


def empty_database(path):
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA user_version = 1")


def with_another_mark(path):
    database(path)
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA application_id = 1196444487")


@pytest.mark.parametrize("make", [database, write_ahead, empty_database, with_another_mark])
@pytest.mark.parametrize("as_link", [False, True], ids=["in its place", "behind a link"])
def test_a_database_of_another_program_is_left_alone(tmp_path, make, as_link):
    home = tmp_path / "home"
    home.mkdir()
    place = tmp_path / "diary.sqlite" if as_link else home / "index.sqlite"
    make(place)
    if as_link:
        (home / "index.sqlite").symlink_to(place)
    before = {path: path.read_bytes() for path in place.parent.glob(f"{place.name}*")}
    live(Store(home))
    assert inspect_store(home).index == "foreign"
    live(Store(home))  # from the files
    assert {path: path.read_bytes() for path in place.parent.glob(f"{place.name}*")} == before
    assert not list(home.glob("*.damaged*"))


def test_an_index_of_ours_behind_a_link_is_not_opened(tmp_path):
    other = Store(tmp_path / "other")
    other.create(run(1))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "index.sqlite").symlink_to(other.home / "index.sqlite")
    before = (other.home / "index.sqlite").read_bytes()
    live(Store(tmp_path / "home"))
    assert (other.home / "index.sqlite").read_bytes() == before


@pytest.mark.parametrize("content", [b"mine" * 1000, b"SQLite format 3\0" + b"mine" * 1000, b"x"])
def test_what_is_no_database_is_moved_aside_and_never_deleted(tmp_path, content):
    store = Store(tmp_path)
    store.create(run(1))
    for _ in range(3):
        (tmp_path / "index.sqlite").write_bytes(content)
        assert ids(store.runs()) == [f"{SESSION}/1"]
        assert inspect_store(tmp_path).index == "ok"
    store.forget([f"{SESSION}/1"])
    assert [path.read_bytes() for path in tmp_path.glob("*.damaged")] == [content] * 3


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_what_lies_beside_an_index_that_is_not_there_is_not_replayed_into_a_new_index(tmp_path, suffix):
    (tmp_path / f"index.sqlite{suffix}").write_bytes(b"mine" * 500)
    store = Store(tmp_path)
    store.create(run(1))
    assert ids(store.runs()) == [f"{SESSION}/1"]
    assert inspect_store(tmp_path).index == "ok"
    assert b"mine" * 500 in contents(tmp_path).values()


def test_a_damaged_index_of_ours_is_moved_aside_once_and_goes_when_something_is_forgotten(tmp_path):
    store = Store(tmp_path)
    for number in range(1, 40):
        store.create(run(number, f"fox {number}"))
    index = tmp_path / "index.sqlite"
    for _ in range(3):
        data = index.read_bytes()
        index.write_bytes(data[:100] + b"\xff" * (len(data) - 100))
        assert len(store.runs()) == 39
    assert [path.name for path in tmp_path.glob("*.damaged")] == ["index.damaged"]
    store.forget([f"{SESSION}/1"])
    assert not list(tmp_path.glob("*.damaged"))


# Who can read what


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nothing_in_an_open_home_is_readable_to_others(tmp_path, umask):
    tmp_path.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    before = os.umask(umask)
    seen = set()
    try:
        store = Store(home)
        connect = sqlite3.connect

        def watched(path, **options):
            seen.add(stat.S_IMODE(os.stat(path).st_mode))  # before SQLite opens it
            made = connect(path, **options)
            made.set_trace_callback(lambda _: seen.update(modes(home.glob("index.sqlite*"))))
            return made

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sqlite3, "connect", watched)
            live(store)
            store.create(run(3))
            keep(store)
    finally:
        os.umask(before)
    assert seen == {0o600}
    for path in home.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def modes(paths):
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            yield stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640])
def test_an_index_that_is_open_to_others_is_closed(tmp_path, mode):
    Store(tmp_path).create(run(1))
    (tmp_path / "index.sqlite").chmod(mode)
    assert not Store(tmp_path).is_private()
    assert ids(Store(tmp_path).runs()) == [f"{SESSION}/1"]
    assert stat.S_IMODE((tmp_path / "index.sqlite").stat().st_mode) == 0o600
    assert Store(tmp_path).is_private()


@pytest.mark.skipif(os.name == "nt", reason="no modes there")
@pytest.mark.parametrize("name", ["", "images", "records", "spool", "quarantine"])
def test_a_folder_of_the_user_is_closed_to_writers_before_paying(tmp_path, name):
    home = tmp_path / "shared"
    for folder in (home, home / "images", home / "records"):
        folder.mkdir(mode=0o755)
    (home / name).mkdir(exist_ok=True)
    (home / name).chmod(0o777)
    Store(home).probe()
    assert (home / name).stat().st_mode & 0o777 == 0o775


@needs_root
@pytest.mark.parametrize("mode", [0o777, 0o755])
@pytest.mark.parametrize("name", ["", "images", "records", "spool"])
def test_a_folder_of_another_user_is_refused_before_paying(tmp_path, name, mode):
    home = tmp_path / "shared"
    (home / "images").mkdir(parents=True)
    (home / name).mkdir(exist_ok=True)
    (home / name).chmod(mode)
    os.chown(home / name, 65534, 65534)
    if not name and mode == 0o755:
        Store(home).probe()  # root may write there, and nobody else
        return
    with raising(StoreError, home):
        Store(home).probe()


def test_a_file_system_without_modes_is_used_and_reported(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    store = Store(tmp_path)
    store.create(run(1))
    (tmp_path / "index.sqlite").chmod(0o644)
    monkeypatch.setattr(os, "fchmod", refuse)
    store.create(run(2))
    assert inspect_store(tmp_path).runs == 2
    assert not store.is_private()


# Stores that are copied


@needs_root
def test_a_store_that_belongs_to_another_user_is_read_and_forgetting_names_what_stays(tmp_path):
    store = Store(tmp_path / "home")
    kept = keep(store)
    for number in (1, 2):
        images = (ImageRecord(index=1, sha256=kept.sha256),)
        store.create(run(number, f"fox {number}", status=Status.DONE, images=images))
    for path in (store.home, *store.home.rglob("*")):
        os.chown(path, OTHER, OTHER)
    again = Store(store.home)
    assert len(again.runs(search="fox")) == 2
    assert ids(again.find_identical(run(2, "fox 2").identity)) == [f"{SESSION}/2"]
    assert again.verify(kept.sha256)
    assert keep(again).sha256 == kept.sha256
    again.create(run(3, "a cat"))
    again.update(run(3, "a cat", status=Status.DONE))
    again.update(run(2, "fox 2", status=Status.DONE, elapsed=3.0))
    assert [record.elapsed for record in again.runs(search="fox 2")] == [3.0]
    with pytest.raises(StoreError, match=HASH):
        again.forget([f"{SESSION}/1", f"{SESSION}/2"])
    assert again.verify(kept.sha256)


@pytest.mark.parametrize("same_numbers", [True, False])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_an_index_of_another_store_hides_nothing(tmp_path, count, same_numbers):
    for name, session in (("here", SESSION), ("there", SESSION if same_numbers else "1121-aaaa")):
        store = Store(tmp_path / name)
        for number in range(1, count + 1):
            store.create(run(number, f"{name} {number}", session=session))
    index = (tmp_path / "there" / "index.sqlite").read_bytes()
    (tmp_path / "here" / "index.sqlite").write_bytes(index)
    for number in range(1, count + 1):
        asked = run(number, f"here {number}").identity
        assert ids(Store(tmp_path / "here").find_identical(asked)) == [f"{SESSION}/{number}"]
    assert len(Store(tmp_path / "here").runs(search="here")) == count
    assert Store(tmp_path / "here").runs(search="there") == []


def test_an_index_that_is_copied_over_while_a_store_is_in_use_hides_nothing(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("ipyimagegen.store.store.time.monotonic", lambda: now[0])
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    for number in (1, 2, 3):
        here.create(run(number, f"here {number}"))
        there.create(run(number, f"there {number}", session="1121-aaaa"))
    assert here.find_identical(run(1, "here 1").identity)
    (here.home / "index.sqlite").write_bytes((there.home / "index.sqlite").read_bytes())
    now[0] += 10
    assert ids(here.find_identical(run(2, "here 2").identity)) == [f"{SESSION}/2"]


# The fallback


def test_the_fallback_is_made_private(tmp_path):
    home = Store(tmp_path / "home").home
    assert find_fallback(home) is None
    made = find_fallback(home, make=True)
    assert find_fallback(home) == made
    for folder in (made.home, made.home.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("make", PREPARED)
@pytest.mark.parametrize("level", ["first", "second"])
def test_a_fallback_that_others_prepared_is_not_used(tmp_path, make, level):
    store = Store(tmp_path / "home")
    place = find_fallback(store.home, make=True).home
    taken = place if level == "second" else place.parent
    place.rmdir()
    if level == "first":
        taken.rmdir()
    documents = tmp_path / "documents"
    (documents / place.name / "spool").mkdir(parents=True, mode=0o700)
    (documents / place.name / "spool" / f"{HEX}.{SESSION}.1.reply").write_bytes(b"mine")
    age(documents)
    make(taken, documents if level == "first" else documents / place.name)
    before = contents(tmp_path / "documents"), contents(taken)
    assert find_fallback(store.home) is None
    assert find_fallback(store.home, make=True) is None
    assert store.spool_fallback(run(1)) is None
    with pytest.raises(StoreError):
        store.keep([PNG], cap=9999, fallback=True)
    live(store)
    store.create(run(1))
    assert store.list_responses() == []
    assert (contents(tmp_path / "documents"), contents(taken)) == before
