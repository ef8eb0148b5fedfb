"""A call's body as bytes: JSON with images as data URLs, or a form with images as files."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from ipyimagegen.core.options import Json


@dataclass(frozen=True, kw_only=True)
class File:
    """An image that stands in a body, wherever a JSON value may; `name` has the suffix of its format.

    `bare` says that JSON wants its base64 alone, without the head of a data URL.
    """

    data: bytes = field(repr=False)
    mime: str
    name: str
    sha256: str = ""
    width: int = 0
    height: int = 0
    bare: bool = False

    def __str__(self) -> str:
        size = f"{self.width}x{self.height}, {len(self.data):,} bytes"
        return f"<{self.mime.removeprefix('image/')} {size}, sha256 {self.sha256[:12]}>"

    @property
    def url(self) -> str:
        """The image as a data URL, or as bare base64."""
        head = "" if self.bare else f"data:{self.mime};base64,"
        return head + base64.b64encode(self.data).decode()


def shown(value: Json) -> Json:
    """Return a body as it is shown and recorded: a few words stand for each image."""
    return _replaced(value, str)


def encoded(body: Mapping[str, Json], *, form: bool, boundary: str) -> tuple[str, bytes]:
    """Return the content type and the bytes of a body.

    A form repeats a field for each image of a list; what is neither text nor image is written in
    it as JSON. `boundary` is random, and the same for every repeat of a call.
    """
    if not form:
        whole = _replaced(body, lambda one: one.url)
        return "application/json", json.dumps(whole, allow_nan=False).encode()
    data, kind = encode_multipart_formdata(list(_fields(body)), boundary)
    return kind, data


def _replaced(value: Json, by: Json) -> Json:
    if isinstance(value, File):
        return by(value)
    if isinstance(value, Mapping):
        return {k: _replaced(v, by) for k, v in value.items()}
    return [_replaced(one, by) for one in value] if isinstance(value, (list, tuple)) else value


def _fields(body: Mapping[str, Json]) -> Iterator[RequestField]:
    for name, value in body.items():
        several = isinstance(value, list) and value and all(isinstance(one, File) for one in value)
        for one in value if several else [value]:
            if isinstance(one, File):
                field_ = RequestField(name, one.data, filename=one.name)
                field_.make_multipart(content_type=one.mime)
            else:
                text = one if isinstance(one, str) else json.dumps(_replaced(one, str), allow_nan=False)
                field_ = RequestField(name, text.encode())
                field_.make_multipart()
            yield field_
