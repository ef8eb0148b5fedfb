"""The magics. Each is a doorway: read the line, call the studio, show what came."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

from IPython.core.magic import (
    Magics,
    line_cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.options import to_half_width
from ipyimagegen.core.run import Run
from ipyimagegen.core.template import looks_like_alternatives, parse
from ipyimagegen.core.text import truncate
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.notebook import help_text, image_arguments, parser, reports
from ipyimagegen.notebook.delivery import deliver_result
from ipyimagegen.notebook.display import Painter, Screen, is_notebook, show_comparison, show_image, show_text
from ipyimagegen.results import Generation, Sweep
from ipyimagegen.session.studio import Studio

OWN: Mapping[str, Mapping[str, bool]] = {
    "imagine_history": {"--search": True, "--model": True, "-m": True, "--all": False, "-l": True},
    "imagine_doctor": {"--offline": False},
}
T = TypeVar("T")
ALMOST = "braces were sent as typed: alternatives are {one|other}, on one line, of plain words"
LISTED = 20  # runs that %imagine_history shows unless told


def hide_keys(magic: Callable[..., T]) -> Callable[..., T]:
    """Let no key stand in what a magic complains of."""

    @wraps(magic)
    def inner(self: ImagineMagics, *args: Any, **kwargs: Any) -> T:
        with self._studio.keys.discreet():
            return magic(self, *args, **kwargs)

    return inner


@magics_class
class ImagineMagics(Magics):
    """Images from prompts, in cells."""

    def __init__(self, shell: Any, studio: Studio, screen: Screen) -> None:
        super().__init__(shell)
        self._studio = studio
        self._screen = screen

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    @hide_keys
    def imagine(
        self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None
    ) -> Generation | Sweep | None:
        """Ask for images."""
        read = self._read(line, cell, local_ns)
        if read.help:
            self._help("imagine")
            return None
        if cell is None and not read.verbatim:
            parser.check_line_prompt(read.rest, read.images)
        if cell is not None:
            _nothing_left(read.rest, "the prompt is what stands below this line")
        prompt = read.rest if cell is None else cell
        return self._ask(self._typed(read, prompt, local_ns, literal=False))

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    @hide_keys
    def imagine_rerun(
        self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None
    ) -> Generation | Sweep | None:
        """Ask again."""
        before = self._read(line, cell, local_ns)
        if not before.rest and not before.help:
            raise InvalidOption("%imagine_rerun needs an id: 3, -1 (the last) or 1120-k7f2/3.")
        name, rest = parser.split_first_word(before.rest, self._names(local_ns)) if before.rest else ("", "")
        after = self._read(rest, None, local_ns)
        if before.help or after.help:
            self._help("imagine_rerun")
            return None
        if len(several := name.split()) > 1:
            raise InvalidOption(
                f"%imagine_rerun takes one id; this stands for {len(several)}: {truncate(name, 60)}."
            )
        _nothing_left(after.rest, "a new prompt goes into the lines below %%imagine_rerun")
        read = parser.merge_lines(before, after)
        run, _ = self._studio.find(name)
        prompt = run.request.prompt if cell is None else cell
        changed = self._typed(read, prompt, local_ns, literal=cell is None)
        again = self._studio.again(run, changed)
        result = self._ask(again)
        if isinstance(result, Generation):
            show_text(reports.report_difference(run, result.run, asks_again=bool(again.options.get("new"))))
        elif result is not None:
            show_text(reports.report_differences(run, [one.run for one in result]))
        return result

    @no_var_expand
    @needs_local_scope
    @line_magic
    @hide_keys
    def imagine_history(self, line: str, local_ns: Mapping[str, Any] | None = None) -> None:
        """Show the runs of this session."""
        read = self._told("imagine_history", line)
        if read is None:
            return
        which, rest = parser.split_first_word(read.rest, self._names(local_ns)) if read.rest else ("", "")
        after = self._told("imagine_history", rest)
        if after is None:
            return
        read = parser.merge_lines(read, after)
        found = self._listed(which, read)
        sheet = self._studio.history.make_sheet(found)
        if sheet:
            show_image(sheet)
        show_text(reports.report_history(found, self._studio.ledger.in_flight()))

    @no_var_expand
    @needs_local_scope
    @line_magic
    @hide_keys
    def imagine_show(self, line: str, local_ns: Mapping[str, Any] | None = None) -> None:
        """Show one run whole."""
        read = self._told("imagine_show", line)
        if read is None:
            return
        name = parser.fill_ids(read.rest, self._names(local_ns))
        if len(name.split()) != 1:
            raise InvalidOption("%imagine_show takes one id: 3, -1 (the last), 3.2 or 1120-k7f2/3.")
        run, index = self._studio.find(name)
        run = self._studio.ledger.as_it_is(self._studio.fetch(self._studio.reread(run)))
        generation = self._studio.generation(run)
        for one in (image for image in generation if image.index == index) if index else [generation]:
            if one:
                show_image(one)
        history = self._studio.history
        if descent := history.make_descent_sheet(run):
            show_image(descent, "line of descent")
        show_text(
            reports.report_run(
                run,
                self._studio.ledger.number(run.id),
                in_flight=self._studio.ledger.in_flight(),
                reruns=history.list_reruns(run),
                edits=history.list_edits(run),
                named=self._studio.name_input,
            )
        )

    @no_var_expand
    @needs_local_scope
    @line_magic
    @hide_keys
    def imagine_compare(self, line: str, local_ns: Mapping[str, Any] | None = None) -> None:
        """Show runs side by side, and what differs."""
        if read := self._told("imagine_compare", line):
            show_comparison(self._studio.history.compare(*parser.split_ids(read.rest, self._names(local_ns))))

    @no_var_expand
    @line_magic
    @hide_keys
    def imagine_models(self, line: str) -> None:
        """Tell what is known of the models."""
        if read := self._told("imagine_models", line):
            show_text(reports.report_model(read.rest) if read.rest else reports.report_models())

    @no_var_expand
    @line_magic
    @hide_keys
    def imagine_endpoints(self, line: str) -> None:
        """Tell where is asked, and whether a key is set."""
        if read := self._told("imagine_endpoints", line):
            _nothing_left(read.rest, "%imagine_endpoints takes none")
            show_text(reports.report_endpoints(self._studio))

    @no_var_expand
    @line_magic
    @hide_keys
    def imagine_cost(self, line: str) -> None:
        """Tell what this session asked for, and what it cost."""
        if read := self._told("imagine_cost", line):
            _nothing_left(read.rest, "%imagine_cost takes none")
            show_text(reports.report_cost(*self._studio.ledger.spending()))

    @no_var_expand
    @line_magic
    @hide_keys
    def imagine_panel(self, line: str) -> object | None:
        """Return the panel: the same with the mouse."""
        read = self._told("imagine_panel", line)
        if read is None:
            return None
        _nothing_left(read.rest, "%imagine_panel takes none")
        if not is_notebook(self._screen.shell):
            raise InvalidOption("The panel needs a notebook; in a terminal there is %imagine.")
        from ipyimagegen.notebook.panel.widget import Panel  # noqa: PLC0415 - widgets take half a second

        return Panel(self._studio)

    @no_var_expand
    @line_magic
    @hide_keys
    def imagine_doctor(self, line: str) -> None:
        """Tell what works and what does not."""
        read = self._told("imagine_doctor", line)
        if read is None:
            return
        endpoint, rest = parser.split_first_word(read.rest) if read.rest else (None, "")
        after = self._told("imagine_doctor", rest)
        if after is None:
            return
        read = parser.merge_lines(read, after)
        _nothing_left(read.rest, "%imagine_doctor takes one endpoint")
        show_text(repr(self._studio.doctor(endpoint, offline=bool(read.own.get("--offline")))))

    @no_var_expand
    @needs_local_scope
    @line_magic
    @hide_keys
    def imagine_forget(self, line: str, local_ns: Mapping[str, Any] | None = None) -> None:
        """Delete prompt and images of runs."""
        read = self._told("imagine_forget", line)
        if read is None:
            return
        if not read.rest:
            raise InvalidOption("%imagine_forget needs an id: 3, -1 (the last) or 1120-k7f2/3.")
        forgotten = self._studio.history.forget(parser.split_ids(read.rest, self._names(local_ns)))
        show_text(reports.report_forgotten(forgotten, self._studio.history))

    # What the doorways share

    def _read(self, line: str, cell: str | None, local_ns: Mapping[str, Any] | None) -> parser.Line:
        self._studio.keys.refuse(f"{line}\n{cell or ''}")
        return parser.read(line, self._names(local_ns))

    def _told(self, magic: str, line: str) -> parser.Line | None:
        """Return the line of a magic that tells, or None when its help was wanted, and shown."""
        self._studio.keys.refuse(line)
        read = parser.read(line, {}, own=OWN.get(magic, parser.NOTHING), options=False)
        if not read.help:
            return read
        self._help(magic)
        return None

    @property
    def _variables(self) -> dict[str, Any]:
        assert self.shell is not None  # magics are registered with one
        variables: dict[str, Any] = self.shell.user_ns
        return variables

    def _names(self, local_ns: Mapping[str, Any] | None) -> Mapping[str, Any]:
        return ChainMap(dict(local_ns or {}), self._variables)

    def _typed(
        self, read: parser.Line, prompt: str, local_ns: Mapping[str, Any] | None, *, literal: bool
    ) -> UserInput:
        late, names = parser.find_late_options(prompt), self._names(local_ns)
        notes = [f"{flag} stands in the prompt and was sent as text" for flag in late]
        notes += parser.find_magic_word(prompt)
        if not literal and not read.values.get("raw") and looks_like_alternatives(parse(prompt)):
            notes.append(ALMOST)
        return UserInput(
            prompt=prompt,
            options=read.values,
            extra=read.extra,
            inputs=image_arguments.resolve_arguments(read.images, names),
            namespace=None if literal else names,
            executor=read.executor,
            notes=tuple(notes),
        )

    def _ask(self, typed: UserInput) -> Generation | Sweep | None:
        plan = self._studio.plan(typed)
        if plan.local.get("dry_run"):
            show_text(
                reports.report_plan(plan, self._studio.write_calls(plan), self._studio.describe_excess(plan))
            )
            return None
        painter = Painter(self._screen)
        result = self._studio.carry_out(plan, painter)
        painter.result(result)
        self._screen.mark(result)
        if told := deliver_result(result, plan.local, self._variables):
            show_text(told)
        if passing := self._studio.warn_of_store():
            show_text(passing)
        return result

    def _help(self, magic: str) -> None:
        print(help_text.write_help(magic))  # noqa: T201 - help is text, as `?` shows it

    def _listed(self, which: str, read: parser.Line) -> Sequence[tuple[int | None, Run]]:
        own = read.own
        limit = to_half_width(str(own.get("-l", LISTED)))
        if not limit.isascii() or not limit.isdigit() or not int(limit):
            raise InvalidOption(f"-l takes a number of runs, not {truncate(limit, 20)!r}.")
        if which and own.get("--all"):
            raise InvalidOption("--all shows the runs of every session; a number is one of this session.")
        _nothing_left(read.rest, 'a text of several words is written --search "a red fox"')
        model = own.get("--model") or own.get("-m")
        return self._studio.history.list_runs(
            which,
            everywhere=bool(own.get("--all")),
            search=str(own["--search"]) if "--search" in own else None,
            model=str(model) if model else None,
            limit=int(limit),
        )


def _nothing_left(rest: str, where: str) -> None:
    if rest:
        raise InvalidOption(f"{truncate(rest, 40)!r} is not expected: {where}.")


for _name in help_text.PAGES:  # what `%%imagine?` shows
    getattr(ImagineMagics, _name).__doc__ = help_text.write_help(_name)
