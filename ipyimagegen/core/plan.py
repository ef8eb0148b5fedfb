"""A plan: the calls to make, what is reused, the estimate, and the limits of the settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ipyimagegen.core.axes import Axis
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.errors import OutcomeUnknown, OverBudget
from ipyimagegen.core.messages import Message, OptionName, Setting, _, join, ngettext
from ipyimagegen.core.options import Value
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import Cost, Run, add_costs, format_costs, list_price_sources
from ipyimagegen.core.settings import Settings
from ipyimagegen.core.text import list_some, sanitize, truncate

SKETCH = "sketch"
_NOTES = 8  # that a description of a plan has
SKETCH_NOTE = _("drawn by the built-in sketch engine, not by an AI model")


@dataclass(frozen=True, kw_only=True)
class PlannedCall:
    """A planned call: the request, what would be sent, and the stored run that makes it needless.

    `files` holds the bytes of its input images by their hash, as given and as sent. `seconds` is how long
    such a call takes, from and to; `retirement` says when its model is shut down. `force` (`--new`) sends it
    whatever is in flight elsewhere. `unknown_outcome` is why it is not sent without `--retry`. `in_flight` is
    whether the same request was in flight when this was planned: its result is waited for, unless it fails.
    `second_job`: the unfinished job of the same request, beside which this call starts another (`--retry`).
    """

    request: Request
    sent: PreparedRequest
    endpoint: Endpoint
    estimate: Cost
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    seconds: tuple[float, float] | None = None
    retirement: Message | None = None
    reused: Run | None = None
    rerun_of: str | None = None
    force: bool = False
    unknown_outcome: OutcomeUnknown | None = None
    in_flight: bool = False
    second_job: str = ""

    @property
    def asks(self) -> bool:
        """Whether it is to be sent."""
        return self.reused is None and self.unknown_outcome is None

    @property
    def paid(self) -> bool:
        """Whether it may cost money."""
        return self.asks and not self.endpoint.free

    @property
    def answered(self) -> str | None:
        """The lasting id of the stored run that it reuses, or whose outcome is unknown."""
        if self.reused:
            return self.reused.id
        return self.unknown_outcome.run if self.unknown_outcome else None


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan:
    """What would be sent, reused and spent: the calls in order, `images` and `estimate`. Nothing is sent.

        plan = imagine("a fox", seed=range(64), dry_run=True)
        len(plan.calls), plan.images, plan.estimate

    `local` holds the local options that the calls share, `axes` what varies in a sweep, the outermost first.
    `settings` are those in effect when it was made. `executor` runs the calls, where it is given. `prompt`
    is that of all calls: names filled in, and what differs between them as typed. `notes` are to be known
    before anything is sent. `excess` is why the settings do not allow a dry run to be sent.
    """

    calls: tuple[PlannedCall, ...]
    settings: Settings = field(default_factory=Settings)
    local: Mapping[str, Value] = field(default_factory=dict)
    axes: tuple[Axis, ...] = ()
    executor: Any = None
    prompt: str = ""
    notes: tuple[str, ...] = ()
    excess: str | None = None

    @property
    def images(self) -> int:
        """The number of images that would be requested; those that are reused do not count."""
        return sum(call.request.count for call in self.new)

    @property
    def estimate(self) -> Cost:
        """What the new calls would cost; unknown where prices are in several currencies."""
        return add_costs(call.estimate for call in self.new) if self.new else Cost(basis="free")

    @property
    def to_send(self) -> tuple[PlannedCall, ...]:
        """The calls that are neither reused from history nor of unknown outcome."""
        return tuple(call for call in self.calls if call.asks)

    @property
    def new(self) -> tuple[PlannedCall, ...]:
        """Those of them that are not in flight already."""
        return tuple(call for call in self.to_send if not call.in_flight)

    @property
    def summary(self) -> Message:
        """The plan in one line: calls, images, what is reused, the estimate and its source."""
        estimates = [call.estimate for call in self.new]
        in_flight = len(self.to_send) - len(self.new)
        reused = sum(call.reused is not None for call in self.calls) if self.axes else 0
        unknown = sum(call.unknown_outcome is not None for call in self.calls)
        facts = [_format_calls(len(estimates)), _format_images(self.images)]
        facts += [_("{count} in flight", count=in_flight)] if in_flight else []
        facts += [_("{count} from history", count=reused)] if reused else []
        if unknown:
            facts.append(
                _(
                    "{count} of unknown outcome, not sent without {retry}",
                    count=unknown,
                    retry=OptionName("retry", True),
                )
            )
        facts += describe_second_jobs(self.to_send)
        cost = format_costs(estimates) if estimates else _("free")
        sources = list_price_sources(estimates)
        return join([*facts, _("{cost} ({sources})", cost=cost, sources=sources) if sources else cost])

    def __repr__(self) -> str:
        """Return what would happen in plain words."""
        return join([truncate(self.prompt, 80), *self.describe(), _("Dry run: nothing was sent.")], "\n")

    def describe(self) -> list[str]:
        """Return in the conditional where the calls would go, and what they would cost and note."""
        lines: list[str] = []
        if self.to_send:
            calls = self.to_send
            servers = dict.fromkeys((call.endpoint.name, call.sent.model) for call in calls)
            named = [f"{name} ({model})" if model and model != name else name for name, model in servers]
            names = list_some([truncate(name, 80) for name in named])
            lines.append(_("Would send to {servers}: {plan}", servers=names, plan=self.summary))
        if reused := list(dict.fromkeys(call.reused.id for call in self.calls if call.reused)):
            lines.append(_("Would reuse at no cost: {runs}", runs=list_some(reused)))
        if not self.axes and (error := self.calls[0].unknown_outcome):
            retry = OptionName("retry", True)
            lines.append(_("Would fail without {retry}: {error}", retry=retry, error=error.args[0]))
        durations = sorted({call.seconds for call in self.to_send if call.seconds})
        lines += [_("Would take about {low:g}–{high:g} s", low=low, high=high) for low, high in durations]
        notes = list(dict.fromkeys(note for call in self.calls for note in self._list_notes(call)))
        if notes:
            lines += [_("The caption would state:"), *(f"- {sanitize(note)}" for note in notes[:_NOTES])]
        if len(notes) > _NOTES:
            lines.append(_("- and {count} more", count=len(notes) - _NOTES))
        return [*lines, *([self.excess] if self.excess else [])]

    def _list_notes(self, call: PlannedCall) -> list[str]:
        """Return the notes of a call without the values that vary: all calls then have the same note."""
        notes = list(call.sent.notes)
        for axis in self.axes:
            value = f"{axis.name}={call.request.options.get(axis.name)} "
            notes = [note.replace(value, f"{axis.name} ", 1) for note in notes]
        return notes


def _format_calls(count: int) -> Message:
    return ngettext("{count} call", "{count} calls", count)


def _format_images(count: int) -> Message:
    return ngettext("{count} image", "{count} images", count)


def describe_second_jobs(calls: Iterable[PlannedCall]) -> list[Message]:
    """Return which unfinished jobs the calls start others beside; an empty list usually."""
    jobs = [call.second_job for call in calls if call.second_job]
    return [_("starts a second job beside {jobs}", jobs=list_some(jobs))] if jobs else []


def check_caps(
    calls: Sequence[PlannedCall], settings: Settings, *, before: int = 0, spent_images: int = 0
) -> None:
    """Raise OverBudget, with the plan in one line, when these calls are more than the settings allow.

    `before` calls were paid in this cell already, `spent_images` images in this session.
    """
    paid = [call for call in calls if call.paid]
    images = sum(call.request.count for call in paid)
    most_calls, most_images = settings.max_calls, settings.max_images
    if paid and before + len(paid) > most_calls:
        limit = ngettext(
            "At most {count} paid call is allowed ({before} so far).",
            "At most {count} paid calls are allowed ({before} so far).",
            most_calls,
            before=before,
        )
        setting = Setting("max_calls", before + len(paid))
    elif paid and spent_images + images > most_images:
        limit = ngettext(
            "A session may request {count} paid image ({before} so far).",
            "A session may request {count} paid images ({before} so far).",
            most_images,
            before=spent_images,
        )
        setting = Setting("max_images", spent_images + images)
    else:
        return
    raise OverBudget(
        _(
            "The plan is {calls}, {images}, {cost}. {limit}\n"
            "Nothing was sent. Request fewer, or set a higher limit: {setting}",
            calls=ngettext("{count} paid call", "{count} paid calls", len(paid)),
            images=_format_images(images),
            cost=format_costs(call.estimate for call in paid),
            limit=limit,
            setting=setting,
        )
    )
