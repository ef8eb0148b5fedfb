"""A user's files and Pillow images become what an edit can send: untouched where they can, exact else."""

import base64
import io
import os
import re
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import SIGNATURE, chunk, header, load, read_refusal, save
from PIL import Image, ImageCms, ImageFile, ImageOps, PngImagePlugin
from raising import values_of

from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.imaging import EncodedImage, encode_input, fit_input, unwrap_input
from ipyimagegen.imaging.normalize import encode_within

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
OWN = ("PNG", "JPEG", "WEBP")


def make_image(mode="RGB", size=(48, 32), seed=7):
    """Return an image in which every pixel counts."""
    import random

    bands = len(Image.new(mode if mode in ("L", "RGB", "RGBA", "CMYK") else "RGB", (1, 1)).getbands())
    base = {1: "L", 3: "RGB", 4: "CMYK" if mode == "CMYK" else "RGBA"}[bands]
    image = Image.frombytes(base, size, random.Random(seed).randbytes(size[0] * size[1] * bands))
    return image if base == mode else image.convert(mode)


def decoded(encoded):
    return load(encoded.data)


def same(image, other):
    return (image.mode, image.size) == (other.mode, other.size) and image.tobytes() == other.tobytes()


def refusal(thing, name="cat.png"):
    return read_refusal(name, lambda: encode_input(thing, name))


def named(encoded):
    """Return the values that each note names."""
    return [tuple(values_of(note)) for note in encoded.notes]


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


# Files that go as they are


@pytest.mark.parametrize("form", OWN)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16"])
def test_a_file_that_can_go_keeps_its_own_bytes(tmp_path, form, mode):
    if (form, mode) in {("JPEG", "RGBA"), ("JPEG", "P")} or (form != "PNG" and mode == "I;16"):
        mode = "RGB"
    image = Image.new("I;16", (48, 32), 40_000) if mode == "I;16" else make_image(mode)
    data = save(image, form, icc_profile=SRGB if mode.startswith("RGB") else None)
    path = tmp_path / "cat"
    path.write_bytes(data)
    for thing in (data, bytearray(data), memoryview(data), path, io.BytesIO(data)):
        encoded = encode_input(thing)
        assert encoded == EncodedImage(data=data, mime=f"image/{form.lower()}", width=48, height=32)
        assert type(encoded.data) is bytes


def test_texts_provenance_and_a_tail_stay_in_an_untouched_file():
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a fox")
    data = save(make_image(), "PNG", pnginfo=info, exif=exif(1)) + b"appended"
    assert encode_input(data).data == data
    end = save(make_image(), "PNG")
    late = end[:-12] + chunk(b"tEXt", b"date:create\0today") + end[-12:]
    assert encode_input(late).data == late
    photo = save(make_image(), "JPEG", exif=exif(1), progressive=True, comment="x" * 60_000) + b"\0" * 100_000
    assert encode_input(photo).data == photo


def test_sixteen_bits_a_channel_stay():
    rows = b"".join(b"\0" + struct.pack(">6H", 1, 2, 3, 60000, 5, 6) for _ in range(3))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    data = SIGNATURE + header(2, 3, bits=16) + pixels + chunk(b"IEND")
    assert encode_input(data) == EncodedImage(data=data, mime="image/png", width=2, height=3)


def test_an_untouched_file_is_not_decoded(monkeypatch):
    """Decoding a 4 MB image takes longer than our whole share of a request."""
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    for form in ("PNG", "JPEG"):
        data = save(Image.linear_gradient("L"), form)
        assert encode_input(data).data == data


# Files that are converted


@pytest.mark.parametrize("form", OWN)
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_file_becomes_upright(form, orientation):
    data = save(make_image(), form, exif=exif(orientation))
    wanted = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    encoded = encode_input(data)
    assert (encoded.mime, encoded.width, encoded.height) == ("image/png", *wanted.size)
    assert same(decoded(encoded), wanted.convert("RGB"))
    assert named(encoded) == [(), *([] if form == "PNG" else [(decoded_name(form), "PNG")])]
    assert Image.open(io.BytesIO(encoded.data)).getexif().get(0x0112) is None


def decoded_name(form):
    return {"WEBP": "WebP", "JPEG2000": "JPEG 2000"}.get(form, form)


@pytest.mark.parametrize("orientation", [1, 6])
def test_an_orientation_behind_the_pixels_of_a_png_counts(orientation):
    plain = save(make_image(), "PNG")
    late = plain[:-12] + chunk(b"eXIf", exif(orientation).tobytes().removeprefix(b"Exif\0\0")) + plain[-12:]
    encoded = encode_input(late)
    if orientation == 1:
        assert encoded.data == late
    else:
        assert same(decoded(encoded), make_image().transpose(Image.Transpose.ROTATE_270))


def test_an_orientation_that_makes_no_sense_turns_nothing():
    for bad in (0, 9, 77):
        data = save(make_image(), "JPEG", exif=exif(bad))
        assert encode_input(data).data == data


CONVERTED = [
    ("GIF", "P", {}),
    ("BMP", "RGB", {}),
    ("TIFF", "RGB", {}),
    ("TIFF", "RGBA", {"compression": "tiff_lzw"}),
    ("TIFF", "CMYK", {}),
    ("TIFF", "L", {"compression": "tiff_deflate"}),
    ("AVIF", "RGB", {}),
    ("PPM", "RGB", {}),
    ("PPM", "L", {}),
    ("ICO", "RGBA", {"sizes": [(48, 32)]}),
    ("JPEG2000", "RGB", {}),
    ("TGA", "RGB", {}),
]


@pytest.mark.parametrize(("form", "mode", "options"), CONVERTED)
def test_other_kinds_become_png_pixel_by_pixel(tmp_path, form, mode, options):
    data = save(make_image(mode), form, **options)
    wanted = Image.open(io.BytesIO(data), formats=[form])
    wanted = wanted.convert("L" if mode == "L" else "RGBA" if wanted.has_transparency_data else "RGB")
    path = tmp_path / f"cat.{form.lower()}"
    path.write_bytes(data)
    encoded = encode_input(path)
    assert same(decoded(encoded), wanted)
    assert named(encoded) == [(decoded_name(form), "PNG")]
    assert encoded.pixels == encode_input(path).pixels
    assert encode_input(data) == encoded


def test_tga_with_the_mark_of_its_second_version_is_known_by_its_bytes():
    data = save(make_image(), "TGA").removesuffix(b"\0" * 8 + b"TRUEVISION-XFILE.\0")
    assert "PNG" in refusal(data)
    assert same(decoded(encode_input(data + b"\0" * 8 + b"TRUEVISION-XFILE.\0")), make_image())


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_tiff_of_sixteen_bits_keeps_each(mode):
    image = Image.new("I;16", (4, 1))
    values = (0, 1, 300, 65535)
    for x, value in enumerate(values):
        image.putpixel((x, 0), value)
    image = image if mode == "I;16" else Image.frombytes(mode, (4, 1), struct.pack(">4H", *values))
    encoded = encode_input(save(image, "TIFF"))
    assert decoded(encoded).mode == "I;16"
    assert [decoded(encoded).getpixel((x, 0)) for x in range(4)] == list(values)


def test_a_dark_pgm_of_sixteen_bits_stays_dark():
    data = b"P5 2 1 65535\n" + struct.pack(">2H", 3, 200)
    assert [decoded(encode_input(data)).getpixel((x, 0)) for x in (0, 1)] == [3, 200]
    assert decoded(encode_input(data)).mode == "I;16"


@pytest.mark.parametrize(
    ("values", "wanted"), [((0.0, 0.5, 1.0), (0, 128, 255)), ((0, 99.6, 255), (0, 100, 255))]
)
def test_tiff_of_floats_is_read_by_its_range(values, wanted):
    image = Image.frombytes("F", (3, 1), struct.pack("3f", *values))
    image = decoded(encode_input(save(image, "TIFF")))
    assert tuple(image.getpixel((x, 0)) for x in range(3)) == wanted


def test_tiff_of_other_floats_is_refused():
    image = Image.frombytes("F", (2, 1), struct.pack("2f", -40, 1300))
    text = refusal(save(image, "TIFF"))
    assert re.search("-40 .* 1300", text)


def test_a_turned_tiff_is_upright():
    data = save(make_image(), "TIFF", tiffinfo={274: 6})
    encoded = encode_input(data)
    assert same(decoded(encoded), make_image().transpose(Image.Transpose.ROTATE_270))
    assert named(encoded) == [(), ("TIFF", "PNG")]


def test_ink_becomes_light():
    data = save(make_image("CMYK"), "JPEG", quality=95)
    assert same(decoded(encode_input(data)), Image.open(io.BytesIO(data)).convert("RGB"))
    assert named(encode_input(data)) == [("JPEG", "PNG")]


@pytest.mark.parametrize(
    ("form", "kind", "notes"),
    [
        ("GIF", "GIF", [("3",), ("GIF", "PNG")]),
        ("WEBP", "WebP", [("3",), ("WebP", "PNG")]),
        ("PNG", "PNG", [("3",)]),
        ("AVIF", "AVIF", [("3",), ("AVIF", "PNG")]),
        ("TIFF", "TIFF", [("3",), ("TIFF", "PNG")]),
        ("MPO", "MPO", [("3",), ("MPO", "PNG")]),
    ],
)
def test_the_first_of_several(form, kind, notes):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("#c00000", "#00c000", "#0000c0")]
    encoded = encode_input(save(frames[0], form, save_all=True, append_images=frames[1:]))
    assert named(encoded) == notes
    red, green, blue = decoded(encoded).convert("RGB").getpixel((20, 15))
    assert red > 180
    assert max(green, blue) < 40


def test_a_transparent_gif_keeps_its_holes():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 0)
    out = decoded(encode_input(save(image, "GIF", transparency=0)))
    assert out.mode == "RGBA"
    assert out.getpixel((0, 0))[3] == 0
    assert out.getpixel((1, 1)) == (0, 255, 0, 255)


def test_a_colour_profile_goes_along_where_it_holds():
    turned = encode_input(save(make_image(), "JPEG", icc_profile=SRGB, exif=exif(3)))
    assert decoded(turned).info["icc_profile"] == SRGB
    assert "icc_profile" not in decoded(encode_input(save(make_image("L"), "TIFF", icc_profile=SRGB))).info
    assert turned.pixels != encode_input(save(make_image(), "JPEG", exif=exif(3))).pixels


def test_converted_bytes_hold_nothing_but_the_image():
    data = save(make_image(), "JPEG", exif=exif(6), comment="secret place", dpi=(300, 300))
    kinds, at, out = [], 8, encode_input(data).data
    while at < len(out):
        (length,) = struct.unpack_from(">I", out, at)
        kinds.append(out[at + 4 : at + 8])
        at += 12 + length
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


# Limits


def test_too_many_pixels_are_scaled(monkeypatch):
    monkeypatch.setattr("ipyimagegen.imaging.inputs.MOST_PIXELS", 300)
    monkeypatch.setattr("ipyimagegen.imaging.normalize.MOST_PIXELS", 300)
    data = save(make_image(), "PNG")
    encoded = encode_input(data)
    assert encoded.width * encoded.height <= 300
    assert named(encoded) == [("48x32", f"{encoded.width}x{encoded.height}")]
    assert encoded.scaled_from == (48, 32)
    assert same(
        decoded(encoded), make_image().resize((encoded.width, encoded.height), Image.Resampling.LANCZOS)
    )
    assert encode_input(make_image()).scaled_from == (48, 32)


def test_forty_one_megapixels_are_brought_to_forty():
    encoded = encode_input(save(Image.new("L", (8200, 5000), 9), "PNG", compress_level=1))
    assert encoded.scaled_from == (8200, 5000)
    assert 39_900_000 < encoded.width * encoded.height <= 40_000_000
    assert abs(encoded.width / encoded.height - 1.64) < 0.001


def test_too_many_bytes_are_scaled(monkeypatch):
    small = 3000
    monkeypatch.setattr("ipyimagegen.imaging.inputs.MOST_BYTES", small)
    monkeypatch.setattr(encode_within, "__kwdefaults__", {**encode_within.__kwdefaults__, "limit": small})
    data = save(make_image(), "PNG")
    assert len(data) > small
    encoded = encode_input(data)
    assert small // 2 < len(encoded.data) <= small
    assert named(encoded) == [("48x32", f"{encoded.width}x{encoded.height}")]


def test_a_large_image_trips_no_limit_of_pillow(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # the user's own
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for form in ("PNG", "JPEG", "BMP", "GIF", "TIFF"):
            assert encode_input(save(make_image(), form)).width == 48
        assert encode_input(make_image()).width == 48
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_bomb_is_refused_by_its_header(tmp_path):
    bomb = SIGNATURE + header(30_000, 30_000, bits=1, colour=0) + chunk(b"IDAT") + chunk(b"IEND")
    assert "30000x30000" in refusal(bomb)
    tiff = bytearray(save(Image.new("1", (8, 8)), "BMP"))
    tiff[18:26] = struct.pack("<ii", 30_000, 30_000)
    assert "30000x30000" in refusal(bytes(tiff))


def test_two_gigabytes_cost_nothing(tmp_path):
    path = tmp_path / "cat.png"
    with path.open("wb") as out:
        out.truncate(2 << 30)
    code = (
        "import resource, sys; from pathlib import Path; from ipyimagegen.imaging import encode_input\n"
        "from ipyimagegen.core.errors import InvalidInput; import PIL.PngImagePlugin\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: encode_input(Path(sys.argv[1]), 'cat.png')\n"
        "except InvalidInput as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    text, kilobytes = done.stdout.splitlines()
    assert text.startswith("cat.png has 2,147 MB.")
    assert int(kilobytes) < 4096


# What is refused


NO_IMAGES = {
    b"": "0",
    b"a red fox in the snow\n": "text",
    "ein röter Fuchs, 狐狸".encode(): "text",
    "fox".encode("utf-16"): "text",
    b"BMW, a car": "text",
    b"P1 is a label": "text",
    b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>': "SVG",
    b"\xef\xbb\xbf  <svg/>": "SVG",
    b"<!DOCTYPE html><html></html>": "HTML",
    b"%PDF-1.7\n%\xe2\xe3": "PDF",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic": "HEIC",
    b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic": "HEIC",
    b"\0\0\0\x18ftypisom\0\0\0\0mp42avc1": "video",
    b"8BPS\0\1": "Photoshop",
    b"PK\3\4\x14": "ZIP archive",
    b"\x93NUMPY\1\0": "numpy.load",
    b"version https://git-lfs.github.com/spec/v1\n": "git lfs pull",
    bytes(range(256)): "PNG",
}


@pytest.mark.parametrize("data", NO_IMAGES, ids=range(len(NO_IMAGES)))
def test_what_is_no_image_is_named(tmp_path, data):
    assert NO_IMAGES[data] in refusal(data)
    path = tmp_path / "cat.png"
    path.write_bytes(data)
    assert NO_IMAGES[data] in refusal(path)


def test_a_camera_s_raw_file_is_not_its_preview():
    for tag in ({254: 1}, {50706: b"\1\4\0\0"}):
        assert "JPEG" in refusal(save(make_image(), "TIFF", tiffinfo=tag))


CUT = refusal(save(make_image())[:-20])


@pytest.mark.parametrize("form", [*OWN, "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF"])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_a_truncated_image_says_so(form, share):
    data = save(make_image(size=(200, 150)), form)
    text = refusal(data[: int(len(data) * share)])
    if form == "JPEG2000":
        assert decoded_name(form) in text
    else:
        assert text == CUT


@given(st.integers(0, 10_000), st.sampled_from(OWN))
@settings(max_examples=80, deadline=None)
def test_no_beginning_of_a_file_is_taken_for_it(length, form):
    data = save(make_image(), form, exif=exif(1))
    with pytest.raises(InvalidInput):
        encode_input(data[: length % len(data)])


def test_the_end_of_a_thumbnail_is_not_the_end_of_its_photo():
    thumbnail = save(make_image(size=(16, 16)), "JPEG")
    block = b"Exif\0\0" + b"MM\0*\0\0\0\x08\0\0" + thumbnail
    data = save(make_image(size=(200, 200)), "JPEG", exif=block)
    assert encode_input(data).data == data
    assert refusal(data[: len(data) // 2]) == CUT


def test_the_user_s_own_switch_for_truncated_files_lets_none_through(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for form in OWN:
        assert refusal(save(make_image(), form)[:-20]) == CUT


def test_damage_in_the_pixels_of_a_png_is_seen():
    data = bytearray(save(make_image(), "PNG"))
    data[len(data) // 2] ^= 1
    assert refusal(bytes(data)) not in ("", CUT)


def test_a_second_header_is_damage():
    data = save(make_image(), "PNG")
    again = data[:33] + data[8:33] + data[33:]
    assert refusal(again) not in ("", CUT)


# Paths


def test_a_missing_file_names_a_near_one(tmp_path):
    (tmp_path / "cats.png").write_bytes(b"x")
    path = tmp_path / "cat.png"
    assert re.search(rf"{tmp_path}\. .* cats\.png\?", refusal(path))
    assert refusal(tmp_path / "zebra.png", "zebra.png").endswith(f" {tmp_path}.")
    assert refusal(tmp_path / "no" / "cat.png").endswith(f" {tmp_path / 'no'}.")
    (tmp_path / "file").write_bytes(b"x")
    folder = tmp_path / "file"
    assert f" {folder} " in refusal(folder / "cat.png")


def test_a_variable_s_refusal_names_its_path(tmp_path):
    (tmp_path / "cat.txt").write_text("meow")
    with pytest.raises(InvalidInput, match=r"^\{p\} \(.*cat.txt\) "):
        encode_input(tmp_path / "cat.txt", "{p}")
    with pytest.raises(InvalidInput, match=r"^\{p\} \(.*\) "):
        encode_input(tmp_path, "{p}")


def test_what_would_block_or_cannot_be_read(tmp_path):
    os.mkfifo(tmp_path / "cat.png")
    assert refusal(tmp_path / "cat.png") == refusal(Path("/dev/zero"), "zero")
    with pytest.raises(InvalidInput, match=r"^\{p\} \(x+…\) .* \(OSError: File name too long\)"):
        encode_input(Path("x" * 5000), "{p}")
    assert refusal(Path("cat.png\0"))
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    assert refusal(loop, "loop.png")


@pytest.mark.parametrize("refusing", ["stat", "read_bytes"])
def test_no_permission(tmp_path, monkeypatch, refusing):
    """Root may read everything, so the refusal is the system's own error."""
    path = tmp_path / "cat.png"
    path.write_bytes(save(make_image(), "PNG"))

    def deny(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, refusing, deny)
    assert refusal(path)


def test_home_and_accents(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    data = save(make_image(), "PNG")
    (tmp_path / "Fu\u0308chse 狐狸.png").write_bytes(data)  # as macOS spells it
    assert encode_input(Path("~/Füchse 狐狸.png")).data == data
    assert " ~nobody" in refusal(Path("~nobody-of-that-name/cat.png"))


def test_text_from_outside_is_harmless(tmp_path):
    name = "c\x1b[31mat\u202egnp.png"
    with pytest.raises(InvalidInput) as caught:
        encode_input(tmp_path / name, name)
    assert str(caught.value).startswith("catgnp.png ")
    assert "\x1b" not in str(caught.value)


# Pillow images


MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]


@given(st.sampled_from(MODES), st.tuples(st.integers(1, 20), st.integers(1, 20)), st.randoms())
@settings(max_examples=150, deadline=None)
def test_every_mode_goes_as_pillow_itself_converts_it(mode, size, random):
    if mode in ("1", "P", "PA"):
        image = Image.frombytes("L", size, random.randbytes(size[0] * size[1])).convert(mode)
    else:
        bands = len(Image.new(mode, (1, 1)).getbands())
        image = Image.frombytes(
            mode, size, random.randbytes(size[0] * size[1] * (4 if mode == "RGBX" else bands))
        )
    before = image.tobytes()
    encoded = encode_input(image)
    wanted = "L" if mode in ("1", "L") else "RGBA" if mode in ("LA", "PA", "RGBA", "RGBa") else "RGB"
    assert same(decoded(encoded), image.convert(wanted))
    assert (image.mode, image.size, image.tobytes()) == (mode, size, before)
    assert (encoded.mime, encoded.width, encoded.height, encoded.notes) == ("image/png", *size, ())


def test_modes_that_pillow_does_not_convert_itself():
    la = make_image("L").convert("LA")
    la.putalpha(make_image("L", seed=3))
    premultiplied = la.convert("La")
    assert same(decoded(encode_input(premultiplied)), premultiplied.convert("LA").convert("RGBA"))
    lab = ImageCms.profileToProfile(
        make_image(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert same(decoded(encode_input(lab)), lab.convert("RGB"))


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N", "I"])
def test_grey_of_sixteen_bits_is_not_clipped(mode):
    order = ">" if mode == "I;16B" else "<"
    values = (0, 255, 256, 65535)
    image = Image.frombytes(mode, (4, 1), struct.pack(f"{order}4{'i' if mode == 'I' else 'H'}", *values))
    image = decoded(encode_input(image))
    assert image.mode == "I;16"
    assert [image.getpixel((x, 0)) for x in range(4)] == list(values)


def test_whole_numbers_of_eight_bits_and_what_is_beyond():
    assert decoded(encode_input(Image.new("I", (2, 2), 200))).getpixel((0, 0)) == 200
    assert "from -1 to -1" in refusal(Image.new("I", (2, 2), -1))
    assert "from 1000000 to 1000000" in refusal(Image.new("I", (2, 2), 1_000_000))
    nan = Image.new("F", (2, 2), float("nan"))
    assert "NaN" in refusal(nan)


@pytest.mark.parametrize("transparency", [5, bytes(range(256))])
def test_transparency_of_a_palette_or_a_colour_key(transparency):
    image = make_image("L").convert("P")
    image.info["transparency"] = transparency
    assert same(decoded(encode_input(image)), image.convert("RGBA"))
    assert image.info == {"transparency": transparency}
    key = make_image("RGB")
    key.info["transparency"] = key.getpixel((3, 3))
    assert decoded(encode_input(key)).getpixel((3, 3))[3] == 0


def test_a_pillow_image_that_carries_an_orientation_is_turned(tmp_path):
    path = tmp_path / "cat.jpg"
    path.write_bytes(save(make_image(), "JPEG", exif=exif(6)))
    with Image.open(path) as image:
        encoded = encode_input(image)
        assert (encoded.width, encoded.height, named(encoded)) == (32, 48, [()])
        assert image.size == (48, 32)
        assert image.getexif()[0x0112] == 6


def test_the_frame_that_the_user_chose():
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("#ff0000", "#0000ff")]
    image = Image.open(io.BytesIO(save(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    image.seek(1)
    assert decoded(encode_input(image)).convert("RGB").getpixel((4, 4)) == (0, 0, 255)
    assert image.tell() == 1


def test_pillow_images_that_cannot_be_read(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(save(make_image(), "PNG"))
    with Image.open(path) as image:
        pass
    assert re.search(r"\(.+\)", refusal(image))
    assert "0x4" in refusal(Image.new("RGB", (0, 4)))


def test_the_same_pixels_have_the_same_hash_and_others_another():
    first = encode_input(make_image())
    assert first.pixels == encode_input(make_image().copy()).pixels
    others = [
        make_image(seed=8),
        make_image("L"),
        make_image().resize((32, 48)),
        Image.frombytes("RGB", (32, 48), make_image().tobytes()),
    ]
    assert len({first.pixels, *(encode_input(encoded).pixels for encoded in others)}) == 5


def test_a_source_does_not_print_its_bytes():
    assert "data" not in repr(encode_input(make_image()))


# For a server


ALL = ("png", "jpeg", "webp")


@pytest.mark.parametrize("form", OWN)
def test_what_fits_is_left_alone(form):
    encoded = encode_input(save(make_image(), form))
    assert fit_input(encoded, ALL, 50_000_000) is encoded
    assert fit_input(encoded, (form.lower(),), len(encoded.data)) is encoded


def test_another_format_is_reached_without_loss():
    encoded = encode_input(save(make_image("RGBA"), "WEBP", lossless=True, exact=True))
    png = fit_input(encoded, ("png",), 50_000_000)
    assert (png.mime, named(png)) == ("image/png", [("WebP", "PNG")])
    assert same(decoded(png), make_image("RGBA"))
    back = fit_input(png, ("webp", "jpeg"), 50_000_000)
    assert same(decoded(back), make_image("RGBA"))
    assert named(back) == [("WebP", "PNG"), ("PNG", "WebP")]
    assert fit_input(encoded, ("jpeg", "png"), 50_000_000).mime == "image/png"


def test_where_only_jpeg_is_left_holes_become_white():
    image = Image.new("RGBA", (32, 32), (200, 0, 0, 255))
    image.paste((0, 0, 200, 0), (0, 0, 16, 32))
    encoded = fit_input(encode_input(image), ("jpeg",), 50_000_000)
    assert (encoded.mime, named(encoded)) == ("image/jpeg", [("PNG", "JPEG"), ()])
    assert min(decoded(encoded).getpixel((4, 4))) > 250
    red, green, _ = decoded(encoded).getpixel((28, 4))
    assert red > 190
    assert green < 20
    assert named(fit_input(encode_input(make_image("L")), ("jpeg",), 50_000_000)) == [("PNG", "JPEG")]


@pytest.mark.parametrize("form", ["png", "webp", "jpeg"])
def test_scaled_until_it_fits(form):
    encoded = fit_input(encode_input(make_image(size=(300, 200))), (form,), 20_000)
    assert 10_000 < len(encoded.data) <= 20_000
    assert named(encoded)[-1] == ("300x200", f"{encoded.width}x{encoded.height}")
    assert encoded.scaled_from == (300, 200)
    assert abs(encoded.width / encoded.height - 1.5) < 0.05


def test_scaled_twice_is_still_measured_from_the_first():
    first = fit_input(encode_input(make_image(size=(300, 200))), ALL, 60_000)
    second = fit_input(first, ALL, 20_000)
    assert second.scaled_from == (300, 200)


def test_no_size_fits():
    with pytest.raises(InvalidInput, match=r"^cat.png .* 10 "):
        fit_input(encode_input(make_image()), ALL, 10, name="cat.png")


def test_square_servers():
    with pytest.raises(InvalidInput) as caught:
        fit_input(encode_input(make_image()), ALL, 50_000_000, square=True, name="cat.png")
    assert str(caught.value).startswith("cat.png is 48x32.")
    assert "PIL.ImageOps.fit(image, (32, 32))" in str(caught.value)
    square = encode_input(make_image(size=(32, 32)))
    assert fit_input(square, ALL, 50_000_000, square=True) is square


def test_grey_of_sixteen_bits_is_sent_as_eight():
    """Servers that are built on Pillow see such a file all white."""
    image = Image.new("I;16", (8, 8), 0x4000)
    for encoded in (encode_input(image), encode_input(save(image, "PNG"))):
        sent = fit_input(encoded, ALL, 50_000_000)
        assert len(sent.notes) == 1
        assert (decoded(sent).mode, decoded(sent).getpixel((0, 0))) == ("L", 0x40)


# Anything else


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (None, "NoneType"),
        (3.5, "float"),
        ({"a": 1}, "dict"),
        (Image, "module"),
        (Image.Image, "type type"),
        ("cat.jpg", "pathlib.Path('cat.jpg')"),
        ([], "list"),
        ([[0, 1], [1, 0]], "list"),
        ((1, 2), "tuple"),
    ],
)
def test_other_values_are_named(thing, text):
    assert text in refusal(thing)


def test_several_images_are_a_choice():
    assert refusal([make_image(), make_image()], "{foxes}").endswith(" {foxes[0]}.")


def test_an_ipython_image(tmp_path):
    from IPython.display import Image as Shown

    data = save(make_image(), "PNG")
    path = tmp_path / "cat.png"
    path.write_bytes(data)
    for shown in (Shown(data=data), Shown(filename=str(path)), Shown(url="cat.png", embed=False)):
        if shown.data is None and not shown.filename:
            assert "URL" in refusal(shown)
        else:
            assert encode_input(shown).data == data
    late = Shown(data=data)
    late.data, late.filename = None, str(path)
    assert encode_input(late).data == data


PNG = save(make_image(), "PNG")


class Plot:
    """What shows itself in a notebook."""

    def __init__(self, shown):
        self.shown = shown

    def _repr_png_(self):
        return self.shown


def make_widget(name, **members):
    return type(name, (), {"__module__": "ipywidgets.widgets.x", **members})()


UPLOAD = {"name": "cat.png", "type": "image/png", "size": len(PNG), "content": memoryview(PNG)}
OLD_UPLOADS = {"cat.png": {"metadata": {"name": "cat.png"}, "content": PNG}}
CONTAINERS = {
    "bytes of several kinds": (bytearray(PNG), None),
    "io.BytesIO": (io.BytesIO(PNG), None),
    "a tuple of a client library": (("cat.png", PNG), "cat.png"),
    "with its type": (("cat.png", PNG, "image/png"), "cat.png"),
    "without a name": ((None, io.BytesIO(PNG)), None),
    "a row of a data set": ({"bytes": PNG, "path": "pets/cat.png"}, "cat.png"),
    "a widget": (make_widget("Image", value=PNG, format="png"), None),
    "an upload": (make_widget("FileUpload", value=(UPLOAD,)), "cat.png"),
    "the value of an upload": ((UPLOAD,), "cat.png"),
    "a file of an upload": (UPLOAD, "cat.png"),
    "an upload of ipywidgets 7": (make_widget("FileUpload", value=OLD_UPLOADS), "cat.png"),
    "its value": (OLD_UPLOADS, "cat.png"),
    "an object that is shown": (Plot(PNG), None),
    "with its metadata": (Plot((PNG, {"width": 48})), None),
    "as base64": (Plot(base64.b64encode(PNG).decode()), None),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_holds_an_image_is_unwrapped(name):
    thing, file_name = CONTAINERS[name]
    assert encode_input(thing).data == PNG
    assert unwrap_input(thing, "it")[1] == file_name


def test_an_open_file_is_read_whole_and_left_where_it_was(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        file.seek(7)
        for _ in range(2):
            assert unwrap_input(file, "it") == (PNG, "cat.png")
            assert file.tell() == 7
        assert encode_input(("x.png", file)).data == PNG
    assert encode_input({"bytes": None, "path": str(path)}).data == PNG


def test_a_widget_may_hold_a_url():
    url = "https://example.org/cat.png"
    assert unwrap_input(make_widget("Image", value=url.encode(), format="url"), "it")[0] == url


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (io.StringIO("x"), "rb"),
        (make_widget("FileUpload", value=()), "no file"),
        ((UPLOAD, UPLOAD), "x[0]"),
        ({**OLD_UPLOADS, "dog.png": {"content": PNG}}, "x['cat.png']"),
        ({"bytes": "text"}, "str"),
        (Plot(None), "Plot"),
        ([UPLOAD, Plot(PNG)], "x[0]"),
        (type("File", (), {"read": lambda _self, _size: "text"})(), "str"),
    ],
)
def test_what_holds_no_image_or_several_is_refused(thing, text):
    with pytest.raises(InvalidInput) as caught:
        encode_input(thing, "x")
    assert text in str(caught.value)


def fail(*_arguments):
    raise RuntimeError("not on this device")


RAISING = {
    "an attribute": {"__getattr__": fail},
    "an array": {"__array__": property(fail), "__array_interface__": property(fail)},
    "a file": {"read": property(fail)},
    "the name of a file": {"read": lambda _self, _size: b"x", "name": property(fail)},
    "a picture": {"_repr_png_": property(fail)},
}


@pytest.mark.parametrize("name", RAISING)
def test_a_property_that_raises_is_no_image(name):
    with pytest.raises(InvalidInput):
        encode_input(type("Thing", (), RAISING[name])(), "x")


def test_a_mapping_that_raises_is_named():
    for kind in (Mapping, dict):
        members = dict.fromkeys(("keys", "__iter__", "__len__", "__getitem__", "get"), fail)
        assert "not on this device" in refusal(type("Row", (kind,), members)())


def test_an_object_whose_file_cannot_be_asked_for_is_drawn():
    plot = type("Open", (Plot,), {"read": property(fail)})(PNG)
    assert encode_input(plot).data == PNG


def test_a_format_of_a_registered_plugin_is_read(monkeypatch):
    class File(ImageFile.ImageFile):
        format = "TOY"

        def _open(self):
            self._size, self._mode = (4, 3), "RGB"
            self.tile = [("raw", (0, 0, 4, 3), 8, ("RGB", 0, 1))]

    data = b"TOYIMAGE" + bytes(range(36))
    with pytest.raises(InvalidInput):
        encode_input(data)
    monkeypatch.setitem(Image.OPEN, "TOY", (File, lambda head: head.startswith(b"TOYIMAGE")))
    encoded = encode_input(data)
    assert decoded(encoded).tobytes() == bytes(range(36))
    assert named(encoded) == [("TOY", "PNG")]


def test_reading_an_input_loads_no_library():
    code = (
        "import sys, ipyimagegen.imaging as imaging\n"
        "from PIL import Image; imaging.encode_input(Image.new('L', (4, 4)))\n"
        "sys.exit(bool({'numpy', 'matplotlib', 'torch', 'IPython'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
