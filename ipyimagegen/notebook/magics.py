"""What the magics do: each parses its line, calls the studio and shows the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import ipyimagegen
from ipyimagegen.core.errors import Detached, ImagineError, InvalidOption
from ipyimagegen.core.messages import _
from ipyimagegen.core.options import to_half_width
from ipyimagegen.core.run import Run
from ipyimagegen.core.text import escape_hidden, truncate
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.notebook import completion, parser, reports
from ipyimagegen.notebook.display import (
    Painter,
    attach,
    bind_result,
    is_notebook,
    save_result,
    show_comparison,
    show_image,
    show_table,
    show_text,
)
from ipyimagegen.notebook.fronts import CELL
from ipyimagegen.notebook.help_text import PAGES, write_help
from ipyimagegen.notebook.parser import Line, resolve_images
from ipyimagegen.notebook.scope import Scope, find_scope
from ipyimagegen.results import Pending, Result
from ipyimagegen.session.history import LISTED
from ipyimagegen.session.studio import Studio
from ipyimagegen.store import Query

LISTED_MODELS = 40  # models that %imagine_models --server shows without -l
_READERS: Mapping[str, Any] = {"prompt": None, "ids": parser.read_ids}  # of the words of a line


class ImagineMagics:
    """The magics of a shell and its studio; `run` calls the method of the magic's name."""

    def __init__(self, shell: InteractiveShell, studio: Studio) -> None:
        self._shell = shell
        self._studio = studio
        self._screen = attach(studio, shell)

    def run(self, name: str, line: str, cell: str | None) -> object:
        """Run a magic. Its errors hold no key and are worded for cells; the last stays in `_imagine_error`.

        Raises UsageError in place of an error under `%pdb on`: the debugger is for the user's own code. It
        never stands for Detached, which `except Exception` would catch then.
        """
        page, scope = PAGES[name], find_scope(self._shell)
        with self._studio.keys.discreet():
            try:
                self._studio.keys.refuse(f"{line}\n{cell or ''}")
                if cell is None:
                    parser.check_call(name, line)
                    line = line.rstrip().removesuffix(";")  # which ends a statement
                words = _READERS.get(page.words, parser.read_word_of_text)
                parsed = parser.parse_line(line, scope.names, own=page.own, options=page.options, words=words)
                if parsed.help:
                    print(write_help(name))  # plain text, as `?` shows it
                    return None
                if not page.words:
                    _refuse_words(" ".join(parsed.words), _("{magic} takes no argument", magic=f"%{name}"))
                return getattr(self, name)(parsed, cell, scope)
            except ImagineError as error:
                error.front = CELL
                self._shell.user_ns["_imagine_error"] = error
                if isinstance(error, Detached) or not self._shell.call_pdb:
                    raise
                usage_error = UsageError(escape_hidden(str(error)))
            raise usage_error

    def complete(self, until: str, whole: str) -> tuple[str, list[str], bool]:
        """Complete a magic's line; see `completion.complete`."""
        return completion.complete(until, whole, self._studio, self._shell.user_ns)

    def imagine(self, line: Line, cell: str | None, scope: Scope) -> Result | Pending | None:
        """Generate images from a prompt."""
        if cell is not None:
            _refuse_words(line.rest, _("the prompt stands below this line"))
        elif not line.verbatim:
            parser.check_line_prompt(line.rest, line.images)
        prompt = line.rest if cell is None else cell
        return self._send(_make_input(line, prompt, scope.names, literal=False), scope)

    def imagine_rerun(self, line: Line, cell: str | None, scope: Scope) -> Result | Pending | None:
        """Run again, with options or prompt changed."""
        run, _number = self._studio.find(_take_id(line, "%imagine_rerun"))
        prompt = run.request.prompt if cell is None else cell
        changed = _make_input(line, prompt, scope.names, literal=cell is None)
        request = self._studio.again(run, changed)
        result = self._send(request, scope)
        if result is not None:
            show_text(reports.report_rerun(run, result.runs, forced=bool(request.options.get("new"))))
        return result

    def imagine_history(self, line: Line, *_cell: object) -> None:
        """List runs: of this session, of all sessions, or those of these ids."""
        history, everywhere = self._studio.history, "--all" in line.own
        ids = _read_listed_ids(line, everywhere=everywhere)
        listing = history.list_runs(
            ids,
            everywhere=everywhere,
            search=line.get_own("--search"),
            model=line.get_own("--model", "-m"),
            endpoint=line.get_own("--endpoint"),
            since=line.get_own("--since"),
            limit=_read_limit(line) or (None if ids else LISTED),
        )
        if sheet := history.make_sheet(listing.runs):
            show_image(sheet)
        show_table(history.to_table(listing))

    def imagine_show(self, line: Line, *_cell: object) -> None:
        """Show a run in full."""
        run, number = self._studio.find(_take_id(line, "%imagine_show"), wait=True)
        run = self._studio.ledger.as_it_is(self._studio.fetch(self._studio.reread(run), patient=False))
        generation = self._studio.generation(run)
        if number is None and generation:
            show_image(generation)
        for image in generation:
            if image.number == number:
                show_image(image)
        if descent := self._studio.history.make_descent_sheet(run):
            show_image(descent, "line of descent")
        show_text(reports.report_run(run, self._studio))

    def imagine_compare(self, line: Line, *_cell: object) -> None:
        """Show runs side by side, with their differences."""
        show_comparison(self._studio.history.compare(*line.words))

    def imagine_models(self, line: Line, *_cell: object) -> None:
        """List the models of the catalog or of a server, or show a model in full."""
        if server := line.own.get("--server"):
            words: list[str | None] = [*([] if server is True else [str(server)]), *line.words]
            endpoint, *others = words or [None]
            _refuse_words(" ".join(map(str, others)), _("{flag} takes one endpoint", flag="--server"))
            listed = self._studio.list_models(endpoint)
            show_table(reports.report_server_models(*listed, _read_limit(line) or LISTED_MODELS))
        elif line.words:
            show_text(reports.report_model(" ".join(line.words)))
        else:
            show_table(reports.report_models())

    def imagine_endpoints(self, *_line: object) -> None:
        """List the endpoints and whether their keys are set."""
        show_table(reports.report_endpoints(self._studio))

    def imagine_cost(self, line: Line, *_cell: object) -> None:
        """Show the requests and the spending of this session, or of all sessions by month."""
        if "--all" in line.own:
            show_table(reports.report_cost(self._studio.store.list_charges(Query()), monthly=True))
        else:
            show_table(reports.report_cost(*self._studio.ledger.spending()))

    def imagine_panel(self, *_line: object) -> object:
        """Return the panel, which the cell displays."""
        if not is_notebook(self._shell):
            raise InvalidOption(_("The panel requires a notebook. In a terminal use %imagine."))
        return ipyimagegen.Panel(self._studio)

    def imagine_doctor(self, line: Line, *_cell: object) -> None:
        """Check what works and what does not."""
        endpoint, *others = line.words or [None]
        _refuse_words(" ".join(map(str, others)), _("{magic} takes one endpoint", magic="%imagine_doctor"))
        show_text(repr(self._studio.doctor(endpoint, offline="--offline" in line.own)))

    def imagine_forget(self, line: Line, *_cell: object) -> None:
        """Delete prompts and images of runs; of several, only when confirmed."""
        history, store = self._studio.history, self._studio.store
        runs = self._select_to_forget(line)
        ids = [run.id for run in runs]
        if len(runs) > 1 and "--yes" not in line.own:
            show_text(reports.report_deletion(runs, store.preview_forget(ids)))
            return
        edits = history.map_edits()
        store.forget(ids)
        show_text(reports.report_forgotten(runs, edits))

    def _select_to_forget(self, line: Line) -> list[Run]:
        """Return the runs that a line of %imagine_forget names. Raises InvalidOption where it names none."""
        before, named = line.get_own("--before"), line.own.get("--session")
        if not named and not before:
            if not line.words:
                raise _make_id_error("%imagine_forget")
            return self._studio.history.select(line.words)
        session, words = None if named is True else named, list(line.words)
        if named is True and words:
            session = words.pop(0)
        _refuse_words(" ".join(words), _("--session and --before take no ids"))
        if named and not session:
            session = self._studio.ledger.session or ""
        return self._studio.history.select(session=str(session) if named else None, before=before)

    def _send(self, user_input: UserInput, scope: Scope) -> Result | Pending | None:
        """Carry out a request and show its result, or show its plan for a dry run."""
        plan = self._studio.plan(user_input)
        if plan.local.get("dry_run"):
            show_text(
                reports.report_plan(plan, self._studio.write_calls(plan), self._studio.describe_excess(plan))
            )
            return None
        painter, saved = Painter(self._screen), ""
        result: Result | Pending
        if plan.local.get("wait") is False:
            result = self._studio.start(plan)
            painter.follow(result, save=True)
        else:
            result = self._studio.carry_out(plan, painter)
            painter.show_result(result)
        self._screen.mark_shown(result)
        bind_result(result, plan.local, scope.target)
        if not isinstance(result, Pending):
            saved = save_result(result, plan.local)
        for text in (saved, self._studio.warn_of_store()):
            if text:
                show_text(text)
        return result


def _make_input(line: Line, prompt: str, names: Mapping[str, Any], *, literal: bool) -> UserInput:
    return UserInput(
        prompt=prompt,
        options=line.values,
        extra=line.extra,
        inputs=resolve_images(line.images, names),
        namespace=None if literal else names,
        executor=line.executor,
        notes=tuple(parser.list_notes(line, prompt, literal=literal)),
    )


def _refuse_words(words: str, reason: str) -> None:
    if words:
        raise InvalidOption(
            _("{words!r} is not expected: {reason}.", words=truncate(words, 40), reason=reason)
        )


def _make_id_error(magic: str) -> InvalidOption:
    return InvalidOption(
        _(
            "{magic} needs an id: 3, -1 (shown last), 1120-k7f2/3 or a variable that holds a result.",
            magic=magic,
        )
    )


def _take_id(line: Line, magic: str) -> str:
    """Return the only id of a line. Raises InvalidOption for none or several."""
    if not line.words:
        raise _make_id_error(magic)
    if len(line.words) > 1:
        hint = _(" A new prompt stands below {magic}.", magic=f"%{magic}") if "rerun" in magic else ""
        raise InvalidOption(
            _(
                "{magic} takes one id; there are {count}: {ids}.{hint}",
                magic=magic,
                count=len(line.words),
                ids=truncate(" ".join(line.words), 60),
                hint=hint,
            )
        )
    return line.words[0]


def _read_listed_ids(line: Line, *, everywhere: bool) -> tuple[str, ...]:
    """Return the ids of a listing. Raises InvalidOption for ids with --all, and for words of a search."""
    if line.words and everywhere:
        raise InvalidOption(_("--all lists the runs of every session; leave it out to list ids."))
    if line.get_own("--search"):
        others = [word for word in line.words if not word.lstrip("@-－")[:1].isdigit()]
        example = '--search "a red fox"'
        _refuse_words(" ".join(others), _("a text of several words is written {example}", example=example))
    return line.words


def _read_limit(line: Line) -> int | None:
    """Return the number after -l, if any. Raises InvalidOption."""
    typed = line.get_own("--limit", "-l")
    if typed is None:
        return None
    limit = to_half_width(typed)
    if not limit.isascii() or not limit.isdigit() or not int(limit):
        raise InvalidOption(_("-l takes a number, not {text!r}.", text=truncate(limit, 20)))
    return int(limit)
