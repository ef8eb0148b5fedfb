"""The tables: models.toml and endpoints.toml as records, read once and only when asked for.

A row's columns are the members of the record it becomes; `like` names the row it begins with, and
`price` is a short form of `Model.prices`. Users' own rows (`%config Imagine.endpoints`) are read by
the same functions, so they may say whatever our own may.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from importlib.resources import files
from typing import Any

from ipyimagegen.core.endpoints import Endpoint, Model, Price, Rates, SizeRule
from ipyimagegen.core.errors import InvalidOption, find_nearest, suggest_name
from ipyimagegen.core.options import Json

ANY = "any"  # the quality of a price that holds for every quality
_OWN_ONLY = ("aliases", "note", "retired", "successor")  # what `like` does not pass on
_PRICE_FACTS = ("currency", "source", "date", "at_least")
_MODEL_COLUMNS = frozenset(one.name for one in fields(Model)) - {"name", "prices"} | {"like", "price"}
_ENDPOINT_COLUMNS = frozenset(one.name for one in fields(Endpoint)) - {"name"} | {"like"}


@cache
def _rows(file: str) -> Mapping[str, Mapping[str, Json]]:
    return tomllib.loads(files(__package__).joinpath(file).read_text("utf-8"))


@cache
def _models() -> Mapping[str, Model]:
    known: dict[str, Model] = {}
    for name, columns in _rows("models.toml").items():
        base = known[columns["like"]] if "like" in columns else Model(name=name)
        fresh = {one: getattr(Model(name=name), one) for one in _OWN_ONLY}
        known[name] = overlay(replace(base, name=name, **fresh), columns)
    return known


@cache
def _by_name() -> Mapping[str, Model]:
    rows = _models().values()
    return {name.casefold(): row for row in rows for name in (row.name, *row.aliases)}


def load_models() -> tuple[Model, ...]:
    """Return every model row, in the table's order."""
    return tuple(_models().values())


def find_model(name: str) -> Model | None:
    """Return the row of that name or alias, whatever its case; None when there is none."""
    return _by_name().get(name.casefold())


def suggest_model(name: str) -> str | None:
    """Return the known name most like `name`, or None when none is near."""
    return find_nearest(name, (one for row in load_models() for one in (row.name, *row.aliases)))


@cache
def load_endpoints() -> Mapping[str, Endpoint]:
    """Return the endpoints of the table by name, without anything of the user's."""
    known: dict[str, Endpoint] = {}
    for name, columns in _rows("endpoints.toml").items():
        base = known[columns["like"]] if "like" in columns else Endpoint(name=name, base_url="")
        known[name] = overlay_endpoint(replace(base, name=name), columns)
    return known


def overlay(base: Model, columns: Mapping[str, Json]) -> Model:
    """Return `base` with the columns of a row over it; a column replaces the whole member.

    Raises InvalidOption for a column that does not exist or has the wrong shape.
    """
    _refuse_unknown(f"The row of model {base.name}", columns, _MODEL_COLUMNS)
    try:
        return replace(
            base, **{_member(k): _READ.get(k, _frozen)(v) for k, v in columns.items() if k != "like"}
        )
    except (TypeError, ValueError, KeyError, AttributeError) as fault:
        problem = f"The row of model {base.name} cannot be read: {type(fault).__name__} {fault}."
    raise InvalidOption(problem)


def overlay_endpoint(base: Endpoint, columns: Mapping[str, Json]) -> Endpoint:
    """Return `base` with the columns of a row over it. Raises InvalidOption for an unknown column."""
    _refuse_unknown(f"Endpoint {base.name!r}", columns, _ENDPOINT_COLUMNS)
    return replace(base, **{k: _frozen(v) for k, v in columns.items() if k != "like"})


def _refuse_unknown(what: str, columns: Mapping[str, Json], known: frozenset[str]) -> None:
    for column in columns:
        if column not in known:
            raise InvalidOption(f"{what} has no setting {column!r}.{suggest_name(column, sorted(known))}")


def _member(column: str) -> str:
    return "prices" if column == "price" else column


def _frozen(value: Json) -> Any:
    """Return a TOML value with tuples for lists, inside mappings too."""
    if isinstance(value, Mapping):
        return {k: _frozen(v) for k, v in value.items()}
    return tuple(_frozen(one) for one in value) if isinstance(value, (list, tuple)) else value


def _prices(table: Mapping[str, Json]) -> tuple[Price, ...]:
    """Return the prices of `QUALITY = amount | [low, high] | {SIZE = amount or range}` columns."""
    facts = {k: v for k, v in table.items() if k in _PRICE_FACTS}
    found = []
    for quality, amounts in table.items():
        if quality in _PRICE_FACTS:
            continue
        for size, amount in (amounts if isinstance(amounts, Mapping) else {None: amounts}).items():
            low, high = amount if isinstance(amount, (list, tuple)) else (amount, None)
            named = None if quality == ANY else quality
            found.append(Price(amount=low, amount_max=high, quality=named, size=size, **facts))
    return tuple(found)


_READ: Mapping[str, Any] = {
    "price": _prices,
    "rates": lambda table: Rates(**table) if table else None,
    "size_rule": lambda table: SizeRule(**table) if table else None,
}
