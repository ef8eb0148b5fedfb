"""A sweep in words: its title and caption, and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ipyimagegen.core import costs, ids
from ipyimagegen.core.axes import PROMPT, Axis, label_points
from ipyimagegen.core.run import Cost, ImageState
from ipyimagegen.core.text import DOT, format_count, list_some, sanitize, truncate
from ipyimagegen.results.captions import OUTSIDE, list_facts
from ipyimagegen.results.generation import Generation

LISTED = 8  # failures that a caption lists


def write_sweep_title(prompt: str, axes: Sequence[Axis]) -> str:
    """Return `Sweep: 'a {red|blue} fox' · 2 {red|blue} × 3 seed`."""
    across = " × ".join(f"{len(axis.values)} {truncate(axis.title, 30)}" for axis in axes)
    return f"Sweep: {truncate(prompt, 60)!r}{DOT}{across}"


def write_sweep_caption(
    sweep: Sequence[Generation],
    axes: Sequence[Axis],
    asked: Mapping[int, Cost],
    *,
    prompt: str,
    legend: Sequence[str],
) -> str:
    """Return the caption: equal for every run of the same sweep that came whole, up to its last line.

    `asked` holds the estimates of what was asked for now, by place.
    """
    came = [one for one in sweep if one]
    failed = len(sweep) - len(came)
    head = f"{len(came)} of {len(sweep)}" + (f"; {failed} failed" if failed else "")
    names = label_points(axes)
    lines = [
        DOT.join([head, truncate(prompt, 80)]),
        DOT.join(_shared(came, axes)),
        *(came[0].edit_of if came else []),  # inputs are never split, so all have the same
        " × ".join(f"{truncate(axis.title, 40)}: {_values(axis)}" for axis in axes),
        _runs(came),
        *(sanitize(line, 400) for line in legend),
        *(f"! {line}" for line in _of_some([_mismatches(one) for one in sweep], names, len(came))),
        *(f"- {line}" for line in _of_some([_notes(one, axes) for one in sweep], names, len(came))),
        *list_failures(sweep, names),
    ]
    return "\n".join([*filter(None, lines), _last(sweep, asked)])


def _shared(came: Sequence[Generation], axes: Sequence[Axis]) -> list[str]:
    """Return the facts that all have, but not what varies: of one that came alone that would be a fact."""
    each = [list_facts(one.run) for one in came]
    varies = {label for axis in axes for label in axis.labels}
    shared = [word for word in each[0] if all(word in other for other in each)] if each else []
    return [word for word in shared if word not in varies]


def _values(axis: Axis) -> str:
    told = [truncate(one, 40) for one in axis.values_told]
    return ", ".join(told) if len(told) <= 12 else f"{', '.join(told[:4])} … {told[-1]} ({len(told)})"


def _runs(came: Sequence[Generation]) -> str:
    numbers = [one.number for one in came if one.number]
    return DOT.join(
        filter(
            None,
            [
                f"runs {ids.format_numbers(numbers)}" if numbers else "",
                ids.format_ids([one.id for one in came]),
            ],
        )
    )


def _mismatches(one: Generation) -> list[str]:
    told = [str(mismatch) for mismatch in one.mismatches if mismatch.subject != OUTSIDE]
    lost = [p for p in one.run.images if p.state not in (ImageState.STORED, ImageState.PARTIAL)]
    return [*told, *(f"image {p.index}: {p.note or p.state}" for p in lost)] if one else []


def _notes(one: Generation, axes: Sequence[Axis]) -> list[str]:
    """Return its notes, without the value of what varies: that is said once, for all."""
    notes = list(one.run.sent.notes) if one else []
    for axis in axes:
        value = f"{axis.name}={one.run.request.options.get(axis.name)} "
        notes = [note.replace(value, f"{axis.name} ", 1) for note in notes]
    return notes


def _of_some(each: Sequence[Sequence[str]], label_points: Sequence[str], came: int) -> list[str]:
    """Return each line once, with the places that it is about unless all that came have it."""
    places: dict[str, list[str]] = {}
    for lines, label in zip(each, label_points, strict=True):
        for line in dict.fromkeys(lines):
            places.setdefault(line, []).append(label)
    return [
        sanitize(line) + ("" if len(at) == came else f" ({list_some(at)})") for line, at in places.items()
    ]


def list_failures(sweep: Sequence[Generation], label_points: Sequence[str]) -> list[str]:
    """Return a line for each that failed, and why, up to a number that can be read."""
    told = [
        f"! {truncate(label, 60)}: {_why(one.error or 'no image')}"
        for one, label in zip(sweep, label_points, strict=True)
        if not one
    ]
    more = len(told) - LISTED
    return [*told[:LISTED], f"! and {more} more: sweep.failed"] if more > 0 else told


def join_lines(error: str) -> str:
    """Return the lines of an error as one: the first ends there where it has no stop of its own."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return " ".join(line if line[-1] in ".!?:…。！？" else f"{line}." for line in lines)


def _why(error: str) -> str:
    first, _, rest = error.partition("\n")
    return truncate(first, 200) + (" (--retry asks again)" if "--retry" in rest else "")


def _last(sweep: Sequence[Generation], asked: Mapping[int, Cost]) -> str:
    """Return what changes from run to run: seconds, estimate and cost, and what the history gave."""
    took = [one.elapsed for one in sweep if one and one.elapsed is not None]
    words = [f"slowest call {max(took):.1f} s"] if took else []
    now = [one.cost for place, one in enumerate(sweep) if place in asked]
    reused = sum(one.reused for one in sweep if one)
    if now and not all(one.basis in ("free", "none") for one in now):
        about, spent = costs.format_costs(asked.values()), costs.format_costs(now)
        words.append(f"{format_count(len(now), 'call')} asked")
        both = [f"estimate {about.removeprefix('cost ')}", f"spent {spent.removeprefix('cost ')}"]
        words += [spent] if about == spent == "cost unknown" else both
    else:
        words.append(costs.format_costs([one.cost for one in sweep if one]))
    if reused:
        words.append("from history" if reused == len(sweep) else f"{reused} from history")
    return DOT.join(words)


def make_row(one: Generation, axes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of one generation in the table; see `Sweep.rows`."""
    options = {**one.run.request.options, **one.run.request.extra}
    if "size" in options:
        options["asked_size"] = options.pop("size")
    varied = {name: value for name, value in axes.items() if name not in (*options, PROMPT, "size")}
    sizes = dict.fromkeys(f"{image.size[0]}x{image.size[1]}" for image in one)
    return {
        **varied,
        "prompt": one.prompt,
        "endpoint": one.endpoint,
        "model": one.model,
        **options,
        "size": ", ".join(sizes) or None,
        "images": len(one),
        "seconds": one.elapsed,
        "cost": one.cost.amount if one.cost.basis not in ("free", "none") else 0.0,
        "currency": one.cost.currency or None,
        "mismatches": [str(mismatch) for mismatch in one.mismatches],
        "file": str(one[0].path) if one else None,
        "files": [str(image.path) for image in one],
        "id": one.id,
        "status": str(one.status),
        "error": one.error,
        "from_history": one.reused,
    }
