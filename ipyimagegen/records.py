"""Frozen values that the rooms hand to each other, their identity, and their form on disk.

A `Request` is what was asked, `Sent` what goes to the server after translation, a `Run` one call
and everything known of it. A run is one JSON file; `to_json` and `from_json` are its only reader
and writer. Unknown keys are ignored, so that a newer version's records can still be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from ipyimagegen.errors import CallError, NeverSent, OutcomeUnknown, Refused, Rejected
from ipyimagegen.options import SENT, Json

SCHEMA = 1
T = TypeVar("T")


class Status(StrEnum):
    """What became of a run."""

    PENDING = "pending"
    DONE = "done"
    NEVER_SENT = "never_sent"
    REJECTED = "rejected"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class PictureState(StrEnum):
    """What became of a picture."""

    STORED = "stored"
    URL_PENDING = "url_pending"  # delivered as an address that could not be fetched yet
    PARTIAL = "partial"
    QUARANTINED = "quarantined"  # kept, never opened or shown
    DAMAGED = "damaged"


ERRORS: Mapping[Status, type[CallError]] = {
    Status.NEVER_SENT: NeverSent,
    Status.REJECTED: Rejected,
    Status.REFUSED: Refused,
    Status.UNKNOWN: OutcomeUnknown,
}


@dataclass(frozen=True, kw_only=True)
class Price:
    """One published price of a picture, or of a million tokens; `source` and `date` always.

    `quality` and `size` are None where the price holds for any. `amount_max` makes it a range;
    `at_least` says that the source gives a lower bound.
    """

    amount: float
    currency: str
    source: str
    date: str
    quality: str | None = None
    size: str | None = None
    amount_max: float | None = None
    at_least: bool = False


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Prices of a million tokens, and how many output tokens a picture has, where published.

    `detail` maps a quality to the grid factor of the token formula; `partial_tokens` is what each
    partial picture of a stream adds.
    """

    currency: str
    source: str
    date: str
    text_in: float
    image_in: float
    image_out: float
    detail: Mapping[str, int] = field(default_factory=dict)
    partial_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class SizeRule:
    """Free sizes in pixels: both edges multiples of `multiple`, within the bounds."""

    multiple: int = 1
    min_edge: int = 1
    max_edge: int = 16384
    max_ratio: float = 1e9
    min_pixels: int = 1
    max_pixels: int = 1 << 40


@dataclass(frozen=True, kw_only=True)
class Model:
    """A row of the catalog: what is known of a model, on its own vendor or behind one endpoint.

    `fields`: names of the options that may be sent, or None when not known; `edit_fields` the same
    for edits, where they differ. `choices` and `limits` bound the values of single options, `reported`
    names options whose values are third parties' claims and refuse nothing. `compression_formats`:
    the output formats that `output_compression` needs. `edit`: how many input pictures (0: none,
    None: not known).
    """

    name: str
    vendor: str = ""
    aliases: tuple[str, ...] = ()
    fields: tuple[str, ...] | None = None
    edit_fields: tuple[str, ...] | None = None
    sizes: tuple[str, ...] = ()
    size_rule: SizeRule | None = None
    ratios: tuple[str, ...] = ()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    reported: tuple[str, ...] = ()
    compression_formats: tuple[str, ...] = ()
    required: Mapping[str, Json] = field(default_factory=dict)
    edit: int | None = None
    mask: bool | None = None
    prompt_chars: int | None = None
    prompt_cjk: int | None = None
    prompt_words: int | None = None
    prices: tuple[Price, ...] = ()
    rates: Rates | None = None
    seconds: tuple[float, float] | None = None
    retired: str | None = None
    successor: str | None = None
    note: str = ""
    source: str = ""
    date: str = ""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server: where it is, how it is spoken to, whose key it takes, what it accepts.

    `base_url` has no trailing slash and is all that stands before `/images/generations`; it is
    empty where the user has to give it. `models` overrides model rows behind this endpoint (`*`: any
    model). `may_drop` names options that its documents promise and its relay may not pass on.
    """

    name: str
    base_url: str
    title: str = ""
    dialect: str = "openai"
    vendor: str = ""
    key_env: tuple[str, ...] = ()
    key_optional: bool = False
    free: bool = False
    allow_http: bool = False
    default_model: str | None = None
    model_required: bool = False
    fields: tuple[str, ...] | None = None
    may_drop: tuple[str, ...] = ()
    required: Mapping[str, Json] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    edits: bool | None = None
    note: str = ""
    source: str = ""
    date: str = ""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A picture that goes with the prompt; its bytes are in the store under their hash."""

    sha256: str
    mime: str
    width: int
    height: int
    label: str = ""
    parent: str | None = None  # lasting id of the picture it came from, as 1120-k7f2/3.1


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked: options as typed or configured, normalised, not yet translated."""

    operation: str = "generations"
    endpoint: str
    base_url: str
    dialect: str = "openai"
    model: str | None = None
    prompt: str
    template: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Json] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    mask: Input | None = None

    @property
    def identity(self) -> str:
        """The hash by which the same request is known again (hex SHA-256)."""
        return self._hash(self.base_url)

    @property
    def question(self) -> str:
        """Like `identity`, whatever server was asked."""
        return self._hash(None)

    def _hash(self, base_url: str | None) -> str:
        import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms, which loading has no need of

        known = {
            "version": 1,
            "base_url": base_url,
            "operation": self.operation,
            "model": self.model or "default",
            "prompt": self.prompt.strip(),
            "options": {k: v for k, v in self.options.items() if k not in SENT or SENT[k].identity},
            "extra": dict(self.extra),
            "inputs": [one.sha256 for one in self.inputs],
            "mask": self.mask.sha256 if self.mask else None,
        }
        text = json.dumps(known, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def count(self) -> int:
        """How many pictures were asked for; one unless told otherwise."""
        n = self.extra.get("n", self.options.get("n", 1))
        return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else 1


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What goes to the server: the model's name there, translated options, and what to say of it.

    `options` holds option names and values after translation; `extra` is merged over them by the
    dialect. `notes` are sentences for the caption; `unsent` names options that were kept back.
    """

    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unsent: tuple[str, ...] = ()
    idempotency_key: str = ""
    attempts: int = 0
    request_id: str | None = None
    body: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture of a run. `index` counts from 1. `alpha` is whether any pixel is transparent."""

    index: int
    state: PictureState = PictureState.STORED
    sha256: str | None = None
    mime: str | None = None
    bytes: int = 0
    width: int | None = None
    height: int | None = None
    alpha: bool | None = None
    url: str | None = None
    revised_prompt: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """What was asked and not given: "asked X, got Y"."""

    subject: str
    asked: str
    got: str

    def __str__(self) -> str:
        return f"{self.subject}: asked {self.asked}, got {self.got}"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An amount with its currency; None is unknown. `basis` says how it is known.

    basis: `free`, `table` (published price per picture), `tokens` (published formula), `usage` (the
    server's own count times the rates), `server` (the server said the amount), `unknown`.
    """

    amount: float | None = None
    amount_max: float | None = None
    at_least: bool = False
    currency: str = ""
    basis: str = "unknown"
    source: str = ""
    date: str = ""

    def __str__(self) -> str:
        if self.basis == "free":
            return "free"
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
class Fault:
    """Why a run brought no picture: redacted text that a person can act on."""

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
    sent: Sent = field(default_factory=Sent)
    pictures: tuple[Picture, ...] = ()
    reply: Mapping[str, Json] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    cost: Cost = field(default_factory=Cost)
    error: Fault | None = None
    reused_from: str | None = None
    rerun_of: str | None = None
    forgotten: bool = False
    schema: int = SCHEMA

    @property
    def id(self) -> str:
        """The lasting id, as 1120-k7f2/3."""
        return f"{self.session}/{self.number}"

    @property
    def shown(self) -> tuple[Picture, ...]:
        """The pictures that can be shown."""
        return tuple(p for p in self.pictures if p.state in (PictureState.STORED, PictureState.PARTIAL))

    def but(self, **changes: Any) -> Self:
        """Return a copy with these fields changed."""
        return replace(self, **changes)


_NESTED: Mapping[tuple[type, str], type] = {
    (Run, "request"): Request,
    (Run, "sent"): Sent,
    (Run, "pictures"): Picture,
    (Run, "verdicts"): Verdict,
    (Run, "cost"): Cost,
    (Run, "error"): Fault,
    (Run, "status"): Status,
    (Request, "inputs"): Input,
    (Request, "mask"): Input,
    (Picture, "state"): PictureState,
    (Model, "size_rule"): SizeRule,
    (Model, "prices"): Price,
    (Model, "rates"): Rates,
}


def origin(url: str) -> str:
    """Return scheme, host and port of `url`, as `https://api.openai.com`; a default port is left out.

    Raises ValueError for what is no address with a host.
    """
    parts = urlsplit(url)
    if not parts.scheme or not parts.hostname:
        raise ValueError("no address with a host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


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

    Raises TypeError, ValueError or KeyError when `data` is no such record.
    """
    names = _names(cast("Any", kind))
    return kind(**{k: _member(_NESTED.get((kind, k)), data[k]) for k in names if k in data})


_EMPTY: tuple[Json, ...] = (None, {}, [], "")


@cache  # a history of 100,000 runs is read when its index is made anew
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


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
