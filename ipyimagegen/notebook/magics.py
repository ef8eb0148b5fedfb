"""What the magics do: each parses its line, calls the studio and shows the result."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import ipyimagegen
from ipyimagegen.core.errors import Detached, ImagineError, InvalidOption
from ipyimagegen.core.messages import _
from ipyimagegen.core.options import to_half_width
from ipyimagegen.core.text import escape_hidden, truncate
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.notebook import completion, parser, reports
from ipyimagegen.notebook.display import (
    Painter,
    attach,
    deliver_result,
    is_notebook,
    show_comparison,
    show_image,
    show_table,
    show_text,
)
from ipyimagegen.notebook.fronts import CELL
from ipyimagegen.notebook.help_text import PAGES, write_help
from ipyimagegen.notebook.parser import Line, resolve_images
from ipyimagegen.results import Result
from ipyimagegen.session.studio import Studio

LISTED = 20  # runs that %imagine_history shows without -l
LISTED_MODELS = 40  # models that %imagine_models --server shows without -l


class ImagineMagics:
    """The magics of a shell and its studio; `run` calls the method of the magic's name."""

    def __init__(self, shell: InteractiveShell, studio: Studio) -> None:
        self._shell = shell
        self._studio = studio
        self._screen = attach(studio, shell)

    def run(self, name: str, line: str, cell: str | None, local_ns: Mapping[str, Any] | None) -> object:
        """Run a magic. Its errors hold no key and are worded for cells; the last stays in `_imagine_error`.

        Raises UsageError in place of an error under `%pdb on`: the debugger is for the user's own code. It
        never stands for Detached, which `except Exception` would catch then.
        """
        page, names = PAGES[name], ChainMap(dict(local_ns or {}), self._shell.user_ns)
        with self._studio.keys.discreet():
            try:
                self._studio.keys.refuse(f"{line}\n{cell or ''}")
                words = page.words != "prompt"
                parsed = parser.parse_line(line, names, own=page.own, options=page.options, words=words)
                if parsed.help:
                    print(write_help(name))  # plain text, as `?` shows it
                    return None
                if not page.words:
                    _refuse_words(" ".join(parsed.words), _("{magic} takes no argument", magic=f"%{name}"))
                return getattr(self, name)(parsed, cell, names)
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

    def imagine(self, line: Line, cell: str | None, names: Mapping[str, Any]) -> Result | None:
        """Generate images from a prompt."""
        if cell is not None:
            _refuse_words(line.rest, _("the prompt stands below this line"))
        elif not line.verbatim:
            parser.check_line_prompt(line.rest, line.images)
        return self._send(_make_input(line, line.rest if cell is None else cell, names, literal=False))

    def imagine_rerun(self, line: Line, cell: str | None, names: Mapping[str, Any]) -> Result | None:
        """Run again, with options or prompt changed."""
        run, _number = self._studio.find(_take_id(line, "%imagine_rerun"))
        prompt = run.request.prompt if cell is None else cell
        changed = _make_input(line, prompt, names, literal=cell is None)
        request = self._studio.again(run, changed)
        result = self._send(request)
        if result is not None:
            show_text(reports.report_rerun(run, result, forced=bool(request.options.get("new"))))
        return result

    def imagine_history(self, line: Line, *_cell: object) -> None:
        """List the runs of this session."""
        ids, everywhere, limit = _read_filters(line)
        search, model = line.own.get("--search"), line.own.get("--model") or line.own.get("-m")
        runs = self._studio.history.list_runs(
            ids,
            everywhere=everywhere,
            search=str(search) if search else None,
            model=str(model) if model else None,
            limit=limit,
        )
        if sheet := self._studio.history.make_sheet(runs):
            show_image(sheet)
        show_text(reports.report_history(runs, self._studio.ledger.in_flight()))

    def imagine_show(self, line: Line, *_cell: object) -> None:
        """Show a run in full."""
        run, number = self._studio.find(_take_id(line, "%imagine_show"))
        run = self._studio.ledger.as_it_is(self._studio.fetch(self._studio.reread(run), patient=False))
        generation = self._studio.generation(run)
        if number is None and generation:
            show_image(generation)
        for image in generation:
            if image.index == number:
                show_image(image)
        if descent := self._studio.history.make_descent_sheet(run):
            show_image(descent, "line of descent")
        show_text(reports.report_run(run, self._studio))

    def imagine_compare(self, line: Line, *_cell: object) -> None:
        """Show runs side by side, with their differences."""
        show_comparison(self._studio.history.compare(*line.ids))

    def imagine_models(self, line: Line, *_cell: object) -> None:
        """List the models of the catalog or of a server, or show a model in full."""
        if server := line.own.get("--server"):
            words: list[str | None] = [*([] if server is True else [str(server)]), *line.words]
            endpoint, *others = words or [None]
            _refuse_words(" ".join(map(str, others)), _("{flag} takes one endpoint", flag="--server"))
            listed = self._studio.list_models(endpoint)
            show_table(reports.report_server_models(*listed, _read_limit(line, LISTED_MODELS)))
        elif line.words:
            show_text(reports.report_model(" ".join(line.words)))
        else:
            show_table(reports.report_models())

    def imagine_endpoints(self, *_line: object) -> None:
        """List the endpoints and whether their keys are set."""
        show_table(reports.report_endpoints(self._studio))

    def imagine_cost(self, *_line: object) -> None:
        """Show the calls and the spending of this session."""
        show_text(reports.report_cost(*self._studio.ledger.spending()))

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
        """Delete prompts and images of runs."""
        if not line.words:
            raise _make_id_error("%imagine_forget")
        forgotten = self._studio.history.forget(line.ids)
        show_text(reports.report_forgotten(forgotten, self._studio.history))

    def _send(self, user_input: UserInput) -> Result | None:
        """Carry out a request and show its result, or show its plan for a dry run."""
        plan = self._studio.plan(user_input)
        if plan.local.get("dry_run"):
            show_text(
                reports.report_plan(plan, self._studio.write_calls(plan), self._studio.describe_excess(plan))
            )
            return None
        painter = Painter(self._screen)
        result = self._studio.carry_out(plan, painter)
        painter.show_result(result)
        self._screen.mark_shown(result)
        for text in (deliver_result(result, plan.local, self._shell.user_ns), self._studio.warn_of_store()):
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
    return InvalidOption(_("{magic} needs an id: 3, -1 (shown last) or 1120-k7f2/3.", magic=magic))


def _take_id(line: Line, magic: str) -> str:
    """Return the only id of a line. Raises InvalidOption for none or several."""
    if not line.ids:
        raise _make_id_error(magic)
    if len(line.ids) > 1:
        ids = truncate(" ".join(line.ids), 60)
        raise InvalidOption(
            _("{magic} takes one id; there are {count}: {ids}.", magic=magic, count=len(line.ids), ids=ids)
        )
    return line.ids[0]


def _read_filters(line: Line) -> tuple[str, bool, int]:
    """Return which runs %imagine_history lists: an id or range, whether all sessions', and how many."""
    everywhere, (ids, *others) = "--all" in line.own, line.words or [""]
    limit = _read_limit(line, LISTED)
    if ids and everywhere:
        raise InvalidOption(_("--all lists the runs of every session; an id names a run of this session."))
    example = '--search "a red fox"'
    _refuse_words(" ".join(others), _("a text of several words is written {example}", example=example))
    return ids, everywhere, limit


def _read_limit(line: Line, usual: int) -> int:
    """Return the number after -l. Raises InvalidOption."""
    limit = to_half_width(str(line.own.get("-l", usual)))
    if not limit.isascii() or not limit.isdigit() or not int(limit):
        raise InvalidOption(_("-l takes a number, not {text!r}.", text=truncate(limit, 20)))
    return int(limit)
