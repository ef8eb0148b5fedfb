"""The words under an image, and under the sheets of a sweep: request, server, result, cost.

A caption is equal for every run of the same request, up to its last line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ipyimagegen import imaging
from ipyimagegen.core.axes import Axis, label_points
from ipyimagegen.core.errors import ImagineError, OutcomeUnknown
from ipyimagegen.core.formats import BY_MIME
from ipyimagegen.core.messages import (
    PYTHON,
    Front,
    Message,
    Remedy,
    RunLink,
    _,
    ngettext,
    render,
    render_remedy,
)
from ipyimagegen.core.request import Input
from ipyimagegen.core.run import (
    IN_PLACE,
    Cost,
    ImageRecord,
    ImageState,
    Run,
    Status,
    format_costs,
    format_ids,
    format_numbers,
)
from ipyimagegen.core.text import DOT, NAMED, clip, list_some, sanitize, truncate

if TYPE_CHECKING:
    from ipyimagegen.results.generation import Generation

LONGEST = 1900  # characters of a caption, whatever was received
_LONGEST_LINE = 400
_TILES = 16
_FAILURES = 8  # that the caption of a sweep lists
OUTSIDE = "outside the mask"  # a figure rather than a fault: models redraw more than they are asked to
GONE = _("its stored file is missing or damaged")
_UNUSUAL = ("image/gif", "image/avif")  # formats that a caption names
_SHAPING = ("seed", "quality", "style", "background", "output_format", "negative_prompt")  # in every caption

NameInput = Callable[[Input], str]
_NO_FILES: Mapping[int, Path] = MappingProxyType({})


def write_caption(
    run: Run,
    number: int | None,
    *,
    from_history: bool,
    name_input: NameInput = attrgetter("name"),
    files: Mapping[int, Path] = _NO_FILES,
    front: Front = PYTHON,
) -> str:
    """Return the caption of a run.

    `number` is the run's number in this session; None outside a session. `name_input` returns the name of
    an input image. `files` are those of its images by index.
    """
    lines: list[str] = []
    if len(run.shown) > 1:
        names = [f"{number or run.id}.{image.index}" for image in run.shown]
        lines.append(f"tiles: {'  '.join(names) if len(names) <= _TILES else f'{names[0]} … {names[-1]}'}")
    lines += _describe_edit(run, name_input)
    lines += [f"! {sanitize(mismatch)}" for mismatch in run.mismatches if mismatch.subject != OUTSIDE]
    lines += [f"- {describe_unopened(image, files)}" for image in run.shown if image.unopened]
    lost = [_describe_lost(image, run, front) for image in run.images if image.state not in IN_PLACE]
    more = len(lost) - NAMED
    lines += [*lost[:NAMED], _count_more(more, run, front)] if more > 1 else lost
    lines += [f"- {sanitize(note)}" for note in run.sent.notes]
    explained = run.error and (run.status is Status.UNKNOWN or not run.shown)
    end = [f"! {_describe_error(run, front)}"] if explained else []
    last = [f"{run.elapsed:.1f} s"] if run.elapsed is not None else []
    end.append(DOT.join([*last, truncate(str(run.cost)), *(["from history"] if from_history else [])]))
    begin = [write_title(run, number), DOT.join(list_facts(run))]
    room = LONGEST - sum(map(len, (*begin, *end)))
    return "\n".join([*begin, *_fit_lines(lines, room, run, front), *end])


def _describe_error(run: Run, front: Front) -> str:
    assert run.error is not None
    message = sanitize(run.error.message, _LONGEST_LINE)
    if run.status is not Status.UNKNOWN or run.cost.basis == "free":
        return message
    shown = run.remedy is Remedy.SHOW_KEPT and bool(run.shown)  # what came stands above the caption
    return _recommend(Remedy.RETRY if shown else run.remedy, message, run, front)


def _recommend(remedy: Remedy, message: str, run: Run, front: Front) -> str:
    advice = render_remedy(remedy, front, run=RunLink(run.id))
    return _("{error}. You may have been charged. {remedy}", error=message.rstrip("."), remedy=advice)


def _fit_lines(lines: Sequence[str], room: int, run: Run, front: Front) -> list[str]:
    """Return the lines that fit into `room` characters, and how many do not."""
    fitting: list[str] = []
    for line in lines:
        cut = clip(line, _LONGEST_LINE)
        room -= len(cut) + 1
        if room < 0:
            return [*fitting, _count_more(len(lines) - len(fitting), run, front)]
        fitting.append(cut)
    return fitting


def _count_more(count: int, run: Run, front: Front) -> str:
    link = RunLink(run.id)
    more = ngettext(
        "! and {count} more line: see {run}", "! and {count} more lines: see {run}", count, run=link
    )
    return render(more, front)


def write_title(run: Run, number: int | None) -> str:
    """Return number, lasting id and the first words of the prompt."""
    names = [str(number), run.id] if number else [run.id]
    return DOT.join([*names, "(forgotten)" if run.forgotten else truncate(run.request.prompt, 80)])


def list_facts(run: Run) -> list[str]:
    """Return endpoint, model, sizes, count and the options that shape an image."""
    facts = [truncate(run.request.endpoint)]
    model = run.sent.model or run.request.model
    if model and model != run.request.endpoint:
        facts.append(sanitize(model, 80))
    sizes = sorted({f"{image.width}x{image.height}" for image in run.shown if image.width})
    facts += [list_some(sizes)] if sizes else []
    titles = {BY_MIME[image.mime].title for image in run.shown if image.mime in _UNUSUAL}
    facts += [list_some(sorted(titles))] if titles else []
    if frames := max((image.frames or 0 for image in run.shown), default=0):
        facts.append(_("animated, {count} frames", count=frames))
    if len(run.shown) > 1:
        facts.append(f"{len(run.shown)} images")
    options = {**run.request.options, **run.request.extra}
    facts += [
        f"{name.replace('_', ' ')} {truncate(str(options[name]), 40)}" for name in _SHAPING if name in options
    ]
    return facts


def _describe_edit(run: Run, name_input: NameInput) -> list[str]:
    """Return the inputs of an edit, and how much changed outside its mask."""
    outside = describe_changes_outside(run)
    if not outside and run.request.mask and run.shown and run.shown[0].width:
        before, after = (f"{image.width}x{image.height}" for image in (run.request.inputs[0], run.shown[0]))
        if before != after:
            outside = _("not measured, {source} became {result}", source=before, result=after)
    return [*list_inputs(run, name_input), *([f"{OUTSIDE}: {outside}"] if outside else [])]


def list_inputs(run: Run, name_input: NameInput) -> list[str]:
    """Return the line that names the inputs of an edit; nothing for other runs."""
    names = [sanitize(name_input(source), 120) for source in run.request.inputs]
    names = [*names[:NAMED], f"{len(names) - NAMED} more"] if len(names) > NAMED + 1 else names
    if not names:
        return []
    inputs = " + ".join(names)
    if run.request.mask:
        return [_("edit of {inputs} with a mask", inputs=inputs)]
    return [_("edit of {inputs}", inputs=inputs)]


def describe_changes_outside(run: Run) -> str:
    """Return how much changed outside the mask, image by image; empty where that is not known."""
    shares = [image.changed_outside for image in run.shown if image.changed_outside is not None]
    if not shares:
        return ""
    first = run.request.inputs[0] if run.request.inputs else None
    sizes = {(image.width, image.height) for image in run.shown}
    listed = list_some([*map(format_percent, shares)])
    if first and sizes != {(first.width, first.height)}:
        return _("{shares} of the pixels changed, compared at the returned size", shares=listed)
    return _("{shares} of the pixels changed", shares=listed)


def format_percent(share: float) -> str:
    """Return a share in per cent; only nothing is 0 %."""
    return f"{share:.1%}" if share >= 0.001 else "under 0.1%" if share else "0%"


def describe_unopened(image: ImageRecord, files: Mapping[int, Path] = _NO_FILES) -> Message:
    """Return what an image is that is stored and cannot be shown, and where."""
    file_format = BY_MIME.get(image.mime or "")
    title = file_format.title if file_format else sanitize(str(image.mime), 40)
    place = str(files.get(image.index) or _("the store"))
    reason = _("it cannot be shown")
    if image.mime in imaging.DECODED:
        reason = _("this version of Pillow cannot read it")
    message = _("{format} image, kept in {place}; {reason}", format=title, place=place, reason=reason)
    several = len(files) > 1
    return _("image {number}: {problem}", number=image.index, problem=message) if several else message


def describe_state(image: ImageRecord) -> str:
    """Return why an image cannot be shown, or not from its place in the store."""
    state: str
    match image.state:
        case ImageState.URL_PENDING:
            state = _("its download failed")
        case ImageState.UNREAD:
            state = _("received, but not read in time")
        case ImageState.QUARANTINED:
            state = _("stored, not opened") if image.sha256 else _("not received")
        case ImageState.DAMAGED:
            state = _("stored, cannot be shown") if image.note else GONE  # received so, or damaged since
        case ImageState.UNWRITTEN if image.viewable:
            state = _("received, but could not be written; shown from a copy")
        case ImageState.UNWRITTEN:
            state = _("received, but could not be written")
        case _:
            state = str(image.state)
    note = sanitize(image.note, 120).rstrip(".")
    return _("{state} ({note})", state=state, note=note) if note else state


def _describe_lost(image: ImageRecord, run: Run, front: Front) -> str:
    """Return the line of a caption about an image that is not in its place, and the remedy."""
    line = f"! image {image.index}: {describe_state(image)}"
    link = RunLink(run.id)
    if image.state is ImageState.URL_PENDING and image.remedy:
        return f"{line}. {render_remedy(image.remedy, front, run=link)}"
    if image.state is ImageState.URL_PENDING:
        return f"{line}; {render(_('{run} fetches it again', run=link), front)}"
    if image.state is ImageState.UNREAD:
        return f"{line}; {render(_('{run} reads it', run=link), front)}"
    if image.state is ImageState.DAMAGED and not image.note:
        return f"{line}. {render_remedy(Remedy.SEND_NEW, front)}"
    return line


# Sweeps


def write_sweep_caption(
    sweep: Sequence[Generation],
    axes: Sequence[Axis],
    estimates: Mapping[int, Cost],
    *,
    prompt: str,
    legend: Sequence[str],
    front: Front = PYTHON,
) -> str:
    """Return the caption of a sweep. `estimates` holds the costs expected of the calls sent now, by place."""
    shown = [generation for generation in sweep if generation]
    failed = len(sweep) - len(shown)
    head = f"{len(shown)} of {len(sweep)}" + (f"; {failed} failed" if failed else "")
    facts = [list_facts(generation.run) for generation in shown]
    varied = {label for axis in axes for label in axis.labels}  # a single result would share its own
    shared = [
        fact for fact in (facts or [[]])[0] if fact not in varied and all(fact in others for others in facts)
    ]
    numbers = [generation.number for generation in shown if generation.number]
    runs = [f"runs {format_numbers(numbers)}"] if numbers else []
    runs.append(format_ids([generation.id for generation in shown]))
    names = label_points(axes)
    lines = [
        DOT.join([head, truncate(prompt, 80)]),
        DOT.join(shared),
        *(shown[0].edit_of if shown else []),  # inputs are never split, so all have the same
        " × ".join(f"{truncate(axis.title, 40)}: {_list_values(axis)}" for axis in axes),
        DOT.join(filter(None, runs)),
        *(sanitize(line, 400) for line in legend),
        *_merge_remarks(shown, [name for name, made in zip(names, sweep, strict=True) if made], axes),
        *list_failures(sweep, names, front),
        _write_last_sweep_line(sweep, estimates),
    ]
    return "\n".join(filter(None, lines))


def _list_values(axis: Axis) -> str:
    values = [truncate(value, 40) for value in axis.texts]
    if len(values) > 12:
        return f"{', '.join(values[:4])} … {values[-1]} ({len(values)})"
    return ", ".join(values)


def _merge_remarks(shown: Sequence[Generation], names: Sequence[str], axes: Sequence[Axis]) -> list[str]:
    """Return each mismatch and each note once, with the names of its results unless all have it."""
    names_by_remark: dict[str, list[str]] = {}
    for generation, name in zip(shown, names, strict=True):
        for remark in dict.fromkeys(_list_remarks(generation.run, axes)):
            names_by_remark.setdefault(remark, []).append(name)
    return [
        remark + ("" if len(some) == len(shown) else f" ({list_some(some)})")
        for remark, some in sorted(names_by_remark.items(), key=lambda item: item[0][0])  # ! before -
    ]


def _list_remarks(run: Run, axes: Sequence[Axis]) -> list[str]:
    """Return mismatches, and notes without the values that vary: all results then have the same note."""
    lost = [image for image in run.images if image.state not in IN_PLACE]
    remarks = [f"! {mismatch}" for mismatch in run.mismatches if mismatch.subject != OUTSIDE]
    remarks += [f"! image {image.index}: {image.note or image.state}" for image in lost]
    remarks += [f"- {describe_unopened(image)}" for image in run.shown if image.unopened]
    notes = list(run.sent.notes)
    for axis in axes:
        value = f"{axis.name}={run.request.options.get(axis.name)} "
        notes = [note.replace(value, f"{axis.name} ", 1) for note in notes]
    return [sanitize(remark) for remark in (*remarks, *(f"- {note}" for note in notes))]


def list_failures(sweep: Sequence[Generation], names: Sequence[str], front: Front = PYTHON) -> list[str]:
    """Return a line for each failed result with the reason, up to a readable number."""
    failures = [
        f"! {truncate(name, 60)}: {_describe_failure(generation, front)}"
        for generation, name in zip(sweep, names, strict=True)
        if not generation
    ]
    more = len(failures) - _FAILURES
    rest = [_("! and {count} more: sweep.failed", count=more)] if more > 0 else []
    return [*failures[:_FAILURES], *rest]


def _describe_failure(generation: Generation, front: Front) -> str:
    failure = generation.failure
    if not isinstance(failure, ImagineError):
        return truncate(failure or "no image", 200)
    reason = truncate(render(failure.args[0], front).partition("\n")[0], 200)
    if not isinstance(failure, OutcomeUnknown) or failure.billed is not None:
        return reason
    return _recommend(failure.remedy or Remedy.RETRY, reason, generation.run, front)


def _write_last_sweep_line(sweep: Sequence[Generation], estimates: Mapping[int, Cost]) -> str:
    """Return what changes from run to run: seconds, estimate and cost, and how much is from history."""
    seconds = [generation.elapsed for generation in sweep if generation and generation.elapsed is not None]
    facts = [f"slowest call {max(seconds):.1f} s"] if seconds else []
    sent = [generation.cost for place, generation in enumerate(sweep) if place in estimates]
    if sent and not all(cost.basis in ("free", "none") for cost in sent):
        estimate, spent = format_costs(estimates.values()), format_costs(sent)
        facts.append(ngettext("{count} call sent", "{count} calls sent", len(sent)))
        both = [f"estimate {estimate.removeprefix('cost ')}", f"spent {spent.removeprefix('cost ')}"]
        facts += [spent] if estimate == spent == "cost unknown" else both
    else:
        facts.append(format_costs([generation.cost for generation in sweep if generation]))
    reused = sum(generation.reused for generation in sweep if generation)
    if reused:
        facts.append("from history" if reused == len(sweep) else f"{reused} from history")
    return DOT.join(facts)
