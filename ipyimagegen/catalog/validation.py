"""Refuse what is typed and cannot be sent, before anything is sent; leave out what is only configured.

Each rule is a function that yields `Problem`s. A problem with a typed option is an InvalidOption; a
configured option with a problem is left out, and the caption says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

from ipyimagegen.catalog.lookup import (
    EDITS,
    INPAINTING,
    describe_model,
    find_model_row,
    find_operation,
    list_fields,
    resolve_model_name,
)
from ipyimagegen.catalog.sizes import (
    WORDS,
    describe_sizes,
    find_nearest_sizes,
    find_ratio,
    parse_pixels,
    parse_ratio,
    parse_tier,
    takes_size,
)
from ipyimagegen.catalog.translation import ShapeFields, find_shape_fields, is_default, takes_ratio
from ipyimagegen.core.endpoints import Endpoint, Model, match_model
from ipyimagegen.core.errors import InvalidInput, InvalidOption, suggest_name
from ipyimagegen.core.messages import OptionName, Setting, _, ngettext
from ipyimagegen.core.options import SENT
from ipyimagegen.core.request import Request

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_SHAPE = ("size", "aspect_ratio")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why options cannot be sent: `reason` for the caption, `message` for the error."""

    options: tuple[str, ...]
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the rules look at; `model` names model and server in messages."""

    options: Mapping[str, Any]
    row: Model | None
    fields: frozenset[str] | None
    edit_fields: frozenset[str] | None
    model: str
    shape: ShapeFields
    operation: str


def check(
    request: Request,
    endpoint: Endpoint,
    *,
    configured: frozenset[str] = frozenset(),
    today: date | None = None,
) -> tuple[Request, tuple[str, ...]]:
    """Return the request without configured options that cannot be sent, and notes for the caption.

    Raises InvalidOption for a typed option, InvalidInput for the prompt. `extra` is never checked.
    """
    name = resolve_model_name(request, endpoint)
    if name is None and endpoint.model_required:
        raise InvalidOption(
            _("{endpoint} requires {option}.", endpoint=endpoint.name, option=OptionName("model", "NAME"))
        )
    row = find_model_row(endpoint, name)
    operation = find_operation(request)
    fields = list_fields(endpoint, name, operation)
    facts = Facts(
        options={option: value for option, value in request.options.items() if option not in request.extra},
        row=row,
        fields=fields,
        edit_fields=list_fields(endpoint, name, EDITS),
        model=describe_model(endpoint, name),
        shape=find_shape_fields(row, fields),
        operation=operation,
    )
    options = dict(request.options)
    notes: list[str] = []
    while problem := next(_find_problems(facts), None):
        ignored = next(
            (option for option in problem.options if option in configured & facts.options.keys()), None
        )
        if ignored is None:
            raise InvalidOption(problem.message)
        setting = f"{ignored}={options.pop(ignored)}"
        notes.append(_("ignored configured {setting}: {reason}", setting=setting, reason=problem.reason))
        facts = replace(facts, options={k: v for k, v in facts.options.items() if k != ignored})
    _check_inputs(request, endpoint, facts)
    notes += _check_prompt(request, row, name)
    notes += _note_retirement(endpoint, row, name, today or datetime.now(UTC).date())
    return replace(request, options=options), tuple(notes)


def _find_problems(facts: Facts) -> Iterator[Problem]:
    for rule in (
        _check_pair,
        _check_fields,
        _check_count,
        _check_choices,
        _check_limits,
        _check_size,
        _check_size_as_ratio,
        _check_formats,
    ):
        yield from rule(facts)


def _check_pair(facts: Facts) -> Iterator[Problem]:
    size, text = facts.options.get("size"), facts.options.get("aspect_ratio")
    if size is None or text is None:
        return
    pixels, ratio = parse_pixels(size), parse_ratio(text)
    own = Fraction(*pixels) if pixels else WORDS.get(size)
    if own is None:  # auto and tiers have no shape
        return
    if own == ratio or (not pixels and (own > 1) == (ratio > 1) and (own < 1) == (ratio < 1)):
        return
    yield Problem(
        options=_SHAPE,
        reason=_("it contradicts {value}", value=text if pixels else size),
        message=_(
            "{size} and {ratio} contradict each other. Remove one.",
            size=OptionName("size", size),
            ratio=OptionName("aspect_ratio", text),
        ),
    )


def _check_fields(facts: Facts) -> Iterator[Problem]:
    if facts.fields is None:
        return
    carried = set(_SHAPE) if facts.shape.size or facts.shape.ratio else set()
    for name, value in facts.options.items():
        if name in facts.fields or name in carried or name in ("seed", "n") or is_default(name, value):
            continue
        yield Problem(
            options=(name,),
            reason=_("{model} does not support it", model=facts.model),
            message=_(
                "{refusal}\nTo send it anyway: {extra}",
                refusal=_explain_refusal(name, facts),
                extra=OptionName("extra", {name: value}),
            ),
        )


def _explain_refusal(name: str, facts: Facts) -> str:
    values = {
        "model": facts.model,
        "option": OptionName(name),
        "options": ", ".join(option for option in SENT if option in (facts.fields or ())) or _("the prompt"),
        "image": OptionName("image"),
    }
    if facts.operation == INPAINTING:
        return _("{model} does not support {option} for edits with a mask, only {options}.", **values)
    if facts.operation == EDITS:
        return _("{model} does not support {option} for edits, only {options}.", **values)
    if facts.edit_fields and name in facts.edit_fields:
        return _("{model} supports {option} only for edits, with {image}.", **values)
    return _("{model} does not support {option}, only {options}.", **values)


def _check_count(facts: Facts) -> Iterator[Problem]:
    n = facts.options.get("n", 1)
    most = facts.row.limits["n"][1] if facts.row and "n" in facts.row.limits else None
    if facts.fields is not None and "n" not in facts.fields:
        most = 1
    if most is None or n <= most:
        return
    limit = ngettext(
        "{model} makes {count} image in one call",
        "{model} makes at most {count} images in one call",
        int(most),
        model=facts.model,
    )
    yield Problem(
        options=("n",),
        reason=limit,
        message=_(
            "Invalid {option}: {limit}. Use {seeds} for one call each.",
            option=OptionName("n", n),
            limit=limit,
            seeds=OptionName("seed", range(1, n + 1)),
        ),
    )


def _check_choices(facts: Facts) -> Iterator[Problem]:
    for name, choices in facts.row.choices.items() if facts.row else ():
        value = facts.options.get(name)
        if value is None or value in choices or _is_reported(name, facts):
            continue
        words = ", ".join(choices)
        yield Problem(
            options=(name,),
            reason=_("{model} supports {choices}", model=facts.model, choices=words),
            message=_(
                "Invalid {option}: {model} supports {choices}.{hint}",
                option=OptionName(name, value),
                model=facts.model,
                choices=words,
                hint=suggest_name(str(value), choices),
            ),
        )


def _check_limits(facts: Facts) -> Iterator[Problem]:
    for name, (low, high) in facts.row.limits.items() if facts.row else ():
        value = facts.options.get(name)
        if name == "n" or not isinstance(value, (int, float)):  # a ratio's limits are for its translation
            continue
        if low <= value <= high or _is_reported(name, facts):
            continue
        if name == "seed" and facts.fields is not None and "seed" not in facts.fields:
            continue  # it is not sent, so any value will do
        bounds = {"model": facts.model, "low": f"{low:.10g}", "high": f"{high:.10g}"}
        yield Problem(
            options=(name,),
            reason=_("{model} supports {low} to {high}", **bounds),
            message=_(
                "Invalid {option}: {model} supports {low} to {high}.",
                option=OptionName(name, value),
                **bounds,
            ),
        )


def _check_size(facts: Facts) -> Iterator[Problem]:
    """Refuse pixels and tiers that the model's row does not have; words are translated."""
    size, row = facts.options.get("size"), facts.row
    if size is None or size in ("auto", *WORDS) or row is None or not facts.shape.size:
        return
    if _is_reported("size", facts) or takes_size(row, size):
        return
    if parse_tier(size) and "aspect_ratio" in facts.options and row.size_rule:
        return  # "2K and 16:9" is translated into pixels
    message = _(
        "Invalid {option}: {model} supports {sizes}.",
        option=OptionName("size", size),
        model=facts.model,
        sizes=describe_sizes(row),
    )
    pixels = parse_pixels(size)
    if near := [f"{width}x{height}" for width, height in find_nearest_sizes(row, pixels)] if pixels else []:
        message = _("{problem}\nNearest: {sizes}.", problem=message, sizes=", ".join(near))
    yield Problem(
        options=("size",), reason=_("{model} does not support it", model=facts.model), message=message
    )


def _check_size_as_ratio(facts: Facts) -> Iterator[Problem]:
    """Refuse pixels that are not a listed ratio where the server takes only ratios."""
    size, row = facts.options.get("size"), facts.row
    if size is None or facts.shape.size or not facts.shape.ratio:
        return
    pixels = parse_pixels(size)
    values: dict[str, Any] = {"option": OptionName("size", size), "model": facts.model}
    if pixels and row and row.ratios:
        ratio = Fraction(*pixels)
        listed = any(parse_ratio(text) == ratio for text in row.ratios)
        if listed or takes_ratio(row, ratio) or "aspect_ratio" in row.reported:
            return
        nearest = OptionName("aspect_ratio", find_ratio(row.ratios, ratio))
        message = _(
            "Invalid {option}: {model} supports only the ratios {ratios}.\nUse {nearest}.",
            ratios=", ".join(row.ratios),
            nearest=nearest,
            **values,
        )
    elif parse_tier(size):
        example = OptionName("aspect_ratio", "16:9")
        message = _(
            "Invalid {option}: {model} supports only ratios, such as {example}.", example=example, **values
        )
    else:
        return
    yield Problem(
        options=("size",), reason=_("{model} supports only ratios", model=facts.model), message=message
    )


def _check_formats(facts: Facts) -> Iterator[Problem]:
    output, compression = facts.options.get("output_format"), facts.options.get("output_compression")
    if facts.options.get("background") == "transparent" and output == "jpeg":
        yield Problem(
            options=("background", "output_format"),
            reason=_("a jpeg cannot be transparent"),
            message=_(
                "{background} requires {png} or {webp}: a jpeg cannot be transparent.",
                background=OptionName("background", "transparent"),
                png=OptionName("output_format", "png"),
                webp=OptionName("output_format", "webp"),
            ),
        )
    formats = facts.row.compression_formats if facts.row else ()
    if compression is not None and formats and (output or "png") not in formats:
        names = ", ".join(formats)
        yield Problem(
            options=("output_compression", "output_format"),
            reason=_("{model} supports it only for {formats}", model=facts.model, formats=names),
            message=_(
                "Invalid {compression}: {model} supports it only for {formats}. Use {option}.",
                compression=OptionName("output_compression", compression),
                model=facts.model,
                formats=names,
                option=OptionName("output_format", formats[0]),
            ),
        )


def _is_reported(name: str, facts: Facts) -> bool:
    return facts.row is not None and name in facts.row.reported


def _check_inputs(request: Request, endpoint: Endpoint, facts: Facts) -> None:
    row = facts.row
    if not request.inputs:
        return
    if row and row.edit == 0:
        raise InvalidOption(_("{model} does not support image edits. Nothing was sent.", model=facts.model))
    if endpoint.edits is False:
        raise InvalidOption(
            _(
                "{endpoint} is not known to support image edits. Nothing was sent. "
                'To try it, add "edits": True to its entry in {setting}.',
                endpoint=endpoint.name,
                setting=Setting("endpoints"),
            )
        )
    limits = [
        row.edit if row else None,
        match_model(endpoint.most_inputs, resolve_model_name(request, endpoint)),
        1 if request.mask and endpoint.mask_fields is not None else None,  # its own route, for a single image
    ]
    most = min((limit for limit in limits if limit is not None), default=None)
    if most is not None and len(request.inputs) > most:
        limit = ngettext(
            "{model} takes at most {count} input image",
            "{model} takes at most {count} input images",
            most,
            model=facts.model,
        )
        if request.mask:
            limit = _("{limit} with a mask", limit=limit)
        raise InvalidOption(_("{limit}, not {given}.", limit=limit, given=len(request.inputs)))
    if request.mask and (endpoint.mask is False or (row and row.mask is False)):
        raise InvalidOption(
            _(
                "{model} does not support {option}. Describe in the prompt what to change.",
                model=facts.model,
                option=OptionName("mask"),
            )
        )


def _check_prompt(request: Request, row: Model | None, name: str | None) -> list[str]:
    """Return notes on the prompt's length. Raises InvalidInput above the limit of the API."""
    if row is None or "prompt" in request.extra:
        return []
    characters = len(request.prompt)
    if row.prompt_chars and characters > row.prompt_chars:
        raise InvalidInput(
            _(
                "The prompt has {length:,} characters, {model} takes at most {most:,}. Nothing was sent. "
                "Use a shorter prompt.",
                length=characters,
                model=name,
                most=row.prompt_chars,
            )
        )
    # The vendor recommends these two limits and does not enforce them: they refuse nothing.
    signs, words = len(_CJK.findall(request.prompt)), len(_CJK.sub(" ", request.prompt).split())
    values = {"signs": signs, "words": words, "model": name, "cjk": row.prompt_cjk, "most": row.prompt_words}
    if row.prompt_cjk and signs > row.prompt_cjk:
        return [_("the prompt has {signs} Chinese characters; {model} is made for {cjk}", **values)]
    if row.prompt_words and words > row.prompt_words:
        return [_("the prompt has {words} words; {model} is made for {most}", **values)]
    return []


def _note_retirement(endpoint: Endpoint, row: Model | None, name: str | None, today: date) -> list[str]:
    if row is None or not row.retired:
        return []
    past = date.fromisoformat(row.retired) <= today
    values = {"model": name, "vendor": row.vendor, "date": row.retired, "successor": row.successor}
    if row.vendor != endpoint.vendor:
        if past:
            return [_("{model} was shut down by its vendor ({vendor}) on {date}", **values)]
        return [_("{model} will be shut down by its vendor ({vendor}) on {date}", **values)]
    note = _("{model} was shut down on {date}", **values)
    if not past:
        note = _("{model} will be shut down on {date}", **values)
    if row.successor:
        note = _("{note}; {successor} replaces it", note=note, **values)
    return [note]
