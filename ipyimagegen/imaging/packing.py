"""Make an image's bytes: PNG without loss, scaled only where it would be too large to send."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from typing import Any

from PIL import Image

from ipyimagegen.imaging import modes
from ipyimagegen.imaging.opening import decoded, opened
from ipyimagegen.imaging.refusing import refused
from ipyimagegen.imaging.values import EncodedImage

MOST_BYTES = 50_000_000  # what the API takes of one image
MOST_PIXELS = 40_000_000
_BITS = 24  # where the depth stands in a PNG, and behind it the kind of colour
_FORMS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP", "lossless": True, "exact": True},
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}


def pack(
    image: Image.Image,
    notes: tuple[str, ...] = (),
    profile: bytes | None = None,
    *,
    form: str = "png",
    limit: int = MOST_BYTES,
    most: int = MOST_PIXELS,
) -> EncodedImage:
    """Return an image of one of the modes that go out, in at most `limit` bytes and `most` pixels."""
    small = _scaled(image, (most / (image.width * image.height)) ** 0.5)
    data = encoded(small, form, profile)
    while len(data) > limit and max(small.size) > 1:
        # Bytes go with the area, roughly; always from the image itself, so that it blurs once.
        share = min(0.95, 0.98 * (limit / len(data)) ** 0.5)
        small = _scaled(image, small.width * share / image.width)
        data = encoded(small, form, profile)
    if small.size != image.size:
        was, now = (f"{one.width}x{one.height}" for one in (image, small))
        notes = (*notes, f"scaled from {was} to {now}")
    return EncodedImage(
        data=data,
        mime=f"image/{form}",
        width=small.width,
        height=small.height,
        pixels=hashed(small, profile),
        notes=notes,
        scaled_from=image.size if small.size != image.size else None,
    )


def encoded(image: Image.Image, form: str = "png", profile: bytes | None = None, **options: Any) -> bytes:
    """Return the image as a file with nothing in it but pixels and colour profile."""
    out = io.BytesIO()
    image.save(out, **{**_FORMS[form], **options, "icc_profile": profile, "transparency": None})
    return out.getvalue()


def hashed(image: Image.Image, profile: bytes | None = None) -> str:
    """Return the sha256, in hex, of mode, size, pixels, and the profile that says what they mean."""
    head = f"{image.mode} {image.width}x{image.height}\n".encode()
    digest = hashlib.sha256(head)
    digest.update(image.tobytes())
    digest.update(profile or b"")
    return digest.hexdigest()


def fitted(
    one: EncodedImage, formats: tuple[str, ...], limit: int, *, square: bool, name: str
) -> EncodedImage:
    """Return the image as one server takes it; see `ipyimagegen.imaging.fitted`."""
    if square and one.width != one.height:
        edge = min(one.width, one.height)
        how = f"PIL.ImageOps.fit(image, ({edge}, {edge}))"
        raise refused(
            name, f"is {one.width}x{one.height}; this server takes square images only. Crop it, as {how}."
        )
    form = one.mime.removeprefix("image/")
    if form in formats and len(one.data) <= limit and not _deep(one):
        return one
    image, _ = decoded(opened(one.data, name), name)
    image, profile = modes.ready(image)
    notes = one.notes
    if image.mode == "I;16":
        image = modes.shallow(image)
        notes = (*notes, "16 bits of grey brought down to 8")
    target = next((chosen for chosen in formats if chosen in ("png", "webp")), "jpeg")
    if target != form:
        notes = (*notes, f"converted from {_shown(form)} to {_shown(target)}")
    if target == "jpeg":
        image, flat = _on_white(image)
        notes = (*notes, *flat)
    done = pack(image, notes, profile, form=target, limit=limit)
    if len(done.data) > limit:
        raise refused(name, f"does not fit into {limit:,} bytes at any size.")
    return (
        done if done.scaled_from is None else replace(done, scaled_from=one.scaled_from or done.scaled_from)
    )


def _scaled(image: Image.Image, share: float) -> Image.Image:
    if share >= 1:
        return image
    size = (max(1, int(image.width * share)), max(1, int(image.height * share)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _deep(one: EncodedImage) -> bool:
    """Say whether it is grey of 16 bits: what is built on Pillow, as many servers are, sees white."""
    return one.mime == "image/png" and one.data[_BITS] == 16 and one.data[_BITS + 1] in (0, 4)


def _on_white(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    if image.mode != "RGBA":
        return image, ()
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return paper, ("laid on white",)


def _shown(form: str) -> str:
    return {"webp": "WebP"}.get(form, form.upper())
