"""Images and servers that tests make themselves: real files, real HTTP on loopback."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path

from PIL import Image

CANARY = "sk-canary-0123456789abcdefXYZ"


def image_bytes(width=64, height=48, colour=(200, 30, 30), kind="PNG", mode="RGB"):
    """Return a real image file."""
    out = io.BytesIO()
    Image.new(mode, (width, height), colour).save(out, kind)
    return out.getvalue()


def b64(data):
    """Return bytes as the API sends them."""
    return base64.b64encode(data).decode()


@dataclass
class Seen:
    """One request that a server got."""

    method: str
    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def form(self):
        """Return the parts of a multipart body: (field, file name or None, content type, bytes)."""
        kind = next(v for k, v in self.headers.items() if k.lower() == "content-type")
        whole = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + self.body, policy=policy.HTTP)
        assert whole.is_multipart(), kind
        return [
            Part(
                part.get_param("name", header="content-disposition"),
                part.get_filename(),
                part.get_content_type(),
                part.get_payload(decode=True),
            )
            for part in whole.iter_parts()
        ]

    @property
    def fields(self):
        """Return the texts of a multipart body by name."""
        return {part.name: part.data.decode() for part in self.form if part.file_name is None}

    @property
    def files(self):
        """Return the files of a multipart body, in order."""
        return [part for part in self.form if part.file_name is not None]


@dataclass(frozen=True)
class Part:
    """One part of a form, as another implementation than ours reads it."""

    name: str
    file_name: str | None
    type: str
    data: bytes

    @property
    def image(self):
        """Return the image."""
        return Image.open(io.BytesIO(self.data))


@dataclass
class Server:
    """A server on loopback; `answer(seen)` returns (status, headers, bytes or JSON)."""

    base_url: str
    requests: list[Seen] = field(default_factory=list)

    @property
    def posts(self):
        """Return the POSTs that arrived: what may have cost money."""
        return [request for request in self.requests if request.method == "POST"]


def records(home):
    """Return every record in a store as JSON, by lasting id."""
    by_id = {}
    for path in sorted(Path(home, "records").glob("*/*.json")):
        by_id[f"{path.parent.name}/{path.stem}"] = json.loads(path.read_text())
    return by_id
