"""The store: whether it can be written, and how its index is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ipyimagegen.core.text import format_count
from ipyimagegen.session.diagnostics.findings import Finding, State
from ipyimagegen.session.diagnostics.visit import Visit, within
from ipyimagegen.store import location

if TYPE_CHECKING:
    from ipyimagegen.store.health import StoreHealth

SECONDS = 6.0  # that a disk may take

_LOCKS = "locks may not work there; then the index is made anew now and then, and the files are safe"
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(
        ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "beegfs"), _LOCKS
    ),
    **dict.fromkeys(("gpfs", "vboxsf", "drvfs", "virtiofs", "fuse"), _LOCKS),
    **dict.fromkeys(("tmpfs", "ramfs"), "kept in memory, and gone when the machine is"),
    "overlay": "a container's own, and gone when the container is",
}
_INDEX: Mapping[str, tuple[State, str]] = {
    "missing": (State.OK, "none yet: made when it is needed"),
    "newer": (State.WARNING, "written by a newer version: looking back reads the files, and is slow"),
    "damaged": (State.WARNING, "damaged: the next look into the history puts it aside and makes it anew"),
    "foreign": (
        State.WARNING,
        "index.sqlite belongs to another program or user: looking back reads the files. Move it elsewhere",
    ),
    "locked": (State.WARNING, "locked by another process: if that lasts, end it or restart its kernel"),
    "cut off": (State.OK, "its last write was cut off: the next look into the history mends it"),
    "read-only": (State.WARNING, "can be read and not written"),
    "unreadable": (State.WARNING, "cannot be read: delete index.sqlite, it is made anew from the files"),
}


def look(visit: Visit) -> Iterator[Finding]:
    """Yield what is found of the store."""
    from ipyimagegen.store.health import inspect_store  # noqa: PLC0415 - imports sqlite3

    home = visit.patient.home
    found = within(SECONDS, lambda: inspect_store(home))
    passing = location.describe_impermanence(home, visit.environ)
    if found.trouble or passing:
        state = State.PROBLEM if found.trouble else State.WARNING
        yield Finding("store", state, found.trouble or passing or "")
    else:
        yield Finding("store", State.OK, f"{home} can be written")
    yield _space(found)
    kind = (found.kind or "").partition(".")[0]  # fuse.sshfs
    told = found.kind or "not told by this system"
    state = State.WARNING if kind in _KINDS else State.OK if kind else State.UNKNOWN
    yield Finding("file system", state, f"{told}: {_KINDS[kind]}" if kind in _KINDS else told)
    yield _index(found)
    yield Finding("on the way", State.OK, _on_the_way(found))


def _space(found: StoreHealth) -> Finding:
    if found.free is None:
        return Finding("space", State.UNKNOWN, "not told by this system")
    if found.roomy:
        return Finding("space", State.OK, f"{_size(found.free)} free")
    return Finding("space", State.PROBLEM, f"{_size(found.free)} free: too little for an image. Make room.")


def _index(found: StoreHealth) -> Finding:
    state, told = _INDEX.get(found.index, (State.OK, format_count(found.runs or 0, "run")))
    told += f"; {format_count(found.unindexed, 'record')} not yet in it" if found.unindexed else ""
    told += "; a damaged one was put aside: index.damaged may be deleted" if found.aside else ""
    return Finding("index", state, told)


def _on_the_way(found: StoreHealth) -> str:
    places = (("spool", found.spool), ("quarantine", found.quarantine))
    told = [
        f"{format_count(count, 'file')} in {name} ({_size(size)})" for name, (count, size) in places if count
    ]
    return ", ".join(told) or "nothing in spool and quarantine"


def _size(count: int) -> str:
    return f"{count / (1 << 30):,.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):,.1f} MiB"
