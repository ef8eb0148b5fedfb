"""Display: a status line while a call runs, then the image in its place, and a caption below it.

Everything is a plain `image/png`, `image/jpeg` or `text/plain` output, so that it looks the same in
every front end and in exports of the notebook.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial
from getpass import getpass
from typing import Any

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from ipyimagegen import imaging
from ipyimagegen.core.background import run_in_background
from ipyimagegen.core.endpoints import to_host
from ipyimagegen.core.errors import Detached, ImagineError
from ipyimagegen.core.messages import PYTHON, Front, Message, _, join, render
from ipyimagegen.core.options import Value
from ipyimagegen.core.plan import Plan, PlannedCall, describe_second_jobs
from ipyimagegen.core.run import format_costs
from ipyimagegen.core.settings import Settings
from ipyimagegen.core.text import DOT, Table, escape_hidden, sanitize, truncate
from ipyimagegen.notebook.config import Imagine
from ipyimagegen.notebook.fronts import CELL, PANEL
from ipyimagegen.results import Bundle, Generation, Image, Pending, Result, bundle_preview
from ipyimagegen.results.compare import Comparison
from ipyimagegen.session.scheduler import Batch
from ipyimagegen.session.studio import Studio
from ipyimagegen.session.waiting import CLEAR_LINE, INTERVAL, wait_for

_INTERVAL_LATER = 1.0  # the same for cells that have ended: there may be a hundred
PLAN = 0.8  # seconds for which a plan stands before the first status line
_SHEET_INTERVAL = 1.0  # seconds, at least, between two sheets of a sweep
_SHEET_SHARE = 10  # a sheet is drawn in at most a tenth of the time
_FILES = 8  # that are named when a result is saved; the others are counted


def attach(studio: Studio, shell: InteractiveShell) -> Screen:
    """Connect the default studio to a shell: display, settings and the prompt for keys."""
    screen = connect(studio, shell)
    studio.configure(lambda: _read_settings(shell), ask=lambda question: _ask(shell, question))
    # A notebook shows only the image of an output that has image and text: a comparison makes two outputs.
    assert shell.display_formatter is not None  # every shell has a formatter
    shell.display_formatter.ipython_display_formatter.for_type(Comparison, _show_comparison_value)
    return screen


def connect(studio: Studio, shell: InteractiveShell) -> Screen:
    """Let a studio show its results and its progress in a shell; its cells have a limit of calls."""
    screen = Screen(shell)
    studio.painter, studio.progress = screen.show_value, screen.show_progress
    if is_notebook(shell):  # a kernel is stopped without a chance to wait
        studio.outlast = partial(_wait_in_cell, shell)
    studio.cell = lambda: shell.execution_count
    return screen


def _wait_in_cell(shell: InteractiveShell, wait: Callable[[], None]) -> None:
    """Wait at the end of the running cell where nobody watches: the kernel may be stopped after it."""

    def wait_once(_result: object) -> None:
        shell.events.unregister("post_run_cell", wait_once)
        wait()

    if not is_watched(shell):
        shell.events.register("post_run_cell", wait_once)


def _read_settings(shell: InteractiveShell) -> Settings:
    """Return what `%config Imagine` holds; the defaults where the extension is not loaded."""
    imagine = next((item for item in shell.configurables if isinstance(item, Imagine)), None)
    return Settings(**imagine.read_values()) if imagine else Settings()


def _ask(shell: InteractiveShell, question: str) -> str:
    """Return a key that a person types, hidden; nothing where nobody can answer.

    Only a cell can ask: the thread of the panel has no input.
    """
    if not is_watched(shell) or threading.current_thread() is not threading.main_thread():
        return ""
    return getpass(question)


def is_notebook(shell: InteractiveShell) -> bool:
    """Return whether a front end shows rich outputs: a kernel runs this shell."""
    return hasattr(shell, "kernel")


def is_watched(shell: InteractiveShell) -> bool:
    """Return whether a person watches: the front end allows input, or this is a terminal.

    Programs that run notebooks unattended (nbclient, nbval) allow no input. Status lines would be left
    in their notebooks, because they know no updates.
    """
    if isinstance(shell.display_pub, CapturingDisplayPublisher):
        return False  # %%capture keeps every update as an output of its own
    if is_notebook(shell):
        return bool(getattr(shell.kernel, "_allow_stdin", False))  # type: ignore[attr-defined]
    return sys.stdin.isatty()


def can_update(shell: InteractiveShell) -> bool:
    """Return whether what is shown now can be replaced later: the status line by the image.

    JupyterLab, Notebook 7, VS Code and Colab can, and the first three say which cell asks; qtconsole, jupyter
    console and Spyder ignore updates. What goes to an Output widget cannot: front ends hand it new outputs
    only. A terminal overwrites a line.
    """
    if not is_watched(shell):
        return False
    if not is_notebook(shell):
        return sys.stderr.isatty()
    parent = _get_parent(shell)
    if not _names_cell(parent) and "google.colab" not in sys.modules:
        return False
    return not any(output.msg_id == parent["header"]["msg_id"] for output in _list_output_widgets())


def _get_parent(shell: InteractiveShell) -> Mapping[str, Any]:
    """Return the message that this thread answers; nothing outside a notebook."""
    parent: Mapping[str, Any] = getattr(shell, "parent_header", None) or {}
    return parent


def _names_cell(parent: Mapping[str, Any]) -> bool:
    return "cellId" in parent.get("metadata", {})


def _list_output_widgets() -> list[Any]:
    """Return the Output widgets of this kernel; `msg_id` is the request whose outputs they take."""
    module: Any = sys.modules.get("ipywidgets.widgets.widget")
    if module is None:
        return []
    # ipywidgets 8 has no public registry, and warns of that of ipywidgets 7.
    widgets = vars(module).get("_instances")
    widgets = module.Widget.widgets if widgets is None else widgets
    return [widget for widget in tuple(widgets.values()) if hasattr(widget, "msg_id")]


def write_status(batch: Batch) -> Message:
    """Return the status line without the time: endpoint, model and estimate, or the progress of a sweep."""
    calls = batch.calls
    if not batch.plan.axes:
        (planned,) = batch.plan.calls
        parts = [truncate(planned.endpoint.name)]
        if planned.sent.model and planned.sent.model != planned.endpoint.name:
            parts.append(truncate(planned.sent.model))
        parts += [*_name_key_hosts([planned]), str(planned.estimate)]
        if batch.job:
            parts.append(
                join([_("job {job}", job=batch.job.id), batch.job.status or _("not finished")], ": ")
            )
        parts += describe_second_jobs([planned])
        if planned.seconds:
            low, high = planned.seconds
            parts.append(_("takes about {low:g}–{high:g} s", low=low, high=high))
        return join([*parts, *_list_retirements([planned]), *batch.plan.notes])
    endpoints = dict.fromkeys(truncate(planned.endpoint.name) for planned in batch.plan.calls)
    reused = sum(call.cached is not None for call in calls)
    unsent = sum(call.unsent for call in calls)
    failed = sum(call.settled and not call.has_images for call in calls) - unsent
    estimates = [call.planned.estimate for call in calls if call.planned.asks]
    parts = [
        ", ".join(endpoints),
        *_name_key_hosts(batch.plan.calls),
        format_costs(estimates),
        *_list_retirements(batch.plan.calls),
        *batch.plan.notes,
        _("{done} of {total}", done=sum(call.has_images for call in calls), total=len(calls)),
    ]
    if reused:
        parts.append(_("{count} from history", count=reused))
    if failed:
        parts.append(_("{count} failed", count=failed))
    if unsent:
        parts.append(_("{count} not sent", count=unsent))
    elif seconds := batch.seconds_left:
        parts.append(_("about {seconds:.0f} s left", seconds=seconds))
    return join(parts)


def _name_key_hosts(calls: Iterable[PlannedCall]) -> list[Message]:
    """Return which hosts get the key of another server, because the user's entry allows it."""
    hosts = dict.fromkeys(to_host(call.endpoint.base_url) for call in calls if call.endpoint.allow_key)
    return [_("key sent to {hosts}", hosts=[truncate(host, 80) for host in hosts])] if hosts else []


def _list_retirements(calls: Iterable[PlannedCall]) -> list[Message]:
    """Return when the models of calls that are to be sent are shut down, each model once."""
    return list(dict.fromkeys(call.retirement for call in calls if call.retirement and call.asks))


@dataclass(frozen=True)
class CellOutputs:
    """The outputs of a cell: to show and update also from a thread, and after the cell has ended.

    `parent` is the message that started the cell. What another cell captures meanwhile is not among them.
    """

    kernel: Any
    parent: Mapping[str, Any]

    def show(
        self, data: dict[str, Any], metadata: dict[str, Any], *, display_id: str = "", update: bool = False
    ) -> None:
        """Add an output, or update those of a display id."""
        transient = {"display_id": display_id} if display_id else {}
        content = {"data": _escape(data), "metadata": metadata, "transient": transient}
        kind = "update_display_data" if update else "display_data"
        self.kernel.session.send(
            self.kernel.iopub_socket, kind, content, parent=self.parent, ident=b"display_data"
        )


class Screen:
    """The display of a shell. It stores what the running cell has shown."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self._cell: object = None
        self._shown: set[Result | Pending] = set()

    def show_value(self, result: Result | Pending) -> None:
        """Show a result with its caption where IPython displays it, a pending result when it comes.

        The value of a cell that has shown it already is not shown again. Raises NotImplementedError where
        IPython shows a single output instead: for a display id, for chosen types, or in a program's output.
        """
        is_value = _check_display_caller()
        if is_value and self._cell == self._identify_cell() and result in self._shown:
            if not is_notebook(self.shell):
                raise NotImplementedError  # a terminal has printed `Out[3]: `
            return
        if is_value and not is_notebook(self.shell):
            print()  # below `Out[3]: `
        painter = Painter(self, PYTHON)
        if isinstance(result, Pending):
            try:
                painter.follow(result)
            except ImagineError as error:  # IPython would show it and, as for any object, the text as well
                show_text(str(error))
        else:
            painter.show_result(result)

    @contextmanager
    def show_progress(self, shown: bool | None) -> Iterator[Painter | None]:
        """Show the progress of a Python call where a person watches, and clear it at the end.

        Calls in other threads show their progress only when asked to: their lines would be mixed.
        """
        in_main = threading.current_thread() is threading.main_thread()
        painter = Painter(self, PYTHON) if (in_main if shown is None else shown) else None
        try:
            yield painter
        finally:
            if painter:
                painter.clear()

    def mark_shown(self, result: Result | Pending) -> None:
        """Remember that the running cell has shown this result."""
        if self._cell != (cell := self._identify_cell()):
            self._cell, self._shown = cell, set()
        self._shown.add(result)

    def _identify_cell(self) -> object:
        """Return what differs from cell to cell, and for the callback of a widget."""
        return self.shell.execution_count, _get_parent(self.shell).get("header", {}).get("msg_id")


def _check_display_caller() -> bool:
    """Return whether IPython shows the value of a cell; False for a call of `display` without options.

    Raises NotImplementedError for anything else that asks IPython for the formats of a value. IPython tells
    an object nothing of this: it is read from the frames that called.
    """
    frame = inspect.currentframe()
    while frame and frame.f_code is not DisplayFormatter.format.__code__:
        frame = frame.f_back
    if frame and (frame := frame.f_back):
        if frame.f_locals.get("self") is sys.displayhook:
            return True
        options = ("include", "exclude", "metadata", "transient", "display_id", "kwargs")
        if frame.f_code is display.__code__ and not any(map(frame.f_locals.get, options)):
            return False
    raise NotImplementedError


class Painter:
    """The outputs of a request in a cell; each is updated until it holds the result.

    During the call: the status line; with a stream also the newest image, with a sweep its sheet so far,
    above the status line. Afterwards, in the same outputs: the result and its caption.
    """

    def __init__(self, screen: Screen, front: Front = CELL) -> None:
        self._screen, self._front = screen, front
        self._notebook = is_notebook(screen.shell)
        self._updates = can_update(screen.shell)
        self._display_ids: list[str] = []
        self._partial: bytes | None = None
        self._has_image = False  # in the first output
        self._interval = INTERVAL
        self._show: Callable[..., None] = _display
        self._last_update = 0.0
        self._settled = 0  # calls on the last sheet
        self._next_sheet = 0.0

    def planned(self, plan: Plan) -> None:
        """Show a plan in place of the status line, for long enough to be read."""
        if self._updates:
            self._last_update = time.monotonic() + PLAN - INTERVAL
            self._show_line(render(plan.summary, self._front))

    def working(self, batch: Batch) -> None:
        """Show the progress at most four times a second, where it can be replaced."""
        now = time.monotonic()
        if self._updates and now - self._last_update >= self._interval:
            self._last_update = now
            self._show_progress(batch)

    def failed(self, batch: Batch) -> None:
        """Show a last status line, and the images of a sweep so far; the error follows."""
        if self._display_ids or not self._notebook:
            self._next_sheet = 0.0
            self._show_progress(batch)
            self._clear_line()

    def show_result(self, result: Result) -> None:
        """Show the image in place of the status line, and the caption below it."""
        caption: Bundle = ({"text/plain": result.write_caption(self._front)}, {})
        if self._notebook:
            for place, bundle in enumerate([*result.to_bundles(), caption]):
                self._put(place, bundle)
        else:
            self._clear_line()
            print("\n".join(map(str, result.files)))  # a terminal shows no images
            _display(*caption)

    def follow(self, pending: Pending, *, save: bool = False) -> None:
        """Show the progress of a pending result and, in the same outputs, the result or its error.

        The cell ends at once where its outputs can be updated afterwards; else it waits, and an error is
        raised here. With `save` the result is saved as its options say.
        """
        local = pending.batch.plan.local if save else {}
        shell: Any = self._screen.shell
        parent = _get_parent(shell)
        # Whether Colab, which does not name the cell, updates outputs of a cell that has ended is not known.
        if pending.done() or not (self._updates and _names_cell(parent)):
            self.show_result(self._wait(pending))
            if saved := save_result(pending.result(), local):
                show_text(saved)
            return
        self._interval = _INTERVAL_LATER
        self._show_progress(pending.batch)
        prompt = pending.batch.plan.prompt or pending.batch.plan.calls[0].request.prompt
        self._put(1, ({"text/plain": truncate(prompt, 80)}, {}))  # below the image there will be a caption
        self._show = CellOutputs(shell.kernel, parent).show
        run_in_background(partial(self._finish_later, pending, local), "follow")

    def _wait(self, pending: Pending) -> Result:
        timeout = pending.batch.plan.local.get("timeout")
        wait_for(pending.batch, self, None if timeout is None else float(timeout))
        return pending.result()

    def _finish_later(self, pending: Pending, local: Mapping[str, Value]) -> None:
        """Wait for a pending result in a thread, then show the result or its error."""
        try:
            result = self._wait(pending)
            self.show_result(result)
        except (Exception, Detached) as error:  # noqa: BLE001 - an error in a thread is seen nowhere else
            self._show_line(self._write_error(error))
            for place in range(2 if self._has_image else 1, len(self._display_ids)):
                self._put(place, ({}, {}))
            return
        try:
            saved = save_result(result, local)
        except ImagineError as error:  # the image stays
            saved = self._write_error(error)
        if saved:
            self._put(len(self._display_ids), ({"text/plain": saved}, {}))

    def _write_error(self, error: BaseException) -> str:
        if not isinstance(error, ImagineError):
            return f"{type(error).__name__}: {sanitize(error, 200)}"
        worded = copy(error)  # whoever asks for the result gets the error in other words
        worded.front = self._front
        return str(worded)

    def clear(self) -> None:
        """Remove what was shown: front ends draw nothing for an output without data."""
        self._clear_line()
        for display_id in self._display_ids:
            self._show({}, {}, display_id=display_id, update=True)

    def _show_progress(self, batch: Batch) -> None:
        if self._notebook and (bundle := self._make_sheet(batch) or self._make_partial(batch)):
            self._has_image = True
            self._put(0, bundle)
        self._show_line(f"{render(write_status(batch), self._front)}{DOT}{batch.elapsed:.1f} s")

    def _show_line(self, line: str) -> None:
        if self._notebook:
            self._put(1 if self._has_image else 0, ({"text/plain": line}, {}))
        elif self._updates:
            sys.stderr.write(f"{CLEAR_LINE}{line}")
            sys.stderr.flush()

    def _clear_line(self) -> None:
        if not self._notebook and self._updates:
            sys.stderr.write(CLEAR_LINE)

    def _make_partial(self, batch: Batch) -> Bundle | None:
        """Return the newest image of a stream, once."""
        partial = batch.partial
        if partial is None or partial is self._partial:
            return None
        self._partial = partial
        preview = imaging.preview_partial(partial)
        prompt = batch.plan.calls[0].request.prompt
        return bundle_preview(preview, _("a partial image"), prompt, framed=True) if preview else None

    def _make_sheet(self, batch: Batch) -> Bundle | None:
        """Return the first sheet of a sweep, if more calls have settled and the last sheet is old enough."""
        settled, now = sum(call.settled for call in batch.calls), time.monotonic()
        is_new = settled != self._settled and now >= self._next_sheet
        if not (batch.plan.axes and batch.snapshot and is_new):
            return None
        self._settled, bundle = settled, batch.snapshot().pages[0].bundle
        self._next_sheet = time.monotonic() + max(_SHEET_INTERVAL, _SHEET_SHARE * (time.monotonic() - now))
        return bundle

    def _put(self, place: int, bundle: Bundle) -> None:
        """Show an output, or update it where this painter has shown it before; places count from 0."""
        if place < len(self._display_ids):
            self._show(*bundle, display_id=self._display_ids[place], update=True)
        elif not self._updates:
            self._show(*bundle)
        else:
            self._display_ids.append(os.urandom(16).hex())
            self._show(*bundle, display_id=self._display_ids[place])


def show_in(cell: Mapping[str, Any], result: Result) -> None:
    """Show a result of the panel among the outputs of its cell; `cell` is the message that started it."""
    shell: Any = InteractiveShell.instance()
    for bundle in [*result.to_bundles(), ({"text/plain": result.write_caption(PANEL)}, {})]:
        CellOutputs(shell.kernel, cell).show(*bundle)


def show_image(image: Generation | Image | imaging.Preview, name: str = "contact sheet") -> None:
    """Show an image without a caption; a terminal that shows no images prints nothing for it."""
    if isinstance(image, imaging.Preview):
        data, metadata = bundle_preview(image, name, name)
    else:
        data, metadata = image._repr_mimebundle_()
    if not is_notebook(InteractiveShell.instance()):
        del data["text/plain"]
    _display(data, metadata)


def show_comparison(comparison: Comparison) -> None:
    """Show runs side by side, and their differences below."""
    show_image(comparison.sheet, comparison.name)
    show_text(comparison.text)


def _show_comparison_value(comparison: Comparison) -> None:
    """Show a comparison that IPython displays. Raises NotImplementedError as `Screen.show_value` does."""
    _check_display_caller()
    show_comparison(comparison)


def show_text(text: str) -> None:
    """Show plain text as a single output."""
    _display({"text/plain": text}, {})


def show_table(table: Table) -> None:
    """Show a table as HTML, and as plain text where HTML is not shown."""
    _display({"text/plain": table.to_text(CELL), "text/html": table.to_html(CELL)}, {})


def _display(data: dict[str, Any], metadata: dict[str, Any], **options: Any) -> None:
    display(_escape(data), metadata=metadata, raw=True, **options)  # type: ignore[no-untyped-call]


def _escape(data: dict[str, Any]) -> dict[str, Any]:
    text = data.get("text/plain")
    return {**data, "text/plain": escape_hidden(text)} if text else data


def bind_result(
    result: Result | Pending, local: Mapping[str, Value], variables: MutableMapping[str, Any]
) -> None:
    """Bind the result to the variable that its options name, if any."""
    if "as_" in local:
        variables[str(local["as_"])] = result


def save_result(result: Result, local: Mapping[str, Value]) -> str:
    """Save the result if its options say so, and return the line that names the files.

    Call it after the result was shown: a file that cannot be written hides no image. Raises StoreError.
    """
    if "save" not in local:
        return ""
    paths, notes = result.save_silently(local["save"])
    files = [str(path) for path in paths]
    saved = _("saved: {files}", files=files)
    if len(files) > _FILES:
        saved = _("saved: {files} and {count} more", files=files[:_FILES], count=len(files) - _FILES)
    return "\n".join([saved, *notes[:_FILES]])
