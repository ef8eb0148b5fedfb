"""Request bodies: JSON objects, and the two ways in which an edit brings its pictures."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipyimagegen.sketch.server.fields import from_text
from ipyimagegen.sketch.server.forms import is_form, parts
from ipyimagegen.sketch.server.replies import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipyimagegen.sketch.server.fields import Rule

PICTURES = 16
_DATA = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


@dataclass(slots=True)
class Body:
    """The body of an edit: fields as JSON values, files as bytes.

    `image` is what the pictures are called in it, for refusals.
    """

    image: str
    fields: dict[str, Any] = field(default_factory=dict)
    pictures: list[bytes] = field(default_factory=list)
    mask: bytes | None = None


def json_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of the request. Raises Refusal."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refusal("We could not parse the JSON body of your request. The API expects a JSON object.")
    return body


def edit(raw: bytes, content_type: str, rules: Mapping[str, Rule]) -> Body:
    """Return the body of an edit, a form or JSON; `rules` say what a form's text stands for.

    Raises Refusal; whether there are too few or too many pictures is asked of `counted`.
    """
    return _form(raw, content_type, rules) if is_form(content_type) else _json(raw)


def counted(body: Body) -> Body:
    """Return the body if it has 1 to 16 pictures. Raises Refusal."""
    if not body.pictures:
        message = f"Missing required parameter: '{body.image}'."
        raise Refusal(message, param=body.image, code="missing_required_parameter")
    if len(body.pictures) > PICTURES:
        raise _long(body.image, len(body.pictures))
    return body


def _form(raw: bytes, content_type: str, rules: Mapping[str, Rule]) -> Body:
    """`image` or `image[]`, repeated as wanted, and `mask` are files; everything else is text."""
    body = Body("image")
    for part in parts(raw, content_type):
        if part.name in {"image", "image[]"}:
            body.pictures.append(part.data)
        elif part.name in body.fields or (part.name == "mask" and body.mask is not None):
            name = part.name[:80]
            raise Refusal(f"Duplicate parameter: '{name}'.", param=name, code="duplicate_parameter")
        elif part.name == "mask":
            body.mask = part.data
        else:
            body.fields[part.name] = _text(part.name, part.data, rules)
    return body


def _text(name: str, data: bytes, rules: Mapping[str, Rule]) -> Any:
    if name not in rules:
        return ""  # whatever it is, the field is refused
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    if text is None:
        message = f"Invalid '{name[:80]}': its text is not UTF-8."
        raise Refusal(message, param=name[:80], code="invalid_value")
    return from_text(text, rules[name])


def _json(raw: bytes) -> Body:
    """`images` is a list of references, `mask` one reference."""
    given = json_object(raw)
    images, mask = given.pop("images", None), given.pop("mask", None)
    body = Body("images", given)
    if images is None:
        return body
    if not isinstance(images, list):
        raise _type("images", "an array of objects")
    if not images:
        message = "Invalid 'images': empty array. Expected an array with minimum length 1."
        raise Refusal(message, param="images", code="invalid_value")
    if len(images) > PICTURES:
        raise _long("images", len(images))
    body.pictures = [_referred(f"images[{k}]", image) for k, image in enumerate(images)]
    body.mask = None if mask is None else _referred("mask", mask)
    return body


def _referred(name: str, value: Any) -> bytes:
    """Return the bytes of {"image_url": "data:…"}. Raises Refusal."""
    if not isinstance(value, dict):
        raise _type(name, "an object with 'image_url'")
    for key in value:
        if key not in {"image_url", "file_id"}:
            param = f"{name}.{key[:80]}"
            raise Refusal(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    if value.get("file_id") is not None:
        raise _only(f"{name}.file_id", "sketch keeps no uploaded files")
    url = value.get("image_url")
    if url is None:
        param = f"{name}.image_url"
        message = f"Missing required parameter: '{param}'."
        raise Refusal(message, param=param, code="missing_required_parameter")
    if not isinstance(url, str):
        raise _type(f"{name}.image_url", "a string")
    head = _DATA.match(url)
    if not head:
        raise _only(f"{name}.image_url", "sketch makes no network calls")
    try:
        return base64.b64decode(memoryview(url.encode("ascii"))[head.end() :], validate=True)
    except (binascii.Error, UnicodeEncodeError):
        pass
    raise Refusal(f"Invalid '{name}.image_url': not base64.", param=f"{name}.image_url", code="invalid_value")


def _long(name: str, count: int) -> Refusal:
    message = f"Invalid '{name}': too many pictures. Expected at most {PICTURES}, got {count}."
    return Refusal(message, param=name, code="invalid_value")


def _type(name: str, wanted: str) -> Refusal:
    return Refusal(f"Invalid type for '{name}': expected {wanted}.", param=name, code="invalid_type")


def _only(name: str, why: str) -> Refusal:
    message = f"Invalid '{name}': {why}. Send the picture itself, as 'data:image/png;base64,…'."
    return Refusal(message, param=name, code="unsupported_value")
