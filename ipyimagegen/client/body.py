"""The HTTP request of a call, and its body: JSON with images as data URLs, or a form with images as files."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from ipyimagegen.core.options import Json


@dataclass(frozen=True, kw_only=True)
class BodyImage:
    """An image in a body, wherever a JSON value may stand; `name` has the suffix of its format.

    `bare` means that JSON has its base64 alone, without the head of a data URL.
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

    def to_text(self) -> str:
        """Return the image as a data URL, or as bare base64."""
        head = "" if self.bare else f"data:{self.mime};base64,"
        return head + base64.b64encode(self.data).decode()


@dataclass(frozen=True, kw_only=True)
class HttpCall:
    """An HTTP request, complete but for its key.

    `body` holds JSON values, and a `BodyImage` wherever an image stands; with `form` it is sent as
    multipart/form-data. A GET has no body. `headers` are added to those of every call. The key is put into
    `key_header` at sending, after "Bearer " if that is Authorization. `n` is how many images are requested:
    it bounds the size of the response.
    """

    url: str
    body: Mapping[str, Json] = field(default_factory=dict)
    method: Literal["POST", "GET"] = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    form: bool = False
    key_header: str = "Authorization"
    n: int = 1
    streams: bool = False

    @property
    def summary(self) -> Mapping[str, Json]:
        """The body as it is shown and recorded: a few words stand for each image."""
        body: Mapping[str, Json] = _replace_images(self.body, str)
        return body

    def encode(self, boundary: str) -> tuple[str, bytes]:
        """Return the content type and the bytes of the body.

        A form repeats a field for each image of a list; what is neither text nor image is written as JSON.
        `boundary` is random, and the same for every repeat of a call.
        """
        if not self.form:
            body = _replace_images(self.body, BodyImage.to_text)
            return "application/json", json.dumps(body, allow_nan=False).encode()
        data, content_type = encode_multipart_formdata(list(_list_fields(self.body)), boundary)
        return content_type, data


def _replace_images(value: Json, convert: Callable[[BodyImage], str]) -> Json:
    if isinstance(value, BodyImage):
        return convert(value)
    if isinstance(value, Mapping):
        return {name: _replace_images(member, convert) for name, member in value.items()}
    return [_replace_images(v, convert) for v in value] if isinstance(value, (list, tuple)) else value


# Tables that a form has member by member, as `svg[model]`, by OpenAI's reference; others are written as JSON.
_BY_MEMBER = frozenset({"svg"})


def _list_fields(body: Mapping[str, Json]) -> Iterator[RequestField]:
    for name, value in body.items():
        if isinstance(value, Mapping) and name.partition("[")[0] in _BY_MEMBER:
            yield from _list_fields({f"{name}[{member}]": inner for member, inner in value.items()})
            continue
        several = isinstance(value, list) and value and all(isinstance(item, BodyImage) for item in value)
        for item in value if several else [value]:
            if isinstance(item, BodyImage):
                form_field = RequestField(name, item.data, filename=item.name)
                form_field.make_multipart(content_type=item.mime)
            else:
                summary = _replace_images(item, str)
                text = item if isinstance(item, str) else json.dumps(summary, allow_nan=False)
                form_field = RequestField(name, text.encode())
                form_field.make_multipart()
            yield form_field
