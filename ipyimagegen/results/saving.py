"""The file that an image is saved to: a template with fixed fields, never over a different file."""

from __future__ import annotations

import builtins
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from string import Formatter
from typing import Any, Protocol

from ipyimagegen import imaging
from ipyimagegen.core.errors import InvalidOption, StoreError, suggest_name
from ipyimagegen.core.formats import BY_MIME, FORMATS, SVG
from ipyimagegen.core.messages import Message, OptionName, _
from ipyimagegen.core.run import ImageRecord, Run
from ipyimagegen.core.text import NAME_BYTES, to_file_name, to_slug, truncate

# The fields with a value of their kind, to try a format on before anything is paid for.
_SAMPLES: Mapping[str, Any] = {
    "id": "1120-k7f2/3",
    "index": 1,
    "model": "model",
    "endpoint": "endpoint",
    "seed": 1,
    "size": "1024x1024",
    "date": datetime(2026, 11, 20, 9, 30),
    "prompt": "a-red-fox",
}
FIELDS = tuple(_SAMPLES)
_PROMPT_LENGTH = 60  # characters of the prompt in a name
_KNOWN = {suffix: file_format for file_format in FORMATS for suffix in file_format.suffixes}


def read_template(path: object) -> str:
    """Return the template for the names of files. Raises InvalidOption for what cannot be one.

    It is a path as a person types it: `~` and a variable at its beginning stand for folders. Its fields are
    filled in by `find_target`, with formats as in f-strings.
    """
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text.strip():
        given = _("an empty text") if isinstance(text, str) else type(path).__name__
        raise InvalidOption(_("{save} takes a path, not {given}.", save=OptionName("save"), given=given))
    template = str(imaging.expand_path(text)) + text[len(text.rstrip("/" + os.sep)) :]
    if variable := re.match(r"\$(\w+)[/\\]", template):
        raise InvalidOption(
            _(
                "{save} begins with the variable {name}, which holds no folder. Write the folder itself.",
                save=OptionName("save"),
                name=variable[1],
            )
        )
    for _literal, field, spec, conversion in _parse(template):
        if field is not None:
            _check_field(field, f"!{conversion}" if conversion else spec or "")
    if template.endswith(("/", os.sep)) or os.path.isdir(template):
        inside = os.path.join(text, "{id}")  # as typed
        raise InvalidOption(
            _("{path} is a folder. Name a file, such as {example}.", path=text, example=inside)
        )
    return template


def _parse(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    with suppress(ValueError):
        return list(Formatter().parse(template))
    raise InvalidOption(
        _(
            "The braces in {path} are not closed. A field is {example}, a brace {doubled}.",
            path=truncate(template, 300),
            example="{index}",
            doubled="{{",
        )
    )


def _check_field(name: str, spec: str) -> None:
    """Raise InvalidOption for an unknown field, and for a format that cannot be applied or makes folders."""
    values: dict[str, Any] = {"field": f"{{{name}}}", "fields": ", ".join(FIELDS)}
    if name not in FIELDS:
        raise InvalidOption(
            _(
                "Unknown field {field} in the name of the file: choose {fields}.{suggestion}",
                **values,
                suggestion=suggest_name(name, FIELDS),
            )
        )
    numbers = [int(digits) for digits in re.findall(r"\d+", spec[:NAME_BYTES])]
    is_plain = (
        len(spec) < NAME_BYTES and not re.search(r"[{}/\\!]", spec) and max(numbers, default=0) < NAME_BYTES
    )
    if is_plain and (name != "date" or not spec or "%" in spec):
        with suppress(ValueError, TypeError):
            _format(_SAMPLES[name], spec)
            return
    raise InvalidOption(
        _(
            "Invalid format {spec!r} of {field} in the name of the file: write it as in {examples}.",
            **values,
            spec=truncate(spec, 40),
            examples=["{index:02d}", "{date:%Y-%m}", "{prompt:.20}"],
        )
    )


def _format(value: Any, spec: str) -> str:
    if isinstance(value, datetime):
        return format(value, spec or "%Y-%m-%d")
    return format(value, spec)


def check_place(template: str) -> None:
    """Raise InvalidOption when the template names a file that cannot be made, as far as known."""
    wanted = _KNOWN.get(os.path.splitext(template)[1].lower())
    if wanted and wanted is not SVG and not imaging.can_convert("image/png", wanted.name):
        raise InvalidOption(
            _(
                "Cannot save to {path}: images cannot be converted to {format}. Nothing was sent. Choose "
                "another suffix, such as .png.",
                path=truncate(template, 300),
                format=wanted.title,
            )
        )
    known = os.path.dirname(template.partition("{")[0])  # folders up to the first field
    place = Path(known)
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

    The suffix is that of the template if the image can be converted to its format, else that of the image's
    own. With `several` the name gets a number: `index`, else the image's own in the response. The template is
    from `read_template`.
    """
    options = {**run.request.options, **run.request.extra}
    values = {
        "id": run.id,
        "index": image.index if index is None else index,
        "model": run.sent.model or run.request.model or "default",
        "endpoint": run.request.endpoint,
        "seed": options.get("seed", "none"),
        "size": f"{image.width}x{image.height}" if image.width else "unknown",
        "date": datetime.fromtimestamp(run.created),
        "prompt": to_slug(run.request.prompt, _PROMPT_LENGTH) or "image",
    }
    folder, name = os.path.split(template)  # the parts as typed
    stem, suffix = os.path.splitext(name)  # a name, not a path
    wanted = _KNOWN.get(suffix.lower()) if "}" not in suffix else None
    if wanted is None:
        stem = name
    if several and all(field != "index" for _literal, field, *_rest in _parse(template)):
        stem += "-{index}"
    own = BY_MIME.get(image.mime or "image/png")
    if wanted and (wanted is own or imaging.can_convert(image.mime, wanted.name)):
        suffix = suffix.lower()
    else:
        suffix = own.suffixes[0] if own else ".bin"  # of a newer version
    folders = [to_file_name(_fill(part, values)) if "{" in part else part for part in Path(folder).parts]
    return Path(*folders, to_file_name(_fill(stem, values), suffix))


def _fill(text: str, values: Mapping[str, Any]) -> str:
    filled = ""
    for literal, field, spec, _conversion in _parse(text):
        filled += literal
        if field is not None:
            # A value may hold anything that a server or user named: it must not add a folder.
            filled += re.sub(r"[/\\]", "-", _fill_field(values[field], spec or ""))
    return filled


def _fill_field(value: Any, spec: str) -> str:
    with suppress(ValueError, TypeError):  # the word of a value that is missing takes no format of numbers
        return _format(value, spec)
    return str(value)


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


def write_image(data: bytes, mime: str, path: Path) -> tuple[Path, Message | None]:
    """Write an image to `path` like `write_file`, in the format of its suffix, and return what was converted.

    What cannot be converted is written as it is, with the suffix of its own format. Raises StoreError.
    """
    own, wanted = BY_MIME.get(mime), _KNOWN.get(path.suffix)
    if own is None or wanted is None or wanted is own:
        return write_file(data, path), None
    try:
        converted, notes = imaging.convert_file(data, wanted.name)
    except Exception:  # noqa: BLE001 - decoders of hostile files raise anything
        file = write_file(data, path.with_suffix(own.suffixes[0]))
        values = {"file": file, "own": own.title, "wanted": wanted.title}
        return file, _("{file} is {own}: it cannot be converted to {wanted}", **values)
    file = write_file(converted, path)
    values = {
        "file": file,
        "changes": [_("converted from {own} to {wanted}", own=own.title, wanted=wanted.title), *notes],
    }
    return file, _("{file} was {changes}", **values)


class Savable(Protocol):
    """An image of a result."""

    @property
    def bytes(self) -> builtins.bytes:
        """Its bytes."""

    @property
    def mime(self) -> str:
        """Its type."""


def write_images(targets: Iterable[tuple[Savable, Path]]) -> tuple[tuple[Path, ...], tuple[Message, ...]]:
    """Write images to their files; return the files and what was converted. Raises StoreError."""
    written = [write_image(image.bytes, image.mime, file) for image, file in targets]
    return tuple(file for file, _note in written), tuple(note for _file, note in written if note)


def warn(notes: Iterable[Message]) -> None:
    """Warn a Python call of what was converted, where its user sees it."""
    for note in notes:
        warnings.warn(str(note), stacklevel=3)


def _write_new(data: bytes, path: Path) -> None:
    """Write a file that must not exist; when that fails, none is left."""
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise
