"""Where `--save` and `save()` put an image: a template with fixed fields, never over another file."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ipyimagegen.core.errors import InvalidOption, StoreError, suggest_name
from ipyimagegen.core.formats import BY_MIME, FORMATS
from ipyimagegen.core.run import ImageRecord, Run
from ipyimagegen.core.text import to_file_name, truncate

FIELDS = ("id", "index", "model", "endpoint", "seed", "size", "date")
_FIELD = re.compile(r"\{(\w*)\}")
_KNOWN = tuple(suffix for file_format in FORMATS for suffix in file_format.suffixes)


def check_template(template: str) -> None:
    """Raise InvalidOption when the template has a field that does not exist, or names a folder."""
    for name in _FIELD.findall(template):
        if name not in FIELDS:
            raise InvalidOption(
                f"--save {{{name}}}: there are {', '.join(FIELDS)}.{suggest_name(name, FIELDS)}"
            )
    if template.endswith(("/", os.sep)) or os.path.isdir(os.path.expanduser(template)):  # noqa: PTH111, PTH112
        inside = os.path.join(template, "{id}")  # noqa: PTH118 - as typed
        raise InvalidOption(f"--save {template} names a folder; name a file, such as {inside}.")


def check_place(template: str) -> None:
    """Raise InvalidOption when no file can be made where the template says, as far as that can be seen."""
    known = os.path.dirname(template.partition("{")[0])  # noqa: PTH120 - folders up to the first field
    place = Path(os.path.expanduser(known))  # noqa: PTH111 - as typed
    while not os.path.lexists(place) and place != place.parent:  # what is missing is made
        place = place.parent
    if not place.is_dir():
        raise InvalidOption(f"--save {truncate(template, 300)}: {place} is no folder; nothing was sent.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InvalidOption(
            f"--save {truncate(template, 300)}: you may not write in {place.absolute()}; nothing was sent."
        )


def list_targets(template: str, places: Sequence[tuple[Run, ImageRecord]]) -> list[Path]:
    """Return the files for the images of a sweep, those that did not come among them, in its order.

    {index} counts those that the other fields do not tell apart. Where the template has none, they get
    their numbers. So an image that comes later takes the name that was left for it.
    """
    alike = [find_target(template, *one, several=False, index=0) for one in places]
    shared, counts = Counter(alike), Counter[Path]()
    files = []
    for one, name in zip(places, alike, strict=True):
        counts[name] += 1
        files.append(find_target(template, *one, several=shared[name] > 1, index=counts[name]))
    return files


def find_target(
    template: str, run: Run, image: ImageRecord, *, several: bool, index: int | None = None
) -> Path:
    """Return the file for an image: fields filled and cleaned, the suffix that its bytes have.

    `several` says that it gets its number, which is `index` or else its own in the reply.
    """
    check_template(template)
    values = {**list_fields(run, image), **({} if index is None else {"index": str(index)})}
    folder, name = os.path.split(os.path.expanduser(template))  # noqa: PTH111 - the parts as typed
    if several and "{index}" not in template:
        stem, suffix = _split(name)
        name = f"{stem}-{values['index']}{suffix}"
    stem, suffix = _split(name)
    right = BY_MIME[image.mime or "image/png"].suffixes
    filled = to_file_name(_fill(stem, values), suffix if suffix in right else right[0])
    folders = [to_file_name(_fill(part, values)) if "{" in part else part for part in Path(folder).parts]
    return Path(*folders, filled)


def list_fields(run: Run, image: ImageRecord) -> Mapping[str, str]:
    """Return the values of the fields of a template."""
    asked = {**run.request.options, **run.request.extra}
    return {
        "id": run.id.replace("/", "-"),
        "index": str(image.index),
        "model": run.sent.model or run.request.model or "default",
        "endpoint": run.request.endpoint,
        "seed": str(asked.get("seed", "none")),
        "size": f"{image.width}x{image.height}",
        "date": time.strftime("%Y-%m-%d", time.localtime(run.created)),
    }


def _fill(text: str, values: Mapping[str, str]) -> str:
    # A value may hold anything that a server or user named: it never adds a folder.
    return _FIELD.sub(lambda found: re.sub(r"[/\\]", "-", values[found[1]]), text)


def _split(name: str) -> tuple[str, str]:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a name, not a path
    return (stem, suffix.lower()) if suffix.lower() in _KNOWN else (name, "")


def make_empty_error(what: str, why: str | None) -> StoreError:
    """Return the error for a result without an image."""
    return StoreError(f"{what} has no image to save{f': {why}' if why else '.'}")


def _write_new(data: bytes, path: Path) -> None:
    """Write a file that must not exist; what cannot be written whole is not left behind."""
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise


def write_file(data: bytes, path: Path) -> Path:
    """Write the bytes to `path`, or to `name-2`, `name-3` … when another file is there.

    The same bytes at that path are left as they are. Raises StoreError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for count in range(1, 10_000):
            here = path if count == 1 else path.with_stem(f"{path.stem}-{count}")
            try:
                _write_new(data, here)
            except FileExistsError:
                if here.is_file() and here.read_bytes() == data:
                    return here
            else:
                return here
        problem = "too many files of that name"
    except OSError as fault:
        problem = fault.strerror or type(fault).__name__
    except ValueError:  # NUL, or half a character
        problem = "no folder has such a name"
    raise StoreError(
        f"The image is in the history, but {truncate(str(path), 300)} cannot be written: {problem}."
    )
