"""What was asked, sent and got: frozen values, their identity, and their form on disk.

A `Request` is what was asked, `PreparedRequest` what goes to the server after translation, a `Run` one call
and everything known of it. A run is one JSON file; `to_json` and `from_json` are its only reader
and writer. Unknown keys are ignored, so that a newer version's records can still be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, Self, TypeVar, cast, get_args, get_origin, get_type_hints

from ipyimagegen.core.errors import CallError, NotSent, OutcomeUnknown, RateLimited, RequestRefused
from ipyimagegen.core.options import Json
from ipyimagegen.core.request import Input, PreparedRequest, Request

SCHEMA = 1
LARGEST = 2**53  # of the numbers in a record; floats hold every whole number up to here
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
    URL_PENDING = "url_pending"  # delivered as an address that could not be fetched yet
    PARTIAL = "partial"
    QUARANTINED = "quarantined"  # kept, never opened or shown
    DAMAGED = "damaged"  # its file is gone or changed
    UNREAD = "unread"  # it came, and is still only in the kept response
    UNWRITTEN = "unwritten"  # it came, and the disk refused it; with a hash it is kept aside


IN_PLACE = (ImageState.STORED, ImageState.PARTIAL)  # of the others a line of its own tells

ERRORS: Mapping[Status, type[CallError]] = {
    Status.NOT_SENT: NotSent,
    Status.RATE_LIMITED: RateLimited,
    Status.REFUSED: RequestRefused,
    Status.UNKNOWN: OutcomeUnknown,
}


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One image of a run. `index` counts from 1. `alpha` is whether any pixel is transparent.

    `changed_outside` is the share of the pixels outside the mask that changed, 0 to 1; None without
    a mask, or where the images cannot be compared. `altered` is "key" where a key stood in the file's own
    texts: the stored copy has `*` there, and `sha256` is the copy's.
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
        """Whether it came to its end, and is kept: in its place, or aside."""
        aside = self.state is ImageState.UNWRITTEN and self.sha256 is not None
        return self.state is ImageState.STORED or aside

    @property
    def unstored(self) -> bool:
        """Whether the file of the response is still needed to get it."""
        return self.state in (ImageState.UNREAD, ImageState.UNWRITTEN)

    @property
    def viewable(self) -> bool:
        """Whether there is something to show."""
        return self.whole or self.state is ImageState.PARTIAL


@dataclass(frozen=True)
class Mismatch:
    """What was asked and not given: "asked X, got Y"."""

    subject: str
    asked: str
    got: str

    def __str__(self) -> str:
        return f"{self.subject}: asked {self.asked}, got {self.got}"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An amount with its currency; None is unknown. `basis` says how it is known.

    basis: `free`, `none` (certainly not carried out), `table` (published price per image), `tokens`
    (published formula), `usage` (the server's own count times the rates), `server` (the server said
    the amount), `unknown`.
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
            return "free" if self.basis == "free" else "nothing billed"
        if self.amount is None:
            return "cost unknown"
        sign = {"USD": "$", "CNY": "¥"}.get(self.currency, self.currency + " ")
        low = f"{sign}{_money(self.amount)}"
        if self.amount_max is not None:
            return f"{low}–{_money(self.amount_max)}"
        return f"at least {low}" if self.at_least else low


def _money(amount: float) -> str:
    return f"{amount:.4f}".rstrip("0").ljust(len(f"{int(amount)}") + 3, "0") if amount else "0.00"


@dataclass(frozen=True, kw_only=True)
class ErrorInfo:
    """Why a run brought no image: redacted text that a person can act on."""

    message: str
    code: str | None = None
    status: int | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One call and everything known of it. Its lasting id is SESSION/NUMBER."""

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
    raw: str | None = None  # hash of the reply as it came, where not all of it became images
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
        return tuple(p for p in self.images if p.viewable)

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
        members = {name: to_json(getattr(value, name)) for name in _names(kind)}
        return {k: v for k, v in members.items() if k in _required(kind) or v not in _EMPTY}
    if isinstance(value, Mapping):
        return {k: to_json(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(v) for v in value]
    return str(value) if isinstance(value, StrEnum) else value


def from_json(kind: type[T], data: Mapping[str, Json]) -> T:
    """Return the record of that kind; members it does not know are ignored.

    Raises TypeError, ValueError or KeyError when `data` is no such record: somebody may have edited it,
    and what is shown relies on a width being a number.
    """
    names = _names(cast("Any", kind))
    members = {k: _member(_NESTED.get((kind, k)), data[k]) for k in names if k in data}
    types = _types(cast("Any", kind))
    for name, value in members.items():
        whole, each = types[name]
        parts = value if isinstance(value, tuple) else ()
        if not isinstance(value, whole) or not all(isinstance(one, each) for one in parts):
            raise TypeError(f"{name} of a {kind.__name__} is {type(value).__name__}")
        if isinstance(value, (int, float)) and not abs(value) <= LARGEST:
            raise ValueError(f"{name} of a {kind.__name__} is out of range")
    return kind(**members)


_EMPTY: tuple[Json, ...] = (None, {}, [], "")


@cache  # a history of 100,000 runs is read when its index is made anew
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


@cache
def _types(kind: type[Any]) -> Mapping[str, tuple[tuple[type, ...], tuple[type, ...]]]:
    """Return by name what a member may be and, if it is a tuple, what is in it."""
    hints = get_type_hints(kind)
    inside = {name: get_args(hint)[:1] if get_origin(hint) is tuple else () for name, hint in hints.items()}
    return {name: (_taken(hint), inside[name]) for name, hint in hints.items()}


def _taken(hint: Any) -> tuple[type, ...]:
    parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    plain = tuple(get_origin(part) or part for part in parts)
    return (*plain, int) if float in plain else plain  # JSON writes 2.0 as 2


@cache
def _required(kind: type[Any]) -> frozenset[str]:
    missing = (one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING)
    return frozenset(missing)


def _member(kind: type | None, value: Json) -> Any:
    if kind is not None and issubclass(kind, StrEnum):
        return kind(value)
    if kind is not None and isinstance(value, Mapping):
        return from_json(kind, value)
    if isinstance(value, list):
        return tuple(_member(kind, one) for one in value)
    return value
