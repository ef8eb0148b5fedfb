"""Keys in the texts of image files: overwritten in place, pixels untouched, files still valid."""

import io
import struct
import time
import zlib

import pytest
from PIL import Image, PngImagePlugin

from ipyimagegen import imaging
from ipyimagegen.core.redact import Redactor

KEY = "sk-Zq7vKx2mWp9RtB4yHc8Ld3gNf6Js5uXa1eQ0w"
SECRET = f"made for Bearer {KEY}, thank you"
REDACTOR = Redactor([KEY])
IMAGE = Image.frombytes("RGB", (40, 30), bytes((7 * at) % 256 for at in range(3600)))


def saved(kind, image=IMAGE, **more):
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def texts(**more):
    info = PngImagePlugin.PngInfo()
    for name, (add, args) in more.items():
        getattr(info, add)(name, *args)
    return info


def exif(text):
    made = Image.Exif()
    made[0x010E] = text
    made[0x9286] = text
    return made


def with_chunk(png, kind, data, *, before_end=True):
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    at = png.rindex(b"IEND") - 4 if before_end else 33
    return png[:at] + chunk + png[at:]


def between_scans(jpeg, segment):
    """Return a progressive JPEG with a segment before its second scan."""
    first = jpeg.index(b"\xff\xda")
    at = jpeg.index(b"\xff\xda", first + 2)
    at = jpeg.rindex(b"\xff\xc4", first, at) if b"\xff\xc4" in jpeg[first:at] else at
    return jpeg[:at] + segment + jpeg[at:]


COMMENT = b"\xff\xfe" + struct.pack(">H", len(SECRET) + 2) + SECRET.encode()
XMP = b"http://ns.adobe.com/xap/1.0/\0" + f"<x>{SECRET}</x>".encode()
FILES = {
    "PNG text": lambda: saved("PNG", pnginfo=texts(Note=("add_text", (SECRET,)))),
    "PNG zTXt": lambda: saved("PNG", pnginfo=texts(Note=("add_text", (SECRET, True)))),
    "PNG iTXt": lambda: saved("PNG", pnginfo=texts(Note=("add_itxt", (SECRET, "en", "Note")))),
    "PNG iTXt packed": lambda: saved("PNG", pnginfo=texts(Note=("add_itxt", (SECRET, "en", "Note", True)))),
    "PNG EXIF": lambda: saved("PNG", exif=exif(SECRET)),
    "PNG profile": lambda: saved("PNG", icc_profile=bytes(200) + SECRET.encode()),
    "PNG private chunk": lambda: with_chunk(saved("PNG"), b"prVt", SECRET.encode()),
    "PNG chunk at first": lambda: with_chunk(saved("PNG"), b"caBX", SECRET.encode(), before_end=False),
    "PNG trailing": lambda: saved("PNG") + SECRET.encode(),
    "JPEG comment": lambda: saved("JPEG", comment=SECRET),
    "JPEG EXIF": lambda: saved("JPEG", exif=exif(SECRET)),
    "JPEG XMP": lambda: saved("JPEG", xmp=f"<x>{SECRET}</x>".encode()),
    "JPEG profile": lambda: saved("JPEG", icc_profile=bytes(200) + SECRET.encode()),
    "JPEG between scans": lambda: between_scans(saved("JPEG", progressive=True), COMMENT),
    "JPEG trailing": lambda: saved("JPEG") + SECRET.encode(),
    "WebP EXIF": lambda: saved("WEBP", exif=exif(SECRET)),
    "WebP XMP": lambda: saved("WEBP", xmp=f"<x>{SECRET}</x>".encode()),
    "WebP profile": lambda: saved("WEBP", icc_profile=bytes(200) + SECRET.encode()),
    "WebP trailing": lambda: saved("WEBP") + SECRET.encode(),
    "AVIF EXIF": lambda: saved("AVIF", exif=exif(SECRET)),
    "AVIF XMP": lambda: saved("AVIF", xmp=f"<x>{SECRET}</x>".encode()),
    "GIF comment": lambda: saved("GIF", comment=SECRET.encode()),
}
BOMB = zlib.compress(bytes(17 << 20))  # as plain text, which nothing unfolds
for name, kind, head in (("tEXt", b"tEXt", b"k\0"), ("plain iTXt", b"iTXt", b"k\0\0\0\0\0")):
    FILES[f"PNG zTXt after a bomb in {name}"] = lambda kind=kind, head=head: with_chunk(
        FILES["PNG zTXt"](), kind, head + BOMB, before_end=False
    )
SPELLINGS = {
    "raw": KEY,
    "cut": KEY[:-1],
    "masked": f"{KEY[:9]}***{KEY[-9:]}",
    "JSON": "".join(f"\\u{ord(letter):04x}" for letter in KEY),
    "URL": "".join(f"%{ord(letter):02x}" for letter in KEY),
}


def pixels(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").tobytes()


def shows(data):
    """Return what of the key a reader of the file finds, compressed texts included."""
    parts = [KEY[at : at + 8].encode() in data for at in range(len(KEY) - 7)]
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        texts = repr({**image.info, **getattr(image, "text", {})})
    return any(parts) or any(KEY[at : at + 8] in texts for at in range(len(KEY) - 7))


@pytest.mark.parametrize("name", FILES)
def test_a_key_in_the_texts_of_an_image_is_overwritten(tmp_path, name):
    before = FILES[name]()
    path = tmp_path / "image"
    path.write_bytes(before)
    assert shows(before)
    assert imaging.mask_keys(path, REDACTOR)
    after = path.read_bytes()
    assert len(after) == len(before)
    assert not shows(after)
    assert pixels(after) == pixels(before)
    assert not imaging.mask_keys(path, REDACTOR)  # nothing is left to do
    if name.startswith("PNG"):
        chunks_are_valid(after)


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be", "utf-16"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_key_in_utf_16_as_exif_comments_are(tmp_path, kind, order):
    path = tmp_path / "image"
    made = Image.Exif()
    made[0x010E] = "a fox"
    made.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + SECRET.encode(order)
    path.write_bytes(saved(kind, exif=made))
    before = path.read_bytes()
    assert imaging.mask_keys(path, REDACTOR)
    after = path.read_bytes()
    assert KEY[:8].encode("utf-16-le") not in after
    assert KEY[:8].encode("utf-16-be") not in after
    assert pixels(after) == pixels(before)


def test_a_flood_of_segments_is_searched_as_one(tmp_path):
    jpeg = saved("JPEG")
    flood = b"\xff\xfe\x00\x03a" * 1_000_000
    path = tmp_path / "image"

    def seconds(data):
        path.write_bytes(data)
        began = time.process_time()
        imaging.mask_keys(path, REDACTOR)
        return time.process_time() - began

    few = seconds(jpeg[:2] + flood[: 5 * 100_000] + jpeg[2:])
    assert seconds(jpeg[:2] + flood + jpeg[2:]) < 3 * few + 0.5  # ten times as many
    path.write_bytes(jpeg[:2] + flood + COMMENT + jpeg[2:])
    assert imaging.mask_keys(path, REDACTOR)
    assert KEY.encode() not in path.read_bytes()


def chunks_are_valid(png):
    at = 8
    while at + 12 <= len(png) and png[at - 8 : at - 4] != b"IEND":
        (length,) = struct.unpack_from(">I", png, at)
        kind = png[at + 4 : at + 8]
        (crc,) = struct.unpack_from(">I", png, at + 8 + length)
        assert zlib.crc32(png[at + 4 : at + 8 + length]) == crc, kind
        if kind == b"IEND":
            return
        at += 12 + length
    raise AssertionError("no end")


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_in_every_spelling(tmp_path, kind, spelling):
    more = {
        "PNG": {"pnginfo": texts(Note=("add_text", (SPELLINGS[spelling],)))},
        "JPEG": {"comment": SPELLINGS[spelling]},
    }
    path = tmp_path / "image"
    path.write_bytes(saved(kind, **more[kind]))
    assert imaging.mask_keys(path, REDACTOR)
    data = path.read_bytes()
    assert not any(KEY[at : at + 8].encode() in data for at in range(len(KEY) - 7))
    assert SPELLINGS[spelling][2:-2].encode() not in data
    pixels(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_an_image_without_a_key_stays_as_it_is(tmp_path, kind):
    path = tmp_path / "image"
    path.write_bytes(saved(kind, **({"exif": exif("a fox in the snow")} if kind != "GIF" else {})))
    before = path.read_bytes()
    assert not imaging.mask_keys(path, REDACTOR)
    assert path.read_bytes() == before


def test_a_key_that_pixels_happen_to_spell_stays(tmp_path):
    """Pixels are never changed: what a pixel spells is no echo."""
    row = b"\0" + (KEY.encode() * 4)[:120]  # not filtered, not compressed
    path = tmp_path / "image.png"
    head = struct.pack(">IIBBBBB", 40, 2, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(row * 2, 0)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    before = path.read_bytes()
    assert KEY.encode() in before
    assert not imaging.mask_keys(path, REDACTOR)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\xff\xff\xff\xffWEBPEXIF\xff\xff\xff\xff"]
)
def test_a_damaged_file_is_searched_as_far_as_it_goes(tmp_path, data):
    path = tmp_path / "image"
    path.write_bytes(data)
    assert not imaging.mask_keys(path, REDACTOR)
    path.write_bytes(data + SECRET.encode())
    imaging.mask_keys(path, REDACTOR)
    assert path.stat().st_size == len(data) + len(SECRET)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_truncated_image_shows_no_key_either(tmp_path, kind):
    whole = FILES[{"PNG": "PNG text", "JPEG": "JPEG comment", "WEBP": "WebP XMP"}[kind]]()
    path = tmp_path / "image"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        imaging.mask_keys(path, REDACTOR)
        assert KEY.encode() not in path.read_bytes()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_svg_is_searched_whole(tmp_path, spelling):
    path = tmp_path / "image"
    parts = "<?xml version='1.0'?><svg><!-- ", SPELLINGS[spelling], " --><text>a fox</text></svg>"
    path.write_text("".join(parts))
    assert imaging.mask_keys(path, REDACTOR)
    after = path.read_text()
    assert len(after) == sum(map(len, parts))
    assert (after[: len(parts[0])], after[-len(parts[2]) :]) == parts[::2]
    assert "*" * 9 in after
    assert not imaging.mask_keys(path, REDACTOR)


def test_any_other_file_is_searched_whole(tmp_path):
    page = f"<html><title>{KEY}</title>{'x' * (1 << 20)}{KEY[:-1]}</html>".encode()
    path = tmp_path / "page"
    path.write_bytes(page)
    assert imaging.mask_keys(path, REDACTOR)
    assert KEY[:-1].encode() not in path.read_bytes()
    assert path.stat().st_size == len(page)
