"""The panel: a form, the images of the session, and requests. The same work as a cell's.

The front end (`panel.js`) holds only what is being typed, painted and scrolled; everything else is
here, and is sent to every view when it changes. A message `{do: name}` is answered by `do_name`: by one
thread, in order, so that what was uploaded is there when Generate is pressed. Others send images, and
one asks (`RequestQueue`): the kernel stays free.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets
from IPython.core.getipython import get_ipython

from ipyimagegen import default_studio, imaging
from ipyimagegen.core import user_input
from ipyimagegen.core.errors import ImagineError
from ipyimagegen.core.messages import render
from ipyimagegen.core.plan import Plan
from ipyimagegen.core.run import Run
from ipyimagegen.core.text import DOT, escape_hidden, sanitize
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.notebook import reports
from ipyimagegen.notebook.delivery import deliver_result
from ipyimagegen.notebook.display import PLAN, show_in, write_status
from ipyimagegen.notebook.messages import CELL
from ipyimagegen.notebook.panel import controls, gallery
from ipyimagegen.notebook.panel.attachments import Attachments, File
from ipyimagegen.notebook.panel.form import Form
from ipyimagegen.notebook.panel.request_queue import RequestQueue
from ipyimagegen.notebook.panel.wording import LABELS, to_panel_words
from ipyimagegen.notebook.panel.worker import Thread
from ipyimagegen.results import Generation, Sweep
from ipyimagegen.results.captions import list_facts, list_failures
from ipyimagegen.session.batch import Batch
from ipyimagegen.session.studio import Studio

STATIC = Path(__file__).parent / "static"
LOOKING = ("view", "download")
UNSEEN = ("hello", "form", "paint")  # what a view says by itself
ASKING = ("generate", "retry", "rerun")
AT_ONCE = 8  # small images in a message: fewer messages are quicker, and the first ones are soon there
THREADS = ("desk", "look", "thumbs")
Message = Mapping[str, Any]
ANEW = "All of it is in the history: Generate asks for it anew."
SAME = "The same is under way already: nothing was sent a second time."


class Panel(anywidget.AnyWidget):
    """A panel of the default studio, or of `studio`. Show it by returning it from a cell.

    `result` is what it brought last. It needs a notebook; in a terminal there is `%imagine`.
    """

    _esm = STATIC / "panel.js"
    _css = STATIC / "panel.css"
    labels = traitlets.Dict(dict(LABELS)).tag(sync=True)
    language = traitlets.Unicode().tag(sync=True)
    cell_id = traitlets.Unicode().tag(sync=True)
    _shown: ClassVar[weakref.WeakSet[Panel]] = weakref.WeakSet()
    _ipython_display_ = None  # ipywidgets 7 defines it, and IPython would not call _repr_mimebundle_

    def __init__(self, studio: Studio | None = None) -> None:
        super().__init__(language=os.environ.get("LANG", ""))
        self.studio = studio or default_studio()
        self.result: Generation | Sweep | None = None
        self._form, self._tray, self._strip = Form(), Attachments(self.studio), gallery.Gallery()
        self._asking = RequestQueue(self.studio, self)
        self._message: dict[str, Any] | None = None
        self._dropped = 0  # requests, by the Cancel that is being answered
        self._told = 0  # messages so far: the same words once more are news all the same
        self._line, self._elapsed, self._partial = "", 0.0, b""
        self._planned = -PLAN  # when the plan of a sweep was shown
        self._cell: Mapping[str, Any] = {}  # the message whose outputs the panel stands in
        self._lock = threading.RLock()  # so that the state sent last is the newest
        self._desk, self._looking, self._thumbs = (Thread(f"imagine panel {name}") for name in THREADS)
        self.studio.watchers.append(self._seen)
        self.on_msg(self._hear)

    def __repr__(self) -> str:
        return "The panel of ipyimagegen: run this cell to see it."

    def _repr_mimebundle_(self, **how: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        shell = get_ipython()
        if shell is not None and hasattr(shell, "kernel"):
            self._cell = shell.kernel.get_parent("shell")
            self.cell_id = str((self._cell.get("metadata") or {}).get("cellId") or "")
            for one in tuple(Panel._shown):
                if one is not self and self.cell_id and one.cell_id == self.cell_id:
                    one.close()  # its cell was run again, and shows this one in its place
            Panel._shown.add(self)
        bundle: tuple[dict[str, Any], dict[str, Any]] | None = super()._repr_mimebundle_(**how)
        return bundle

    def close(self) -> None:
        """Forget what waits; what runs goes on, and its images land in the history."""
        if self._seen in self.studio.watchers:
            self.studio.watchers.remove(self._seen)
        Panel._shown.discard(self)
        self._asking.close()
        for thread in (self._desk, self._looking, self._thumbs):
            thread.end()
        super().close()

    # From the front end

    def _hear(self, _: object, content: Message, buffers: Sequence[Any]) -> None:
        name = str(content.get("do"))
        if name == "cancel":  # at once, whatever the desk is doing, and then what it had still to do
            self._dropped = self._asking.cancel()
        if name in LOOKING:  # somebody waits for a large image; there may be many small ones
            self._looking.do(partial(self.guarded, partial(self._look, name, content)))
        elif name == "thumbs":
            self._thumbs.do(partial(self.guarded, partial(self._small, list(content.get("keys", [])))))
        elif work := getattr(self, f"do_{name}", None):
            self._desk.do(partial(self.guarded, partial(self._answer, work, content, buffers)))

    def _answer(self, work: Callable[[Message, Sequence[Any]], None], content: Message, buffers: Any) -> None:
        self.studio.keys.refuse("\n".join(_texts(content)))
        retry = self._message is not None and self._message["retry"]
        if content["do"] in ASKING or not (retry or content["do"] in UNSEEN):
            self._message = None  # what may be asked again stays until something is asked
        if content["do"] in ASKING and content["do"] != "retry":
            self._asking.unknown_outcome = None
        try:
            work(content, buffers)
        finally:
            self.changed()

    def guarded(self, work: Callable[[], None]) -> None:
        """Do it; what goes wrong is told in the panel."""
        try:
            with self.studio.keys.discreet():
                work()
        except ImagineError as fault:
            self._tell("error", str(fault))
        except Exception as fault:  # noqa: BLE001 - nobody would see it
            self._tell("error", f"The panel failed: {type(fault).__name__}: {sanitize(fault, 200)}")

    def do_hello(self, content: Message, _: object) -> None:
        """Tell a new view everything."""
        self._push("form", form=asdict(self._form), view=content.get("view"), hello=True)
        runs = [run for _number, run in self.studio.ledger.numbered() if not run.forgotten]
        self._strip.renew(map(self.studio.generation, runs))
        self._send_tiles(self._strip.tiles, reset=True)

    def do_form(self, content: Message, _: object) -> None:
        """`form` changed: what may be chosen follows from endpoint and model."""
        self._form = _form(content)

    def do_generate(self, content: Message, _: object) -> None:
        """Ask for what `form` says."""
        self._form = _form(content)
        self._ask(self._form.typed(self._tray.to_refs()))

    def do_retry(self, *_: object) -> None:
        """Ask once more for what ended with an unknown outcome, as it was."""
        if not self._asking.again():
            self._tell("note", SAME)

    def do_cancel(self, *_: object) -> None:
        """Give up what runs, and what waits."""
        dropped = self._dropped + self._asking.cancel()
        if self._asking.running:
            waiting = f" {dropped} that waited will not be sent." if dropped else ""
            self._tell("note", f"Giving up …{waiting}")

    def do_rerun(self, content: Message, _: object) -> None:
        """Ask again, and pay again, what made the image `key`."""
        run, _number = self.studio.find(_key(content))
        self._ask(self.studio.again(run, user_input.from_call(run.request.prompt, {})))

    def _ask(self, asked: UserInput) -> None:
        if not self._asking.ask(asked):
            self._tell("note", SAME)

    def do_dry_run(self, content: Message, _: object) -> None:
        """Show what `form` would send."""
        plan = self._asking.plan(_form(content).typed(self._tray.to_refs(), dry_run=True))
        told = reports.report_plan(
            plan, self.studio.write_calls(plan), self.studio.describe_excess(plan, in_cell=False)
        )
        self._tell("plan", f"{ANEW}\n{told}" if plan.local.get("new") else told)

    def do_cell(self, content: Message, _: object) -> None:
        """Write `form` as a cell."""
        text = _form(content).cell(self._tray.words())
        self.studio.keys.refuse(text)
        self._push("cell", text=text, view=content.get("view"))

    def do_add(self, content: Message, _: object) -> None:
        """Add what `text` stands for to the `target`, image or mask."""
        shell = get_ipython()
        self._tray.type(_target(content), str(content.get("text", "")), dict(shell.user_ns) if shell else {})

    def do_upload(self, content: Message, buffers: Sequence[Any]) -> None:
        """Add a file, called `name`, to the `target`."""
        data = bytes(buffers[0]) if buffers else b""
        self._tray.upload(_target(content), str(content.get("name", "")), data)

    def do_mask(self, content: Message, buffers: Sequence[Any]) -> None:
        """Take a painted mask of `width` x `height` bits."""
        self._tray.paint(bytes(buffers[0]), (int(content["width"]), int(content["height"])))

    def do_use(self, content: Message, _: object) -> None:
        """Start from the image `key`."""
        self._tray.use(_key(content))

    def do_paint(self, content: Message, _: object) -> None:
        """Send the image `key`, which then comes first, or the first to start from, to be painted on."""
        if self._tray.find(_key(content)) is None:
            self._tray.use_first(self._strip.image(_key(content)).id)
        self._look("paint", {**content, "key": self._tray.images[0].key})

    def do_remove(self, content: Message, _: object) -> None:
        """Take `key` out of the `target`."""
        masked = self._tray.mask
        self._tray.remove(_target(content), _key(content))
        if masked and not self._tray.mask and masked.key != _key(content):
            self._tell("note", "The mask was for that image, and went with it.")

    def do_recall(self, content: Message, _: object) -> None:
        """Fill the form with what made the image `key`."""
        run, _number = self.studio.find(_key(content))
        form = Form.of_run(run, self._name_of(run), self.studio.settings.options)
        self._tray.recall(run)
        self._form = form
        self._push("form", form=asdict(form), view=content.get("view"))

    def do_save(self, content: Message, _: object) -> None:
        """Write the image `key` to the file `path`."""
        path = self._strip.image(_key(content)).save(str(content.get("path", "")))
        self._tell("note", f"saved: {path}")

    def do_hide(self, content: Message, _: object) -> None:
        """Take the image `key` out of view."""
        self._strip.remove(_key(content))
        self._push("gone", key=_key(content))

    def _look(self, what: str, content: Message) -> None:
        """Send the bytes of an image as they came. One that went meanwhile is not missed."""
        if file := self._file(_key(content)):
            told = {"mime": file.mime, "name": file.name, "width": file.width, "height": file.height}
            told |= {"key": _key(content), "view": content.get("view"), "for": what}
            self._push("image", file.data, **told)

    def _small(self, keys: list[str]) -> None:
        """Send small images."""
        while keys:
            keys, now = keys[AT_ONCE:], keys[:AT_ONCE]
            made = {}
            for key in now:
                with suppress(ImagineError):  # what is damaged is told when it is looked at
                    if file := self._file(key):
                        made[key] = file.thumb(gallery.EDGE)
            told = [{"key": key, "mime": one.mime} for key, one in made.items()]
            self._push("thumbs", *(one.data for one in made.values()), thumbs=told)

    def _file(self, key: str) -> File | None:
        held = self._tray.find(key) if key else None
        return held.file if held else self._strip.file(key)

    # From the requests

    def planned(self, plan: Plan) -> None:
        """Show what a sweep will ask for."""
        self._line, self._elapsed, self._planned = (
            escape_hidden(to_panel_words(render(str(plan), CELL))),
            0.0,
            time.monotonic(),
        )
        self._push("progress", line=self._line, elapsed=0.0, mime="")

    def progress(self, batch: Batch) -> None:
        """Show how far the calls are."""
        if time.monotonic() - self._planned > PLAN:
            self._line = escape_hidden(to_panel_words(write_status(batch)))
        self._elapsed = batch.elapsed
        new, self._partial = batch.partial is not self._partial, batch.partial or b""
        made = imaging.preview_partial(self._partial) if new and self._partial else None
        told = {"line": self._line, "elapsed": batch.elapsed, "mime": made.mime if made else ""}
        self._push("progress", *([made.data] if made else []), **told)

    def brought(self, result: Generation | Sweep, plan: Plan) -> None:
        """Show a result, bind and save it as it was asked, and keep it under the panel."""
        self.result = result
        first = next(
            (image for image in (result if isinstance(result, Generation) else chain(*result))), None
        )
        if first:
            self._desk.do(lambda: self._send_tiles([], select=first.id))  # after the tile itself
        shell = get_ipython()
        said = [
            *_said(result),
            *([str(self._asking.unknown_outcome)] if self._asking.unknown_outcome else []),
        ]
        try:
            said.append(deliver_result(result, plan.local, shell.user_ns if shell else {}))
        finally:
            if self._cell:  # only plain outputs are saved with a notebook
                show_in(self._cell, result)
        kind = "note" if isinstance(result, Sweep) and result.failed else "done"
        self._tell(kind, "\n".join(filter(None, [*said, self.studio.warn_of_store()])))

    def _seen(self, run: Run) -> None:
        """Take in a run that ended, whoever asked for it."""
        self._desk.do(
            partial(self.guarded, lambda: self._send_tiles(self._strip.add(self.studio.generation(run))))
        )

    # To the front end

    def changed(self) -> None:
        """Send everything that a view shows, images and fields apart."""
        with self._lock:
            choices = controls.choices(
                self.studio, self._form, inputs=len(self._tray.images), mask=self._tray.mask is not None
            )
            self._push("state", **choices, **self._work())

    def _work(self) -> dict[str, Any]:
        tray, asking = self._tray, self._asking
        job = {"line": self._line, "elapsed": self._elapsed, "queued": asking.queued}
        return {
            "images": [one.as_message() for one in tray.images],
            "mask": tray.mask.as_message() if tray.mask else None,
            "job": job if asking.running else None,
            "message": self._message,
        }

    def _tell(self, kind: str, text: str) -> None:
        self._told += 1
        retry = self._asking.unknown_outcome is not None
        text = escape_hidden(self.studio.keys.hidden(to_panel_words(text)))
        self._message = {"kind": kind, "text": text, "retry": retry, "count": self._told}
        self.changed()

    def _send_tiles(
        self, tiles: Sequence[gallery.Tile], *, reset: bool = False, select: str | None = None
    ) -> None:
        if tiles or reset or select:
            self._push("tiles", tiles=gallery.as_message(tiles), reset=reset, select=select)

    def _push(self, what: str, *buffers: bytes, **told: Any) -> None:
        self.send({"is": what, **told}, buffers=list(buffers) or None)

    def _name_of(self, run: Run) -> str:
        """Return what the form calls the server of a run: its name, unless that is another one now.

        A server that only the record names is left out: nobody here asked for it.
        """
        base_url = run.request.base_url
        named = (one.name for one in self.studio.endpoints() if one.base_url == base_url)
        return next(named, base_url if self.studio.trusts(base_url) else "")


def _form(content: Message) -> Form:
    told = content.get("form")
    return Form.of(told if isinstance(told, Mapping) else {})


def _said(result: Generation | Sweep) -> list[str]:
    if isinstance(result, Sweep):
        return [result.caption.partition("\n")[0], *list_failures(result, result.labels)]
    return [DOT.join([*([str(result.number)] if result.number else []), *list_facts(result.run)])]


def _texts(told: object) -> list[str]:
    """Return every text in a message."""
    if isinstance(told, Mapping):
        return [text for one in told.values() for text in _texts(one)]
    return [told] if isinstance(told, str) else []


def _key(content: Message) -> str:
    return str(content.get("key", ""))


def _target(content: Message) -> str:
    return "mask" if content.get("target") == "mask" else "image"
