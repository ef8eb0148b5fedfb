"""The history as users hold it: the runs of this session, and those of all earlier ones."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ipyimagegen import imaging
from ipyimagegen.core.errors import ImagineError, InvalidOption, NotInHistory
from ipyimagegen.core.messages import OptionName, _, ngettext
from ipyimagegen.core.options import to_half_width
from ipyimagegen.core.request import Input
from ipyimagegen.core.run import Run, Status, to_run_id
from ipyimagegen.core.text import Table, truncate
from ipyimagegen.results import Generation, Image, Pending, Sweep, list_ids
from ipyimagegen.results import compare as comparison
from ipyimagegen.results.compare import Comparison, Side
from ipyimagegen.results.sweep import list_outcomes, make_dataframe
from ipyimagegen.store import Entry, Query

if TYPE_CHECKING:
    from ipyimagegen.session.studio import Studio

LISTED = 20  # runs, unless another number is asked for
ON_SHEET = 48  # images on the contact sheet of a listing, the newest
MOST_ANCESTORS = 12  # images in a line of descent, the newest


class History(Sequence[Generation]):
    """The runs of this session, oldest first, counted from 1; ids of other sessions work too.

    history[3], history[-1], history["1120-k7f2/3"], history.search("fox")
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def __len__(self) -> int:
        return len(self._studio.ledger.numbered())

    def __iter__(self) -> Iterator[Generation]:
        return (self._studio.generation(run) for _, run in self._studio.ledger.numbered())

    @overload
    def __getitem__(self, index: int | str) -> Generation: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Generation, ...]: ...
    def __getitem__(self, index: int | str | slice) -> Generation | tuple[Generation, ...]:
        """Return the run of that number (from 1; -1 is the highest) or id. Raises NotInHistory."""
        if isinstance(index, slice):
            return tuple(self)[index]
        return self._studio.generation(self._studio.find(self._to_id(index), wait=True)[0])

    def _to_id(self, index: int | str) -> str:
        """Return a number as an id; a negative number counts from the highest."""
        if isinstance(index, Integral) and index < 0:
            numbers = [number for number, _run in self._studio.ledger.numbered()]
            index = numbers[int(index)] if -index <= len(numbers) else index
        return str(index)

    def __reversed__(self) -> Iterator[Generation]:
        return reversed(tuple(self))

    def index(self, value: Generation, start: int = 0, stop: int | None = None) -> int:
        """Return the number of a result. Raises ValueError where this session has not shown it."""
        numbers = [number for number, _run in self._studio.ledger.numbered()]
        return numbers[tuple(self).index(value, start, len(numbers) if stop is None else stop)]

    def __repr__(self) -> str:
        return repr(self.table)

    def _repr_html_(self) -> str:
        return self.table.to_html()

    @property
    def table(self) -> Table:
        """The newest runs of this session, which a notebook shows as a table."""
        return self.to_table(self.list_runs(limit=LISTED))

    def search(
        self,
        text: str,
        *,
        model: str | None = None,
        endpoint: str | None = None,
        since: str | date | None = None,
        limit: int | None = LISTED,
    ) -> tuple[Generation, ...]:
        """Return the newest runs of every session whose prompt contains the text, in any case.

        `since` is a date or a text such as "2026-11-29", "yesterday" or "3d"; `limit` None returns all.
        """
        query = self._make_query(search=text, model=model, endpoint=endpoint, since=since, limit=limit)
        return tuple(self._studio.generation(run) for run in self._studio.store.find(query))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table of this session: a row for each run, oldest first; see `to_dataframe`."""
        return [make_row(number, run) for number, run in self.list_runs().runs]

    def to_dataframe(
        self,
        *,
        all: bool = False,  # noqa: A002 - the name that the magic has
        search: str | None = None,
        model: str | None = None,
        endpoint: str | None = None,
        since: str | date | None = None,
    ) -> Any:
        """Return the runs of this session, or with `all` of every session, as a pandas DataFrame.

        A row for each run: `number` in this session, `id`, `created` (local time), `endpoint`, `model`,
        `size` (pixels, as returned, else as requested), `n`, `seed`, `status`, `cost` (None: unknown) with
        `currency`, `prompt`. Raises InvalidInput where pandas is not installed.
        """
        listing = self.list_runs(everywhere=all, search=search, model=model, endpoint=endpoint, since=since)
        return make_dataframe([make_row(*pair) for pair in listing.runs], "history.rows", columns=[*COLUMNS])

    def list_runs(
        self,
        which: Sequence[int | str | Generation | Image | Sweep | Pending] = (),
        *,
        everywhere: bool = False,
        search: str | None = None,
        model: str | None = None,
        endpoint: str | None = None,
        since: str | date | None = None,
        limit: int | None = None,
    ) -> Listing:
        """Return the runs that match, at most `limit`: of this session, of every session, or of `which`."""
        ledger, store = self._studio.ledger, self._studio.store
        query = self._make_query(search=search, model=model, endpoint=endpoint, since=since, limit=limit)
        if everywhere:
            found = store.find(query)
            more = store.count(query) - len(found) if len(found) == limit else 0
            return Listing([(ledger.number(run.id), run) for run in reversed(found)], more=max(more, 0))
        numbered: Sequence[tuple[int | None, Run]] = ledger.numbered()
        if which:
            numbered = [(ledger.number(run.id), run) for run in self._choose_runs(which)]
        query = replace(query, originals=False)  # a forgotten run keeps its number
        matches = [pair for pair in numbered if query.matches(Entry.from_run(pair[1]))]
        shown = matches if limit is None else matches[-limit:]
        elsewhere = 0 if matches or which else store.count(replace(query, originals=True))
        return Listing(shown, more=len(matches) - len(shown), elsewhere=elsewhere)

    def _make_query(
        self, *, endpoint: str | None = None, since: str | date | None = None, **sought: Any
    ) -> Query:
        if endpoint:
            with suppress(ImagineError):  # an endpoint that is no longer configured still has runs
                endpoint = self._studio.registry.find(endpoint).name
        start = read_date(since, "since") if since is not None else None
        return Query(endpoint=endpoint, since=start, originals=True, **sought)

    def to_table(self, listing: Listing) -> Table:
        """Return runs as a table, and how many there are besides."""
        in_flight = self._studio.ledger.in_flight()
        notes: list[str] = []
        if listing.more:
            text = ngettext(
                "{count} older run is not shown; {option} shows more.",
                "{count} older runs are not shown; {option} shows more.",
                listing.more,
                option=OptionName("limit", len(listing.runs) + listing.more),
            )
            notes.append(text)
        if listing.elsewhere:
            begin = _("No run in this session matches.") if self else _("No runs in this session.")
            text = ngettext(
                "{begin} There is {count} in other sessions; {option} lists it.",
                "{begin} There are {count} in other sessions; {option} lists them.",
                listing.elsewhere,
                begin=begin,
                option=OptionName("all", value=True),
            )
            notes.append(text)
        elif not listing.runs:
            notes.append(_("No runs."))
        rows = [_write_row(number, run, in_flight) for number, run in listing.runs]
        return Table(rows=[_HEADER, *rows] if rows else [], notes=notes)

    def make_sheet(self, runs: Sequence[tuple[int | None, Run]]) -> imaging.Preview | None:
        """Return the first image of each of these runs on a contact sheet; of many, the newest."""
        generations = [(number, self._studio.generation(run)) for number, run in runs]
        shown = [(str(number or made.id), made[0].path) for number, made in generations if made][-ON_SHEET:]
        if not shown:
            return None
        thumbs = [imaging.inspect(path, edge=imaging.EDGE // 3).thumb for _label, path in shown]
        return imaging.make_preview(thumbs, [label for label, _path in shown])

    def compare(self, *which: int | str | Generation | Image | Sweep | Pending) -> Comparison:
        """Return runs, or single images, side by side with their differences: history.compare(1, "3.2", fox).

        The others are compared with the first. Raises InvalidOption unless they are 2 to 12, NotInHistory for
        an id that does not exist.
        """
        chosen = self.choose(*which, wait=True)
        if not 2 <= len(chosen) <= comparison.MOST:
            raise InvalidOption(
                _(
                    "Give 2 to {limit} runs or images to compare, not {count}.",
                    count=len(chosen),
                    limit=comparison.MOST,
                )
            )
        sides = [Side(self._label(run.id), self._studio.ledger.as_it_is(run), index) for run, index in chosen]
        return comparison.compare(sides, name_input=self._name_input, find_path=self._studio.store.path)

    def choose(self, *which: object, wait: bool = False) -> list[tuple[Run, int | None]]:
        """Return runs, each once, with the number of the image if an id names an image.

        `history.choose("2-5, 7", fox[1])`. With `wait`, runs in flight are waited for. Raises InvalidInput
        for a text that is not an id, NotInHistory for a run that does not exist.
        """
        chosen: dict[tuple[str, int | None], tuple[Run, int | None]] = {}
        for value in which:
            for text in list_ids(self._to_id(int(value)) if isinstance(value, Integral) else value):
                found = self._studio.find_all(text, wait=wait)
                chosen |= {(run.id, image): (run, image) for run, image in found}
        return list(chosen.values())

    def _choose_runs(self, which: Sequence[object]) -> list[Run]:
        return list({run.id: run for run, _image in self.choose(*which)}.values())

    def _name_input(self, image: Input) -> str:
        return self._label(image.parent) if image.parent else image.name

    def list_reruns(self, run: Run) -> list[Run]:
        """Return the reruns of this run in this session."""
        return [other for _n, other in self._studio.ledger.numbered() if other.rerun_of == run.id]

    def list_edits(self, run: Run) -> list[Run]:
        """Return the runs of this session that edited an image of this run."""
        return self.map_edits().get(run.id, [])

    def make_descent_sheet(self, run: Run) -> imaging.Preview | None:
        """Return the line of descent as a contact sheet, the oldest first, or None when there is none.

        Before the run stand its inputs and their inputs; after it, its edits and reruns of this session.
        """
        before = list(self._list_ancestors(run, set()))
        label, path = self._find_first_image(run)
        after = [(f"› {label}", path) for label, path in map(self._find_first_image, self.list_edits(run))]
        line = [*before, (f"› {label} (this)" if before else f"{label} (this)", path), *after]
        if len(line) > 1:
            line += [
                (f"rerun {label}", path) for label, path in map(self._find_first_image, self.list_reruns(run))
            ]
        shown = [(label, path) for label, path in line if path is not None]
        if len(shown) < 2:
            return None
        kept = shown[-MOST_ANCESTORS:]
        if len(kept) < len(shown):
            kept[0] = (f"… {kept[0][0]}", kept[0][1])
        edge = max(120, imaging.EDGE // max(len(kept), 3) - 10)  # in a single row, if there are not too many
        thumbs = [imaging.inspect(path, edge=edge).thumb for _label, path in kept]
        return imaging.make_preview(thumbs, [label for label, _path in kept])

    def _list_ancestors(self, run: Run, seen: set[str], depth: int = 0) -> Iterator[tuple[str, Path | None]]:
        """Yield the inputs of a run, each after its own ancestors and only once."""
        sign = ""
        for image in run.request.inputs if depth < MOST_ANCESTORS else ():
            if (image.parent or image.sha256) in seen:
                continue
            seen.add(image.parent or image.sha256)
            parent = self._studio.store.run(to_run_id(image.parent)) if image.parent else None
            older = list(self._list_ancestors(parent, seen, depth + 1)) if parent else []
            yield from older
            label = self._label(image.parent) if image.parent else image.label
            yield f"{sign or ('› ' if older else '')}{label}", self._studio.store.path(image.sha256)
            sign = "+ "

    def _find_first_image(self, run: Run) -> tuple[str, Path | None]:
        first = next(iter(run.shown), None)
        path = self._studio.store.path(first.sha256 or "") if first else None
        return self._label(f"{run.id}.{first.index}" if first else run.id), path

    def _label(self, id_: str) -> str:
        """Return the number of an image here, `2.1`, or its lasting id in another session."""
        number = self._studio.ledger.number(to_run_id(id_))
        return id_.replace(to_run_id(id_), str(number), 1) if number else id_

    def map_edits(self) -> dict[str, list[Run]]:
        """Return the runs of this session that edited an image, by the id of the run that made the image."""
        edits: dict[str, list[Run]] = {}
        for _number, run in self._studio.ledger.numbered():
            for parent in dict.fromkeys(to_run_id(image.parent or "") for image in run.request.inputs):
                edits.setdefault(parent, []).append(run)
        return edits

    def select(
        self,
        which: Sequence[object] | None = None,
        *,
        session: str | None = None,
        before: str | date | None = None,
    ) -> list[Run]:
        """Return runs to forget: `which`, or those of a session, or from before a date; not forgotten ones.

        With both, those of the session from before the date. Raises NotInHistory.
        """
        if which is not None:
            return [run for run in self._choose_runs(which) if not run.forgotten]
        end = read_date(before, "before") if before is not None else None
        if session and not self._studio.store.count(Query(session=session)):
            raise NotInHistory(_("There is no session {session!r}.", session=truncate(session, 40)))
        return self._studio.store.find(Query(session=session, before=end, remembered=True))

    def forget(self, *which: object) -> list[str]:
        """Delete prompt and images of these runs and return their ids; number, time and cost stay.

        `history.forget(fox, "2-5")`; nothing given deletes nothing. Raises NotInHistory.
        """
        ids = [run.id for run in self.select(which)]
        self._studio.store.forget(ids)
        return ids


@dataclass(frozen=True)
class Listing:
    """Runs with their numbers in this session, the oldest first.

    `more` older ones match too; `elsewhere` counts those of other sessions where this one has none.
    """

    runs: Sequence[tuple[int | None, Run]]
    more: int = 0
    elsewhere: int = 0


# The columns of a data frame, with their headers in the table, where the currency stands with the cost.
COLUMNS: Mapping[str, str] = {
    "number": _("number"),
    "id": _("id"),
    "created": _("date and time"),
    "endpoint": _("endpoint"),
    "model": _("model"),
    "size": _("size"),
    "n": "n",
    "seed": _("seed"),
    "status": _("status"),
    "cost": _("cost"),
    "currency": "",
    "prompt": _("prompt"),
}
_HEADER = tuple(header for header in COLUMNS.values() if header)


def make_row(number: int | None, run: Run) -> dict[str, Any]:
    """Return what is known of a run, by the names of `COLUMNS`."""
    request, options = run.request, {**run.request.options, **run.request.extra}
    row = {
        **list_outcomes(run),
        "number": number,
        "id": run.id,
        "created": datetime.fromtimestamp(run.created),
        "endpoint": request.endpoint,
        "model": run.sent.model or request.model,
        "n": request.fewest,
        "seed": options.get("seed"),
        "prompt": None if run.forgotten else request.prompt,
    }
    row["size"] = row["size"] or options.get("size") or options.get("aspect_ratio")
    return {name: row[name] for name in COLUMNS}


def _write_row(number: int | None, run: Run, in_flight: Collection[str]) -> tuple[str, ...]:
    """Return the cells of a run in the table; `in_flight` are the ids of the calls of this process."""
    row, got = make_row(number, run), len(run.shown)
    row |= {
        "created": f"{row['created']:%Y-%m-%d %H:%M}",
        "n": str(row["n"]) if got == row["n"] or run.forgotten else f"{got}/{row['n']}",
        "status": describe_status(run, in_flight),
        "cost": _("unknown") if run.cost.basis == "unknown" else str(run.cost),
        "prompt": _("(forgotten)") if run.forgotten else truncate(run.request.prompt, 60),
    }
    return tuple("" if row[name] is None else row[name] for name, header in COLUMNS.items() if header)


def describe_status(run: Run, in_flight: Collection[str]) -> str:
    """Return what became of a run; `in_flight` are the ids of the calls of this process."""
    if run.status is Status.PENDING:  # the calls of another process cannot be seen
        return _("in flight") if run.id in in_flight else _("pending or cut off")
    if run.job and run.awaits_job:
        return _("job {status}", status=run.job.status or _("not finished"))
    return str(run.status).replace("_", " ")


_DATE = re.compile(r"(?:(\d{4})-)?(\d{1,2})-(\d{1,2})(?:[t ]+(\d{1,2}):(\d{2}))?")
_MONTH = re.compile(r"(\d{4})-(\d{1,2})")
_AGO = re.compile(r"(\d{1,4})\s*(?:(h|hours?|小时)|(d|days?|天)|(w|weeks?|周))(?:\s+ago|前)?")
_DAYS = {"today": 0, "yesterday": 1, "今天": 0, "昨天": 1}


def read_date(value: str | date, option: str) -> float:
    """Return a date as people write it, in seconds since the epoch; a day begins at midnight, local time.

    2026-11-29, 2026/11/29, 2026年11月29日, "2026-11-29 14:30", 2026-11 (a month), 11-29 (the last one),
    today, yesterday, 12h, 3d, "2 weeks ago". Raises InvalidOption, which names the option.
    """
    now = datetime.now()
    with suppress(ValueError, OverflowError, OSError):
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day).timestamp()
        if (moment := _parse_date(to_half_width(str(value)).strip().lower(), now)) is not None:
            return moment.timestamp()
    raise InvalidOption(
        _(
            "{option} takes a date such as 2026-11-29, 11-29, today, yesterday, 12h, 3d or 2w, not {text!r}.",
            option=OptionName(option),
            text=truncate(str(value), 40),
        )
    )


def _parse_date(text: str, now: datetime) -> datetime | None:
    """Return the moment that a text names, or None. Raises ValueError for a day that does not exist."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in _DAYS:
        return midnight - timedelta(days=_DAYS[text])
    if match := _AGO.fullmatch(text):
        unit = "hours" if match[2] else "days" if match[3] else "weeks"
        return now - timedelta(**{unit: int(match[1])})
    text = re.sub(r"[/.年月]", "-", text).replace("日", "").rstrip("-")
    if match := _MONTH.fullmatch(text):
        return midnight.replace(year=int(match[1]), month=int(match[2]), day=1)
    if not (match := _DATE.fullmatch(text)):
        return datetime.fromisoformat(text.upper())
    year, month, day, hour, minute = (int(group) if group else 0 for group in match.groups())
    years = [year] if year else range(now.year, now.year - 8, -1)  # the last February 29
    days = [midnight.replace(year, month, day) for year in years if day <= monthrange(year, month)[1]]
    past = [moment.replace(hour=hour, minute=minute) for moment in days if year or moment <= now]
    return past[0] if past else None
