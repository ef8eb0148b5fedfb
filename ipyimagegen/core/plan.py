"""A plan: the calls that would be made, what is reused, what it may cost, and whether that is too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipyimagegen.core import costs
from ipyimagegen.core.axes import Axis
from ipyimagegen.core.errors import InvalidOption, OutcomeUnknown, OverBudget
from ipyimagegen.core.options import Value
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import Cost, Run
from ipyimagegen.core.text import DOT, format_count

if TYPE_CHECKING:  # its many dataclasses take a tenth of the time that loading may take
    from ipyimagegen.core.endpoints import Endpoint

SKETCH = "sketch"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is configured. Option values are unchecked until a plan reads them."""

    options: Mapping[str, object] = field(default_factory=dict)
    endpoints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reuse: bool = True
    embed: str = "preview"
    max_parallel: int = 4
    max_calls: int = 16
    max_images: int = 100

    def __post_init__(self) -> None:
        for name in ("max_parallel", "max_calls", "max_images"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < (name == "max_parallel"):
                raise InvalidOption(f"%config Imagine.{name} = {value!r} is no count.")
        if not isinstance(self.reuse, bool):
            raise InvalidOption(f"%config Imagine.reuse = {self.reuse!r} is neither True nor False.")
        if self.embed not in ("preview", "original"):
            raise InvalidOption(f"%config Imagine.embed = {self.embed!r} is neither preview nor original.")
        if not isinstance(self.endpoints, Mapping):
            raise InvalidOption('%config Imagine.endpoints takes {"lab": {"base_url": "http://…/v1"}}.')


@dataclass(frozen=True, kw_only=True)
class PlannedCall:
    """One call: the request, what would be sent, and the stored run that makes it needless.

    `files` holds the bytes of its images by their hash, as given and as sent.
    """

    request: Request
    sent: PreparedRequest
    endpoint: Endpoint
    estimate: Cost
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    seconds: tuple[float, float] | None = None
    reused: Run | None = None
    rerun_of: str | None = None
    force: bool = False  # --new: to be asked whatever is under way elsewhere
    unknown_outcome: OutcomeUnknown | None = None  # why it is not asked without --retry
    in_flight: bool = False  # it was when this was planned: unless it has ended badly it is waited for

    @property
    def asks(self) -> bool:
        """Whether it is to be sent."""
        return self.reused is None and self.unknown_outcome is None

    @property
    def paid(self) -> bool:
        """Whether carrying it out may cost money."""
        return self.asks and not self.endpoint.free

    @property
    def answered(self) -> str | None:
        """The lasting id of the run that answers it, or holds it up."""
        return self.reused.id if self.reused else self.unknown_outcome.run if self.unknown_outcome else None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Calls in order, the local options that they share, and the axes of a sweep, the outermost first.

    `executor` carries them out, where one was given. `prompt` is what was typed, of several all.
    """

    calls: tuple[PlannedCall, ...]
    local: Mapping[str, Value] = field(default_factory=dict)
    axes: tuple[Axis, ...] = ()
    executor: Any = None
    prompt: str = ""

    @property
    def to_send(self) -> tuple[PlannedCall, ...]:
        """The calls that are neither served from history nor in doubt."""
        return tuple(call for call in self.calls if call.asks)

    @property
    def new(self) -> tuple[PlannedCall, ...]:
        """Those of them that are not under way already."""
        return tuple(call for call in self.to_send if not call.in_flight)

    def __str__(self) -> str:
        """Return the plan in one line: calls, images, what is reused, the estimate and its source."""
        estimates = [call.estimate for call in self.new]
        images = sum(call.request.count for call in self.new)
        under_way = len(self.to_send) - len(self.new)
        reused, doubtful = sum(one.reused is not None for one in self.calls), sum(map(_doubtful, self.calls))
        words = [format_count(len(estimates), "call"), format_count(images, "image")]
        words += [f"{under_way} under way"] if under_way else []
        words += [f"{reused} from history"] if reused and self.axes else []
        words += [f"{doubtful} of unknown outcome, not asked without --retry"] if doubtful else []
        known = costs.list_price_sources(estimates)
        words.append(
            f"{costs.format_costs(estimates)}{f' ({known})' if known else ''}" if estimates else "free"
        )
        return DOT.join(words)


def _doubtful(call: PlannedCall) -> bool:
    return call.unknown_outcome is not None


def check_caps(
    calls: Sequence[PlannedCall], settings: Settings, *, before: int = 0, spent_images: int = 0
) -> None:
    """Raise OverBudget, with the plan in one line, when these calls are more than the settings allow.

    `before` calls were paid in this cell already, `spent_images` images in this session.
    """
    paid = [call for call in calls if call.paid]
    images = sum(call.request.count for call in paid)
    if paid and before + len(paid) > settings.max_calls:
        over = f"max_calls = {settings.max_calls} paid calls a cell ({before} so far)"
    elif paid and spent_images + images > settings.max_images:
        over = f"max_images = {settings.max_images} paid images a session ({spent_images} so far)"
    else:
        return
    what = [
        format_count(len(paid), "paid call"),
        format_count(images, "image"),
        costs.format_costs(one.estimate for one in paid),
    ]
    raise OverBudget(
        f"The plan is {', '.join(what)}; over %config Imagine.{over}. "
        "Nothing was sent. Set a higher limit, or ask for fewer."
    )
