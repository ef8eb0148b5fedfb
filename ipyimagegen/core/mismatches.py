"""Asked against got: every difference as one sentence, measured from the returned bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ipyimagegen.core.run import IN_PLACE, Picture, PictureState, Request, Sent, Verdict
from ipyimagegen.core.text import counted

_MIME = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


def judge(
    request: Request, sent: Sent, pictures: Sequence[Picture], facts: Mapping[str, Any]
) -> tuple[Verdict, ...]:
    """Return what was asked and not given: count, size, ratio, format, transparency, quality.

    `facts` is what the reply says of itself; only the quality and the errors of single items are taken
    from it, because they cannot be measured. A `--set` value of the same name counts as what was asked.
    """
    asked = {**request.options, **sent.options, **request.extra}
    shown = [p for p in pictures if p.whole]
    found = [
        *_count(request, facts, shown, [p for p in pictures if p.state is PictureState.PARTIAL]),
        *_size(asked, shown),
        *_ratio(request, asked, shown),
        *_format(asked, shown),
        *_transparency(asked, shown),
        *_quality(asked, facts),
        *(
            Verdict(f"picture {p.index}", "a whole picture", p.note)
            for p in pictures
            if p.note and p.state in IN_PLACE
        ),
        *(Verdict("one more item", "a picture", f"an error: {said}") for said in facts.get("errors", ())),
    ]
    return tuple(found)


def _count(
    request: Request, facts: Mapping[str, Any], shown: Sequence[Picture], broken: Sequence[Picture]
) -> list[Verdict]:
    if came := facts.get("items"):  # more than are taken
        got = f"{came}: {len(shown)} shown, the rest is kept in the response"
        return [Verdict("count", counted(request.count, "picture"), got)]
    if request.fewest <= len(shown) + len(broken) <= request.count:
        return []  # of those that broke off, each has a word of its own
    return [Verdict("count", counted(request.count, "picture"), counted(len(shown), "picture"))]


def _sizes(shown: Sequence[Picture]) -> list[str]:
    return sorted({f"{p.width}x{p.height}" for p in shown})


def _size(asked: Mapping[str, Any], shown: Sequence[Picture]) -> list[Verdict]:
    size = str(asked.get("size", ""))
    if not size[:1].isdigit() or "x" not in size or not shown or _sizes(shown) == [size]:
        return []
    return [Verdict("size", size, ", ".join(_sizes(shown)))]


def _ratio(request: Request, asked: Mapping[str, Any], shown: Sequence[Picture]) -> list[Verdict]:
    ratio = str(request.options.get("aspect_ratio", ""))
    if ":" not in ratio or "size" in request.extra:
        return []
    size = str(asked.get("size", ""))
    if size[:1].isdigit() and _sizes(shown) == [size]:
        return []  # translated to this size, and the caption's note says so
    width, height = (float(part) for part in ratio.split(":"))
    # Servers round to multiples of 8 to 64 pixels: 2 % is a rounding, not another ratio.
    wrong = [p for p in shown if abs(((p.width or 1) / (p.height or 1)) / (width / height) - 1) > 0.02]
    return [Verdict("ratio", ratio, ", ".join(_sizes(wrong)))] if wrong else []


def _format(asked: Mapping[str, Any], shown: Sequence[Picture]) -> list[Verdict]:
    wanted = _MIME.get(str(asked.get("output_format")))
    got = sorted({str(p.mime).removeprefix("image/") for p in shown if p.mime != wanted})
    return [Verdict("format", str(asked["output_format"]), ", ".join(got))] if wanted and got else []


def _transparency(asked: Mapping[str, Any], shown: Sequence[Picture]) -> list[Verdict]:
    background = asked.get("background")
    if background == "transparent" and any(not p.alpha for p in shown):
        return [Verdict("background", "transparent", "opaque")]
    if background == "opaque" and any(p.alpha for p in shown):
        return [Verdict("background", "opaque", "transparent")]
    return []


def _quality(asked: Mapping[str, Any], facts: Mapping[str, Any]) -> list[Verdict]:
    quality, echoed = asked.get("quality"), facts.get("quality")
    if not isinstance(echoed, str) or quality in (None, "auto", echoed):
        return []
    return [Verdict("quality", str(quality), echoed)]
