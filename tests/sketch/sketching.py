"""What the tests of sketch share: a real server, images as bytes, calls of the bare application."""

import base64
import contextlib
import io
import json
import os
import re
import subprocess
import sys
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from PIL import Image, ImageDraw

from ipyimagegen.sketch.editing.edit import ImageEdit

EDITS = "/v1/images/edits"


@contextlib.contextmanager
def serving(*arguments, **environ):
    """Run the server on a free port; yield its base URL and the process."""
    command = [sys.executable, "-m", "ipyimagegen.sketch", "--port", "0", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, **environ}, **pipes) as process:
        try:
            line = process.stdout.readline()
            yield re.search(r"http://\S+/v1", line).group(), process
        finally:
            process.terminate()
            process.wait(10)


def edit(images, prompt, *, mask=None, width=None, height=None, seed=0, **options):
    """Return the first image (RGB or RGBA), edited; `mask` (L) is 255 where it may change."""
    size = (width or images[0].width, height or images[0].height)
    return ImageEdit.of(images, prompt, mask=mask, size=size, **options).paint(seed)


def opened(item):
    return Image.open(io.BytesIO(base64.b64decode(item.b64_json)))


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def url(data, mime="image/png"):
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def scenery(size=(160, 120), mode="RGB"):
    """A image with something everywhere, so that any changed pixel shows."""
    image = Image.radial_gradient("L").resize(size)
    image = Image.merge("RGB", (image, image.transpose(Image.Transpose.ROTATE_180), Image.new("L", size, 90)))
    ImageDraw.Draw(image).rectangle(
        (size[0] // 3, size[1] // 3, size[0] // 2, size[1] * 3 // 4), fill="#c04020"
    )
    if mode == "RGBA":
        alpha = Image.linear_gradient("L").resize(size)
        image.putalpha(alpha.point([0] * 90 + [255] * 166))
    return image


def hole(size=(160, 120), box=(30, 20, 110, 90), *, round_=False):
    """A mask as the API has it: transparent where to edit."""
    alpha = Image.new("L", size, 255)
    (ImageDraw.Draw(alpha).ellipse if round_ else ImageDraw.Draw(alpha).rectangle)(box, fill=0)
    mask = Image.new("RGBA", size, (0, 0, 0, 255))
    mask.putalpha(alpha)
    return mask


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = (
            int(status.split()[0]),
            {k.lower(): v for k, v in headers},
            body,
        )

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    def images(self):
        return [Image.open(io.BytesIO(base64.b64decode(item["b64_json"]))) for item in self.json["data"]]


def begin(app, method="POST", path="/v1/images/generations", body=None, **environ):
    """Call the application as a WSGI server does; return what it started with and its pieces, unread."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "SCRIPT_NAME": "", **environ}
    if method == "POST":
        environ = {"CONTENT_LENGTH": str(len(raw)), "CONTENT_TYPE": "application/json", **environ}
    environ["wsgi.input"] = io.BytesIO(raw)
    setup_testing_defaults(environ)
    started = []
    result = validator(app)(environ, lambda *given: started.append(given[:2]) or (lambda _: None))
    return started, result


def call(app, method="POST", path="/v1/images/generations", body=None, **environ):
    started, result = begin(app, method, path, body, **environ)
    try:
        body = b"".join(result)
        return Answer(*started[0], body)
    finally:
        result.close()


def form(*parts, boundary="----bound"):
    """Return body and content type of a form made of (name, bytes) or (name, bytes, more header lines)."""
    raw = b""
    for name, data, *more in parts:
        head = [f'Content-Disposition: form-data; name="{name}"', *more]
        raw += f"--{boundary}\r\n".encode() + "\r\n".join(head).encode() + b"\r\n\r\n" + data + b"\r\n"
    return raw + f"--{boundary}--\r\n".encode(), f'multipart/form-data; boundary="{boundary}"'


def call_form(app, *parts):
    body, kind = form(*parts)
    return call(app, path=EDITS, body=body, CONTENT_TYPE=kind)
