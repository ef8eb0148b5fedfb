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

from ipyimagegen.catalog.capabilities import EDITS, INPAINTING, Capabilities
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
from ipyimagegen.catalog.translation import is_default, takes_ratio
from ipyimagegen.core.endpoints import match_model
from ipyimagegen.core.errors import InvalidInput, InvalidOption, suggest_name
from ipyimagegen.core.messages import Message, OptionName, Remedy, Setting, _, ngettext
from ipyimagegen.core.options import SENT
from ipyimagegen.core.request import Request

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_SHAPE = ("size", "aspect_ratio")
_STREAMING = ("stream", "partial_images")
_FRAMES = ("frame_count", "frame_duration_ms")
# What a format does not go with, by OpenAI's reference of 2026-11.
_NOT_WITH: Mapping[str | None, tuple[str, ...]] = {
    "gif": (*_STREAMING, "output_compression", "mask"),
    "svg": (*_STREAMING, "output_compression", "n"),
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why options cannot be sent: `reason` for the caption, `message` for the error."""

    options: tuple[str, ...]
    reason: Message
    message: Message


Options = Mapping[str, Any]


def check(
    request: Request,
    capabilities: Capabilities,
    *,
    configured: frozenset[str] = frozenset(),
    today: date | None = None,
) -> tuple[Request, tuple[str, ...]]:
    """Return the request without configured options that cannot be sent, and notes for the caption.

    Raises InvalidOption for a typed option, InvalidInput for the prompt. `extra` is never checked.
    """
    endpoint = capabilities.endpoint
    needs_model = endpoint.model_required or (endpoint.mask_needs_model and request.mask)
    if capabilities.model is None and needs_model:
        raise InvalidOption(
            _("{endpoint} requires {option}.", endpoint=endpoint.name, option=OptionName("model", "NAME"))
        )
    kept = dict(request.options)
    notes: list[str] = []
    while True:
        options = {option: value for option, value in kept.items() if option not in request.extra}
        problem = next((found for rule in _RULES for found in rule(options, capabilities)), None)
        if problem is None:
            break
        ignored = next((option for option in problem.options if option in configured & options.keys()), None)
        if ignored is None:
            raise InvalidOption(problem.message)
        setting = f"{ignored}={kept.pop(ignored)}"
        notes.append(_("ignored configured {setting}: {reason}", setting=setting, reason=problem.reason))
    if request.inputs:
        _check_inputs(request, capabilities)
    if "prompt" not in request.extra:
        notes += _check_prompt(request.prompt, capabilities)
        notes += _check_negative_sign(request.prompt, kept, capabilities)
    if retirement := describe_retirement(capabilities, today):
        notes.append(retirement)
    return replace(request, options=kept), tuple(notes)


def _check_pair(options: Options, _capabilities: Capabilities) -> Iterator[Problem]:
    size, text = options.get("size"), options.get("aspect_ratio")
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


def _check_fields(options: Options, capabilities: Capabilities) -> Iterator[Problem]:
    if capabilities.fields is None:
        return
    carried = _SHAPE if capabilities.by_size or capabilities.by_ratio else ()
    accepted = {*capabilities.fields, *capabilities.endpoint.ignored_fields, *carried, "seed", "n"}
    values = {
        "model": capabilities.label,
        "options": ", ".join(option for option in SENT if option in capabilities.fields) or _("the prompt"),
        "image": OptionName("image"),
    }
    for name, value in options.items():
        if name in accepted or is_default(name, value):
            continue
        values["option"] = OptionName(name)
        if capabilities.operation == INPAINTING:
            refusal = _("{model} does not support {option} for edits with a mask, only {options}.", **values)
        elif capabilities.operation == EDITS:
            refusal = _("{model} does not support {option} for edits, only {options}.", **values)
        elif capabilities.edit_fields and name in capabilities.edit_fields:
            refusal = _("{model} supports {option} only for edits, with {image}.", **values)
        else:
            refusal = _("{model} does not support {option}, only {options}.", **values)
        if name not in _STREAMING:  # sent anyway, the image may be drawn, and billed, and not arrive
            anyway = OptionName("extra", {name: value})
            refusal = _("{refusal}\nTo send it anyway: {extra}", refusal=refusal, extra=anyway)
        reason = _("{model} does not support it", model=capabilities.label)
        yield Problem(options=(name,), reason=reason, message=refusal)


def _check_count(options: Options, capabilities: Capabilities) -> Iterator[Problem]:
    n, most = options.get("n", 1), capabilities.row.limits.get("n", (1, None))[1]
    if capabilities.accepts("n") is False:
        most = 1
    if most is None or n <= most:
        return
    limit = ngettext(
        "{model} makes {count} image in one call",
        "{model} makes at most {count} images in one call",
        int(most),
        model=capabilities.label,
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


def _check_values(options: Options, capabilities: Capabilities) -> Iterator[Problem]:
    """Refuse values outside of a row's choices and limits, except third parties' claims."""
    row = capabilities.row
    for name, value in options.items():
        option, model = OptionName(name, value), capabilities.label
        if name in row.reported or is_default(name, value):
            continue
        choices = row.choices.get(name)
        if choices is not None and value not in choices:
            words = ", ".join(choices)
            yield Problem(
                options=(name,),
                reason=_("{model} supports {choices}", model=model, choices=words),
                message=_(
                    "Invalid {option}: {model} supports {choices}.{hint}",
                    option=option,
                    model=model,
                    choices=words,
                    hint=suggest_name(str(value), choices),
                ),
            )
        # The limits of a ratio, a text, are for its translation; a seed that is not sent may have any value.
        unlimited = name == "n" or (name == "seed" and capabilities.accepts(name) is False)
        if unlimited or not isinstance(value, (int, float)):
            continue
        low, high = row.limits.get(name, (value, value))
        if not low <= value <= high:
            bounds = {"model": model, "low": f"{low:.10g}", "high": f"{high:.10g}"}
            yield Problem(
                options=(name,),
                reason=_("{model} supports {low} to {high}", **bounds),
                message=_("Invalid {option}: {model} supports {low} to {high}.", option=option, **bounds),
            )


def _check_size(options: Options, capabilities: Capabilities) -> Iterator[Problem]:
    """Refuse pixels and tiers that the model's row does not have; words are translated."""
    size, row = options.get("size"), capabilities.row
    tier = parse_tier(size)
    if (
        size is None
        or size in ("auto", *WORDS)
        or not (capabilities.by_size or (tier and capabilities.by_tier))
    ):
        return
    if "size" in row.reported or takes_size(row, size):
        return
    if tier and "aspect_ratio" in options and row.size_rule:
        return  # "2K and 16:9" is translated into pixels
    message = _(
        "Invalid {option}: {model} supports {sizes}.",
        option=OptionName("size", size),
        model=capabilities.label,
        sizes=describe_sizes(row),
    )
    pixels = parse_pixels(size)
    if near := [f"{width}x{height}" for width, height in find_nearest_sizes(row, pixels)] if pixels else []:
        message = _("{problem}\nNearest: {sizes}.", problem=message, sizes=", ".join(near))
    reason = _("{model} does not support it", model=capabilities.label)
    yield Problem(options=("size",), reason=reason, message=message)


def _check_size_as_ratio(options: Options, capabilities: Capabilities) -> Iterator[Problem]:
    """Refuse pixels that are not a listed ratio where the server takes only ratios."""
    size, row = options.get("size"), capabilities.row
    if size is None or capabilities.by_size or not capabilities.by_ratio:
        return
    pixels = parse_pixels(size)
    values: dict[str, Any] = {"option": OptionName("size", size), "model": capabilities.label}
    if pixels and row.ratios and not takes_ratio(row, Fraction(*pixels)):
        message = _(
            "Invalid {option}: {model} supports only the ratios {ratios}.\nUse {nearest}.",
            ratios=", ".join(row.ratios),
            nearest=OptionName("aspect_ratio", find_ratio(row.ratios, Fraction(*pixels))),
            **values,
        )
    elif parse_tier(size) and not capabilities.by_tier:
        example = OptionName("aspect_ratio", "16:9")
        message = _(
            "Invalid {option}: {model} supports only ratios, such as {example}.", example=example, **values
        )
    else:
        return
    reason = _("{model} supports only ratios", model=capabilities.label)
    yield Problem(options=("size",), reason=reason, message=message)


def _check_formats(options: Options, capabilities: Capabilities) -> Iterator[Problem]:
    """Refuse what a file format cannot hold, or the model makes for other formats only."""
    output, compression = options.get("output_format"), options.get("output_compression")
    if options.get("background") == "transparent" and output == "jpeg":
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
    formats = capabilities.row.compression_formats
    if compression is not None and formats and (output or "png") not in formats:
        values = {"model": capabilities.label, "formats": ", ".join(formats)}
        yield Problem(
            options=("output_compression", "output_format"),
            reason=_("{model} supports it only for {formats}", **values),
            message=_(
                "Invalid {compression}: {model} supports it only for {formats}. Use {option}.",
                compression=OptionName("output_compression", compression),
                option=OptionName("output_format", formats[0]),
                **values,
            ),
        )


def _check_gif_and_svg(options: Options, capabilities: Capabilities) -> Iterator[Problem]:
    """Refuse what these formats do not go with, and frames of anything but a gif."""
    output, gif = options.get("output_format"), OptionName("output_format", "gif")
    mask = {"mask": True} if capabilities.operation == INPAINTING else {}
    given = {name: value for name, value in {**options, **mask}.items() if not is_default(name, value)}
    for name in _NOT_WITH.get(output, ()):
        if name in given:
            values = {"format": OptionName("output_format", output), "option": OptionName(name)}
            yield Problem(
                options=(name, "output_format"),
                reason=_("{option} does not go with {format}", **values),
                message=_("{option} does not go with {format}. Remove one.", **values),
            )
    for name in _FRAMES if output != "gif" else ():
        if name in given:
            yield Problem(
                options=(name,),
                reason=_("only a gif has frames"),
                message=_("{option} requires {gif}.", option=OptionName(name, given[name]), gif=gif),
            )


_RULES = (
    _check_pair,
    _check_fields,
    _check_count,
    _check_values,
    _check_size,
    _check_size_as_ratio,
    _check_formats,
    _check_gif_and_svg,
)


def _check_inputs(request: Request, capabilities: Capabilities) -> None:
    row, endpoint, label = capabilities.row, capabilities.endpoint, capabilities.label
    if row.edit == 0:
        raise InvalidOption(
            _("{model} does not support image edits.", model=label),
            remedy=Remedy.CHANGE_MODEL,
        )
    if endpoint.edits is False:
        raise InvalidOption(
            _(
                "{endpoint} is not known to support image edits. Nothing was sent. "
                'To try it, add "edits": True to its entry in {setting}.',
                endpoint=endpoint.name,
                setting=Setting("endpoints"),
            )
        )
    limits = (
        row.edit,
        match_model(endpoint.most_inputs, capabilities.model),
        1 if request.mask and endpoint.mask_fields is not None else None,  # its own route, for a single image
    )
    most = min((limit for limit in limits if limit is not None), default=None)
    if most is not None and len(request.inputs) > most:
        limit = ngettext(
            "{model} takes at most {count} input image",
            "{model} takes at most {count} input images",
            most,
            model=label,
        )
        if request.mask:
            limit = _("{limit} with a mask", limit=limit)
        raise InvalidOption(_("{limit}, not {given}.", limit=limit, given=len(request.inputs)))
    if request.mask and (endpoint.mask is False or row.mask is False):
        raise InvalidOption(
            _(
                "{model} does not support {option}. Describe in the prompt what to change.",
                model=label,
                option=OptionName("mask"),
            )
        )


def _check_prompt(prompt: str, capabilities: Capabilities) -> list[Message]:
    """Return notes on the prompt's length. Raises InvalidInput above the limit of the API."""
    row = capabilities.row
    if row.prompt_chars and len(prompt) > row.prompt_chars:
        raise InvalidInput(
            _(
                "The prompt has {length:,} characters, {model} takes at most {most:,}. Nothing was sent. "
                "Use a shorter prompt.",
                length=len(prompt),
                model=row.name,
                most=row.prompt_chars,
            )
        )
    # The vendor recommends these two limits and does not enforce them: they refuse nothing.
    signs, words = len(_CJK.findall(prompt)), len(_CJK.sub(" ", prompt).split())
    if row.prompt_cjk and signs > row.prompt_cjk:
        values = {"signs": signs, "model": row.name, "most": row.prompt_cjk}
        return [_("the prompt has {signs} Chinese characters; {model} is made for {most}", **values)]
    if row.prompt_words and words > row.prompt_words:
        values = {"words": words, "model": row.name, "most": row.prompt_words}
        return [_("the prompt has {words} words; {model} is made for {most}", **values)]
    return []


def _check_negative_sign(prompt: str, options: Options, capabilities: Capabilities) -> list[Message]:
    """Return a note on a prompt of which the server reads a part as a negative prompt.

    Raises InvalidInput where there is a negative prompt besides: it would be dropped.
    """
    endpoint = capabilities.endpoint
    sign = endpoint.negative_sign
    if not sign or sign not in prompt or capabilities.operation == INPAINTING:
        return []
    values = {"endpoint": endpoint.name, "sign": sign}
    if "negative_prompt" in options:
        raise InvalidInput(
            _(
                "{endpoint} reads what follows {sign} in a prompt as the negative prompt, so {option} would "
                "be lost. Nothing was sent. Remove one of them.",
                option=OptionName("negative_prompt"),
                **values,
            )
        )
    return [_("{endpoint} reads what follows {sign} in the prompt as the negative prompt", **values)]


def describe_retirement(capabilities: Capabilities, today: date | None = None) -> Message | None:
    """Return when the model is or was shut down, and what replaces it; None where no date is known."""
    row = capabilities.row
    if not row.retired:
        return None
    past = date.fromisoformat(row.retired) <= (today or datetime.now(UTC).date())
    values = {"model": row.name, "vendor": row.vendor, "date": row.retired, "successor": row.successor}
    if row.vendor != capabilities.endpoint.vendor:
        if past:
            return _("{model} was shut down by its vendor ({vendor}) on {date}", **values)
        return _("{model} will be shut down by its vendor ({vendor}) on {date}", **values)
    if past:
        note = _("{model} was shut down on {date}", **values)
    else:
        note = _("{model} will be shut down on {date}", **values)
    return _("{note}; {successor} replaces it", note=note, **values) if row.successor else note
