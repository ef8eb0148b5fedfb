"""The texts of the magics that tell rather than ask: plain words, one fact a line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from ipyimagegen import catalog, client
from ipyimagegen.core import costs
from ipyimagegen.core.axes import label_points
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.messages import render
from ipyimagegen.core.plan import Plan, PlannedCall
from ipyimagegen.core.request import Input
from ipyimagegen.core.run import Cost, ImageRecord, ImageState, Run, Status
from ipyimagegen.core.text import DOT, format_count, format_table, sanitize, truncate
from ipyimagegen.notebook.messages import CELL
from ipyimagegen.results.captions import describe_state, format_percent, list_facts, write_title
from ipyimagegen.results.compare import list_changes
from ipyimagegen.session.history import History
from ipyimagegen.session.studio import Studio

if TYPE_CHECKING:  # its many dataclasses take a tenth of the time that loading may take
    from ipyimagegen.core.endpoints import Endpoint, Model, Price

_CUT = 400  # characters of a prompt in a request that is shown
_CHANGES = 8  # lines about what a rerun changed


def report_plan(plan: Plan, calls: Sequence[client.HttpCall], over: str | None = None) -> str:
    """Return what would be sent, what would be reused, and what it may cost: of a sweep the first whole.

    `over` says why it would not be sent.
    """
    first = next((k for k, one in enumerate(plan.calls) if one.asks), 0) if plan.axes else 0
    lines = list(_request_of(plan.calls[first], calls[first]))
    if plan.axes:
        rows = zip(label_points(plan.axes), map(_fate, plan.calls), strict=True)
        lines += [
            f"that is {label_points(plan.axes)[first]}; all of them:",
            format_table([(a, *b) for a, b in rows]),
        ]
    send = plan.to_send
    lines.append(render(str(plan), CELL))
    if more := sum(catalog.count_partial_tokens(one.sent, one.request, one.endpoint) for one in send):
        lines.append(f"partial images: at most {more:,} output tokens more, in the estimate")
    lines += sorted({f"takes about {c.seconds[0]:g}–{c.seconds[1]:g} s" for c in send if c.seconds})
    lines += [over] if over else []
    return "\n".join([*lines, "dry run: nothing was sent"])


def _request_of(planned: PlannedCall, call: client.HttpCall) -> Iterator[str]:
    yield f"POST {call.url}{' (multipart/form-data)' if call.form else ''}"
    yield json.dumps(call.summary, indent=2, ensure_ascii=False)
    if planned.reused:
        yield f"reused: {planned.reused.id}, so nothing would be sent"
    yield from (f"- {sanitize(note)}" for note in planned.sent.notes)
    if planned.unknown_outcome:
        yield f"- without --retry this fails: {str(planned.unknown_outcome).splitlines()[0]}"


def _fate(planned: PlannedCall) -> tuple[str, str]:
    if planned.reused:
        return f"from history: {planned.reused.id}", ""
    if planned.unknown_outcome:
        return "unknown outcome: not asked without --retry", ""
    if planned.in_flight:
        return "under way: waited for", ""
    return "to be sent", str(planned.estimate)


def _sourced(report_cost: Cost) -> str:
    return (
        f"{report_cost} ({report_cost.source}, {report_cost.date})"
        if report_cost.source
        else str(report_cost)
    )


def report_history(numbered: Sequence[tuple[int | None, Run]], in_flight: Collection[str]) -> str:
    """Return a line for each run; `in_flight` are the ids of those that this process carries out."""
    if not numbered:
        return "nothing in the history"
    return format_table(
        (
            str(number) if number else "",
            run.id,
            _status(run, in_flight),
            f"{len(run.shown)}/{run.request.count}",
            truncate(str(run.cost), 24),
            truncate(run.request.prompt, 60) if not run.forgotten else "(forgotten)",
        )
        for number, run in numbered
    )


def _status(run: Run, in_flight: Collection[str]) -> str:
    if run.status is Status.PENDING:  # no other process tells what it carries out
        return "under way" if run.id in in_flight else "pending or cut off"
    return str(run.status).replace("_", " ")


def report_run(
    run: Run,
    number: int | None,
    *,
    in_flight: Collection[str],
    reruns: Sequence[Run],
    edits: Sequence[Run],
    named: Callable[[Input], str],
) -> str:
    """Return all that is known of one run: request, reply, mismatches, cost, kin, error."""
    lines = [
        write_title(run, number),
        f"status: {_status(run, in_flight)}{DOT}{DOT.join(list_facts(run))}",
        f"created: {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(run.created))}",
        f"seconds: {run.elapsed:.1f}" if run.elapsed is not None else "",
        f"cost: {_sourced(run.cost).removeprefix('cost ')}",
        *_request(run, named),
        *_reply(run),
        *(f"! {mismatch}" for mismatch in run.mismatches),
        *(f"- {note}" for note in run.sent.notes),
        f"rerun of: {run.rerun_of}" if run.rerun_of else "",
        _listed("rerun as", reruns),
        _listed("edited as", edits),
        f"error: {run.error.message}" if run.error else "",
    ]
    return "\n".join(sanitize(line) for line in lines if line)  # one fact a line, whatever it holds


def report_forgotten(runs: Sequence[Run], past: History) -> str:
    """Return what was forgotten, and what stays because other runs began with it."""
    began = {run.id: ", ".join(one.id for one in past.list_edits(run)) for run in runs}
    stay = [f"images of {id_} stay: {edits} began with them" for id_, edits in began.items() if edits]
    return "\n".join(["forgotten: " + ", ".join(began), *stay])


def _listed(what: str, runs: Sequence[Run]) -> str:
    return (
        f"{what}: " + ", ".join(f"{one.id} {truncate(one.request.prompt, 40)!r}" for one in runs)
        if runs
        else ""
    )


def _request(run: Run, named: Callable[[Input], str]) -> Iterator[str]:
    request, sent = run.request, run.sent
    if request.template and request.template.strip() != request.prompt:
        yield f"template: {request.template}"
    yield from (f"input: {_input(one, named)}" for one in request.inputs)
    if request.mask:
        yield f"mask: {_input(request.mask, named)}"
    if request.options or request.extra:
        yield f"asked: {_json({**request.options, **request.extra})}"
    if sent.body:
        body = {k: truncate(v, _CUT) if isinstance(v, str) else v for k, v in sent.body.items()}
        yield f"sent: {request.base_url} {_json(body)}"
        if sent.attempts:  # written when it has ended
            yield f"attempts: {sent.attempts}"
    if sent.unsent:
        yield f"kept here: {', '.join(sent.unsent)}"
    if sent.request_id:
        yield f"request id: {truncate(sent.request_id, 100)}"


def _reply(run: Run) -> Iterator[str]:
    if run.response:
        yield f"reply: {_json(run.response)}"
    if run.raw:
        yield f"reply as it came: kept unopened as {run.raw[:12]}….bin in the store's quarantine"
    yield from (f"image {one.index}: {_image(one)}" for one in run.images)


def _input(one: Input, named: Callable[[Input], str]) -> str:
    return DOT.join(
        [sanitize(named(one), 120), f"{one.width}x{one.height}", one.mime, f"sha256 {one.sha256[:12]}"]
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _image(image: ImageRecord) -> str:
    words = [f"{image.width}x{image.height}"] if image.width else []
    words += [image.mime or "", f"{image.bytes:,} bytes" if image.bytes else ""]
    if image.state is not ImageState.STORED:
        words.append(describe_state(image))
    if image.changed_outside is not None:
        words.append(f"outside the mask {format_percent(image.changed_outside)} of the pixels changed")
    if image.revised_prompt:
        words.append(f"revised prompt: {truncate(image.revised_prompt, 200)}")
    return DOT.join(word for word in words if word)


def report_difference(before: Run, after: Run, *, asks_again: bool) -> str:
    """Return what a rerun changed."""
    head, changes = f"rerun of {before.id}", list_changes(before, after)
    if asks_again and not changes:
        pays = "" if after.cost.basis == "free" else ", and pays,"
        return f"{head}, nothing changed: it asks{pays} at each run"
    return "\n".join([head, *changes]) if changes else f"{head}, the same request"


def report_differences(before: Run, after: Sequence[Run]) -> str:
    """Return what the runs of a sweep changed, each change once."""
    changes = list(dict.fromkeys(line for run in after for line in list_changes(before, run)))
    more = len(changes) - _CHANGES
    told = [*changes[:_CHANGES], f"and {more} more changes"] if more > 1 else changes
    return "\n".join([f"rerun of {before.id}", *told])


def report_cost(runs: Sequence[Run], reused: int) -> str:
    """Return what a session asked for, got, reused and, as far as known, spent."""
    asked = sum(run.request.count for run in runs)
    got, gone = sum(len(run.shown) for run in runs), sum(run.forgotten for run in runs)
    lines = [
        f"asked: {format_count(len(runs), 'call')}, {format_count(asked, 'image')}",
        f"got: {format_count(got, 'image')}" + (f"; {format_count(gone, 'run')} forgotten" if gone else ""),
    ]
    lines.append(f"reused: {format_count(reused, 'result')}")
    billed = [run for run in runs if run.status in (Status.DONE, Status.UNKNOWN, Status.PENDING)]
    for currency, spent in costs.sum_costs(run.cost for run in billed).items():
        known = sum(run.cost.currency == currency for run in billed)
        lines.append(f"spent: {spent} for {format_count(known, 'call')}")
    if runs and all(run.cost.basis == "free" for run in billed):
        lines.append("spent: nothing")
    unknown = sum(1 for run in billed if run.cost.basis == "unknown")
    if unknown:
        lines.append(f"of unknown cost: {format_count(unknown, 'call')}")
    open_ = [run for run in billed if run.status is not Status.DONE and run.cost.basis != "free"]
    if open_:
        lines.append(f"of unknown outcome, perhaps billed: {format_count(len(open_), 'call')}")
    return "\n".join(lines)


def report_endpoints(studio: Studio) -> str:
    """Return base URLs, whether a key is set and from where, and the default."""
    how = '* is asked by default. Another: --endpoint NAME, or %config Imagine.endpoint = "NAME"'
    try:
        default: Endpoint | None = studio.default_endpoint()
    except InvalidOption as fault:  # whoever mistyped a name looks here for the right one
        default, how = None, f"! None is asked by default: {fault}"
    rows = [("", "endpoint", "address", "key")]
    for one in studio.endpoints():
        mark = "*" if default and (one.name, one.base_url) == (default.name, default.base_url) else ""
        rows.append((mark, truncate(one.name, 30), one.base_url or "(give it a base_url)", _key(studio, one)))
    if default and default.base_url not in {row[2] for row in rows}:
        rows.insert(1, ("*", truncate(default.name, 30), default.base_url, _key(studio, default)))
    return f"{format_table(rows)}\n{how}"


def _key(studio: Studio, endpoint: Endpoint) -> str:
    if not endpoint.key_env:
        return "needs none"
    source = studio.key_source(endpoint)
    if source:
        clear = endpoint.base_url.startswith("http://") and not catalog.is_loopback(endpoint)
        return f"set ({source})" + (", sent unencrypted" if clear else "")
    return f"not set ({endpoint.key_env[0]})" + (", optional" if endpoint.key_optional else "")


def report_models() -> str:
    """Return a line for each model that is known."""
    rows = [("model", "vendor", "sizes", "n", "edit", "seed", "retired")]
    for one in catalog.load_models():
        limit = one.limits.get("n")
        rows.append(
            (
                one.name,
                one.vendor,
                truncate(format_sizes(one), 44),
                f"1–{limit[1]:g}" if limit else "",
                _edit(one),
                "yes" if "seed" in (one.fields or ()) else "no",
                one.retired or "",
            )
        )
    return format_table(rows) + "\nOne model whole: %imagine_models NAME"


def format_sizes(report_model: Model) -> str:
    """Return the sizes that a model takes, in words."""
    words = list(report_model.sizes) + list(report_model.ratios)
    rule = report_model.size_rule
    if rule:
        edges, pixels = (rule.min_edge, rule.max_edge), (rule.min_pixels, rule.max_pixels)
        words.append(f"WxH of edges {edges[0]}–{edges[1]}, {pixels[0]:,}–{pixels[1]:,} px")
    return ", ".join(words) or "not known"


def _edit(report_model: Model) -> str:
    if report_model.edit is None:
        return "not known"
    return ("no" if not report_model.edit else f"up to {report_model.edit}") + (
        ", mask" if report_model.mask else ""
    )


def report_model(name: str) -> str:
    """Return all that is known of a model. Raises InvalidOption, naming the nearest."""
    found = catalog.find_model(name)
    if not found:
        near = catalog.suggest_model(name)
        raise InvalidOption(
            f"The catalog has no model {truncate(name, 60)!r}."
            + (f" Did you mean {near}?" if near else "")
            + " A model that is not in it is sent as typed."
        )
    lines = [DOT.join([found.name, found.vendor]), f"sizes: {format_sizes(found)}"]
    lines += [f"{option.replace('_', ' ')}: {', '.join(words)}" for option, words in found.choices.items()]
    limits = found.limits.items()
    lines += [f"{option.replace('_', ' ')}: {low:g} to {high:g}" for option, (low, high) in limits]
    lines.append(f"edit: {_edit(found)}")
    if found.fields is not None:
        lines.append(f"takes: {', '.join(found.fields)}")
    counts = (found.prompt_chars, found.prompt_cjk, found.prompt_words)
    units = ("characters", "Chinese characters", "words")
    longest = [f"{count:,} {unit}" for unit, count in zip(units, counts, strict=True) if count]
    lines += [f"prompt: at most {' or '.join(longest)}"] if longest else []
    lines += [f"price: {_price(one)}" for one in found.prices]
    if found.rates:
        rates = found.rates
        lines.append(
            f"tokens: {rates.currency} {rates.text_in:g} text in, {rates.image_in:g} image in, "
            f"{rates.image_out:g} image out, a million ({rates.source}, {rates.date})"
        )
    if found.retired:
        after = f"; {found.successor} replaces it" if found.successor else ""
        lines.append(f"retired: {found.retired}{after}")
    lines += [f"also known as: {', '.join(found.aliases)}"] if found.aliases else []
    lines += [f"note: {found.note}"] if found.note else []
    lines += [f"source: {found.source}, {found.date}"] if found.source else []
    listed = [one.name for one in catalog.list_endpoints({}, {}) if found.name in one.models]
    lines += [f"listed by: {', '.join(listed)}"] if listed else []
    return "\n".join(lines)


def _price(price: Price) -> str:
    report_cost = Cost(
        amount=price.amount,
        amount_max=price.amount_max,
        at_least=price.at_least,
        currency=price.currency,
        basis="table",
    )
    where = " ".join(word for word in (price.quality, price.size) if word)
    return f"{report_cost} an image{f' ({where})' if where else ''}, {price.source}, {price.date}"
