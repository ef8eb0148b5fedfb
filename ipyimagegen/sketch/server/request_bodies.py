"""Request bodies: JSON objects and multipart forms, and the two ways in which an edit brings its images.

Forms are split by `bytes.find`: `email`, which parses their header lines, takes 26 ms a megabyte.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from typing import Any

from ipyimagegen.sketch.server.fields import Field, convert_text
from ipyimagegen.sketch.server.replies import Refusal, refuse_missing, refuse_value

MOST_IMAGES = 16
GUIDES = ("mask", "markup")
SEND = "Send the image itself, as 'data:image/png;base64,…'."
MOST_PARTS = 100  # of a form: the images, a mask, and all the fields there are
PART_HEAD = 8192  # bytes of a part's header lines
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_LINE_END = re.compile(rb"(--)?[ \t]*(\r\n|\Z)")


@dataclass(slots=True)
class EditBody:
    """The body of an edit: fields as JSON values, files as bytes; `image` is the images' name in it.

    `guides` are the mask and the markup.
    """

    image: str
    fields: dict[str, Any] = field(default_factory=dict)
    images: list[bytes] = field(default_factory=list)
    guides: dict[str, bytes] = field(default_factory=dict)

    def check_images(self) -> None:
        """Check that there are 1 to 16 images. Raises Refusal."""
        if not self.images:
            raise refuse_missing(self.image)
        if len(self.images) > MOST_IMAGES:
            limit = f"Expected at most {MOST_IMAGES}, got {len(self.images)}."
            raise refuse_value(self.image, f"Invalid '{self.image}': too many images. {limit}")


def parse_json(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of the request. Raises Refusal."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refusal("We could not parse the JSON body of your request. The API expects a JSON object.")
    return body


def parse_edit(raw: bytes, content_type: str, fields: Mapping[str, Field]) -> EditBody:
    """Return the body of an edit, a form or JSON; a form's texts are converted as `fields` require.

    Raises Refusal, but the number of images is checked by `EditBody.check_images`.
    """
    return _parse_form(raw, content_type, fields) if is_form(content_type) else _parse_json_edit(raw)


def _parse_form(raw: bytes, content_type: str, fields: Mapping[str, Field]) -> EditBody:
    """`image` or `image[]`, repeated for several, and the guides are files; everything else is text."""
    body = EditBody("image")
    for name, data in split_form(raw, content_type):
        if name in {"image", "image[]"}:
            body.images.append(data)
        elif name in body.fields or name in body.guides:
            raise refuse_value(name[:80], f"Duplicate parameter: '{name[:80]}'.", "duplicate_parameter")
        elif name in GUIDES:
            body.guides[name] = data
        else:
            body.fields[name] = _decode_text(name, data, fields)
    return body


def _decode_text(name: str, data: bytes, fields: Mapping[str, Field]) -> Any:
    if name not in fields:
        return ""  # the field is refused, whatever it is
    try:
        return convert_text(data.decode(), fields[name])
    except UnicodeDecodeError:
        pass
    raise refuse_value(name, f"Invalid '{name}': its text is not UTF-8.")


def _parse_json_edit(raw: bytes) -> EditBody:
    """`images` is a list of references, a guide is a reference."""
    fields = parse_json(raw)
    images, guides = fields.pop("images", None), {name: fields.pop(name, None) for name in GUIDES}
    body = EditBody("images", fields)
    if images is None:
        return body
    if not isinstance(images, list):
        raise refuse_value(
            "images", "Invalid type for 'images': expected an array of objects.", "invalid_type"
        )
    if not images:
        minimum = "Expected an array with minimum length 1."
        raise refuse_value("images", f"Invalid 'images': empty array. {minimum}")
    body.images = [_decode_reference(f"images[{k}]", image) for k, image in enumerate(images)]
    body.guides = {k: _decode_reference(k, guide) for k, guide in guides.items() if guide is not None}
    return body


def _decode_reference(name: str, value: Any) -> bytes:
    """Return the bytes of {"image_url": "data:…"}. Raises Refusal."""
    if not isinstance(value, dict):
        message = f"Invalid type for '{name}': expected an object with 'image_url'."
        raise refuse_value(name, message, "invalid_type")
    for key in value:
        if key not in {"image_url", "file_id"}:
            param = f"{name}.{key[:80]}"
            raise refuse_value(param, f"Unknown parameter: '{param}'.", "unknown_parameter")
    if value.get("file_id") is not None:
        message = f"Invalid '{name}.file_id': sketch keeps no uploaded files. {SEND}"
        raise refuse_value(f"{name}.file_id", message, "unsupported_value")
    param, url = f"{name}.image_url", value.get("image_url")
    if url is None:
        raise refuse_missing(param)
    if not isinstance(url, str):
        raise refuse_value(param, f"Invalid type for '{param}': expected a string.", "invalid_type")
    head = _DATA_URL.match(url)
    if not head:
        message = f"Invalid '{param}': sketch makes no network calls. {SEND}"
        raise refuse_value(param, message, "unsupported_value")
    try:
        return base64.b64decode(memoryview(url.encode("ascii"))[head.end() :], validate=True)
    except (binascii.Error, UnicodeEncodeError):
        pass
    raise refuse_value(param, f"Invalid '{param}': not base64.")


def is_form(content_type: str) -> bool:
    """Return whether a body of that type is a form with parts."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def split_form(raw: bytes, content_type: str) -> list[tuple[str, bytes]]:
    """Return name and content of each part of a form. Raises Refusal for a form that is not whole."""
    head = Message()
    head["Content-Type"] = content_type
    boundary = head.get_boundary()
    if not boundary:
        raise _refuse_form("its Content-Type names no boundary")
    parts: list[tuple[str, bytes]] = []
    start = -1
    for before, after, last in _find_boundaries(raw, b"--" + boundary.encode("latin-1", "replace")):
        if start >= 0:
            parts.append(_split_part(raw, start, before))
        if last:
            return parts
        if len(parts) == MOST_PARTS:
            raise _refuse_form(f"it has more than {MOST_PARTS} parts")
        start = after
    raise _refuse_form("it ends before its closing boundary" if start >= 0 else "it has no boundary")


def _find_boundaries(raw: bytes, boundary: bytes) -> Iterator[tuple[int, int, bool]]:
    """Yield for each boundary line: where what is before it ends, where the next part begins, if it closes.

    A line that only begins like a boundary belongs to the content.
    """
    place = 0
    while (start := raw.find(boundary, place)) >= 0:
        place = start + len(boundary)
        line = _LINE_END.match(raw, place)
        opens = start == 0 or raw.startswith(b"\r\n", start - 2)
        if opens and line:
            yield max(start - 2, 0), line.end(), bool(line[1])


def _split_part(raw: bytes, start: int, end: int) -> tuple[str, bytes]:
    # two bytes back: a part without header lines has only the empty line
    stop = raw.find(b"\r\n\r\n", start - 2, min(end + 2, start + PART_HEAD))
    if stop < 0:
        raise _refuse_form("a part has no end of its header lines")
    head = HeaderParser().parsestr(raw[start : max(stop, start)].decode("utf-8", "replace"))
    name = head.get_param("name", header="content-disposition")
    if not name:
        raise _refuse_form("a part has no name")
    return collapse_rfc2231_value(name), raw[stop + 4 : end]


def _refuse_form(why: str) -> Refusal:
    return Refusal(f"We could not parse the multipart form of your request: {why}.")
