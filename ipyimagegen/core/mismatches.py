"""Asked against got: every difference as one sentence, measured from the returned bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ipyimagegen.core.formats import BY_NAME
from ipyimagegen.core.options import parse_size
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import IN_PLACE, ImageRecord, ImageState, Mismatch
from ipyimagegen.core.text import format_count


def find_mismatches(
    request: Request, sent: PreparedRequest, images: Sequence[ImageRecord], facts: Mapping[str, Any]
) -> tuple[Mismatch, ...]:
    """Return what was asked and not given: count, size, ratio, format, transparency, quality.

    `facts` is what the reply says of itself; only the quality and the errors of single items are taken
    from it, because they cannot be measured. A `--set` value of the same name counts as what was asked.
    """
    asked = {**request.options, **sent.options, **request.extra}
    shown = [p for p in images if p.whole]
    found = [
        *_count(request, facts, shown, [p for p in images if p.state is ImageState.PARTIAL]),
        *_size(asked, shown),
        *_ratio(request, asked, shown),
        *_format(asked, shown),
        *_transparency(asked, shown),
        *_quality(asked, facts),
        *(
            Mismatch(f"image {p.index}", "a whole image", p.note)
            for p in images
            if p.note and p.state in IN_PLACE
        ),
        *(Mismatch("one more item", "an image", f"an error: {said}") for said in facts.get("errors", ())),
    ]
    return tuple(found)


def _count(
    request: Request, facts: Mapping[str, Any], shown: Sequence[ImageRecord], broken: Sequence[ImageRecord]
) -> list[Mismatch]:
    if came := facts.get("items"):  # more than are taken
        got = f"{came}: {len(shown)} shown, the rest is kept in the response"
        return [Mismatch("count", format_count(request.count, "image"), got)]
    if request.fewest <= len(shown) + len(broken) <= request.count:
        return []  # of those that broke off, each has a word of its own
    return [Mismatch("count", format_count(request.count, "image"), format_count(len(shown), "image"))]


def _sizes(shown: Sequence[ImageRecord]) -> list[str]:
    return sorted({f"{p.width}x{p.height}" for p in shown})


def _size(asked: Mapping[str, Any], shown: Sequence[ImageRecord]) -> list[Mismatch]:
    size = _requested_size(asked)
    if not size or not shown or _sizes(shown) == [size]:
        return []
    return [Mismatch("size", size, ", ".join(_sizes(shown)))]


def _requested_size(asked: Mapping[str, Any]) -> str:
    """Return the requested `WIDTHxHEIGHT`, or nothing where the size is a word or a tier."""
    pixels = parse_size(str(asked.get("size", "")))
    return f"{pixels[0]}x{pixels[1]}" if pixels else ""


def _ratio(request: Request, asked: Mapping[str, Any], shown: Sequence[ImageRecord]) -> list[Mismatch]:
    ratio = str(request.options.get("aspect_ratio", ""))
    if ":" not in ratio or "size" in request.extra:
        return []
    if _sizes(shown) == [_requested_size(asked)]:
        return []  # translated to this size, and the caption's note says so
    width, height = (float(part) for part in ratio.split(":"))
    # Servers round to multiples of 8 to 64 pixels: 2 % is a rounding, not another ratio.
    wrong = [p for p in shown if abs(((p.width or 1) / (p.height or 1)) / (width / height) - 1) > 0.02]
    return [Mismatch("ratio", ratio, ", ".join(_sizes(wrong)))] if wrong else []


def _format(asked: Mapping[str, Any], shown: Sequence[ImageRecord]) -> list[Mismatch]:
    wanted = BY_NAME.get(str(asked.get("output_format")))
    if wanted is None:
        return []
    got = sorted({str(image.mime).removeprefix("image/") for image in shown if image.mime != wanted.mime})
    return [Mismatch("format", wanted.name, ", ".join(got))] if got else []


def _transparency(asked: Mapping[str, Any], shown: Sequence[ImageRecord]) -> list[Mismatch]:
    background = asked.get("background")
    if background == "transparent" and any(not p.alpha for p in shown):
        return [Mismatch("background", "transparent", "opaque")]
    if background == "opaque" and any(p.alpha for p in shown):
        return [Mismatch("background", "opaque", "transparent")]
    return []


def _quality(asked: Mapping[str, Any], facts: Mapping[str, Any]) -> list[Mismatch]:
    quality, echoed = asked.get("quality"), facts.get("quality")
    if not isinstance(echoed, str) or quality in (None, "auto", echoed):
        return []
    return [Mismatch("quality", str(quality), echoed)]
