"""The panel: a form, the pictures of the session, and a thread that asks. The same work as a cell's.

The front end (`panel.js`) holds only what is being typed, painted and scrolled; everything else is
here, and is sent to every view when it changes. A message `{do: name}`
is answered by the method `do_name`; what may take long is done by one of two threads, so that the
kernel stays free.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.core.getipython import get_ipython

from ipyimagegen import default_studio, imaging, typed
from ipyimagegen.caption import DOT, facts
from ipyimagegen.errors import ImagineError, InvalidInput, OutcomeUnknown
from ipyimagegen.notebook import controls, given, pages, strip
from ipyimagegen.notebook.delivery import deliver
from ipyimagegen.notebook.display import show_in, status
from ipyimagegen.notebook.form import Form
from ipyimagegen.notebook.thread import Thread
from ipyimagegen.plan import Plan, Planned
from ipyimagegen.records import Run
from ipyimagegen.results import Generation, Image
from ipyimagegen.safe import plain, visible
from ipyimagegen.studio import Studio
from ipyimagegen.typed import Typed

HERE = Path(__file__)
LABELS = json.loads(HERE.with_name("labels.json").read_text(encoding="utf-8"))
Message = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One press of a button. Two that are equal, while the first runs, are one."""

    what: tuple[object, ...]
    typed: Typed


class Panel(anywidget.AnyWidget):
    """A panel of the default studio, or of `studio`. Show it by returning it from a cell.

    `result` is what it brought last. It needs a notebook; in a terminal there is `%imagine`.
    """

    _esm = HERE.with_suffix(".js")
    _css = HERE.with_suffix(".css")
    labels = traitlets.Dict(LABELS).tag(sync=True)
    language = traitlets.Unicode().tag(sync=True)
    cell_id = traitlets.Unicode().tag(sync=True)

    def __init__(self, studio: Studio | None = None) -> None:
        super().__init__(language=os.environ.get("LANG", ""))
        self.studio = studio or default_studio()
        self.result: Generation | None = None
        self._form, self._tray, self._strip = Form(), given.Tray(self.studio), strip.Strip()
        self._message: dict[str, Any] | None = None
        self._running: Asked | None = None
        self._waiting: list[Asked] = []
        self._line, self._elapsed, self._given_up = "", 0.0, False
        self._cell: Mapping[str, Any] = {}  # the message whose outputs the panel stands in
        self._lock = threading.RLock()
        self._asking, self._looking = Thread("ask"), Thread("look")
        self.studio.watchers.append(self._seen)
        self.on_msg(self._hear)

    def __repr__(self) -> str:
        return "The panel of ipyimagegen: run this cell to see it."

    def _repr_mimebundle_(self, **how: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        shell = get_ipython()
        if shell is not None and hasattr(shell, "kernel"):
            self._cell = shell.kernel.get_parent("shell")
            self.cell_id = str((self._cell.get("metadata") or {}).get("cellId") or "")
        bundle: tuple[dict[str, Any], dict[str, Any]] | None = super()._repr_mimebundle_(**how)
        return bundle

    # From the front end

    def _hear(self, _: object, content: Message, buffers: Sequence[Any]) -> None:
        work = getattr(self, f"do_{content.get('do')}", None)
        if work:
            self._safely(partial(work, content, buffers))

    def _safely(self, work: Callable[[], None]) -> None:
        """Do it; what goes wrong is told in the panel."""
        try:
            with self.studio.keys.discreet():
                work()
        except ImagineError as fault:
            self._tell("error", str(fault), retry=isinstance(fault, OutcomeUnknown))
        except Exception as fault:  # noqa: BLE001 - nobody would see it
            self._tell("error", f"The panel failed: {type(fault).__name__}: {plain(fault, 200)}")

    def do_hello(self, *_: Any) -> None:
        """Tell a new view everything."""
        self.send({"is": "form", "form": asdict(self._form)})
        self._state()
        self._looking.do(partial(self._safely, self._all_tiles))

    def do_form(self, content: Message, _: object) -> None:
        """`form` changed: what may be chosen follows from endpoint and model."""
        form = self._read(content)
        before, self._form = self._form, form
        if (before.endpoint, before.options.get("model")) != (form.endpoint, form.options.get("model")):
            self._state()

    def do_generate(self, content: Message, _: object) -> None:
        """Ask for what `form` says; `retry` also what may have been billed before."""
        self._form = self._read(content)
        local = {"retry": True} if content.get("retry") else {}
        asked = self._form.typed(self._tray.pictures(), **local)
        self._ask(Asked(what=(repr(self._form), self._tray.keys()), typed=asked))

    def do_rerun(self, content: Message, _: object) -> None:
        """Ask again, and pay again, what made the picture `key`."""
        run, _number = self.studio.find(_key(content))
        self._ask(
            Asked(
                what=("again", run.id), typed=self.studio.again(run, typed.from_call(run.request.prompt, {}))
            )
        )

    def do_cancel(self, *_: Any) -> None:
        """Give up what runs, and what waits."""
        with self._lock:
            self._waiting.clear()
            self._given_up = self._running is not None
        self._state()

    def do_dry_run(self, content: Message, _: object) -> None:
        """Show what `form` would send."""
        asked = self._read(content).typed(self._tray.pictures(), dry_run=True)
        self._looking.do(partial(self._safely, lambda: self._show_request(asked)))

    def _show_request(self, asked: Typed) -> None:
        plan = self.studio.plan(asked)
        self._tell("note", pages.dry_run(plan, self.studio.calls(plan)))

    def do_cell(self, content: Message, _: object) -> None:
        """Write `form` as a cell."""
        self.send({"is": "cell", "text": self._read(content).cell(self._tray.words())})

    def do_add(self, content: Message, _: object) -> None:
        """Add what `text` stands for to the `target`, image or mask."""
        target, text = _target(content), str(content.get("text", ""))
        shell = get_ipython()
        names = dict(shell.user_ns) if shell else {}
        self._hold(lambda: self._tray.type(target, text, names))

    def do_upload(self, content: Message, buffers: Sequence[Any]) -> None:
        """Add a file, called `name`, to the `target`."""
        target, data = _target(content), bytes(buffers[0]) if buffers else b""
        self._hold(lambda: self._tray.upload(target, str(content.get("name", "")), data))

    def do_mask(self, content: Message, buffers: Sequence[Any]) -> None:
        """Take a painted mask of `width` x `height` bits."""
        size, data = (int(content["width"]), int(content["height"])), bytes(buffers[0])
        self._hold(lambda: self._tray.paint(data, size))

    def do_use(self, content: Message, _: object) -> None:
        """Start from the picture `key`."""
        self._hold(lambda: self._tray.use(_key(content)))

    def do_remove(self, content: Message, _: object) -> None:
        """Take `key` out of the `target`."""
        self._tray.remove(_target(content), _key(content))
        self._state()

    def do_recall(self, content: Message, _: object) -> None:
        """Fill the form with what made the picture `key`."""
        run, _number = self.studio.find(_key(content))

        def recall() -> None:
            self._tray.recall(run)
            self._form = Form.of_run(run, self._name_of(run), self.studio.settings.options)
            self.send({"is": "form", "form": asdict(self._form)})

        self._hold(recall)

    def do_save(self, content: Message, _: object) -> None:
        """Write the picture `key` to the file `path`."""
        path = self._strip.image(_key(content)).save(str(content.get("path", "")))
        self._tell("note", f"saved: {path}")

    def do_hide(self, content: Message, _: object) -> None:
        """Take the picture `key` out of view."""
        self._strip.remove(_key(content))
        self.send({"is": "gone", "key": _key(content)})

    def do_view(self, content: Message, _: object) -> None:
        """Send the picture `key`: small, or the bytes as they came."""
        self._looking.do(partial(self._safely, partial(self._picture, str(content["do"]), _key(content))))

    do_thumb = do_download = do_view

    def do_paint(self, content: Message, _: object) -> None:
        """Send the picture `key`, or the first to start from, to be painted on."""
        if key := self._strip.has(_key(content)):
            self._hold(lambda: self._tray.use_first(key))
        self.do_view(content, _)

    def _picture(self, what: str, key: str) -> None:
        held, shown = self._tray.find(key), None
        if held is None and key:
            shown = self._strip.image(key)
        if what == "thumb" and (held or shown):
            made = given.thumb(held, strip.EDGE) if held else strip.thumb(shown)  # type: ignore[arg-type]
            self.send({"is": "thumb", "key": key, "mime": made.mime}, buffers=[made.data])
        elif held or shown:
            self._whole(what, key, held, shown)

    def _whole(self, what: str, key: str, held: given.Given | None, shown: Image | None) -> None:
        source = held.opened.source if held else None
        if source:
            data, mime, size, name = source.data, source.mime, (source.width, source.height), "input"
        else:
            assert shown is not None  # one of the two
            data, mime, size, name = shown.bytes, shown.mime, shown.size, shown.id.replace("/", "-")
        suffix = imaging.suffix_of(data[:64]) or ""
        told = {"mime": mime, "name": f"{name}{suffix}", "width": size[0], "height": size[1], "for": what}
        self.send({"is": "picture", "key": key, **told}, buffers=[data])

    def _hold(self, work: Callable[[], None]) -> None:
        """Change the pictures to start from: they are opened, and addresses fetched, in a thread."""

        def then() -> None:
            self._safely(work)
            self._state()

        self._looking.do(then)

    def _read(self, content: Message) -> Form:
        told = content.get("form")
        form = Form.of(told if isinstance(told, Mapping) else {})
        self.studio.keys.refuse(f"{form.prompt}\n{form.other}\n{dict(form.options)}")
        return form

    # Asking

    def _ask(self, asked: Asked) -> None:
        with self._lock:
            same = [one for one in (self._running, *self._waiting) if one and one.what == asked.what]
            if not same:
                self._waiting.append(asked)
                self._message = None
        if same:
            self._tell("note", "The same is under way already: nothing was sent a second time.")
        else:
            self._state()
            self._asking.do(self._next)

    def _next(self) -> None:
        """Carry out what waits longest, in the thread that asks."""
        with self._lock:
            if not self._waiting:
                return
            self._running, self._given_up = self._waiting.pop(0), False
            self._line, self._elapsed = "", 0.0
        self._state()
        try:
            self._safely(partial(self._carry_out, self._running.typed))
        finally:
            with self._lock:
                self._running = None
            self._state()

    def _carry_out(self, asked: Typed) -> None:
        plan = self.studio.plan(asked)
        if plan.calls[0].reused:  # a button asks for another picture, as --new does
            plan = self.studio.plan(Typed(**{**vars(asked), "options": {**asked.options, "new": True}}))
        if self._given_up:
            raise InvalidInput("Given up before anything was sent.")
        result = self.studio.carry_out(plan, _Progress(self, plan), cell=object())
        self.result = result
        if result:
            self._looking.do(lambda: self._send_tiles([], select=result[0].id))  # after the tile itself
        self._kept(result)
        shell = get_ipython()
        said = deliver(result, plan.local, shell.user_ns if shell else {})
        number = f"{result.number}{DOT}" if result.number else ""
        self._tell("done", "\n".join(filter(None, [number + DOT.join(facts(result.run)), said])))

    def _kept(self, result: Generation) -> None:
        """Show the result under the panel as well: only plain outputs are saved with a notebook."""
        if self._cell:
            show_in(self._cell, result)

    def told(self, planned: Planned, elapsed: float, partial_: bytes | None) -> None:
        """Show how far the call is; called by the thread that waits for it, about five times a second."""
        self._line, self._elapsed = visible(status(planned)), elapsed
        if self._given_up and (job := self.studio.ledger.live(planned.request)):
            job.cancel()
        made = imaging.glimpse(partial_) if partial_ else None
        told = {"is": "progress", "line": self._line, "elapsed": elapsed, "mime": made.mime if made else ""}
        self.send(told, buffers=[made.data] if made else None)

    # To the front end

    def _seen(self, run: Run) -> None:
        """Take in a run that ended, whoever asked for it."""
        self._looking.do(partial(self._safely, partial(self._tiles_of, run)))

    def _tiles_of(self, run: Run) -> None:
        generation = self.studio.generation(run)
        if changed := self._strip.add(generation):
            self._send_tiles(changed)

    def _all_tiles(self) -> None:
        for _, run in self.studio.ledger.numbered():
            origin = self.studio.store.run(run.reused_from) if run.reused_from else run
            self._strip.add(self.studio.generation(origin or run))
        self._send_tiles(self._strip.tiles, reset=True)

    def _send_tiles(
        self, tiles: Sequence[strip.Tile], *, reset: bool = False, select: str | None = None
    ) -> None:
        self.send({"is": "tiles", "tiles": strip.as_message(tiles), "reset": reset, "select": select})

    def _tell(self, kind: str, text: str, *, retry: bool = False) -> None:
        self._message = {"kind": kind, "text": visible(text), "retry": retry}
        self._state()

    def _state(self) -> None:
        """Send everything that a view shows, pictures and fields apart."""
        self.send({"is": "state", **self._choices(), **self._work()})

    def _work(self) -> dict[str, Any]:
        tray, running = self._tray, self._running
        job = (
            {"line": self._line, "elapsed": self._elapsed, "queued": len(self._waiting)} if running else None
        )
        return {
            "images": [one.as_message() for one in tray.images],
            "mask": tray.mask.as_message() if tray.mask else None,
            "job": job,
            "message": self._message,
        }

    def _choices(self) -> dict[str, Any]:
        tray = self._tray
        return controls.choices(self.studio, self._form, inputs=len(tray.images), mask=tray.mask is not None)

    def _name_of(self, run: Run) -> str:
        """Return what the form calls the server of a run."""
        endpoint = self.studio.endpoint_of(run)
        known = {one.name for one in self.studio.endpoints()}
        return endpoint.name if endpoint.name in known else run.request.base_url


class _Progress:
    """Paints into the panel; the cell's painter paints into a cell."""

    def __init__(self, panel: Panel, plan: Plan) -> None:
        self._panel, self._plan = panel, plan
        self._partial: bytes | None = None

    def working(self, planned: Planned, elapsed: float, partial: bytes | None) -> None:
        new = partial if partial is not self._partial else None
        self._partial = partial
        self._panel.told(planned, elapsed, new)

    def failed(self, planned: Planned, elapsed: float) -> None:
        """Leave it to the error."""


def _key(content: Message) -> str:
    return str(content.get("key", ""))


def _target(content: Message) -> str:
    return "mask" if content.get("target") == "mask" else "image"
