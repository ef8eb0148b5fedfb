"""Images of every format that a server may send: kept whole, named, and shown as far as that is safe."""

import base64
import io
import re

import numpy as np
import pytest
from loopback import b64
from PIL import AvifImagePlugin, Image
from sockets import items, reply

from ipyimagegen import imaging
from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.run import Status
from ipyimagegen.notebook.panel.gallery import Gallery

HOSTILE = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script></svg>'
SVG = b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn -->\n" + HOSTILE


def save(form, mode="RGB", frames=1, **options):
    """Return an image of 64x48 pixels whose frames are red, green and blue in turn."""
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    made = [Image.new("RGB", (64, 48), colours[at % 3]).convert(mode) for at in range(frames)]
    out = io.BytesIO()
    more = {"save_all": True, "append_images": made[1:]} if frames > 1 else {}
    made[0].save(out, form, **more, **options)
    return out.getvalue()


def decode(output):
    """Return the image of an output, which is a PNG or a JPEG, and nothing else is in it but text."""
    (mime,) = [mime for mime in output["data"] if mime.startswith("image/")]
    assert mime in ("image/png", "image/jpeg")
    assert output["data"].keys() == {mime, "text/plain"}
    data = output["data"][mime]
    return Image.open(io.BytesIO(base64.b64decode(data) if isinstance(data, str) else data))


SHOWN = {
    "GIF": lambda: save("GIF"),
    "GIF with frames": lambda: save("GIF", frames=3),
    "AVIF": lambda: save("AVIF"),
    "AVIF with frames": lambda: save("AVIF", frames=3),
}


@pytest.mark.parametrize("name", SHOWN)
def test_73_gif_and_avif_are_images_like_any_other(lab, name):
    data, frames = SHOWN[name](), 3 if "frames" in name else None
    lab.serve(reply(items(data)))
    cell = lab.cell("fox = %imagine a red fox\nfox")
    shown, fox = decode(cell.images[0]).convert("RGB"), lab.shell.user_ns["fox"][0]
    assert shown.size == fox.size == fox.pil.size == (64, 48)
    red, green, blue = shown.getpixel((30, 20))
    assert red > 150 > max(green, blue)  # the first frame
    assert np.asarray(fox).shape[:2] == (48, 64)
    assert fox.mime == f"image/{name[:4].strip().lower()}"
    assert fox.path.suffix == f".{name[:4].strip().lower()}"
    target = fox.save(lab.artefacts / "copy")
    assert (target.suffix, target.read_bytes()) == (fox.path.suffix, data)
    assert lab.runs[0].images[0].frames == frames
    assert ("3 frames" in cell.texts) is (frames == 3)
    lab.check(Status.DONE, 1, name[:4].strip(), delivered=[data], states=["stored"])


UNOPENED = {
    "SVG": (SVG, ".svg"),
    "JPEG XL": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), ".jxl"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), ".heic"),
    "TIFF": (save("TIFF"), ".tif"),
    "BMP": (save("BMP"), ".bmp"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), ".jp2"),
}


@pytest.mark.parametrize("name", UNOPENED)
def test_73_other_formats_are_kept_and_named(lab, name):
    """Such an image is delivered: the cell passes, and nothing asks for another request."""
    data, suffix = UNOPENED[name]
    lab.serve(reply(items(data)))
    cell = lab.cell("fox = %imagine a red fox\nfox")
    assert cell.error is None
    drawn, fox = decode(cell.images[0]), lab.shell.user_ns["fox"][0]
    assert max(drawn.size) > 300
    assert (fox.bytes, fox.size) == (data, (0, 0))
    assert fox.path.suffix == fox.save(lab.artefacts / "copy").suffix == suffix
    for opening in (lambda: fox.pil, lambda: np.asarray(fox)):
        with pytest.raises(StoreError, match=re.escape(str(fox.path))):
            opening()
    again = lab.cell("%imagine a red fox")
    assert "--retry" not in cell.texts + again.texts
    refused = lab.cell("%imagine --image {fox} a hat") if name in ("SVG", "JPEG XL", "HEIC") else None
    assert refused is None or refused.error
    lab.check(
        Status.DONE,
        1,
        f"{name} image.*{re.escape(str(fox.path))}",
        delivered=[data],
        states=["stored"],
        at=0,
    )
    pages = "".join(path.read_text() for path in lab.artefacts.glob("cell-*.html"))
    assert "<svg" not in pages
    assert "onload" not in pages


def test_73_avif_where_pillow_cannot_read_it(lab, monkeypatch):
    data = save("AVIF")
    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    lab.serve(reply(items(data)))
    lab.cell("fox = %imagine a red fox\nfox")
    fox = lab.shell.user_ns["fox"][0]
    with pytest.raises(StoreError, match="Pillow"):
        _ = fox.pil
    assert fox.save(lab.artefacts / "copy").read_bytes() == data
    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", True)
    assert fox.pil.size == (64, 48)
    lab.check(Status.DONE, 1, "AVIF image.*Pillow", delivered=[data], states=["stored"])


@pytest.mark.parametrize("name", [*UNOPENED, *SHOWN])
def test_73_the_panel_gives_a_browser_nothing_to_interpret(lab, name):
    data = UNOPENED[name][0] if name in UNOPENED else SHOWN[name]()
    lab.serve(reply(items(data)))
    lab.cell("fox = %imagine a red fox\nfox")
    gallery = Gallery()
    gallery.add(lab.shell.user_ns["fox"])
    file = gallery.find_file(lab.shell.user_ns["fox"][0].id)
    if name in UNOPENED:
        assert file.for_view.mime in ("image/png", "image/jpeg")
        assert file.for_view.data != data
        assert file.for_download.mime == "application/octet-stream"
    assert file.for_download.data == data
    thumb = imaging.make_preview([imaging.make_thumb(file.data, file.name, 192)])
    assert thumb.mime in ("image/png", "image/jpeg")
    lab.check(Status.DONE, 1, delivered=[data])


def test_73_formats_side_by_side(lab):
    data = [save("GIF", frames=2), save("AVIF"), SVG, UNOPENED["JPEG XL"][0], save("PNG")]
    lab.serve(reply(items(*data)))
    cell = lab.cell("%imagine -n 5 a red fox")
    assert decode(cell.images[0]).width > 300
    assert {path.suffix for path in lab.home.glob("images/*/*")} == {".gif", ".avif", ".svg", ".jxl", ".png"}
    lab.check(Status.DONE, 1, "image 3: SVG", delivered=data, states=["stored"] * 5)


def test_73_an_svg_that_was_requested(lab):
    """The label is a habit of the server; the request says what it is."""
    lab.serve(reply({"data": [{"b64_json": b64(SVG)}], "output_format": "png"}))
    cell = lab.cell("%imagine --output-format svg a red fox")
    assert "format:" not in cell.texts
    lab.check(Status.DONE, 1, "SVG", delivered=[SVG], states=["stored"])


@pytest.mark.parametrize("label", ["output_format", "data URL", "name"])
def test_73_an_svg_that_is_called_something_else(lab, label):
    server = lab.serve([])
    item = {
        "output_format": {"b64_json": b64(SVG), "output_format": "webp"},
        "data URL": {"url": f"data:image/png;base64,{b64(SVG)}"},
        "name": {"url": f"{server.origin}/fox.png?sig=.svg"},
    }[label]
    server.answer = [reply({"data": [item]}), reply(SVG, kind="image/png")]
    assert lab.cell().error
    lab.check(Status.DONE, 1, "SVG", delivered=[SVG], states=["quarantined"])
    assert {path.suffix for path in lab.home.glob("quarantine/*")} == {".bin"}


EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\3\0\1\0\0\0%c\0\0\0\0\0\0\0"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize(("orientation", "size"), [(6, (48, 64)), (8, (48, 64)), (3, (64, 48))])
def test_74_an_image_is_measured_as_it_is_shown(lab, form, orientation, size):
    data = save(form, exif=EXIF % orientation)
    asked = f"{size[0]}x{size[1]}"
    lab.serve([reply(items(data)), reply(items(save("PNG")))])
    cell = lab.cell(f"fox = %imagine --size {asked} a red fox\nfox")
    fox = lab.shell.user_ns["fox"][0]
    assert decode(cell.images[0]).size == fox.size == fox.pil.size == size
    assert np.asarray(fox).shape[:2] == size[::-1]
    assert lab.runs[0].mismatches == ()
    lab.cell("%imagine --image {fox} a hat")
    sent = lab.runs[1].request.inputs[0]
    assert (sent.width, sent.height) == size
    lab.check([Status.DONE] * 2, 2, asked, delivered=[data], at=0)
