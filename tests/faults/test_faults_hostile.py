"""What comes back is hostile: it is kept as it came, capped, never opened, and shown as plain text."""

import gzip
import io
import re
import struct
import zlib

import pytest
from loopback import b64, image_bytes
from PIL import Image
from sockets import items, reply
from watching import Peak, watched_reads

from ipyimagegen.core.run import Status

MIB = 1 << 20
GOOD = image_bytes()
BEGIN = b'{"data":[{"b64_json":"'
ENDLESS = {"one string": (BEGIN, b"A" * MIB), "items": (b'{"data":[', b"{}," * MIB)}


def for_ever(begin, more, head):
    """Return an answer that does not end; the client has to."""

    def answer(conn, _):
        conn.sendall(head + begin)
        while True:
            conn.sendall(more)

    return answer


@pytest.mark.parametrize("kind", ENDLESS)
def test_31_json_without_end(lab, kind):
    begin, more = ENDLESS[kind]
    lab.limit(whole=20)
    lab.serve(for_ever(begin, more, reply(b"", length=False)))
    lab.cell()
    lab.check(Status.UNKNOWN, 1, raw=begin + more[:1000])
    most = 64 * MIB * 4 // 3  # of base64
    assert sum(path.stat().st_size for path in lab.home.rglob("*")) < most + 3 * MIB


def bomb(begin=BEGIN):
    """Return some kilobytes of gzip that are 160 MiB when they are unpacked."""
    packer = zlib.compressobj(wbits=31)
    first, more = (packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH) for part in (begin, b"A" * MIB))
    return first + more * 160  # after a full flush each piece stands alone


def test_32_gzip_bomb(lab):
    server = lab.serve([])
    packed = ["Content-Encoding: gzip"]
    server.answer = [
        reply(bomb(), "200 OK", *packed),
        reply(gzip.compress(bomb()), "200 OK", "Content-Encoding: gzip, gzip"),
        reply(bomb(b""), "400 Bad Request", *packed),
        reply({"data": [{"url": f"{server.origin}/image"}]}),
        reply(bomb(b"\x89PNG\r\n\x1a\n"), "200 OK", *packed, kind="image/png"),
    ]
    lab.limit(whole=20)
    for seed in range(4):
        lab.cell(f"%imagine --seed {seed} a red fox")
    expected = [Status.UNKNOWN, Status.UNKNOWN, Status.REFUSED, Status.DONE]
    assert len(lab.cells[2].texts) < 1000
    lab.check(expected, 4, "64 MiB", raw=BEGIN, states=["url_pending"])


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, pixels, *more):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + b"".join([header, *more, chunk(b"IDAT", pixels), chunk(b"IEND", b"")])


def test_33_images_that_burst(lab):
    """Of what the header promises nothing is decoded, and no text is unpacked."""
    huge = png(30_000, 30_000, zlib.compress(bytes(20 * MIB)))
    large, many = (zlib.compress(bytes(size * MIB), 9) for size in (64, 1))
    texts = [chunk(b"zTXt", b"Comment\0\0" + packed) for packed in (large, *[many] * 70)]
    rows = zlib.compress(b"\0\xff" * 8)
    long, lots = png(8, 8, rows, texts[0]), png(8, 8, rows, *texts[1:])
    assert len(huge) < 21_000
    lab.memory = Peak()  # what was made here does not count
    lab.serve([reply(items(huge)), reply(items(GOOD, huge, long, lots))])
    lab.cell()
    lab.cell("%imagine -n 4 a red fox")
    says = "(?s)image 2: .*30000×30000 px.*image 3: .*image 4: "
    states = ["stored", *["quarantined"] * 3]
    lab.check([Status.DONE] * 2, 2, says, delivered=[GOOD, huge, long, lots], states=states)
    assert "30000×30000" in lab.cells[0].texts


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
LABELLED = [SVG, b"<!doctype html><script>alert(1)</script>", b"%PDF-1.7\n%%EOF"]


def test_34_other_files_labelled_as_png(lab):
    server = lab.serve([])
    served = [{"url": f"{server.origin}/{k}.png"} for k in range(3)]
    inline = [{"b64_json": b64(data), "output_format": "png"} for data in LABELLED]
    server.answer = [
        reply({"data": [*inline, {"b64_json": b64(GOOD)}]}),
        reply({"data": served}),
        *(reply(data + b" ", kind="image/png") for data in LABELLED),
    ]
    assert lab.cell("%imagine -n 4 a red fox").error is None
    lab.cell("%imagine -n 3 a cat")
    kept = [GOOD, *LABELLED, *(data + b" " for data in LABELLED)]
    lab.check([Status.DONE] * 2, 2, delivered=kept, states=["quarantined"] * 3)
    assert [path.read_bytes() for path in lab.home.glob("images/*/*")] == [GOOD]
    assert {path.suffix for path in lab.home.glob("quarantine/*")} == {".bin"}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_35_images_cut_short(lab, kind):
    out = io.BytesIO()
    Image.effect_noise((160, 120), 90).convert("RGB").save(out, kind)
    whole = out.getvalue()
    cuts = [whole[:30], whole[: len(whole) // 2], whole[:-20], whole[:-3]]
    lab.serve([reply(items(GOOD, *cuts)), reply(items(cuts[0]))])
    cell = lab.cell("%imagine -n 5 a red fox")
    assert sorted(re.findall(r"! image (\d): ", cell.texts)) == ["2", "3", "4", "5"]
    lab.cell()
    lab.check([Status.DONE] * 2, 2, delivered=cuts)


def test_36_a_revised_prompt_with_a_script_a_path_and_an_address(lab):
    elsewhere, secret = lab.other(reply(GOOD, kind="image/png")), lab.folder / "artefacts" / "page.html"
    secret.write_bytes(b"<b>from the disk</b>")
    hostile = [
        "<script>alert('revised')</script><img src=x onerror=alert(2)>",
        str(secret),
        f"{elsewhere.origin}/image.png",
        f"![x]({elsewhere.origin}/x.png) $\\href{{javascript:alert(3)}}{{x}}$",
    ]
    items = [{"b64_json": b64(GOOD), "revised_prompt": text} for text in hostile]
    lab.serve(reply({"data": items, "model": hostile[0], "size": hostile[1]}))
    read, stop = watched_reads(secret)
    lab.cell("%imagine -n 4 a red fox")
    lab.cell("%imagine_show 1")
    lab.cell("_1[0]")
    lab.cell("for image in _1: display(image.revised_prompt, image)")
    stop()
    assert read == []
    assert elsewhere.accepted == 0
    for cell in lab.cells:
        kinds = {mime for output in cell.outputs for mime in output["data"]}
        assert kinds <= {"text/plain", "image/png", "image/jpeg"}
    lab.check(Status.DONE, 1, re.escape(hostile[0]), delivered=[GOOD], at=1, images=1)
    pages = "".join(path.read_text() for path in lab.artefacts.glob("cell-*.html"))
    assert "&lt;script&gt;alert(" in pages
    assert not re.search(r"<script>alert|<img src=x|<a href=.?javascript", pages)
