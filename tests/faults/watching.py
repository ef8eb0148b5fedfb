"""What a process does besides: files that it opens for writing, names it looks up, its memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_WATCHERS: list = []
_ALWAYS = ("/dev/", "/proc/")
_WRITING = ("open", "os.rename", "os.mkdir", "os.remove", "os.symlink", "os.link")

_ASKING = ("socket.connect", "socket.getaddrinfo")


def _hear(event, arguments):
    if _WATCHERS and event in (*_WRITING, *_ASKING):
        for watcher in tuple(_WATCHERS):
            watcher(event, arguments)


sys.addaudithook(_hear)  # for the life of the process: there is no way to take one away


def watched_writes(allowed: tuple[Path, ...]):
    """Watch for files written outside some folders; return the list of them, and what ends it."""
    events: list[str] = []
    roots = tuple(str(folder) for folder in allowed)

    def look(event, arguments):
        path = arguments[0]
        if event not in _WRITING:
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        if not isinstance(path, (str, bytes, os.PathLike)):
            return  # a descriptor
        folder = ""
        if event == "os.remove" and arguments[1] >= 0:  # relative to an open folder
            folder = os.readlink(f"/proc/self/fd/{arguments[1]}")
        name = os.path.abspath(os.path.join(folder, os.fsdecode(path)))
        if not name.startswith((*roots, *_ALWAYS)) and "__pycache__" not in name:
            events.append(f"{event} {name}")

    _WATCHERS.append(look)
    return events, lambda: _WATCHERS.remove(look)


def watched_reads(path: Path):
    """Watch for a file being opened; return the list of how often, and what ends it."""
    events: list[str] = []

    def look(event, arguments):
        if event == "open" and str(arguments[0]) == str(path):
            events.append(event)

    _WATCHERS.append(look)
    return events, lambda: _WATCHERS.remove(look)


def watched_network():
    """Watch the network: return the addresses to which connections are begun, the names that are
    looked up, and what ends it."""
    connects: list[tuple[str, int]] = []
    names: list[str] = []

    def look(event, arguments):
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            connects.append(arguments[1][:2])
        elif event == "socket.getaddrinfo":
            names.append(arguments[0])

    _WATCHERS.append(look)
    return connects, names, lambda: _WATCHERS.remove(look)


class Peak:
    """The most memory that this process held since this was made; Linux alone tells."""

    def __init__(self):
        Path("/proc/self/clear_refs").write_text("5")
        self._before = _status("VmRSS")

    def grown(self):
        """Return by how many bytes it grew at most."""
        return _status("VmHWM") - self._before


def _status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))
