"""A run: a call and everything known about it, as frozen values and as a record on disk; its id, its cost.

A run is a JSON file; `to_json` and `from_json` are its only writer and reader. Unknown keys are ignored,
so that a newer version's records can still be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from functools import cache, partial
from types import UnionType
from typing import Any, NamedTuple, Self, TypeVar, cast, get_args, get_origin, get_type_hints

from ipyimagegen.core.endpoints import have_same_origin
from ipyimagegen.core.errors import (
    CallError,
    InvalidInput,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RequestRefused,
)
from ipyimagegen.core.messages import Remedy, _
from ipyimagegen.core.options import Json, to_half_width
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.text import truncate

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

    `width` and `height` are in pixels as it is shown; None where the format is not decoded. `frames` is the
    number of frames of an animation.
    `changed_outside` is the share of the pixels outside the mask that changed, 0 to 1; None without
    a mask, or where the images cannot be compared. `altered` is "key" where the file's own texts held a
    key: the stored copy has `*` in its place, and `sha256` is that of the copy. `remedy` is what brings an
    image whose URL is not fetched.
    """

    index: int
    state: ImageState = ImageState.STORED
    sha256: str | None = None
    mime: str | None = None
    bytes: int = 0
    width: int | None = None
    height: int | None = None
    alpha: bool | None = None
    frames: int | None = None
    url: str | None = None
    revised_prompt: str | None = None
    changed_outside: float | None = None
    altered: str = ""
    note: str = ""
    remedy: Remedy | None = None

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
    def unopened(self) -> bool:
        """Whether its format is not decoded, so that a placeholder is shown in its place."""
        return self.viewable and self.mime is not None and self.width is None

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

    @property
    def is_stated(self) -> bool:
        """Whether the server named an amount above zero: proof that the call was not free."""
        return self.basis == "server" and bool(self.amount)

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
    """Why a run brought no image: redacted text that a person can act on.

    `remedy` is what the cause calls for, None where the outcome alone decides.
    """

    message: str
    code: str | None = None
    status: int | None = None
    remedy: Remedy | None = None


# The words of servers for the state of a job: in those for one that has ended without an image, …
_FAILED = re.compile(
    r"fail|error|cancel|expire|reject|refuse|abort|moderated|time[d_ ]*out|not[_ ]*found|失败|取消|超时",
    re.IGNORECASE,
)
# … for one that has ended well, and for a response itself, …
_SUCCEEDED = {"complete", "completed", "done", "finished", "ok", "ready", "succeed", "succeeded", "success"}
# … and, without case and punctuation, for one that goes on.
_UNFINISHED = re.compile(
    r"(?:(?:task|job)?status)?(?:queue[d]?|inqueue|queueing|pending|submit(?:ted)?|created?|accepted|notstart(?:ed)?"
    r"|start(?:ing|ed)|scheduled|waiting|preparing|process(?:ing)?|inprogress|running|generating)"
)
_PUNCTUATION = re.compile(r"[\W_]+")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that a server made of a call, in place of an image; all its texts are redacted.

    `id` is the server's name for it, `status` the server's word for its state. `url` is the absolute URL that
    tells its state, on any origin; None where it is not known. `others` are the ids of jobs that it made of
    the same call: they are named, and not asked for.
    """

    id: str
    url: str | None = None
    status: str = ""
    others: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it has ended without an image."""
        return _FAILED.search(self.status) is not None

    @property
    def succeeded(self) -> bool:
        """Whether its word is one for success."""
        return self.status.casefold() in _SUCCEEDED

    @property
    def unfinished(self) -> bool:
        """Whether its word certainly says that it goes on; an unknown word may say so too."""
        return _UNFINISHED.fullmatch(_PUNCTUATION.sub("", self.status.casefold())) is not None


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
    job: Job | None = None
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

    @property
    def awaits_job(self) -> bool:
        """Whether the server made a job of it that may still end with an image."""
        return self.status is Status.UNKNOWN and self.job is not None and not self.job.failed

    @property
    def remedy(self) -> Remedy:
        """What a person can do where its outcome is unknown."""
        if self.job is None or self.job.failed:
            otherwise = Remedy.SEND_NEW if self.job else self._find_stored()
            return (self.error and self.error.remedy) or otherwise
        known = have_same_origin(self.job.url or "", self.request.base_url)
        return Remedy.ASK_JOB if known else Remedy.SHOW_JOB

    def _find_stored(self) -> Remedy:
        """Return how to look at what the store holds of its response, if it holds anything."""
        if any(image.unstored for image in self.images):
            return Remedy.SHOW
        missing = self.status is Status.DONE and any(image.whole for image in self.images)
        stored = any(image.sha256 and image.state is not ImageState.DAMAGED for image in self.images)
        return Remedy.SHOW_KEPT if stored and not missing else Remedy.RETRY

    def replace(self, **changes: Any) -> Self:
        """Return a copy with these fields changed."""
        return replace(self, **changes)


class _Member(NamedTuple):
    """How a member of a record is read: `types` are those of its value or, for a tuple, of its items."""

    required: bool
    is_tuple: bool
    types: tuple[type, ...]
    read: Callable[[Json], Any] | None


@cache  # rebuilding the index reads 100,000 runs
def _list_members(kind: Any) -> Mapping[str, _Member]:
    hints, members = get_type_hints(kind), {}
    for member in fields(kind):
        hint = hints[member.name]
        is_tuple = get_origin(hint) is tuple
        parts = get_args(hint)[:1] if is_tuple else get_args(hint) if isinstance(hint, UnionType) else (hint,)
        types: tuple[Any, ...] = tuple(get_origin(part) or part for part in parts)
        word = next((part for part in types if issubclass(part, StrEnum)), None)
        record: Any = next((part for part in types if is_dataclass(part)), None)
        members[member.name] = _Member(
            required=member.default is member.default_factory is MISSING,
            is_tuple=is_tuple,
            types=(*types, int) if float in types else types,  # JSON writes 2.0 as 2
            read=partial(from_json, record) if record else word,
        )
    return members


def to_json(value: Any) -> Json:
    """Return a record as plain JSON values; optional members that are empty are left out."""
    if is_dataclass(value):
        kind: Any = type(value)
        members = _list_members(kind)
        values = {name: to_json(getattr(value, name)) for name in members}
        return {name: v for name, v in values.items() if members[name].required or v not in _EMPTY}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


_EMPTY: tuple[Json, ...] = (None, {}, [], "")


def from_json(kind: type[T], data: Mapping[str, Json]) -> T:
    """Return the record of that kind; members that it does not know are ignored.

    Raises TypeError or ValueError for anything else than such a record: somebody may have edited the file,
    and whatever shows it relies on a width being a number.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"a {kind.__name__} is {type(data).__name__}")
    values: dict[str, Any] = {}
    for name, member in _list_members(cast("Any", kind)).items():
        if name not in data:
            continue
        value = data[name]
        is_list = isinstance(value, list)
        items = value if is_list else [value]
        if member.read:
            items = [item if item is None else member.read(item) for item in items]
        if is_list is not member.is_tuple or not all(isinstance(item, member.types) for item in items):
            raise TypeError(f"{name} of a {kind.__name__} is {type(value).__name__}")
        if any(isinstance(item, (int, float)) and not abs(item) <= LARGEST for item in items):
            raise ValueError(f"{name} of a {kind.__name__} is out of range")
        values[name] = tuple(items) if member.is_tuple else items[0]
    return kind(**values)


# Sums of costs: by currency, with ranges and lower bounds, and unknown costs counted apart.


def sum_costs(costs: Iterable[Cost]) -> Mapping[str, Cost]:
    """Return the sum of the known amounts in each currency, in the order of the currencies' names."""
    known = [cost for cost in costs if cost.amount is not None and cost.currency]
    sums = {}
    for currency in sorted({cost.currency for cost in known}):
        same = [cost for cost in known if cost.currency == currency]
        low = sum(cost.amount or 0 for cost in same)
        high = sum(cost.amount_max or cost.amount or 0 for cost in same)
        at_least = any(cost.at_least for cost in same)
        sums[currency] = Cost(
            amount=round(low, 6),
            amount_max=round(high, 6) if high > low and not at_least else None,
            at_least=at_least,
            currency=currency,
            basis="table",
        )
    return sums


def add_costs(costs: Iterable[Cost]) -> Cost:
    """Return the sum: at least the known part where some are unknown; unknown for several currencies."""
    costs = list(costs)
    sums = [*sum_costs(costs).values()]
    unknown = any(cost.basis == "unknown" for cost in costs)
    if len(sums) != 1:
        basis = "free" if any(cost.basis == "free" for cost in costs) else "none"
        return Cost() if sums or unknown else Cost(basis=basis)
    sources = dict.fromkeys((cost.source, cost.date) for cost in costs if cost.source)
    source, date = next(iter(sources)) if len(sources) == 1 else ("", "")
    total = replace(sums[0], source=source, date=date)
    return replace(total, amount_max=None, at_least=True) if unknown else total


def format_costs(costs: Iterable[Cost]) -> str:
    """Return the sum in words: `$0.48`, `$0.20–0.40 + ¥1.20 + 2 of unknown cost`, `free`."""
    costs = list(costs)
    unknown = sum(cost.basis == "unknown" for cost in costs)
    sums = [str(cost) for cost in sum_costs(costs).values()]
    if unknown and not sums:
        return _("cost unknown")
    sums += [_("{count} of unknown cost", count=unknown)] if unknown else []
    if sums:
        return " + ".join(sums)
    return _("free") if any(cost.basis == "free" for cost in costs) else _("nothing billed")


def list_price_sources(costs: Iterable[Cost]) -> str:
    """Return where the prices come from, and of what date; empty where none is known."""
    sources = (f"{cost.source}, {cost.date}" for cost in costs if cost.source and cost.date)
    return ", ".join(dict.fromkeys(sources))


# The ids of runs and images: `3`, `-1`, `3.2`, `1120-k7f2/3`, `1120-k7f2/3.2`, with or without `@`, and
# ranges: `2-5`, `1120-k7f2/2-5`.

SESSION = r"[0-9]{4}-[a-z0-9]{4}"
_REF = re.compile(rf"@?(?:({SESSION})/)?(-?\d{{1,9}})(?:\.(\d{{1,3}}))?")
_RANGE = re.compile(rf"@?(?:({SESSION})/)?(\d{{1,9}})(?:-|–|\.\.|…)(\d{{1,9}})")
_SEPARATORS = re.compile(r"[\s,、]+")


@dataclass(frozen=True)
class Ref:
    """A run, an image of it, or the runs up to `last`.

    Without a session: of the current session; negative numbers count back.
    """

    number: int
    image: int | None = None
    session: str | None = None
    last: int | None = None

    def __str__(self) -> str:
        prefix = f"{self.session}/" if self.session else ""
        end = f".{self.image}" if self.image else f"-{self.last}" if self.last else ""
        return f"{prefix}{self.number}{end}"


def parse_ids(text: str) -> tuple[Ref, ...]:
    """Return the references of ids and ranges that blanks or commas separate. Raises InvalidInput."""
    words = filter(None, _SEPARATORS.split(to_half_width(text)))
    return tuple(_parse_range(word) or parse_id(word) for word in words)


def _parse_range(text: str) -> Ref | None:
    """Return the runs of `2-5`, `2..5`, `5-2` or `1120-k7f2/2-5`, or None when `text` is not a range."""
    match = _RANGE.fullmatch(text)
    if not match:
        return None
    first, last = sorted((int(match[2]), int(match[3])))
    return Ref(max(first, 1), session=match[1], last=max(last, 1))


def parse_id(text: str) -> Ref:
    """Return the reference of a single run or image. Raises InvalidInput."""
    match = _REF.fullmatch(to_half_width(text).strip())
    if not match or not int(match[2]) or match[3] == "0":
        raise InvalidInput(
            _(
                "Invalid id {text!r}: use a number such as 3, -1 (the last run), 3.2 (an image of run 3), "
                "1120-k7f2/3 (run 3 of that session) or a variable that holds a result.",
                text=truncate(text, 60),
            )
        )
    return Ref(int(match[2]), int(match[3]) if match[3] else None, match[1])


def to_run_id(image_id: str) -> str:
    """Return the run of an image's lasting id: 1120-k7f2/3 of 1120-k7f2/3.1."""
    return image_id.partition(".")[0]


def format_numbers(numbers: Iterable[int]) -> str:
    """Return numbers in short: `3–5, 8`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{low}" if low == high else f"{low}–{high}" for low, high in ranges)


def format_ids(run_ids: Iterable[str]) -> str:
    """Return lasting ids in short, session by session: `1120-k7f2/3–5, 8`."""
    by_session: dict[str, list[int]] = {}
    for run_id in run_ids:
        session, _slash, number = run_id.partition("/")
        by_session.setdefault(session, []).append(int(number))
    return "; ".join(f"{session}/{format_numbers(numbers)}" for session, numbers in by_session.items())
