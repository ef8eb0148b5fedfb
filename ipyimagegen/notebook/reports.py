"""The texts of the magics that report: plain lines, a fact each."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from ipyimagegen import catalog, client
from ipyimagegen.core.axes import label_points
from ipyimagegen.core.endpoints import Endpoint, Model, Price, Rates
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.messages import Front, Message, OptionName, Setting, _, join, ngettext, render
from ipyimagegen.core.plan import Plan, PlannedCall
from ipyimagegen.core.request import Input
from ipyimagegen.core.run import Cost, ImageRecord, ImageState, Run, Status, format_ids, from_json, sum_costs
from ipyimagegen.core.text import DOT, Table, format_table, sanitize, truncate
from ipyimagegen.notebook.fronts import CELL
from ipyimagegen.results.captions import describe_state, format_percent, list_facts, write_title
from ipyimagegen.results.compare import list_changes
from ipyimagegen.session.diagnostics import describe_headers
from ipyimagegen.session.history import describe_status
from ipyimagegen.session.keys import is_required
from ipyimagegen.session.studio import Studio
from ipyimagegen.store import Charge, Deletion

_LONGEST_VALUE = 400  # characters of a text in a request that is shown
_CHANGES = 8  # lines about the changes of a sweep


Fact: TypeAlias = tuple[str, object]  # a label and its value


def _join_lines(lines: Iterable[str], front: Front = CELL) -> str:
    return render(join(lines, "\n"), front)


def _list_lines(facts: Iterable[Fact]) -> list[str]:
    """Return `label: value` for each fact, without those that are empty."""
    return [_("{label}: {value}", label=label, value=value) for label, value in facts if value]


def _format_rows(rows: Iterable[Sequence[str]], front: Front = CELL) -> str:
    return format_table([render(cell, front) for cell in row] for row in rows)


def report_plan(
    plan: Plan, calls: Sequence[client.HttpCall], over: str | None = None, *, front: Front = CELL
) -> str:
    """Return what would be sent and reused, and the estimate; of a sweep the first call in full.

    `over` says why the settings do not allow it.
    """
    first = next((place for place, call in enumerate(plan.calls) if call.asks), 0) if plan.axes else 0
    planned, call = plan.calls[first], calls[first]
    form = " (multipart/form-data)" if call.form else ""
    lines = [
        _("Would send POST {url}{form}", url=call.url, form=form),
        json.dumps(call.summary, indent=2, ensure_ascii=False),
    ]
    if planned.reused:
        lines[0] = _("Would reuse the result of {run} and send nothing. The request:", run=planned.reused.id)
    if planned.sent.notes:
        lines += [_("The caption would state:"), *(f"- {sanitize(note)}" for note in planned.sent.notes)]
    if planned.unknown_outcome:
        error, retry = planned.unknown_outcome.args[0], OptionName("retry", value=True)
        lines.append(_("Would fail without {option}: {error}", option=retry, error=error))
    if plan.axes:
        labels = label_points(plan.axes)
        rows = [(label, *_describe_outcome(call)) for label, call in zip(labels, plan.calls, strict=True)]
        lines.append(_("This is {label}. All calls:", label=labels[first]))
        lines.append(_format_rows(rows, front))
    lines.append(_("Would send {plan}", plan=plan.summary))
    if tokens := sum(
        catalog.count_partial_tokens(
            call.sent, call.request, catalog.find_capabilities(call.request, call.endpoint)
        )
        for call in plan.to_send
    ):
        lines.append(_("The estimate includes up to {tokens:,} tokens for partial images.", tokens=tokens))
    durations = {call.seconds for call in plan.to_send if call.seconds}
    lines += [_("Would take about {low:g}–{high:g} s", low=low, high=high) for low, high in sorted(durations)]
    lines += [over] if over else []
    return _join_lines([*lines, _("Dry run: nothing was sent.")], front)


def _describe_outcome(planned: PlannedCall) -> tuple[str, str]:
    """Return what would become of a call, and its estimate."""
    if planned.reused:
        return _("from history: {run}", run=planned.reused.id), ""
    if planned.unknown_outcome:
        return _(
            "unknown outcome: would not be sent without {option}", option=OptionName("retry", value=True)
        ), ""
    if planned.in_flight:
        return _("in flight: its result would be used"), ""
    return _("would be sent"), str(planned.estimate)


def report_run(run: Run, studio: Studio) -> str:
    """Return everything known about a run: request, response, mismatches, cost, relatives, error."""
    history, ledger, request, sent = studio.history, studio.ledger, run.request, run.sent
    source = f" ({run.cost.source}, {run.cost.date})" if run.cost.source else ""
    template, options = request.template or "", {**request.options, **request.extra}
    body = {
        name: truncate(value, _LONGEST_VALUE) if isinstance(value, str) else value
        for name, value in sent.body.items()
    }
    raw = _("{file} in the store's quarantine, not opened", file=f"{run.raw[:12]}….bin") if run.raw else ""
    facts: list[Fact] = [
        (_("status"), join([describe_status(run, ledger.in_flight()), *list_facts(run)])),
        (_("created"), time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.created))),
        (_("seconds"), f"{run.elapsed:.1f}" if run.elapsed is not None else ""),
        (_("cost"), str(run.cost).removeprefix("cost ") + source),
        (_("template"), template if template.strip() != request.prompt else ""),
        *((_("input"), _describe_input(item, studio)) for item in request.inputs),
        (_("mask"), _describe_input(request.mask, studio) if request.mask else ""),
        (_("requested"), _to_json(options) if options else ""),
        (_("sent"), f"{request.base_url} {_to_json(body)}" if body else ""),
        (_("attempts"), sent.attempts if body else 0),  # recorded at the end
        (_("not sent"), sent.unsent),
        (_("request id"), truncate(sent.request_id or "", 100)),
        (
            _("job"),
            run.job and DOT.join(filter(None, [run.job.id, *run.job.others, run.job.status, run.job.url])),
        ),
        (_("response"), _to_json(run.response) if run.response else ""),
        (_("raw response"), raw),
        *((_("image {number}", number=image.index), join(_list_image_facts(image))) for image in run.images),
    ]
    relatives: list[Fact] = [
        (_("rerun of"), run.rerun_of),
        (_("rerun as"), _name_runs(history.list_reruns(run))),
        (_("edited as"), _name_runs(history.list_edits(run))),
        (_("error"), run.error and run.error.message),
    ]
    lines = [
        write_title(run, ledger.number(run.id)),
        *_list_lines(facts),
        *(f"! {mismatch}" for mismatch in run.mismatches),
        *(f"- {note}" for note in sent.notes),
        *_list_lines(relatives),
    ]
    return "\n".join(sanitize(render(line, CELL)) for line in lines)  # a value cannot forge a line


def _name_runs(runs: Sequence[Run]) -> list[str]:
    return [f"{run.id} {truncate(run.request.prompt, 40)!r}" for run in runs]


def _describe_input(item: Input, studio: Studio) -> str:
    name, size = sanitize(studio.name_input(item), 120), f"{item.width}x{item.height}"
    return DOT.join([name, size, item.mime, f"sha256 {item.sha256[:12]}"])


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list_image_facts(image: ImageRecord) -> Iterator[str]:
    if image.width:
        yield f"{image.width}x{image.height}"
    if image.mime:
        yield image.mime
    if image.bytes:
        yield _("{count:,} bytes", count=image.bytes)
    if image.state is not ImageState.STORED:
        yield describe_state(image)
    if image.state is ImageState.URL_PENDING and image.url:
        yield image.url
    if image.changed_outside is not None:
        share = format_percent(image.changed_outside)
        yield _("outside the mask {share} of the pixels changed", share=share)
    if image.revised_prompt:
        yield _("revised prompt: {prompt}", prompt=truncate(image.revised_prompt, 200))


def report_deletion(runs: Sequence[Run], deletion: Deletion) -> str:
    """Return what forgetting these runs would delete."""
    size = (
        f"{deletion.bytes / 2**20:.1f} MiB" if deletion.bytes >= 2**20 else f"{deletion.bytes / 1024:.0f} KiB"
    )
    files = ngettext("{count} image file", "{count} image files", deletion.files)
    return _join_lines(
        [
            ngettext(
                "{count} run would be forgotten: {runs}",
                "{count} runs would be forgotten: {runs}",
                len(runs),
                runs=truncate(format_ids(sorted((run.id for run in runs), key=_to_key)), 200),
            ),
            _(
                "Their prompts and {files} ({size}) that no other run uses would be deleted.",
                files=files,
                size=size,
            ),
            _("Nothing was deleted. Add {flag} to delete them.", flag="--yes"),
        ]
    )


def _to_key(run_id: str) -> tuple[str, int]:
    session, _slash, number = run_id.partition("/")
    return session, int(number)


def report_forgotten(runs: Sequence[Run], edits: Mapping[str, Sequence[Run]]) -> str:
    """Return what was forgotten, and the images that stay as inputs of other runs; `edits` are those runs."""
    if not runs:
        return render(_("Nothing to forget."), CELL)
    names = {run.id for run in runs}
    lines = [_("forgotten: {runs}", runs=truncate(format_ids(sorted(names, key=_to_key)), 200))]
    users = {run.id: [edit.id for edit in edits.get(run.id, ()) if edit.id not in names] for run in runs}
    lines += [
        _("The images of {run} stay: they are inputs of {runs}.", run=run_id, runs=ids)
        for run_id, ids in users.items()
        if ids
    ]
    return _join_lines(lines)


def report_rerun(before: Run, runs: Sequence[Run], *, forced: bool) -> str:
    """Return what the runs of a rerun change, each change once; `forced`: a new request was sent anyway."""
    changes = list(dict.fromkeys(change for run in runs for change in list_changes(before, run)))
    if not changes and forced and len(runs) == 1:
        head = _("rerun of {run}, unchanged: every rerun sends (and bills) a new request", run=before.id)
        if runs[0].cost.basis == "free":
            head = _("rerun of {run}, unchanged: every rerun sends a new request", run=before.id)
    elif not changes:
        head = _("rerun of {run}, the same request", run=before.id)
    else:
        head = _("rerun of {run}", run=before.id)
    if len(runs) > 1 and len(changes) > _CHANGES + 1:
        changes[_CHANGES:] = [_("and {count} more changes", count=len(changes) - _CHANGES)]
    return _join_lines([head, *changes])


def report_cost(
    charges: Mapping[Charge, int], reused: Mapping[str, int] = MappingProxyType({}), *, monthly: bool = False
) -> Table:
    """Return the requests, images, reused results and known spending by endpoint, and by month if `monthly`.

    `charges` maps what runs add to how many add the same; `reused` counts results by endpoint. Records of
    reuses among the charges count as reused results.
    """
    groups: dict[tuple[str, str], Counter[Charge]] = {}
    for charge, count in charges.items():
        key = charge.month if monthly else "", charge.endpoint
        groups.setdefault(key, Counter())[charge] += count
    for endpoint in reused:
        groups.setdefault(("", endpoint), Counter())
    rows: list[list[str]] = [
        [*key, *_summarize(group, reused.get(key[1], 0))] for key, group in sorted(groups.items())
    ]
    if len(rows) != 1:
        rows.append([_("total"), "", *_summarize(Counter(charges), sum(reused.values()))])
    header: list[str] = [
        _("month"),
        _("endpoint"),
        _("requests"),
        _("images"),
        _("reused"),
        _("spent"),
        _("unknown cost"),
    ]
    rows = [header, *rows]
    if not monthly:  # without the month; the total is named in place of an endpoint
        rows = [[row[1] or row[0], *row[2:]] for row in rows]
    sent = {charge: count for charge, count in charges.items() if not charge.reused}
    unsettled = sum(count for charge, count in sent.items() if _is_unsettled(charge))
    forgotten = sum(count for charge, count in sent.items() if charge.forgotten)
    facts: list[Fact] = [
        (_("unknown outcome, may have been billed"), unsettled and _count_calls(unsettled)),
        (_("forgotten"), forgotten and ngettext("{count} run", "{count} runs", forgotten)),
    ]
    return Table(rows=rows, notes=_list_lines(facts))


def _summarize(charges: Counter[Charge], reused: int) -> list[str]:
    """Return the requests, images, reused results, spending and calls of unknown cost."""
    sent = {charge: count for charge, count in charges.items() if not charge.reused}
    reused += charges.total() - sum(sent.values())
    requested, received = (
        sum(getattr(charge, name) * count for charge, count in sent.items())
        for name in ("requested", "received")
    )
    billable = [(_read_cost(charge), count) for charge, count in sent.items() if charge.status in _BILLABLE]
    sums = sum_costs(cost for cost, count in billable for _time in range(count))
    unknown = sum(count for cost, count in billable if cost.basis == "unknown")
    nothing = _("nothing") if not unknown and sent else ""
    return [
        f"{sum(sent.values()):,}",
        f"{received:,}"
        if received == requested
        else _("{received:,} of {requested:,}", received=received, requested=requested),
        f"{reused:,}" if reused else "",
        " + ".join(map(str, sums.values())) or nothing,
        _count_calls(unknown) if unknown else "",
    ]


_BILLABLE = (Status.DONE, Status.UNKNOWN, Status.PENDING)


def _is_unsettled(charge: Charge) -> bool:
    """Return whether the outcome of a call that is not free is unknown."""
    return charge.status in _BILLABLE and charge.status != Status.DONE and _read_cost(charge).basis != "free"


def _read_cost(charge: Charge) -> Cost:
    return from_json(Cost, json.loads(charge.cost))


def _count_calls(count: int) -> Message:
    return ngettext("{count} call", "{count} calls", count)


def report_endpoints(studio: Studio) -> Table:
    """Return base URLs, whether a key is set and where, and the default; usable endpoints come first."""
    end = _(
        "* is the default. To choose another: {option}, or {setting}",
        option="--endpoint NAME",
        setting=Setting("endpoint", "NAME"),
    )
    try:
        default: Endpoint | None = studio.default_endpoint()
    except InvalidOption as error:  # the table names the right option after a typing error
        default, end = None, _("! No default: {error}", error=error.args[0])
    endpoints = list(studio.registry)
    if default and default.base_url not in {endpoint.base_url for endpoint in endpoints}:
        endpoints.insert(0, default)
    ranked: list[tuple[int, tuple[str, ...]]] = []
    for endpoint in endpoints:
        is_default = default and (endpoint.name, endpoint.base_url) == (default.name, default.base_url)
        source = studio.keys.source(endpoint) if endpoint.key_env else None
        url = endpoint.base_url or _("(set base_url)")
        rank = 2 if not endpoint.base_url else 1 if is_required(endpoint) and not source else 0
        key = _describe_key(endpoint, source)
        ranked.append((rank, ("*" if is_default else "", truncate(endpoint.name, 30), url, key)))
    ranked.sort(key=lambda pair: pair[0])
    header = ("", _("endpoint"), _("base URL"), _("key"))
    return Table(rows=[header, *(row for _rank, row in ranked)], notes=[end])


def _describe_key(endpoint: Endpoint, source: str | None) -> str:
    """Return where the key comes from, and the names of the headers."""
    key = _describe_source(endpoint, source)
    if not endpoint.headers:
        return key
    return _("{key}; headers: {names}", key=key, names=describe_headers(endpoint))


def _describe_source(endpoint: Endpoint, source: str | None) -> str:
    if not endpoint.key_env:
        return _("not required")
    if not source:
        if endpoint.key_optional:
            return _("not set ({variable}), optional", variable=endpoint.key_env[0])
        return _("not set ({variable})", variable=endpoint.key_env[0])
    if endpoint.base_url.startswith("http://") and not catalog.is_loopback(endpoint):
        return _("set ({source}), sent unencrypted", source=source)
    return _("set ({source})", source=source)


def report_server_models(endpoint: Endpoint, models: Sequence[client.ListedModel], limit: int) -> Table:
    """Return the models that a server lists, those that look like image models first, at most `limit`."""
    rows = []
    for model in models:
        drawing = model.makes_images or catalog.looks_like_image_model(model.name)
        known = _name_known(catalog.find_model(model.name))
        rows.append((model.name, _("yes") if drawing else "", known, model.owner))
    rows.sort(key=lambda row: not row[1])
    server = truncate(endpoint.name, 40)
    image_models = sum(bool(row[1]) for row in rows)
    values = {"server": server, "count": f"{len(rows):,}", "image_models": f"{image_models:,}"}
    notes: list[str] = [_("Models that {server} lists: {count}, image models: {image_models}.", **values)]
    if more := len(rows[limit:]):
        magic = f"%imagine_models --server {server} -l {len(rows)}"
        notes.append(_("{count} more: {magic}", count=f"{more:,}", magic=magic))
    header = (_("model"), _("image model"), _("in the catalog"), _("owner"))
    return Table(rows=[header, *rows[:limit]], notes=notes)


def _name_known(model: Model | None) -> str:
    """Return the name of a model in the catalog, and when it was retired."""
    if model is None:
        return ""
    return model.name + (_(", retired {date}", date=model.retired) if model.retired else "")


def report_models() -> Table:
    """Return a line for each model of the catalog."""
    rows: list[tuple[str, ...]] = [
        (_("model"), _("vendor"), _("sizes"), "n", _("edits"), _("seed"), _("retired"))
    ]
    for model in catalog.load_models():
        limit = model.limits.get("n")
        rows.append(
            (
                model.name,
                model.vendor,
                truncate(catalog.describe_sizes(model) or _("unknown"), 44),
                f"1–{limit[1]:g}" if limit else "",
                _describe_edits(model),
                _("yes") if "seed" in (model.fields or ()) else _("no"),
                _describe_retirement(model),
            )
        )
    return Table(rows=rows, notes=[_("A model in full: {magic}", magic="%imagine_models NAME")])


def _describe_retirement(model: Model) -> str:
    if model.retired and model.successor:
        return _("{date}; replaced by {model}", date=model.retired, model=model.successor)
    return model.retired or ""


def _describe_edits(model: Model) -> str:
    if model.edit is None:
        return _("unknown")
    if not model.edit:
        return _("no")
    if model.mask:
        return _("up to {count}, mask", count=model.edit)
    return _("up to {count}", count=model.edit)


def report_model(name: str) -> str:
    """Return everything the catalog knows about a model. Raises InvalidOption, naming the nearest."""
    model = catalog.find_model(name)
    if not model:
        near = catalog.suggest_model(name)
        suggestion = _(" Did you mean {model}?", model=near) if near else ""
        raise InvalidOption(
            _(
                "The catalog has no model {name!r}.{suggestion} Other models are sent as typed.",
                name=truncate(name, 60),
                suggestion=suggestion,
            )
        )
    prompt_limits = [
        model.prompt_chars and _("{count:,} characters", count=model.prompt_chars),
        model.prompt_cjk and _("{count:,} Chinese characters", count=model.prompt_cjk),
        model.prompt_words and _("{count:,} words", count=model.prompt_words),
    ]
    limits = [limit for limit in prompt_limits if isinstance(limit, Message)]
    facts: list[Fact] = [
        (_("sizes"), catalog.describe_sizes(model) or _("unknown")),
        *((option.replace("_", " "), choices) for option, choices in model.choices.items()),
        *(
            (option.replace("_", " "), _("{low:g} to {high:g}", low=low, high=high))
            for option, (low, high) in model.limits.items()
        ),
        (_("edits"), _describe_edits(model)),
        (_("fields"), model.fields),
        (_("prompt"), limits and _("at most {limits}", limits=join(limits, " / "))),
        *((_("price"), _describe_price(price)) for price in model.prices),
        (_("price of a million tokens"), model.rates and _describe_rates(model.rates)),
        (_("retired"), _describe_retirement(model)),
        (_("also known as"), catalog.list_names(model)[1:]),
        (_("note"), model.note),
        (_("source"), model.source and f"{model.source}, {model.date}"),
        (
            _("listed by"),
            [
                endpoint.name
                for endpoint in catalog.Registry()
                if not endpoint.models.keys().isdisjoint(catalog.list_names(model))
            ],
        ),
    ]
    return _join_lines([DOT.join([model.name, model.vendor]), *_list_lines(facts)])


def _describe_rates(rates: Rates) -> Message:
    return _(
        "{currency} {text:g} text in, {image:g} image in, {output:g} image out, {source}, {date}",
        currency=rates.currency,
        text=rates.text_in,
        image=rates.image_in,
        output=rates.image_out,
        source=rates.source,
        date=rates.date,
    )


def _describe_price(price: Price) -> Message:
    cost = Cost(
        amount=price.amount,
        amount_max=price.amount_max,
        at_least=price.at_least,
        currency=price.currency,
        basis="table",
    )
    scope = " ".join(filter(None, [price.quality, price.size]))
    return _(
        "{cost} per image{scope}, {source}, {date}",
        cost=str(cost),
        scope=f" ({scope})" if scope else "",
        source=price.source,
        date=price.date,
    )
