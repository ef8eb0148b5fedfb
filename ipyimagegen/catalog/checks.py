"""Refuse what is typed and cannot be, before anything is sent; leave out what is only configured.

Each rule is a function that yields `Problem`s. A problem with a typed option is an InvalidOption;
one with a configured option takes the option out, and the caption says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

from ipyimagegen.catalog import sizes
from ipyimagegen.catalog.rows import (
    EDITS,
    INPAINTING,
    describe_model,
    find_model_row,
    find_operation,
    list_fields,
    resolve_model_name,
)
from ipyimagegen.catalog.translation import Shape, in_bounds, is_unasked, shape
from ipyimagegen.core.endpoints import Endpoint, Model, match_model
from ipyimagegen.core.errors import InvalidInput, InvalidOption, suggest_name
from ipyimagegen.core.options import SENT
from ipyimagegen.core.request import Request

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_PAIR = ("size", "aspect_ratio")
_DOING: Mapping[str, str] = {EDITS: " for edits", INPAINTING: " for edits with a mask"}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why options cannot be sent: `short` for the caption, `long` for the error."""

    options: tuple[str, ...]
    short: str
    long: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the rules look at; `where` names model and server in messages."""

    options: Mapping[str, Any]
    known: Model | None
    fields: frozenset[str] | None
    edit_fields: frozenset[str] | None
    where: str
    shape: Shape
    doing: str = ""  # " for edits", " with a mask"


def check(
    request: Request,
    endpoint: Endpoint,
    *,
    configured: frozenset[str] = frozenset(),
    today: date | None = None,
) -> tuple[Request, tuple[str, ...]]:
    """Return the request without configured options that cannot be sent, and sentences for the caption.

    Raises InvalidOption for a typed option, InvalidInput for the prompt. `--set` is never checked.
    """
    name = resolve_model_name(request, endpoint)
    if name is None and endpoint.model_required:
        raise InvalidOption(f"{endpoint.name} wants a model named: --model NAME.")
    known = find_model_row(endpoint, name)
    fields = list_fields(endpoint, name, find_operation(request))
    options = dict(request.options)
    where = describe_model(endpoint, name)
    asked = Asked(
        options=options,
        known=known,
        fields=fields,
        edit_fields=list_fields(endpoint, name, EDITS),
        where=where,
        shape=shape(known, fields),
        doing=_DOING.get(find_operation(request), ""),
    )
    said: list[str] = []
    while problem := next(_problems(asked, request.extra), None):
        dropped = next((k for k in problem.options if k in configured and k in options), None)
        if dropped is None:
            raise InvalidOption(problem.long)
        value = options.pop(dropped)
        said.append(f"the configured {dropped} {value} was left out: {problem.short}")
    _check_inputs(request, endpoint, known, where)
    said += _about_prompt(request, known, name)
    said += _about_retirement(endpoint, known, name, today or datetime.now(UTC).date())
    return replace(request, options=options), tuple(said)


def _problems(asked: Asked, extra: Mapping[str, Any]) -> Iterator[Problem]:
    asked = replace(asked, options={k: v for k, v in asked.options.items() if k not in extra})
    for rule in (_pair, _not_taken, _count, _choices, _limits, _size, _size_as_ratio, _formats):
        yield from rule(asked)


def _pair(asked: Asked) -> Iterator[Problem]:
    size, text = asked.options.get("size"), asked.options.get("aspect_ratio")
    if size is None or text is None:
        return
    found, wanted = sizes.pixels(size), sizes.ratio(text)
    own = Fraction(*found) if found else sizes.WORDS.get(size)
    if own is None:  # auto and tiers say nothing of the shape
        return
    if own == wanted or (not found and (own > 1) == (wanted > 1) and (own < 1) == (wanted < 1)):
        return
    yield Problem(
        options=_PAIR,
        short=f"it contradicts {text if found else size}",
        long=f"--size {size} and --aspect-ratio {text} contradict each other. Give one of the two.",
    )


def _not_taken(asked: Asked) -> Iterator[Problem]:
    if asked.fields is None:
        return
    carried = set(_PAIR) if asked.shape.size or asked.shape.ratio else set()
    for name, value in asked.options.items():
        if name in asked.fields or name in carried or name in ("seed", "n") or is_unasked(name, value):
            continue
        flag, takes = SENT[name].flag, ", ".join(one for one in SENT if one in asked.fields) or "none"
        long = f"{asked.where} does not take {flag}{asked.doing}; it takes {takes}."
        if asked.edit_fields and name in asked.edit_fields and not asked.doing:
            long = f"{asked.where} takes {flag} only for edits, with --image."
        yield Problem(
            options=(name,),
            short=f"{asked.where} does not take it",
            long=f"{long}\n--set {name}=… would send it all the same.",
        )


def _count(asked: Asked) -> Iterator[Problem]:
    n = asked.options.get("n", 1)
    most = asked.known.limits["n"][1] if asked.known and "n" in asked.known.limits else None
    if asked.fields is not None and "n" not in asked.fields:
        most = 1
    if most is None or n <= most:
        return
    images = "one image" if most == 1 else f"at most {most:g} images"
    yield Problem(
        options=("n",),
        short=f"{asked.where} makes {images} in one call",
        long=f"--n {n}: {asked.where} makes {images} in one call. "
        f"For several takes: --seed 1..{n}, one call each.",
    )


def _choices(asked: Asked) -> Iterator[Problem]:
    for name, right in asked.known.choices.items() if asked.known else ():
        value = asked.options.get(name)
        if value is None or value in right or name in _reported(asked):
            continue
        yield Problem(
            options=(name,),
            short=f"{asked.where} takes {', '.join(right)}",
            long=f"{SENT[name].flag} {value}: {asked.where} takes {', '.join(right)}."
            f"{suggest_name(str(value), right)}",
        )


def _limits(asked: Asked) -> Iterator[Problem]:
    for name, (low, high) in asked.known.limits.items() if asked.known else ():
        value = asked.options.get(name)
        if name in ("n", "aspect_ratio") or value is None or low <= value <= high or name in _reported(asked):
            continue
        if name == "seed" and asked.fields is not None and "seed" not in asked.fields:
            continue  # it is not sent, so any will do
        yield Problem(
            options=(name,),
            short=f"{asked.where} takes {low:.10g} to {high:.10g}",
            long=f"{SENT[name].flag} {value}: {asked.where} takes {low:.10g} to {high:.10g}.",
        )


def _size(asked: Asked) -> Iterator[Problem]:
    """Refuse pixels and tiers that the model's row does not have; words are translated."""
    size, known = asked.options.get("size"), asked.known
    if size is None or size in ("auto", *sizes.WORDS) or known is None or not asked.shape.size:
        return
    if "size" in _reported(asked) or sizes.takes(known, size):
        return
    if sizes.tier_area(size) and "aspect_ratio" in asked.options and known.size_rule:
        return  # "2K and 16:9" is worked out in pixels
    found = sizes.pixels(size)
    near = " or ".join(f"{w}x{h}" for w, h in sizes.nearest(known, found)) if found else ""
    yield Problem(
        options=("size",),
        short=f"{asked.where} does not have it",
        long=f"--size {size}: {asked.where} takes {sizes.describe_sizes(known)}."
        + (f"\nThe nearest: {near}." if near else ""),
    )


def _size_as_ratio(asked: Asked) -> Iterator[Problem]:
    """Refuse pixels that are no listed ratio where the server takes only ratios."""
    size, known = asked.options.get("size"), asked.known
    if size is None or asked.shape.size or not asked.shape.ratio:
        return
    found = sizes.pixels(size)
    ratios = known.ratios if known else ()
    if found and ratios and known:
        exact = Fraction(*found)
        listed = any(sizes.ratio(one) == exact for one in ratios)
        if listed or in_bounds(known, exact) or "aspect_ratio" in known.reported:
            return
        near = sizes.nearest_ratio(ratios, exact)
        long = f"--size {size}: {asked.where} takes ratios, not pixels: {', '.join(ratios)}."
        yield Problem(
            options=("size",),
            short=f"{asked.where} takes ratios",
            long=f"{long}\nThe nearest: --aspect-ratio {near}.",
        )
    elif sizes.tier_area(size):
        yield Problem(
            options=("size",),
            short=f"{asked.where} takes ratios",
            long=f"--size {size}: {asked.where} takes --aspect-ratio, such as 16:9, and no size.",
        )


def _formats(asked: Asked) -> Iterator[Problem]:
    output, compression = asked.options.get("output_format"), asked.options.get("output_compression")
    if asked.options.get("background") == "transparent" and output == "jpeg":
        yield Problem(
            options=("background", "output_format"),
            short="a jpeg cannot be transparent",
            long="--background transparent needs --output-format png or webp: a jpeg cannot be transparent.",
        )
    right = asked.known.compression_formats if asked.known else ()
    if compression is not None and right and (output or "png") not in right:
        yield Problem(
            options=("output_compression", "output_format"),
            short=f"it is for {' and '.join(right)} only",
            long=f"--output-compression {compression}: {asked.where} takes it with --output-format "
            f"{' or '.join(right)} only.",
        )


def _reported(asked: Asked) -> tuple[str, ...]:
    return asked.known.reported if asked.known else ()


def _check_inputs(request: Request, endpoint: Endpoint, known: Model | None, where: str) -> None:
    if not request.inputs:
        return
    if known and known.edit == 0:
        raise InvalidOption(f"{where} makes no edits: it takes no --image. Nothing was sent.")
    if endpoint.edits is False:
        raise InvalidOption(
            f"{endpoint.name} has no edits that are known; nothing was sent. "
            'To try all the same, add "edits": True to its entry in %config Imagine.endpoints.'
        )
    limits = [
        known.edit if known else None,
        match_model(endpoint.most_inputs, resolve_model_name(request, endpoint)),
    ]
    if request.mask and endpoint.mask_fields is not None:
        limits.append(1)  # a route of its own, for one image
    most = min((one for one in limits if one is not None), default=None)
    if most is not None and len(request.inputs) > most:
        masked = " with a --mask" if request.mask else ""
        raise InvalidOption(f"{where} takes at most {most} --image{masked}, not {len(request.inputs)}.")
    if request.mask and (endpoint.mask is False or (known and known.mask is False)):
        raise InvalidOption(f"{where} takes no --mask. Say in the prompt what is to change.")


def _about_prompt(request: Request, known: Model | None, name: str | None) -> list[str]:
    """Return what to say of the prompt's length. Raises InvalidInput above the limit of the API."""
    if known is None or "prompt" in request.extra:
        return []
    length = len(request.prompt)
    if known.prompt_chars and length > known.prompt_chars:
        raise InvalidInput(
            f"The prompt has {length:,} characters; {name} takes {known.prompt_chars:,}. Nothing was sent."
        )
    signs, words = len(_CJK.findall(request.prompt)), len(_CJK.sub(" ", request.prompt).split())
    # The vendor advises these two and does not enforce them, so they are said and refuse nothing.
    if known.prompt_cjk and signs > known.prompt_cjk:
        return [f"the prompt has {signs} Chinese characters; {name} is made for {known.prompt_cjk}"]
    if known.prompt_words and words > known.prompt_words:
        return [f"the prompt has {words} words; {name} is made for {known.prompt_words}"]
    return []


def _about_retirement(endpoint: Endpoint, known: Model | None, name: str | None, today: date) -> list[str]:
    if known is None or not known.retired:
        return []
    when = "was" if date.fromisoformat(known.retired) <= today else "will be"
    if known.vendor == endpoint.vendor:
        instead = f"; {known.successor} replaces it" if known.successor else ""
        return [f"{name} {when} shut down on {known.retired}{instead}"]
    return [f"{name} {when} shut down by its vendor ({known.vendor}) on {known.retired}"]
