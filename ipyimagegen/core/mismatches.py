"""What was asked compared with what was delivered, measured from the returned bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ipyimagegen.core.formats import BY_NAME
from ipyimagegen.core.messages import _, ngettext
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
    partial = [image for image in images if image.state is ImageState.PARTIAL]
    return (
        *_compare_count(request, facts, whole, partial),
        *_compare_size(asked, whole),
        *_compare_ratio(request, asked, whole),
        *_compare_format(asked, whole),
        *_compare_transparency(asked, whole),
        *_compare_quality(asked, facts),
        *(
            Mismatch(_("image {number}", number=image.index), _("a whole image"), image.note)
            for image in images
            if image.note and image.state in IN_PLACE
        ),
        *(
            Mismatch(_("another item"), _("an image"), _("an error: {error}", error=error))
            for error in facts.get("errors", ())
        ),
    )


def _compare_count(
    request: Request, facts: Mapping[str, Any], whole: Sequence[ImageRecord], partial: Sequence[ImageRecord]
) -> Iterator[Mismatch]:
    asked = _format_images(request.count)
    if items := facts.get("items"):  # more than are taken
        got = _("{items}: {shown} shown, the rest is kept in the response", items=items, shown=len(whole))
        yield Mismatch(_("count"), asked, got)
    elif not request.fewest <= len(whole) + len(partial) <= request.count:  # a partial has its own note
        yield Mismatch(_("count"), asked, _format_images(len(whole)))


def _format_images(count: int) -> str:
    return ngettext("{count} image", "{count} images", count)


def _list_sizes(images: Sequence[ImageRecord]) -> list[str]:
    return sorted({f"{image.width}x{image.height}" for image in images})


def _find_size(asked: Mapping[str, Any]) -> str:
    """Return the `WIDTHxHEIGHT` that was asked; empty where the size is a word or a tier."""
    pixels = parse_size(str(asked.get("size", "")))
    return f"{pixels[0]}x{pixels[1]}" if pixels else ""


def _compare_size(asked: Mapping[str, Any], whole: Sequence[ImageRecord]) -> Iterator[Mismatch]:
    size = _find_size(asked)
    if size and whole and _list_sizes(whole) != [size]:
        yield Mismatch(_("size"), size, ", ".join(_list_sizes(whole)))


def _compare_ratio(
    request: Request, asked: Mapping[str, Any], whole: Sequence[ImageRecord]
) -> Iterator[Mismatch]:
    ratio = str(request.options.get("aspect_ratio", ""))
    if ":" not in ratio or "size" in request.extra:
        return
    if _list_sizes(whole) == [_find_size(asked)]:
        return  # translated to this size, and the caption's note says so
    width, height = (float(part) for part in ratio.split(":"))
    wrong = [
        image
        for image in whole
        if abs(((image.width or 1) / (image.height or 1)) / (width / height) - 1) > _ROUNDING
    ]
    if wrong:
        yield Mismatch(_("ratio"), ratio, ", ".join(_list_sizes(wrong)))


def _compare_format(asked: Mapping[str, Any], whole: Sequence[ImageRecord]) -> Iterator[Mismatch]:
    file_format = BY_NAME.get(str(asked.get("output_format")))
    if file_format is None:
        return
    others = {str(image.mime).removeprefix("image/") for image in whole if image.mime != file_format.mime}
    if others:
        yield Mismatch(_("format"), file_format.name, ", ".join(sorted(others)))


def _compare_transparency(asked: Mapping[str, Any], whole: Sequence[ImageRecord]) -> Iterator[Mismatch]:
    background = asked.get("background")
    if background == "transparent" and any(not image.alpha for image in whole):
        yield Mismatch(_("background"), "transparent", "opaque")
    if background == "opaque" and any(image.alpha for image in whole):
        yield Mismatch(_("background"), "opaque", "transparent")


def _compare_quality(asked: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[Mismatch]:
    quality, reported = asked.get("quality"), facts.get("quality")
    if isinstance(reported, str) and quality not in (None, "auto", reported):
        yield Mismatch(_("quality"), str(quality), reported)
