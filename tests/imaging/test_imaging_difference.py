"""What a server changed outside the mask, measured on real files."""

import random
import struct
import warnings
import zlib

import numpy as np
import pytest
from image_files import save
from PIL import Image, ImageFilter

from ipyimagegen.imaging import encode_input, measure_changed_outside, read_mask

SIZE = (120, 80)
BOX = (30, 20, 40, 30)
OUTSIDE = 120 * 80 - 40 * 30


def photo(size=SIZE, mode="RGB"):
    """Return an image as soft as photographs are."""
    small = Image.frombytes("RGB", (6, 4), random.Random(5).randbytes(6 * 4 * 3))
    small = small.point(lambda value: 90 + value // 3)
    return small.resize(size, Image.Resampling.BICUBIC).convert(mode)


@pytest.fixture
def share(tmp_path):
    def share(after, before=None, box=BOX, form="PNG", **options):
        path = tmp_path / "after"
        if isinstance(after, Image.Image):
            after.save(path, form, **options)
        else:
            path.write_bytes(after)
        before = photo() if before is None else before
        data = before if isinstance(before, bytes) else save(before)
        return measure_changed_outside(data, path, read_mask(box, SIZE).data)

    return share


def test_what_is_inside_may_change(share):
    after = photo()
    after.paste("red", (30, 20, 70, 50))
    assert share(after) == 0.0


def test_what_is_outside_is_counted(share):
    after = photo()
    after.paste("red", (30, 20, 70, 50))
    after.paste("#ff00ff", (0, 0, 10, 10))
    assert share(after) == 100 / OUTSIDE
    assert share(Image.new("RGB", SIZE, "white"), Image.new("RGB", SIZE, "black")) == 1.0


@pytest.mark.parametrize(("step", "wanted"), [(8, 0.0), (-8, 0.0), (9, 1.0), (-9, 1.0)])
@pytest.mark.parametrize("band", [0, 1, 2, 3])
def test_eight_of_255_in_any_channel_is_no_change(share, step, wanted, band):
    colour = [120, 120, 120, 200]
    before = Image.new("RGBA", SIZE, tuple(colour))
    colour[band] += step
    # What is half transparent shows half of its difference.
    wanted = 0.0 if band < 3 else wanted
    assert share(Image.new("RGBA", SIZE, tuple(colour)), before) == wanted
    if band < 3:
        wanted = 1.0 if abs(step) > 8 else 0.0
        after = Image.new("RGB", SIZE, tuple(colour[:3]))
        assert share(after, before.convert("RGB")) == wanted


def test_what_is_transparent_has_no_colour(share):
    assert share(Image.new("RGBA", SIZE, (9, 200, 9, 0)), Image.new("RGBA", SIZE, (200, 9, 9, 0))) == 0.0


def test_transparency_that_is_lost_is_a_change(share):
    before = photo(mode="RGBA")
    before.putalpha(0)
    assert share(photo(), before) == 1.0
    assert share(photo(mode="RGBA"), photo()) == 0.0  # opaque, with a channel that says so


@pytest.mark.parametrize(
    ("form", "options"), [("JPEG", {"quality": 90}), ("WEBP", {"quality": 90}), ("WEBP", {"lossless": True})]
)
def test_a_good_encoder_changes_nothing(share, form, options):
    assert share(photo(), form=form, **options) < 0.002


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "I;16"])
def test_any_mode_is_compared(share, mode):
    image = photo(mode="L").convert("P" if mode == "P" else mode) if mode != "I;16" else None
    if image is None:
        image = Image.fromarray(np.asarray(photo(mode="L")).astype("uint16") * 257)
    assert share(image, image) == 0.0
    other = image.transpose(Image.Transpose.ROTATE_180)
    assert share(other, image) > 0.1


def test_a_turned_jpeg_is_seen_as_it_is_shown(share):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = photo().transpose(Image.Transpose.ROTATE_90)
    assert share(stored, form="JPEG", quality=95, exif=exif) < 0.002
    before = encode_input(save(photo()))
    assert share(photo(), before.data) == 0.0


@pytest.mark.parametrize("scale", [0.5, 0.8, 2, 3.3])
def test_another_size_of_the_same_ratio(share, scale):
    size = (round(120 * scale), round(80 * scale))
    after = photo()
    after.paste("red", (30, 20, 70, 50))
    scaled = after.resize(size, Image.Resampling.BICUBIC)
    assert share(scaled) < 0.002  # though the border of the red box is soft now
    spoiled = scaled.copy()
    spoiled.paste("#00ff00", (0, 0, size[0], size[1] // 8))
    changed = share(spoiled)
    assert changed == pytest.approx((size[1] // 8) * size[0] / (size[0] * size[1] * OUTSIDE / 9600), rel=0.2)


def test_a_soft_border_counts_where_nothing_was_scaled(share):
    after = photo()
    after.paste("red", (30, 20, 70, 50))
    assert 0 < share(after.filter(ImageFilter.GaussianBlur(2))) < 0.2


@pytest.mark.parametrize("size", [(80, 120), (120, 120), (120, 78), (124, 80)])
def test_another_ratio_cannot_be_compared(share, size):
    assert share(photo(size)) is None


def test_a_ratio_that_is_nearly_the_same_can(share):
    assert share(photo((121, 80))) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg/>",
        b"GIF89a" + b"\0" * 50,
        b"\x89PNG\r\n\x1a\n",
        save(photo())[:-30],
        save(photo())[: len(save(photo())) // 2],
    ],
)
def test_what_cannot_be_opened_cannot_be_compared(share, data):
    assert share(data) is None


def test_a_file_that_is_gone(tmp_path):
    assert measure_changed_outside(save(photo()), tmp_path / "none", read_mask(BOX, SIZE).data) is None


def test_damage_behind_the_header(share):
    data = bytearray(save(photo()))
    at = data.index(b"IDAT") + 8
    data[at : at + 30] = b"\xff" * 30
    assert share(bytes(data)) is None


def test_too_many_megapixels_are_never_decoded(share):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def bomb(width, height, extra=b""):
        head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        body = zlib.compress(b"\0" * (width + 1) * min(height, 80))
        ihdr = chunk(b"IHDR", head)
        return b"\x89PNG\r\n\x1a\n" + ihdr + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert share(bomb(12_000, 8_000)) is None
        assert share(bomb(6_500, 6_500)) is None
        again = chunk(b"IHDR", struct.pack(">IIBBBBB", 12_000, 8_000, 8, 0, 0, 0, 0))
        assert share(bomb(120, 80, again)) is None


def test_where_everything_may_change_nothing_is_outside(share):
    assert share(photo(), box=(0, 0, *SIZE)) is None
    assert share(photo((60, 40)), box=(2, 2, 116, 76)) is None  # but a border that does not count


def test_a_mask_of_another_image(tmp_path):
    path = tmp_path / "after.png"
    photo().save(path)
    assert measure_changed_outside(save(photo()), path, read_mask((0, 0, 5, 5), (80, 120)).data) is None


def test_input_that_is_no_image(tmp_path):
    path = tmp_path / "after.png"
    photo().save(path)
    assert measure_changed_outside(b"no", path, read_mask(BOX, SIZE).data) is None
    assert measure_changed_outside(save(photo()), path, b"no") is None


@pytest.mark.parametrize("row", [0, 255, 256, 511, 512, 599])
def test_a_change_is_counted_wherever_it_is_in_a_high_image(tmp_path, row):
    before, after = Image.new("RGB", (4, 600)), tmp_path / "after.png"
    changed = before.copy()
    changed.paste((200, 0, 0), (0, row, 4, row + 1))
    changed.save(after)
    assert measure_changed_outside(save(before), after, save(Image.new("L", (4, 600)))) == pytest.approx(
        1 / 600
    )
