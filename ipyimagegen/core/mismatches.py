"""What was asked compared with what was delivered, measured from the returned bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ipyimagegen.core.formats import BY_MIME, BY_NAME
from ipyimagegen.core.messages import Message, _, ngettext
from ipyimagegen.core.options import parse_size
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import IN_PLACE, ImageRecord, ImageState, Mismatch

_ROUNDING = 0.02  # servers round edges to multiples of 8 to 64 pixels, which changes the ratio by up to 2 %


def find_mismatches(
    request: Request, sent: PreparedRequest, images: Sequence[ImageRecord], facts: Mapping[str, Any]
) -> tuple[Mismatch, ...]:
    """Return what was asked and not delivered: count, size, ratio, format, transparency, quality.

    `facts` is what the response reports about itself; only the quality and the errors of single items are
    taken from it, because they cannot be measured. A `--set` value of the same name counts as asked.
    """
    asked = {**request.options, **sent.options, **request.extra}
    whole = [image for image in images if image.whole]
    partial = sum(image.state is ImageState.PARTIAL for image in images)  # each has a note of its own
    got: Message | None = None
    if items := facts.get("items"):  # more than are taken
        got = _("{items}: {shown} shown, the rest is kept in the response", items=items, shown=len(whole))
    elif not request.fewest <= len(whole) + partial <= request.count:
        got = ngettext("{count} image", "{count} images", len(whole))
    wanted = ngettext("{count} image", "{count} images", request.count)
    mismatches = [Mismatch(_("count"), wanted, got)] if got else []
    mismatches += _compare_images(request, asked, whole)
    quality, reported = asked.get("quality"), facts.get("quality")
    if isinstance(reported, str) and quality not in (None, "auto", reported):
        mismatches.append(Mismatch(_("quality"), str(quality), reported))
    mismatches += [
        Mismatch(_("image {number}", number=image.index), _("a whole image"), image.note)
        for image in images
        if image.note and image.state in IN_PLACE
    ]
    mismatches += [
        Mismatch(_("another item"), _("an image"), _("an error: {error}", error=error))
        for error in facts.get("errors", ())
    ]
    return tuple(mismatches)


def _compare_images(
    request: Request, asked: Mapping[str, Any], whole: Sequence[ImageRecord]
) -> Iterator[Mismatch]:
    """Yield what can be measured: size, ratio, format, transparency."""
    measured = [image for image in whole if image.width]
    pixels = parse_size(str(asked.get("size", "")))  # None for a word or a tier
    size = f"{pixels[0]}x{pixels[1]}" if pixels else ""
    sizes = _list_sizes(measured)
    if size and measured and sizes != [size]:
        yield Mismatch(_("size"), size, ", ".join(sizes))
    ratio = str(request.options.get("aspect_ratio", ""))
    # Where it was translated to this size, the caption's note says so.
    if ":" in ratio and "size" not in request.extra and sizes != [size]:
        width, height = (float(part) for part in ratio.split(":"))
        shapes = [(image, (image.width or 1) / (image.height or 1)) for image in measured]
        wrong = [image for image, shape in shapes if abs(shape / (width / height) - 1) > _ROUNDING]
        if wrong:
            yield Mismatch(_("ratio"), ratio, ", ".join(_list_sizes(wrong)))
    if file_format := BY_NAME.get(str(asked.get("output_format"))):
        others = {_name_format(image) for image in whole if image.mime != file_format.mime}
        if others:
            yield Mismatch(_("format"), file_format.name, ", ".join(sorted(others)))
    background = asked.get("background")
    if background == "transparent" and any(image.alpha is False for image in whole):
        yield Mismatch(_("background"), "transparent", "opaque")
    if background == "opaque" and any(image.alpha for image in whole):
        yield Mismatch(_("background"), "opaque", "transparent")


def _name_format(image: ImageRecord) -> str:
    file_format = BY_MIME.get(image.mime or "")
    return file_format.name if file_format else str(image.mime).removeprefix("image/")


def _list_sizes(images: Sequence[ImageRecord]) -> list[str]:
    return sorted({f"{image.width}x{image.height}" for image in images})
