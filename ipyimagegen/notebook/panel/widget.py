"""The panel: a form, the images of the session, and requests; it does what cells do.

The front end (`panel.js`) holds only what is being typed, painted and scrolled. Everything else is here and
is sent to every view when it changes. A message `{do: name}` is handled by the method `do_name`, in the order
of arrival in a single thread, so that an upload is there when Generate is pressed. Other threads send images
and carry out requests (`RequestQueue`): the kernel stays free.
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
from ipyimagegen.core.messages import _, join, render
from ipyimagegen.core.plan import Plan
from ipyimagegen.core.run import Run
from ipyimagegen.core.text import DOT, escape_hidden, sanitize
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.notebook import reports
from ipyimagegen.notebook.display import PLAN, bind_result, save_result, show_in, write_status
from ipyimagegen.notebook.fronts import PANEL, load_labels
from ipyimagegen.notebook.panel.attachments import Attachments, ImageFile
from ipyimagegen.notebook.panel.form import Form, describe_choices
from ipyimagegen.notebook.panel.gallery import Gallery, Tile
from ipyimagegen.notebook.panel.request_queue import RequestQueue, Worker
from ipyimagegen.results import Bundle, Result, Sweep
from ipyimagegen.results.captions import list_facts, list_failures
from ipyimagegen.session.scheduler import Batch
from ipyimagegen.session.studio import Studio

STATIC = Path(__file__).parent / "static"
EDGE = 192  # pixels of a thumbnail: sharp at 96 on a dense screen
AT_ONCE = 8  # thumbnails in a message: few messages are fast, and the first thumbnails arrive early
LOOKS = ("view", "download")  # handled by the thread of large images
AUTOMATIC = ("hello", "form", "paint")  # sent without a decision of the user: these clear no message
REQUESTS = ("generate", "retry", "rerun")
Message = Mapping[str, Any]
IN_PROGRESS = _("The same request is in progress. Nothing was sent a second time.")


class Panel(anywidget.AnyWidget):
    """A panel of the default studio, or of `studio`. Show it by returning it from a cell.

    `result` is the last result. It needs a notebook; a terminal has `%imagine`.
    """

    _esm = STATIC / "panel.js"
    _css = STATIC / "panel.css"
    labels = traitlets.Dict(dict(load_labels())).tag(sync=True)
    language = traitlets.Unicode().tag(sync=True)
    cell_id = traitlets.Unicode().tag(sync=True)
    _panels: ClassVar[weakref.WeakSet[Panel]] = weakref.WeakSet()  # those that are displayed
    _ipython_display_ = None  # ipywidgets 7 defines it, and IPython would not call _repr_mimebundle_

    def __init__(self, studio: Studio | None = None) -> None:
        super().__init__(language=os.environ.get("LANG", ""))
        self.studio = studio or default_studio()
        self.result: Result | None = None
        self._form, self._attachments, self._gallery = Form(), Attachments(self.studio), Gallery()
        self._queue = RequestQueue(self.studio, self)
        self._message: dict[str, Any] | None = None
        self._message_count = 0  # equal words a second time are a new message
        self._dropped = 0  # requests, by the Cancel that is being handled
        self._line, self._elapsed, self._partial = "", 0.0, b""
        self._plan_shown = -PLAN  # time.monotonic() when the plan of a sweep was shown
        self._cell: Mapping[str, Any] = {}  # the message that executed the cell of the panel
        self._lock = threading.RLock()  # so that the state that is sent last is the newest
        self._worker, self._image_worker, self._thumbnail_worker = (
            Worker(f"panel {name}") for name in ("actions", "images", "thumbnails")
        )
        self.studio.watchers.append(self._add_run)
        self.on_msg(self._receive)

    def __repr__(self) -> str:
        return "The panel of ipyimagegen: run this cell to see it."

    def _repr_mimebundle_(self, **options: Any) -> Bundle | None:
        shell = get_ipython()
        if shell is not None and hasattr(shell, "kernel"):
            self._cell = shell.kernel.get_parent("shell")
            self.cell_id = str((self._cell.get("metadata") or {}).get("cellId") or "")
            for panel in tuple(Panel._panels):
                if panel is not self and self.cell_id and panel.cell_id == self.cell_id:
                    panel.close()  # its cell was run again, and shows this panel instead
            Panel._panels.add(self)
        bundle: Bundle | None = super()._repr_mimebundle_(**options)
        return bundle

    def close(self) -> None:
        """Close the panel; requests that wait are dropped, the images of what runs reach the history."""
        if self._add_run in self.studio.watchers:
            self.studio.watchers.remove(self._add_run)
        Panel._panels.discard(self)
        self._queue.drop_waiting()
        super().close()

    # Messages of the front end

    def _receive(self, _widget: object, content: Message, buffers: Sequence[Any]) -> None:
        name = str(content.get("do"))
        if name == "cancel":  # at once; its handler then cancels what was being handled
            self._dropped = self._queue.cancel()
        if name in LOOKS:
            worker, work = self._image_worker, partial(self._send_image, name, content)
        elif name == "thumbs":
            keys = list(content.get("keys", []))
            worker, work = self._thumbnail_worker, partial(self._send_thumbnails, keys)
        elif handler := getattr(self, f"do_{name}", None):
            worker, work = self._worker, partial(self._handle, handler, content, buffers)
        else:
            return
        worker.submit(partial(self.guard, work))

    def _handle(
        self, handler: Callable[[Message, Sequence[Any]], None], content: Message, buffers: Sequence[Any]
    ) -> None:
        self.studio.keys.refuse("\n".join(_list_texts(content)))
        action, retry = content["do"], self._message is not None and self._message["retry"]
        if action in REQUESTS or not (retry or action in AUTOMATIC):
            self._message = None  # a message with Retry stays until the next request
        if action in REQUESTS and action != "retry":
            self._queue.unknown_outcome = None
        try:
            if "form" in content:
                self._form = Form.from_message(content["form"])
            handler(content, buffers)
        finally:
            self.post_state()

    def guard(self, work: Callable[[], None]) -> None:
        """Run the work and show its errors in the panel."""
        try:
            with self.studio.keys.discreet():
                work()
        except ImagineError as error:
            error.front = PANEL
            self._show_message("error", str(error))
        except Exception as error:  # noqa: BLE001 - an error in a thread is seen nowhere else
            name, reason = type(error).__name__, sanitize(error, 200)
            self._show_message("error", _("The panel failed. {name}: {reason}", name=name, reason=reason))

    def do_hello(self, content: Message, _buffers: object) -> None:
        """Send everything to a new view."""
        self._send_form(content, hello=True)
        runs = [run for _number, run in self.studio.ledger.numbered() if not run.forgotten]
        self._gallery.reset(map(self.studio.generation, runs))
        self._send_tiles(self._gallery.tiles, reset=True)

    def do_form(self, *_message: object) -> None:
        """Take over `form`; the choices follow from endpoint and model."""

    def do_generate(self, *_message: object) -> None:
        """Send the request of `form`."""
        self._submit(self._form.to_user_input(self._attachments.to_refs()))

    def do_retry(self, *_message: object) -> None:
        """Send again the calls of unknown outcome."""
        if not self._queue.retry():
            self._show_message("note", IN_PROGRESS)

    def do_cancel(self, *_message: object) -> None:
        """Cancel what runs, and drop what waits."""
        dropped = self._dropped + self._queue.cancel()
        if self._queue.running:
            note = _("Cancelling. Queued requests that will not be sent: {count}.", count=dropped)
            self._show_message("note", note if dropped else _("Cancelling …"))

    def do_rerun(self, content: Message, _buffers: object) -> None:
        """Send the request of the image `key` as a new request, which is billed."""
        run, _index = self.studio.find(_get_key(content))
        self._submit(self.studio.again(run, user_input.from_call(run.request.prompt, {})))

    def _submit(self, request: UserInput) -> None:
        if not self._queue.submit(request):
            self._show_message("note", IN_PROGRESS)

    def do_dry_run(self, *_message: object) -> None:
        """Show the request of `form` without sending it."""
        request = self._form.to_user_input(self._attachments.to_refs(), dry_run=True)
        plan = self._queue.plan(request)
        calls, excess = self.studio.write_calls(plan), self.studio.describe_excess(plan, in_cell=False)
        report = reports.report_plan(plan, calls, excess, front=PANEL)
        if plan.local.get("new"):
            note = _("All of it is in the history. Generate sends it as a new request.")
            report = join([note, report], "\n")
        self._show_message("plan", report)

    def do_cell(self, content: Message, _buffers: object) -> None:
        """Send `form` as the text of a cell."""
        text = self._form.to_cell(self._attachments.to_words())
        self.studio.keys.refuse(text)
        self._post("cell", text=text, view=content.get("view"))

    def do_add(self, content: Message, _buffers: object) -> None:
        """Attach what `text` refers to as `target`, image or mask."""
        shell = get_ipython()
        names = dict(shell.user_ns) if shell else {}
        self._attachments.add_text(_get_target(content), str(content.get("text", "")), names)

    def do_upload(self, content: Message, buffers: Sequence[Any]) -> None:
        """Attach a file, called `name`, as `target`."""
        data = bytes(buffers[0]) if buffers else b""
        self._attachments.upload(_get_target(content), str(content.get("name", "")), data)

    def do_mask(self, content: Message, buffers: Sequence[Any]) -> None:
        """Attach a painted mask of `width` x `height` bits."""
        self._attachments.paint_mask(bytes(buffers[0]), (int(content["width"]), int(content["height"])))

    def do_use(self, content: Message, _buffers: object) -> None:
        """Attach the image `key`."""
        self._attachments.add_image(_get_key(content))

    def do_paint(self, content: Message, _buffers: object) -> None:
        """Send an image for the mask editor: the image `key`, made the first input, or the first input."""
        if self._attachments.find(_get_key(content)) is None:
            self._attachments.put_first(self._gallery.find_image(_get_key(content)).id)
        self._send_image("paint", {**content, "key": self._attachments.images[0].key})

    def do_remove(self, content: Message, _buffers: object) -> None:
        """Remove `key` from the `target`."""
        mask = self._attachments.mask
        self._attachments.remove(_get_target(content), _get_key(content))
        if mask and not self._attachments.mask and mask.key != _get_key(content):
            self._show_message("note", _("The mask was removed with its image."))

    def do_recall(self, content: Message, _buffers: object) -> None:
        """Fill the form with the settings of the image `key`."""
        run, _index = self.studio.find(_get_key(content))
        base_url = run.request.base_url
        named = (other.name for other in self.studio.registry if other.base_url == base_url)
        # The base URL of a record that nobody here configured or named is left out.
        endpoint = next(named, base_url if self.studio.trusts(base_url) else "")
        form = Form.from_run(run, endpoint, self.studio.settings.options)
        self._attachments.replace_by_run(run)
        self._form = form
        self._send_form(content)

    def do_save(self, content: Message, _buffers: object) -> None:
        """Write the image `key` to the file `path`."""
        image = self._gallery.find_image(_get_key(content))
        path, notes = image.save_silently(str(content.get("path", "")))
        self._show_message("note", join([_("Saved to {path}", path=path), *notes], "\n"))

    def do_hide(self, content: Message, _buffers: object) -> None:
        """Remove the image `key` from the panel."""
        self._gallery.remove(_get_key(content))
        self._post("gone", key=_get_key(content))

    def _send_image(self, purpose: str, content: Message) -> None:
        """Send an image, as original bytes to download; nothing when it was removed meanwhile."""
        if file := self._find_file(key := _get_key(content)):
            file = file.for_download if purpose == "download" else file.for_view
            described = {"mime": file.mime, "name": file.name, "width": file.width, "height": file.height}
            described |= {"key": key, "view": content.get("view"), "for": purpose}
            self._post("image", file.data, **described)

    def _send_thumbnails(self, keys: list[str]) -> None:
        for start in range(0, len(keys), AT_ONCE):
            thumbnails = {}
            for key in keys[start : start + AT_ONCE]:
                with suppress(ImagineError):  # a damaged image is reported when it is viewed
                    if file := self._find_file(key):
                        thumb = imaging.make_thumb(file.data, file.name, EDGE)
                        thumbnails[key] = imaging.make_preview([thumb])
            described = [{"key": key, "mime": thumbnail.mime} for key, thumbnail in thumbnails.items()]
            self._post("thumbs", *(thumbnail.data for thumbnail in thumbnails.values()), thumbs=described)

    def _find_file(self, key: str) -> ImageFile | None:
        attachment = self._attachments.find(key) if key else None
        return attachment.file if attachment else self._gallery.find_file(key)

    # Progress and results of the queue

    def show_plan(self, plan: Plan) -> None:
        """Show the plan of a sweep."""
        self._line, self._elapsed = escape_hidden(render(plan.summary, PANEL)), 0.0
        self._plan_shown = time.monotonic()
        self._post("progress", line=self._line, elapsed=0.0, mime="")

    def show_progress(self, batch: Batch) -> None:
        """Show how far the calls are."""
        if time.monotonic() - self._plan_shown > PLAN:
            self._line = escape_hidden(render(write_status(batch), PANEL))
        self._elapsed = batch.elapsed
        new, self._partial = batch.partial is not self._partial, batch.partial or b""
        preview = imaging.preview_partial(self._partial) if new and self._partial else None
        status = {"line": self._line, "elapsed": batch.elapsed, "mime": preview.mime if preview else ""}
        self._post("progress", *([preview.data] if preview else []), **status)

    def show_result(self, result: Result, plan: Plan) -> None:
        """Show a result, deliver it as its options say, and show it under the panel."""
        self.result, shell, kind = result, get_ipython(), "done"
        if isinstance(result, Sweep):
            head = result.write_caption(PANEL).partition("\n")[0]
            lines = [head, *list_failures(result, result.labels, PANEL)]
            first, kind = next(chain(*result), None), "note" if result.failed else "done"
        else:
            lines = [DOT.join([*([str(result.number)] if result.number else []), *list_facts(result.run)])]
            first = next(iter(result), None)
        if first:
            self._worker.submit(partial(self._send_tiles, [], select=first.id))  # after the tile itself
        if self._queue.unknown_outcome:
            lines.append(str(self._queue.unknown_outcome))
        try:
            bind_result(result, plan.local, shell.user_ns if shell else {})
            lines.append(save_result(result, plan.local))
        finally:
            if self._cell:  # only plain outputs are saved with a notebook
                show_in(self._cell, result)
        lines.append(self.studio.warn_of_store() or "")
        self._show_message(kind, join(filter(None, lines), "\n"))

    def _add_run(self, run: Run) -> None:
        """Add a run that has ended to the gallery, whichever front door it came from."""

        def add() -> None:
            self._send_tiles(self._gallery.add(self.studio.generation(run)))

        self._worker.submit(partial(self.guard, add))

    # Messages to the front end

    def post_state(self) -> None:
        """Send everything that a view shows, except images and the text in fields."""
        with self._lock:
            attachments, queue = self._attachments, self._queue
            job = {"line": self._line, "elapsed": self._elapsed, "queued": queue.queued}
            images, mask = attachments.images, attachments.mask
            self._post(
                "state",
                **describe_choices(self.studio, self._form, inputs=len(images), mask=mask is not None),
                images=[image.to_message() for image in images],
                mask=mask.to_message() if mask else None,
                job=job if queue.running else None,
                message=self._message,
            )

    def _show_message(self, kind: str, text: str) -> None:
        """Show a text as the message of the panel. `kind`: done, note, plan or error."""
        self._message_count += 1
        retry = self._queue.unknown_outcome is not None
        text = escape_hidden(self.studio.keys.hidden(render(text, PANEL)))
        self._message = {"kind": kind, "text": text, "retry": retry, "count": self._message_count}
        self.post_state()

    def _send_form(self, content: Message, *, hello: bool = False) -> None:
        self._post("form", form=asdict(self._form), view=content.get("view"), hello=hello)

    def _send_tiles(self, tiles: Sequence[Tile], *, reset: bool = False, select: str | None = None) -> None:
        if tiles or reset or select:
            self._post("tiles", tiles=[tile.to_message() for tile in tiles], reset=reset, select=select)

    def _post(self, kind: str, *buffers: bytes, **content: Any) -> None:
        self.send({"is": kind, **content}, buffers=list(buffers) or None)


def _list_texts(content: object) -> list[str]:
    """Return every text in a message."""
    if isinstance(content, Mapping):
        return [text for value in content.values() for text in _list_texts(value)]
    return [content] if isinstance(content, str) else []


def _get_key(content: Message) -> str:
    return str(content.get("key", ""))


def _get_target(content: Message) -> str:
    return "mask" if content.get("target") == "mask" else "image"
