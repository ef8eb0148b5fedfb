"""One look at a file that nobody vouches for: real files, whole, cut, odd and hostile."""

import io
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image, ImageFile, PngImagePlugin

from ipyimagegen.core.run import ImageState as State
from ipyimagegen.imaging import inspect


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, body, *, extra=b"", bits=8, colour=2):
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    idat = chunk(b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + ihdr + extra + idat + chunk(b"IEND", b"")


@pytest.fixture
def look(tmp_path):
    def look(data, **options):
        path = tmp_path / "image"
        if isinstance(data, Image.Image):
            data.save(path, options.pop("format", "PNG"), **options.pop("save", {}))
        else:
            path.write_bytes(data)
        return inspect(path, **options)

    return look


def gradient(width, height, mode="RGB"):
    return Image.linear_gradient("L").resize((width, height)).convert(mode)


def test_a_plain_image(look):
    found = look(gradient(1024, 512))
    assert (found.state, found.mime, found.width, found.height) == (State.STORED, "image/png", 1024, 512)
    assert (found.alpha, found.note, found.thumb.size, found.thumb.mode) == (False, "", (768, 384), "RGB")


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000), (767, 769)])
def test_thumbs_stay_within_the_edge(look, size):
    thumb = look(gradient(*size), edge=100).thumb
    assert max(thumb.size) <= 100
    assert min(thumb.size) >= 1


@pytest.mark.parametrize("scale", [1, 8])
def test_a_large_jpeg_is_known_by_its_own_size(look, scale):
    found = look(gradient(500 * scale, 300 * scale), format="JPEG", edge=250)
    assert (found.width, found.height) == (500 * scale, 300 * scale)
    assert found.thumb.size == (250, 150)


@pytest.mark.parametrize(
    ("make", "alpha"),
    [
        (lambda: Image.new("RGBA", (9, 9), (1, 2, 3, 255)), False),
        (lambda: Image.new("RGBA", (9, 9), (1, 2, 3, 254)), True),
        (lambda: Image.new("LA", (9, 9), (7, 0)), True),
        (lambda: Image.new("LA", (9, 9), (7, 255)), False),
        (lambda: Image.new("RGB", (9, 9)), False),
        (lambda: Image.new("1", (9, 9)), False),
        (lambda: gradient(9, 9, "P"), False),
    ],
)
def test_alpha_is_a_transparent_pixel_not_a_channel(look, make, alpha):
    found = look(make())
    assert found.alpha is alpha
    assert found.thumb.mode == ("RGBA" if alpha else "RGB")


def test_alpha_of_a_palette_and_of_a_colour_key(look):
    palette = gradient(64, 64, "P")
    assert look(palette, save={"transparency": palette.getpixel((5, 5))}).alpha is True
    grey = Image.new("L", (9, 9), 100)
    assert look(grey, save={"transparency": 100}).alpha is True
    assert look(grey, save={"transparency": 99}).alpha is False


def test_alpha_of_webp(look):
    assert look(Image.new("RGBA", (9, 9), (1, 2, 3, 9)), format="WEBP").alpha is True
    assert look(gradient(9, 9), format="WEBP").alpha is False


def test_sixteen_bits_keep_their_greys(look):
    rows = b"".join(b"\0" + struct.pack(">4H", 0, 0x4000, 0x8000, 0xFFFF) for _ in range(4))
    thumb = look(png(4, 4, rows, bits=16, colour=0)).thumb
    assert [thumb.getpixel((x, 0))[0] for x in range(4)] == [0, 0x40, 0x80, 0xFF]


def test_cmyk_jpeg(look):
    found = look(Image.new("CMYK", (40, 40), (0, 0, 0, 0)), format="JPEG")
    assert found.thumb.mode == "RGB"
    assert min(found.thumb.getpixel((20, 20))) > 240


def test_the_first_frame_of_an_animated_webp(look):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    found = look(frames[0], format="WEBP", save={"save_all": True, "append_images": frames[1:]})
    assert (found.width, found.height, found.state) == (40, 30, State.STORED)
    red, _, blue = found.thumb.getpixel((20, 15))
    assert red > 200 > blue


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_thumbs_are_upright(look, form, orientation):
    upright = Image.new("L", (60, 30))
    upright.paste(255, (0, 0, 30, 15))  # the upper left quarter
    turns = [None, 0, 3, 1, 5, 2, 6, 4]  # Image.Transpose, the inverse of what a viewer does
    turn = turns[orientation - 1]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = look(stored.convert("RGB"), format=form, save={"exif": exif})
    assert (found.width, found.height) == stored.size
    assert found.thumb.size == (60, 30)
    corners = [found.thumb.getpixel(at)[0] > 128 for at in ((5, 5), (55, 5), (5, 25), (55, 25))]
    assert corners == [True, False, False, False]


def test_broken_exif_is_no_fault(look):
    found = look(
        gradient(30, 30), format="JPEG", save={"exif": b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40}
    )
    assert found.state is State.STORED


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.03, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_flagged(look, form, share):
    out = io.BytesIO()
    Image.effect_noise((200, 200), 90).convert("RGBA" if form == "PNG" else "RGB").save(out, form)
    data = out.getvalue()
    found = look(data[: int(len(data) * share)])
    assert found.note
    assert found.alpha is None
    if found.state is State.STORED:
        assert found.thumb.size == (200, 200)
    else:
        assert found.thumb is None
    if form != "WEBP" and share >= 0.3:
        assert found.state is State.STORED


def test_a_missing_end_chunk_is_flagged(look):
    out = io.BytesIO()
    gradient(64, 64).save(out, "PNG")
    found = look(out.getvalue()[:-12])
    assert (found.state, bool(found.note)) == (State.STORED, True)


def test_the_users_own_switch_for_truncated_files_changes_nothing(look, monkeypatch):
    out = io.BytesIO()
    gradient(64, 64).save(out, "JPEG")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    found = look(out.getvalue()[:-200])
    assert (found.state, bool(found.note), found.alpha) == (State.STORED, True, None)


def test_a_flipped_bit_raises_nothing(look):
    out = io.BytesIO()
    Image.effect_noise((60, 60), 90).save(out, "PNG")
    for at in range(0, len(out.getvalue()), 37):
        data = bytearray(out.getvalue())
        data[at] ^= 0x10
        found = look(bytes(data))
        assert (found.thumb is not None) is (found.state is State.STORED)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg onload='alert(1)'/>",
        b"<html>",
        b"%PDF-1.7",
        b"GIF89a" + b"\0" * 50,
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
    ],
)
def test_anything_else_is_quarantined(look, data):
    found = look(data)
    assert (found.state, found.thumb) == (State.QUARANTINED, None)
    assert found.note


def test_a_bomb_is_never_decoded(tmp_path):
    """30000×30000 pixels in some kilobytes; memory is measured in a process of its own."""
    line = zlib.compressobj(9)
    body = b"".join(line.compress(b"\0" * 3751) for _ in range(30_000)) + line.flush()
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0))
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    text = tmp_path / "text.png"
    packed = zlib.compress(b"x" * (64 << 20))
    text.write_bytes(png(1, 1, b"\0\1\2\3", extra=chunk(b"zTXt", b"Comment\0\0" + packed)))
    code = (
        "import resource, sys; from pathlib import Path; from ipyimagegen.imaging import inspect\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]: print(inspect(Path(path)).state)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, bomb, text], capture_output=True, text=True, check=True
    )
    *states, kilobytes = done.stdout.split()
    assert states == ["quarantined", "quarantined"]
    assert int(kilobytes) < 32 * 1024


def test_a_second_header_cannot_hide_a_bomb(look):
    again = chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0))
    found = look(png(1, 1, b"\0\1\2\3", extra=again))
    assert (found.state, found.thumb) == (State.QUARANTINED, None)


def test_many_text_chunks(look):
    info = PngImagePlugin.PngInfo()
    for i in range(500):
        info.add_text(f"k{i}", "v" * 1000)
    assert look(gradient(20, 20), save={"pnginfo": info}).state is State.STORED


def test_a_file_that_cannot_be_read_raises(tmp_path):
    with pytest.raises(OSError):
        inspect(tmp_path / "none.png")


def test_importing_the_package_does_not_load_pillow():
    code = (
        "import sys, ipyimagegen.imaging as imaging; imaging.find_suffix(b''); sys.exit('PIL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
