"""One look at a file that nobody vouches for: real files, whole, cut, odd and hostile."""

import struct
import subprocess
import sys
import zlib

import pytest
from image_files import SIGNATURE, chunk, header, save
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from ipyimagegen.core.run import ImageState as State
from ipyimagegen.imaging import inspect


def png(width, height, body, *, extra=b"", bits=8, colour=2):
    pixels = chunk(b"IDAT", zlib.compress(body))
    return SIGNATURE + header(width, height, bits, colour) + extra + pixels + chunk(b"IEND")


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
    info = look(gradient(1024, 512))
    assert (info.state, info.mime, info.width, info.height) == (State.STORED, "image/png", 1024, 512)
    assert (info.alpha, info.note, info.thumb.size, info.thumb.mode) == (False, "", (768, 384), "RGB")


@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000), (767, 769)])
def test_thumbs_stay_within_the_edge(look, size):
    thumb = look(gradient(*size), edge=100).thumb
    assert max(thumb.size) <= 100
    assert min(thumb.size) >= 1


@pytest.mark.parametrize("scale", [1, 8])
def test_a_large_jpeg_is_known_by_its_own_size(look, scale):
    info = look(gradient(500 * scale, 300 * scale), format="JPEG", edge=250)
    assert (info.width, info.height) == (500 * scale, 300 * scale)
    assert info.thumb.size == (250, 150)


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
    info = look(make())
    assert info.alpha is alpha
    assert info.thumb.mode == ("RGBA" if alpha else "RGB")


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
    info = look(Image.new("CMYK", (40, 40), (0, 0, 0, 0)), format="JPEG")
    assert info.thumb.mode == "RGB"
    assert min(info.thumb.getpixel((20, 20))) > 240


def test_the_first_frame_of_an_animated_webp(look):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    info = look(frames[0], format="WEBP", save={"save_all": True, "append_images": frames[1:]})
    assert (info.width, info.height, info.state) == (40, 30, State.STORED)
    red, _, blue = info.thumb.getpixel((20, 15))
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
    info = look(stored.convert("RGB"), format=form, save={"exif": exif})
    assert (info.width, info.height) == info.thumb.size == (60, 30)
    corners = [info.thumb.getpixel(at)[0] > 128 for at in ((5, 5), (55, 5), (5, 25), (55, 25))]
    assert corners == [True, False, False, False]


def test_broken_exif_is_no_fault(look):
    info = look(
        gradient(30, 30), format="JPEG", save={"exif": b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40}
    )
    assert info.state is State.STORED


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.03, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_flagged(look, form, share):
    data = save(Image.effect_noise((200, 200), 90).convert("RGBA" if form == "PNG" else "RGB"), form)
    info = look(data[: int(len(data) * share)])
    assert info.note
    assert info.alpha is None
    if info.state is State.STORED:
        assert info.thumb.size == (200, 200)
    else:
        assert info.thumb is None
    if form != "WEBP" and share >= 0.3:
        assert info.state is State.STORED


def test_a_missing_end_chunk_is_flagged(look):
    whole = save(gradient(64, 64), "PNG")
    info = look(whole[:-12])
    assert (info.state, bool(info.note)) == (State.STORED, True)


def test_the_users_own_switch_for_truncated_files_changes_nothing(look, monkeypatch):
    whole = save(gradient(64, 64), "JPEG")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    info = look(whole[:-200])
    assert (info.state, bool(info.note), info.alpha) == (State.STORED, True, None)


def test_a_flipped_bit_raises_nothing(look):
    whole = save(Image.effect_noise((60, 60), 90), "PNG")
    for at in range(0, len(whole), 37):
        data = bytearray(whole)
        data[at] ^= 0x10
        info = look(bytes(data))
        assert (info.thumb is not None) is (info.state is State.STORED)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"%PDF-1.7",
        b"GIF89a" + b"\0" * 50,
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
    ],
)
def test_anything_else_is_quarantined(look, data):
    info = look(data)
    assert (info.state, info.thumb) == (State.QUARANTINED, None)
    assert info.note


def test_a_bomb_is_never_decoded(tmp_path):
    """30000×30000 pixels in some kilobytes; memory is measured in a process of its own."""
    line = zlib.compressobj(9)
    body = b"".join(line.compress(b"\0" * 3751) for _ in range(30_000)) + line.flush()
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(SIGNATURE + header(30_000, 30_000, 1, 0) + chunk(b"IDAT", body) + chunk(b"IEND"))
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
    again = header(9000, 9000)
    info = look(png(1, 1, b"\0\1\2\3", extra=again))
    assert (info.state, info.thumb) == (State.QUARANTINED, None)


def test_many_text_chunks(look):
    info = PngImagePlugin.PngInfo()
    for i in range(500):
        info.add_text(f"k{i}", "v" * 1000)
    assert look(gradient(20, 20), save={"pnginfo": info}).state is State.STORED


def test_a_file_that_cannot_be_read_raises(tmp_path):
    with pytest.raises(OSError):
        inspect(tmp_path / "none.png")


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def swap_red_and_blue():
    """Return a profile that exchanges red and blue."""
    profile = bytearray(SRGB)
    for at in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12):
        tag = bytes(profile[at : at + 4])
        profile[at : at + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(tag, tag)
    return bytes(profile)


def make_grey(gamma):
    """Return a profile of grey by which values stand for light with that gamma."""
    white = next(tag for tag in list_tags(SRGB) if tag[0] == b"wtpt")[1]
    curve = b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big") + bytes(2)
    tags, body = [(b"wtpt", white), (b"kTRC", curve)], b""
    table = len(tags).to_bytes(4, "big")
    for name, data in tags:
        at = 128 + 4 + 12 * len(tags) + len(body)
        table += name + at.to_bytes(4, "big") + len(data).to_bytes(4, "big")
        body += data
    head = bytearray(SRGB[:128])
    head[16:20] = b"GRAY"
    whole = bytes(head) + table + body
    return len(whole).to_bytes(4, "big") + whole[4:]


def list_tags(profile):
    count = int.from_bytes(profile[128:132], "big")
    for at in range(132, 132 + 12 * count, 12):
        start, size = (int.from_bytes(profile[at + step : at + step + 4], "big") for step in (4, 8))
        yield profile[at : at + 4], profile[start : start + size]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_thumb_has_the_colours_that_the_profile_gives_it(look, mode, form):
    red = Image.new("RGB", (64, 64), (230, 20, 20)).convert(mode)
    if mode == "RGBA":
        red.putpixel((0, 0), (0, 0, 0, 0))
    thumb = look(red, format=form, save={"icc_profile": swap_red_and_blue(), "lossless": True}).thumb
    red, _green, blue = thumb.convert("RGB").getpixel((32, 32))
    assert blue > 150
    assert red < 100
    assert "icc_profile" not in thumb.info  # it holds no more
    if mode == "RGBA":
        assert [thumb.getpixel(at)[3] for at in ((0, 0), (32, 32))] == [0, 255]


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_grey_has_the_brightness_that_the_profile_gives_it(look, mode):
    grey = Image.new(mode, (64, 64), 100 if mode == "L" else (100, 255))
    dark, bright = (
        look(grey, save={"icc_profile": make_grey(gamma)}).thumb.convert("L").getpixel((9, 9))
        for gamma in (3.5, 1.0)
    )
    assert dark < 95
    assert bright > 150


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "I;16", "1", "CMYK"])
@pytest.mark.parametrize(
    "profile",
    [
        b"no profile",
        SRGB[:200],
        SRGB[:16] + b"CMYK" + SRGB[20:],
        SRGB[:16] + b"GRAY" + SRGB[20:],
        LAB,
        SRGB + b"mpet",
        bytes(128),
        swap_red_and_blue(),
    ],
    ids=["text", "cut", "cmyk", "grey", "lab", "costly", "empty", "swapped"],
)
def test_a_profile_that_does_not_fit_is_no_fault(look, mode, profile):
    grey = Image.new("L", (64, 64), 130)
    form = "JPEG" if mode == "CMYK" else "PNG"
    info = look(grey.convert(mode), format=form, save={"icc_profile": profile})
    assert (info.state, info.note, info.thumb.mode) == (State.STORED, "", "RGB")
    if mode != "1":
        assert abs(info.thumb.convert("L").getpixel((32, 32)) - 130) < 40 or mode == "I;16"
