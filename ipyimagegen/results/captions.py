"""The words under an image: what was asked, of whom, what came, and what that cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from ipyimagegen.core.request import Input
from ipyimagegen.core.run import IN_PLACE, ImageRecord, ImageState, Run, Status
from ipyimagegen.core.text import DOT, NAMED, format_count, list_some, sanitize, truncate

LONGEST = 1900  # characters of a caption, whatever comes
_LONGEST_LINE = 400
_TILES = 16
OUTSIDE = "outside the mask"  # a figure rather than a fault: models redraw more than they are asked to
_SAID_OF_A_CALL = ("seed", "quality", "style", "background", "output_format", "negative_prompt")


def write_caption(
    run: Run, number: int | None, *, from_history: bool, named: Callable[[Input], str] = attrgetter("name")
) -> str:
    """Return the caption: equal for every run of the same request, up to its last line.

    `number` is the run's number in this session; None outside one. `named` says what an image is
    called that an edit began with.
    """
    lines = [_tiles(run, number)] if len(run.shown) > 1 else []
    lines += describe_edit(run, named)
    lines += [f"! {sanitize(mismatch)}" for mismatch in run.mismatches if mismatch.subject != OUTSIDE]
    lines += list_few(
        [f"! image {p.index}: {describe_state(p)}" for p in run.images if p.state not in IN_PLACE], "images"
    )
    lines += [f"- {sanitize(note)}" for note in run.sent.notes]
    end = []
    if run.status is Status.UNKNOWN and run.error:
        bill = "" if run.cost.basis == "free" else "; it may have been billed, and --retry asks again"
        end.append(f"! {sanitize(run.error.message, _LONGEST_LINE).rstrip('.')}{bill}")
    elif run.error and not run.shown:
        end.append(f"! {sanitize(run.error.message, _LONGEST_LINE)}")
    end.append(write_last_line(run, from_history=from_history))
    begin = [write_title(run, number), DOT.join(list_facts(run))]
    return "\n".join([*begin, *_fitting(lines, LONGEST - sum(map(len, (*begin, *end)))), *end])


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    """Return the lines that fit into `room` characters, and how many do not."""
    kept: list[str] = []
    for line in lines:
        cut = line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"
        room -= len(cut) + 1
        if room < 0:
            return [*kept, f"! and {format_count(len(lines) - len(kept), 'more line')}: see %imagine_show"]
        kept.append(cut)
    return kept


def list_few(lines: Sequence[str], what: str) -> list[str]:
    """Return the first of many lines about one thing, and how many more there are."""
    more = len(lines) - NAMED
    return [*lines[:NAMED], f"! and {more} more {what}: see %imagine_show"] if more > 1 else [*lines]


def _tiles(run: Run, number: int | None) -> str:
    """Return the names of the tiles: all of a few, the first and the last of many."""
    names = [f"{number or run.id}.{p.index}" for p in run.shown]
    return "tiles: " + ("  ".join(names) if len(names) <= _TILES else f"{names[0]} … {names[-1]}")


def write_title(run: Run, number: int | None) -> str:
    """Return number, lasting id and the first words of the prompt."""
    ids = [str(number), run.id] if number else [run.id]
    return DOT.join([*ids, truncate(run.request.prompt, 80) if not run.forgotten else "(forgotten)"])


def list_facts(run: Run) -> list[str]:
    """Return endpoint, model, sizes, count and the options that shape an image."""
    words = [truncate(run.request.endpoint)]
    model = run.sent.model or run.request.model
    if model and model != run.request.endpoint:
        words.append(sanitize(model, 80))
    sizes = sorted({f"{p.width}x{p.height}" for p in run.shown if p.width})
    words += [list_some(sizes)] if sizes else []
    if len(run.shown) > 1:
        words.append(f"{len(run.shown)} images")
    asked = {**run.request.options, **run.request.extra}
    words += [
        f"{name.replace('_', ' ')} {truncate(str(asked[name]), 40)}"
        for name in _SAID_OF_A_CALL
        if name in asked
    ]
    return words


def describe_edit(run: Run, named: Callable[[Input], str]) -> list[str]:
    """Return what an edit started from, and how much changed outside its mask."""
    outside = changed_outside(run) or (_not_measured(run) if run.request.mask and run.shown else "")
    return [*list_inputs(run, named), *([f"{OUTSIDE}: {outside}"] if outside else [])]


def list_inputs(run: Run, named: Callable[[Input], str] = attrgetter("name")) -> list[str]:
    """Return what an edit started from, nothing for what is none."""
    names = [sanitize(named(one), 120) for one in run.request.inputs]
    names = [*names[:NAMED], f"{len(names) - NAMED} more"] if len(names) > NAMED + 1 else names
    return [f"edit of {' + '.join(names)}{' with a mask' if run.request.mask else ''}"] if names else []


def changed_outside(run: Run) -> str:
    """Return how much changed outside the mask, image by image; empty where that is not known."""
    shares = [one.changed_outside for one in run.shown if one.changed_outside is not None]
    first = run.request.inputs[0] if run.request.inputs else None
    other = any((p.width, p.height) != (first.width, first.height) for p in run.shown) if first else False
    scaled = ", compared at the size that came" if other else ""
    return f"{list_some([*map(format_percent, shares)])} of the pixels changed{scaled}" if shares else ""


def _not_measured(run: Run) -> str:
    first, came = run.request.inputs[0], run.shown[0]
    if (first.width, first.height) == (came.width, came.height):
        return ""
    return f"not measured, {first.width}x{first.height} became {came.width}x{came.height}"


def format_percent(share: float) -> str:
    """Return a share in per cent; only nothing is 0 %."""
    return f"{share:.1%}" if share >= 0.001 else "under 0.1%" if share else "0%"


def describe_state(image: ImageRecord) -> str:
    """Return what became of an image that cannot be shown."""
    told = {
        ImageState.URL_PENDING: "its download failed; %imagine_show fetches it again",
        ImageState.UNREAD: "it came and was not read in time; %imagine_show reads it",
        ImageState.QUARANTINED: "kept, not opened" if image.sha256 else "did not come",
        # A file that came so has a note; without one it was lost here.
        ImageState.DAMAGED: "kept, cannot be shown"
        if image.note
        else "its stored file is gone or damaged; --new asks again",
        ImageState.UNWRITTEN: f"came and could not be written{', shown from a copy' * image.viewable}",
    }
    words = told.get(image.state, str(image.state))
    return f"{words} ({sanitize(image.note, 120).rstrip('.')})" if image.note else words


def write_last_line(run: Run, *, from_history: bool) -> str:
    """Return what changes from run to run: seconds, cost, and whether the history gave it."""
    words = [f"{run.elapsed:.1f} s"] if run.elapsed is not None else []
    words.append(truncate(str(run.cost)))
    return DOT.join([*words, "from history"] if from_history else words)
