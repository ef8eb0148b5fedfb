"""A run: a call and everything known about it, as frozen values and as a record on disk.

A run is a JSON file; `to_json` and `from_json` are its only writer and reader. Unknown keys are ignored,
so that a newer version's records can still be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, Self, TypeVar, cast, get_args, get_origin, get_type_hints

from ipyimagegen.core.errors import CallError, NotSent, OutcomeUnknown, RateLimited, RequestRefused
from ipyimagegen.core.messages import _
from ipyimagegen.core.options import Json
from ipyimagegen.core.request import Input, PreparedRequest, Request

SCHEMA = 1
LARGEST = 2**53  # largest number in a record; floats hold every whole number up to it
T = TypeVar("T")


class Status(StrEnum):
    """What became of a run."""

    PENDING = "pending"
    DONE = "done"
    NOT_SENT = "not_sent"
    RATE_LIMITED = "rate_limited"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class ImageState(StrEnum):
    """What became of an image."""

    STORED = "stored"
    URL_PENDING = "url_pending"  # delivered as a URL that could not be downloaded yet
    PARTIAL = "partial"
    QUARANTINED = "quarantined"  # kept, never opened or shown
    DAMAGED = "damaged"  # its file is gone or changed
    UNREAD = "unread"  # delivered, still only in the stored response
    UNWRITTEN = "unwritten"  # delivered, the disk refused it; with a hash it is in the fallback folder


IN_PLACE = (ImageState.STORED, ImageState.PARTIAL)  # captions have a line for each image of another state

ERRORS: Mapping[Status, type[CallError]] = {
    Status.NOT_SENT: NotSent,
    Status.RATE_LIMITED: RateLimited,
    Status.REFUSED: RequestRefused,
    Status.UNKNOWN: OutcomeUnknown,
}


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """An image of a run. `index` counts from 1. `alpha` is whether any pixel is transparent.

    `changed_outside` is the share of the pixels outside the mask that changed, 0 to 1; None without
    a mask, or where the images cannot be compared. `altered` is "key" where the file's own texts held a
    key: the stored copy has `*` in its place, and `sha256` is that of the copy.
    """

    index: int
    state: ImageState = ImageState.STORED
    sha256: str | None = None
    mime: str | None = None
    bytes: int = 0
    width: int | None = None
    height: int | None = None
    alpha: bool | None = None
    url: str | None = None
    revised_prompt: str | None = None
    changed_outside: float | None = None
    altered: str = ""
    note: str = ""

    @property
    def whole(self) -> bool:
        """Whether it is complete and stored, also if only in the fallback folder."""
        in_fallback = self.state is ImageState.UNWRITTEN and self.sha256 is not None
        return self.state is ImageState.STORED or in_fallback

    @property
    def unstored(self) -> bool:
        """Whether only the stored response holds it."""
        return self.state in (ImageState.UNREAD, ImageState.UNWRITTEN)

    @property
    def viewable(self) -> bool:
        """Whether there is something to show."""
        return self.whole or self.state is ImageState.PARTIAL


@dataclass(frozen=True)
class Mismatch:
    """What was asked and not delivered: "asked X, got Y"."""

    subject: str
    asked: str
    got: str

    def __str__(self) -> str:
        return _("{subject}: asked {asked}, got {got}", subject=self.subject, asked=self.asked, got=self.got)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An amount with its currency; None is unknown. `basis` is how it is known.

    basis: `free`, `none` (certainly not executed), `table` (published price per image), `tokens`
    (published formula), `usage` (the server's own count times the rates), `server` (reported by the
    server), `unknown`. `amount_max` makes it a range; `at_least` is whether the amount is a lower bound.
    """

    amount: float | None = None
    amount_max: float | None = None
    at_least: bool = False
    currency: str = ""
    basis: str = "unknown"
    source: str = ""
    date: str = ""

    def __str__(self) -> str:
        if self.basis in ("free", "none"):
            return _("free") if self.basis == "free" else _("nothing billed")
        if self.amount is None:
            return _("cost unknown")
        sign = {"USD": "$", "CNY": "¥"}.get(self.currency, self.currency + " ")
        low = f"{sign}{_format_amount(self.amount)}"
        if self.amount_max is not None:
            return f"{low}–{_format_amount(self.amount_max)}"
        return _("at least {amount}", amount=low) if self.at_least else low


def _format_amount(amount: float) -> str:
    return f"{amount:.4f}".rstrip("0").ljust(len(f"{int(amount)}") + 3, "0") if amount else "0.00"


@dataclass(frozen=True, kw_only=True)
class ErrorInfo:
    """Why a run brought no image: redacted text that a person can act on."""

    message: str
    code: str | None = None
    status: int | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """A call and everything known about it. Its lasting id is SESSION/NUMBER."""

    session: str
    number: int
    identity: str
    request: Request
    created: float  # seconds since the epoch
    status: Status = Status.PENDING
    elapsed: float | None = None
    sent: PreparedRequest = field(default_factory=PreparedRequest)
    images: tuple[ImageRecord, ...] = ()
    response: Mapping[str, Json] = field(default_factory=dict)
    raw: str | None = None  # hash of the whole response, where not all of it became images
    mismatches: tuple[Mismatch, ...] = ()
    cost: Cost = field(default_factory=Cost)
    error: ErrorInfo | None = None
    reused_from: str | None = None
    rerun_of: str | None = None
    forgotten: bool = False
    schema: int = SCHEMA

    @property
    def id(self) -> str:
        """The lasting id, as 1120-k7f2/3."""
        return f"{self.session}/{self.number}"

    @property
    def shown(self) -> tuple[ImageRecord, ...]:
        """The images that can be shown."""
        return tuple(image for image in self.images if image.viewable)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with these fields changed."""
        return replace(self, **changes)


_NESTED: Mapping[tuple[type, str], type] = {
    (Run, "request"): Request,
    (Run, "sent"): PreparedRequest,
    (Run, "images"): ImageRecord,
    (Run, "mismatches"): Mismatch,
    (Run, "cost"): Cost,
    (Run, "error"): ErrorInfo,
    (Run, "status"): Status,
    (Request, "inputs"): Input,
    (Request, "mask"): Input,
    (PreparedRequest, "inputs"): Input,
    (PreparedRequest, "mask"): Input,
    (ImageRecord, "state"): ImageState,
}


def to_json(value: Any) -> Json:
    """Return a record as plain JSON values; optional members that are empty are left out."""
    if is_dataclass(value):
        kind: Any = type(value)
        members = {name: to_json(getattr(value, name)) for name in _list_fields(kind)}
        return {k: v for k, v in members.items() if k in _list_required(kind) or v not in _EMPTY}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


def from_json(kind: type[T], data: Mapping[str, Json]) -> T:
    """Return the record of that kind; members that it does not know are ignored.

    Raises TypeError, ValueError or KeyError for anything else than such a record: somebody may have edited
    the file, and whatever shows it relies on a width being a number.
    """
    fields_of_kind, types = _list_fields(cast("Any", kind)), _list_types(cast("Any", kind))
    members = {k: _read_member(_NESTED.get((kind, k)), data[k]) for k in fields_of_kind if k in data}
    for name, value in members.items():
        allowed, allowed_items = types[name]
        items = value if isinstance(value, tuple) else ()
        if not isinstance(value, allowed) or not all(isinstance(item, allowed_items) for item in items):
            raise TypeError(f"{name} of a {kind.__name__} is {type(value).__name__}")
        if isinstance(value, (int, float)) and not abs(value) <= LARGEST:
            raise ValueError(f"{name} of a {kind.__name__} is out of range")
    return kind(**members)


_EMPTY: tuple[Json, ...] = (None, {}, [], "")


@cache  # rebuilding the index reads 100,000 runs
def _list_fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(member.name for member in fields(kind))


@cache
def _list_required(kind: type[Any]) -> frozenset[str]:
    unset = (member for member in fields(kind) if member.default is member.default_factory is MISSING)
    return frozenset(member.name for member in unset)


@cache
def _list_types(kind: type[Any]) -> Mapping[str, tuple[tuple[type, ...], tuple[type, ...]]]:
    """Return by name the types that a member may have and, for a tuple, those of its items."""
    hints = get_type_hints(kind)
    items = {name: get_args(hint)[:1] if get_origin(hint) is tuple else () for name, hint in hints.items()}
    return {name: (_to_types(hint), items[name]) for name, hint in hints.items()}


def _to_types(hint: Any) -> tuple[type, ...]:
    parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    types = tuple(get_origin(part) or part for part in parts)
    return (*types, int) if float in types else types  # JSON writes 2.0 as 2


def _read_member(kind: type | None, value: Json) -> Any:
    if kind is not None and issubclass(kind, StrEnum):
        return kind(value)
    if kind is not None and isinstance(value, Mapping):
        return from_json(kind, value)
    if isinstance(value, list):
        return tuple(_read_member(kind, item) for item in value)
    return value
