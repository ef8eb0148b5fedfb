"""The tables models.toml and endpoints.toml, and the reader of their rows and of the users' entries.

A row's columns are the members of the dataclass that it becomes, read by their annotations. `base` names
the row that a row begins with, and `price` is a short form of `Model.prices`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from types import NoneType
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from ipyimagegen.core.endpoints import Endpoint, HeaderVariable, Model, Price
from ipyimagegen.core.errors import InvalidOption, find_nearest, suggest_name
from ipyimagegen.core.formats import INPUTS
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.options import SENT, Json, normalise, to_plain
from ipyimagegen.core.redact import NO_KEYS
from ipyimagegen.core.request import check_values

T = TypeVar("T")

_ANY = "any"  # the quality of a price that holds for every quality
_OWN_ONLY = ("aliases", "vendor_id", "note", "retired", "successor")  # what `base` does not pass on
_NO_COLUMNS = ("name", "keyring")
_PRICE_FACTS = ("currency", "source", "date", "at_least")
_KEY_WORDS = ("key", "api_key", "apikey", "token", "secret", "password")


@dataclass(frozen=True)
class _Place:
    """Where a value stands, for messages: the row, and the path of the column in it."""

    row: str
    path: str = ""

    def to_message(self) -> str:
        return _("{row}: {column}", row=self.row, column=self.path) if self.path else self.row

    def enter(self, name: str) -> _Place:
        return replace(self, path=f"{self.path}.{name}" if self.path else name)

    def refuse(self, expected: Message) -> NoReturn:
        """Raise InvalidOption. The message does not repeat the value: it may be a key."""
        raise InvalidOption(_("{place} must be {expected}.", place=self.to_message(), expected=expected))

    def refuse_name(self, name: str, known: Iterable[str], expected: Message) -> NoReturn:
        hint = suggest_name(name, known)
        raise InvalidOption(
            _("{place} must be {expected}.{hint}", place=self.to_message(), expected=expected, hint=hint)
        )


@cache
def _load_models() -> Mapping[str, Model]:
    models: dict[str, Model] = {}
    for name, columns in _parse("models.toml").items():
        members = read_columns(Model, columns, f"models.toml: {name}")
        blank = Model(name=name)
        base = models[members.pop("base")] if "base" in members else blank
        own = {member: getattr(blank, member) for member in _OWN_ONLY}
        models[name] = replace(base, **{"name": name, **own, **members})
    return models


@cache
def load_endpoints() -> Mapping[str, Endpoint]:
    """Return the endpoints of the table by name, without the user's entries."""
    endpoints: dict[str, Endpoint] = {}
    for name, columns in _parse("endpoints.toml").items():
        members = read_columns(Endpoint, columns, f"endpoints.toml: {name}")
        base = endpoints[members.pop("base")] if "base" in members else Endpoint(name=name, base_url="")
        endpoints[name] = replace(base, **{"name": name, **members})
    return endpoints


def _parse(file: str) -> Mapping[str, Mapping[str, Json]]:
    return tomllib.loads(files(__package__).joinpath(file).read_text("utf-8"))


def load_models() -> tuple[Model, ...]:
    """Return the models of the table, in its order."""
    return tuple(_load_models().values())


@cache
def _models_by_name() -> Mapping[str, Model]:
    models = load_models()
    return {name.casefold(): model for model in models for name in list_names(model)}


def list_names(model: Model) -> tuple[str, ...]:
    """Return the names of a model: its own, its aliases, its vendor's."""
    return (model.name, *model.aliases, *([model.vendor_id] if model.vendor_id else []))


def find_model(name: str) -> Model | None:
    """Return the model of that name or alias in any case, or None."""
    return _models_by_name().get(name.casefold())


# Parts of the names of image models that are not in the catalog.
_DRAWING = re.compile(
    r"(?i)image|dall-?e|flux|diffusion|sdxl|\bsd[-_.]?[123]|seedream|seededit|kontext|midjourney|banana"
    r"|recraft|ideogram|kolors|cogview|hidream|t2i|pixart|jimeng"
)


def looks_like_image_model(name: str) -> bool:
    """Return whether the catalog has the model, or its name is like those of image models."""
    return find_model(name) is not None or _DRAWING.search(name) is not None


def suggest_model(name: str) -> str | None:
    """Return the known name most like `name`, or None when none is near."""
    return find_nearest(name, (known for row in load_models() for known in list_names(row)))


def read_columns(record: type, columns: Json, row: str) -> dict[str, Any]:
    """Return the members of a Model or Endpoint that a row's columns give, and `base` as it stands.

    `row` names the row in messages. Raises InvalidOption, naming row and column, for a column that does not
    exist and for a wrong value at any depth.
    """
    return _read_columns(record, columns, _Place(row))


@cache
def list_columns(record: type) -> Mapping[str, Any]:
    """Return the columns of a row of models or endpoints, with the annotations of their values."""
    types = {name: kind for name, kind in _list_types(record).items() if name not in _NO_COLUMNS}
    if record is Model:
        types["price"] = types.pop("prices")
    return {**types, "base": str}


@cache
def _list_types(record: type) -> Mapping[str, Any]:
    return get_type_hints(record, include_extras=True)


def _read_columns(record: type, columns: Json, place: _Place) -> dict[str, Any]:
    """Return the members that a row's columns give, and `base` as it stands."""
    types, members = list_columns(record), {}
    for column, value in _check_table(columns, place).items():
        _check_name(column, types, place)
        members["prices" if column == "price" else column] = _read(types[column], value, place.enter(column))
    return members


def _check_name(name: str, known: Mapping[str, Any], place: _Place) -> None:
    if name in known:
        return
    hint: str = suggest_name(name, sorted(known))
    if name.casefold() in _KEY_WORDS:
        hint = _(' Put the key into an environment variable, and its NAME here as "key_env".')
    raise InvalidOption(
        _("{place} has no setting {name}.{hint}", place=place.to_message(), name=repr(name), hint=hint)
    )


def _read(kind: Any, value: Json, place: _Place) -> Any:  # noqa: PLR0911 - a case for each annotation
    """Return a value as a member of that annotation holds it. Raises InvalidOption."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        base, check = arguments
        return _CHECKS[check](base, value, place)
    if kind is Any:
        return _read_json(value, place)
    if NoneType in arguments:
        return None if value is None else _read(arguments[0], value, place)
    if is_dataclass(kind):
        return _read_record(kind, value, place)
    if origin is tuple:
        return _read_list(arguments, value, place)
    if origin is Literal:
        return _check(value, value in arguments, _("one of {words}", words=", ".join(arguments)), place)
    if origin is not None:  # a mapping
        names, values = arguments
        table = _check_table(value, place)
        return {
            _read(names, name, place): _read(values, item, place.enter(name)) for name, item in table.items()
        }
    accepts, expected = _SCALARS[kind]
    return _check(value, accepts(value), expected, place)


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _TOO_LARGE


_TOO_LARGE = 2**63
_SCALARS: Mapping[type, tuple[Callable[[Json], bool], Message]] = {
    str: (lambda value: isinstance(value, str), _("text")),
    bool: (lambda value: isinstance(value, bool), _("true or false")),
    int: (lambda value: isinstance(value, int) and _is_number(value), _("a whole number")),
    float: (_is_number, _("a number")),
}


def _check(value: T, accepted: bool, expected: Message, place: _Place) -> T:
    if not accepted:
        place.refuse(expected)
    return value


def _check_table(value: Json, place: _Place) -> Mapping[str, Json]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        place.refuse(_("a table"))
    return value


def _read_list(kinds: tuple[Any, ...], value: Json, place: _Place) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        place.refuse(_("a list"))
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    _check(value, len(value) == len(kinds), _("a list of two numbers"), place)
    return tuple(_read(kind, item, place) for kind, item in zip(kinds, value, strict=True))


def _read_json(value: Json, place: _Place) -> Json:
    try:
        check_values({"": value})
    except InvalidOption:
        place.refuse(_("text, a finite number, true, false, a list or a table"))
    return _freeze(value)


def _freeze(value: Json) -> Json:
    """Return a value with tuples for lists."""
    if isinstance(value, dict):
        return {name: _freeze(item) for name, item in value.items()}
    return tuple(map(_freeze, value)) if isinstance(value, (list, tuple)) else to_plain(value)


def _read_record(kind: Any, value: Json, place: _Place) -> Any:
    """Return a table as its dataclass; None for an empty table."""
    table = _check_table(value, place)
    if not table:
        return None
    types = _list_types(kind)
    for name in table:
        _check_name(name, types, place)
    for member in fields(kind):
        required = member.default is MISSING and member.default_factory is MISSING
        if required and member.name not in table:
            place.refuse(_("a table with {name}", name=member.name))
    return kind(**{name: _read(types[name], item, place.enter(name)) for name, item in table.items()})


def _read_prices(_kind: Any, value: Json, place: _Place) -> tuple[Price, ...]:
    """Return the prices of `QUALITY = amount | [low, high] | {SIZE = amount or range}` columns."""
    table = _check_table(value, place)
    facts = {name: table[name] for name in _PRICE_FACTS if name in table}
    prices = []
    for quality in (name for name in table if name not in facts):
        at, amounts = place.enter(quality), table[quality]
        sizes = _check_table(amounts, at) if isinstance(amounts, Mapping) else {None: amounts}
        for size, amount in sizes.items():
            pair = isinstance(amount, (list, tuple)) and len(amount) == 2
            low, high = amount if pair else (amount, None)
            named = None if quality == _ANY else quality
            row = {**facts, "amount": low, "amount_max": high, "quality": named, "size": size}
            prices.append(_read_record(Price, row, at.enter(size) if size else at))
    _check(value, bool(prices) or not table, _("a table with an amount for a quality, or for any"), place)
    return tuple(prices)


def _read_model(_kind: Any, value: Json, place: _Place) -> dict[str, Any]:
    """Return the members that an endpoint's row gives for a model, and `base`."""
    members = _read_columns(Model, value, place)
    if "base" in members and not find_model(members["base"]):
        place.enter("base").refuse_name(members["base"], _models_by_name(), _("the name of a known model"))
    return members


def _read_option(kind: Any, value: Json, place: _Place) -> Any:
    name = _read(kind, value, place)
    if name not in SENT or name == "model":
        place.refuse_name(name, SENT, _("the name of an option"))
    return name


def _read_changes(kind: Any, value: Json, place: _Place) -> tuple[str, ...]:
    """Return names of options, or changes: either every name begins with a sign, or none."""
    names: tuple[str, ...] = _read(tuple[str, ...], value, place)
    _read(kind, [name.lstrip("+-") for name in names], place)
    signed = {name.startswith(("+", "-")) for name in names}
    return _check(names, len(signed) < 2, _("names that all begin with + or -, or none"), place)


def _read_variables(kind: Any, value: Json, place: _Place) -> tuple[str, ...]:
    """Return the names of environment variables: a list, or a single name."""
    names: tuple[str, ...] = _read(kind, [value] if isinstance(value, str) else value, place)
    return tuple(_read_variable(str, name, place) for name in names)


def _read_variable(kind: Any, value: Json, place: _Place) -> str:
    name: str = _read(kind, value, place)
    accepted = bool(re.fullmatch(r"[A-Za-z_]\w{0,99}", name, re.ASCII))
    return _check(name, accepted, _("the NAME of an environment variable, never a key"), place)


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,80}")
_PRINTABLE = re.compile(r"[!-~](?:[ -~]{0,4000}[!-~])?")
# Those that say how the request is framed, and the one that keeps a call from being paid twice.
_OURS = frozenset(
    {"host", "transfer-encoding", "connection", "idempotency-key", "expect", "te", "trailer", "upgrade"}
)


def _read_headers(_kind: Any, value: Json, place: _Place) -> dict[str, str | HeaderVariable]:
    """Return headers by name; a value is text, or the variable that holds it."""
    headers: dict[str, str | HeaderVariable] = {}
    for name, item in _check_table(value, place).items():
        _check(name, bool(_TOKEN.fullmatch(name)), _("a table of headers by their names"), place)
        at = place.enter(name)
        own = name.lower() not in _OURS and not name.lower().startswith("content-")
        _check(name, own, _("left out: this header is written here"), at)
        if isinstance(item, Mapping) and item:
            headers[name] = _read_record(HeaderVariable, item, at)
            continue
        printable = isinstance(item, str) and bool(_PRINTABLE.fullmatch(item))
        _check(item, printable, _('text in ASCII on one line, or {{"env": NAME}}'), at)
        secret = NO_KEYS.holds(f"{name}: {item}")
        _check(item, not secret, _('the variable that holds the secret: {{"env": NAME}}'), at)
        headers[name] = item
    return headers


def _accept(accepts: Callable[[Any], bool], expected: Message) -> Callable[[Any, Json, _Place], Any]:
    """Return a check of values that have the right type."""

    def read(kind: Any, value: Json, place: _Place) -> Any:
        return _check(_read(kind, value, place), accepts(value), expected, place)

    return read


def _is_normal(option: str) -> Callable[[str], bool]:
    def accepts(text: str) -> bool:
        with suppress(InvalidOption):
            return normalise(option, text) == text
        return False

    return accepts


def _is_route(text: str) -> bool:
    return not text or re.fullmatch(r"/[\w./-]*\{id\}[\w./-]*", text, re.ASCII) is not None


def _is_date(text: str) -> bool:
    with suppress(ValueError):
        return bool(date.fromisoformat(text))
    return False


_CHECKS: Mapping[str, Callable[[Any, Json, _Place], Any]] = {
    "option": _read_option,
    "changes": _read_changes,
    "variables": _read_variables,
    "variable": _read_variable,
    "headers": _read_headers,
    "model": _read_model,
    "prices": _read_prices,
    "format": _accept(INPUTS.__contains__, _("one of {words}", words=", ".join(INPUTS))),
    "count": _accept(lambda number: number >= 0, _("a whole number of 0 or more")),
    "amount": _accept(lambda number: number >= 0, _("a number of 0 or more")),
    "seconds": _accept(lambda number: number > 0, _("a number of seconds above 0")),
    "positive": _accept(lambda number: number >= 1, _("a number of 1 or more")),
    "poll": _accept(_is_route, _("a route with {id}, such as /tasks/{id}", id="{id}")),
    "size": _accept(_is_normal("size"), _("a size such as 1024x1024, auto or 2K")),
    "ratio": _accept(_is_normal("aspect_ratio"), _("a ratio such as 16:9")),
    "date": _accept(_is_date, _("a date such as 2026-11-29")),
}
