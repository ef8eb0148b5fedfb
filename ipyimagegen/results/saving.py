"""The file that an image is saved to: a template with fixed fields, never over a different file."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ipyimagegen.core.errors import InvalidOption, StoreError, suggest_name
from ipyimagegen.core.formats import BY_MIME, FORMATS
from ipyimagegen.core.messages import _
from ipyimagegen.core.run import ImageRecord, Run
from ipyimagegen.core.text import to_file_name, truncate

FIELDS = ("id", "index", "model", "endpoint", "seed", "size", "date")
_FIELD = re.compile(r"\{(\w*)\}")
_KNOWN = tuple(suffix for file_format in FORMATS for suffix in file_format.suffixes)


def check_template(template: str) -> None:
    """Raise InvalidOption when the template has an unknown field, or names a folder."""
    for name in _FIELD.findall(template):
        if name not in FIELDS:
            raise InvalidOption(
                _(
                    "Unknown field {field} in the name of the file: choose {fields}.{suggestion}",
                    field=f"{{{name}}}",
                    fields=", ".join(FIELDS),
                    suggestion=suggest_name(name, FIELDS),
                )
            )
    if template.endswith(("/", os.sep)) or os.path.isdir(os.path.expanduser(template)):
        inside = os.path.join(template, "{id}")  # as typed
        raise InvalidOption(
            _("{path} is a folder. Name a file, such as {example}.", path=template, example=inside)
        )


def check_place(template: str) -> None:
    """Raise InvalidOption when the template names a place in which no file can be made, as far as known."""
    known = os.path.dirname(template.partition("{")[0])  # folders up to the first field
    place = Path(os.path.expanduser(known))  # as typed
    while not os.path.lexists(place) and place != place.parent:  # missing folders are made
        place = place.parent
    if not place.is_dir():
        problem = _("{folder} is not a folder.", folder=place)
    elif not os.access(place, os.W_OK | os.X_OK):
        problem = _("you are not allowed to write in {folder}.", folder=place.absolute())
    else:
        return
    raise InvalidOption(
        _(
            "Cannot save to {path}: {problem} Nothing was sent. Choose another folder.",
            path=truncate(template, 300),
            problem=problem,
        )
    )


def list_targets(template: str, places: Sequence[tuple[Run, ImageRecord]]) -> list[Path]:
    """Return the files for the images of a sweep in order, also for images that are missing.

    {index} counts the images whose other fields are equal. Where the template has no {index}, these get
    numbers. So an image that is made later gets the name that was left for it.
    """
    names = [find_target(template, run, image, several=False, index=0) for run, image in places]
    total, counts = Counter(names), Counter[Path]()
    files = []
    for (run, image), name in zip(places, names, strict=True):
        counts[name] += 1
        files.append(find_target(template, run, image, several=total[name] > 1, index=counts[name]))
    return files


def find_target(
    template: str, run: Run, image: ImageRecord, *, several: bool, index: int | None = None
) -> Path:
    """Return the file for an image: fields filled in and cleaned, with the suffix of its format.

    With `several` the name gets a number: `index`, else the image's own in the response. The template is
    one that `check_template` accepts.
    """
    options = {**run.request.options, **run.request.extra}
    values = {
        "id": run.id,
        "index": str(image.index if index is None else index),
        "model": run.sent.model or run.request.model or "default",
        "endpoint": run.request.endpoint,
        "seed": str(options.get("seed", "none")),
        "size": f"{image.width}x{image.height}" if image.width else "unknown",
        "date": time.strftime("%Y-%m-%d", time.localtime(run.created)),
    }
    folder, name = os.path.split(os.path.expanduser(template))  # the parts as typed
    stem, suffix = os.path.splitext(name)  # a name, not a path
    if suffix.lower() not in _KNOWN:
        stem, suffix = name, ""
    if several and "{index}" not in template:
        stem += "-{index}"
    file_format = BY_MIME.get(image.mime or "image/png")
    right = file_format.suffixes if file_format else (".bin",)  # of a newer version
    filled = to_file_name(_fill(stem, values), suffix.lower() if suffix.lower() in right else right[0])
    folders = [to_file_name(_fill(part, values)) if "{" in part else part for part in Path(folder).parts]
    return Path(*folders, filled)


def _fill(text: str, values: Mapping[str, str]) -> str:
    # A value may hold anything that a server or user named: it must not add a folder.
    return _FIELD.sub(lambda match: re.sub(r"[/\\]", "-", values[match[1]]), text)


def make_empty_error(result: str, reason: str | None) -> StoreError:
    """Return the error for a result without an image."""
    if reason:
        return StoreError(_("{result} has no image to save: {reason}", result=result, reason=reason))
    return StoreError(_("{result} has no image to save. Save a result that has one.", result=result))


def write_file(data: bytes, path: Path) -> Path:
    """Write the bytes to `path`, or to `name-2`, `name-3` … when a different file is there; return the path.

    A file that holds the same bytes is left as it is. Raises StoreError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for count in range(1, 10_000):
            file = path if count == 1 else path.with_stem(f"{path.stem}-{count}")
            try:
                _write_new(data, file)
            except FileExistsError:
                if file.is_file() and file.read_bytes() == data:
                    return file
            else:
                return file
        reason: str = _("too many files have that name")
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except ValueError:  # NUL, or half a character
        reason = _("no file can have that name")
    raise StoreError(
        _(
            "The image is in the history, but {path} cannot be written: {reason}. Save it to another file.",
            path=truncate(str(path), 300),
            reason=reason,
        )
    )


def _write_new(data: bytes, path: Path) -> None:
    """Write a file that must not exist; when that fails, none is left."""
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise
