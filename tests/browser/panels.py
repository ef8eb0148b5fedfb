"""A panel in a page, as a person uses it, and a server for its requests."""

from __future__ import annotations

import json
import threading
from email import message_from_bytes, policy
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from loopback import b64, image_bytes

from browser.lab import expect
from browser.serving import Serving

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, WebSocketRoute

    from browser.lab import Notebook

LOAD = """%load_ext ipyimagegen
%config Imagine.endpoints = {{"lab": {{"base_url": "{base_url}", "free": False}}}}
%config Imagine.endpoint = "lab\""""
COLOURS = {"red": (200, 30, 30), "blue": (30, 60, 200), "green": (20, 150, 60)}


class Painter(Serving):
    """A server of images of a single colour.

    It holds the answer to a prompt with `slow` until `go` is set, and refuses a prompt with `refuse`.
    """

    def __init__(self, size: tuple[int, int] = (320, 240)) -> None:
        self.size, self.posts, self.go = size, [], threading.Event()

    def __exit__(self, *failed: object) -> None:
        self.go.set()
        super().__exit__(*failed)

    def reply(self, kind: str, raw: bytes) -> bytes:
        """Return head and body of the answer."""
        fields, files = _read(kind, raw)
        self.posts.append((fields, files))
        status, body = self.answer(fields)
        data = json.dumps(body).encode()
        head = [f"HTTP/1.1 {status} x", "Content-Type: application/json", f"Content-Length: {len(data)}"]
        return "\r\n".join([*head, "Connection: close", "", ""]).encode() + data

    def answer(self, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body."""
        prompt = fields["prompt"]
        if "refuse" in prompt:
            message = f"Your prompt was refused. {prompt}"
            return 400, {"error": {"message": message, "code": "content_policy_violation"}}
        if "slow" in prompt:
            self.go.wait(30)
        colour = next((rgb for name, rgb in COLOURS.items() if name in prompt), (120, 120, 120))
        image = {"b64_json": b64(image_bytes(*self.size, colour)), "revised_prompt": prompt}
        return 200, {"created": 1, "data": [image] * int(fields.get("n", 1))}

    @property
    def prompts(self) -> list[str]:
        """The prompts of all requests, in order."""
        return [fields["prompt"] for fields, _ in self.posts]


def _read(kind: str, body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    if "multipart" not in kind:
        return json.loads(body), {}
    whole = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=policy.HTTP)
    parts = [(part.get_param("name", header="content-disposition"), part) for part in whole.iter_parts()]
    fields = {name: part.get_payload(decode=True).decode() for name, part in parts if not part.get_filename()}
    return fields, {name: part.get_payload(decode=True) for name, part in parts if part.get_filename()}


class HeldMessage:
    """Holds the first message to the kernel that contains `words`, until `release` is called."""

    def __init__(self, page: Page, words: bytes) -> None:
        self.words, self.release = words, None
        page.route_web_socket("**/channels**", self._connect)

    def _connect(self, socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        socket.on_message(partial(self._pass_on, server))

    def _pass_on(self, server: WebSocketRoute, message: str | bytes) -> None:
        whole = message if isinstance(message, bytes) else message.encode()
        if self.words in whole and self.release is None:
            self.release = partial(server.send, message)
        else:
            server.send(message)


class Panel:
    """The panel under a cell of a notebook."""

    def __init__(self, notebook: Notebook, cell: int) -> None:
        self.notebook, self.page = notebook, notebook.page
        self.root = notebook.cell(cell).locator(".imagegen-panel")

    def shown(self) -> Self:
        """Wait until it is visible."""
        expect(self.button("Generate")).to_be_visible()
        return self

    @property
    def prompt(self) -> Locator:
        """The prompt field."""
        return self.root.get_by_label("Prompt", exact=True)

    def button(self, name: str) -> Locator:
        """Return the button with that text."""
        return self.root.get_by_role("button", name=name, exact=True)

    def generate(self, prompt: str) -> None:
        """Type a prompt and press Generate."""
        self.prompt.fill(prompt)
        self.button("Generate").click()

    @property
    def tiles(self) -> Locator:
        """The tiles of the gallery."""
        return self.root.locator(".imagegen-tile")

    @property
    def large(self) -> Locator:
        """The selected image."""
        return self.root.locator(".imagegen-viewer img").first

    def shows(self, words: Any) -> None:
        """Wait until the status contains these words."""
        expect(self.root.locator(".imagegen-status")).to_contain_text(words)

    def has_tiles(self, count: int) -> None:
        """Wait until the gallery has that many tiles."""
        expect(self.tiles).to_have_count(count)

    def settle(self) -> None:
        """Wait until everything so far was handled: actions are handled in turn, and this one is the last."""
        plan = self.root.locator(".imagegen-plan")
        plan.evaluate_all("all => all.forEach(it => it.classList.remove('imagegen-plan'))")  # an older plan
        self.button("Show request").click()
        expect(plan).to_be_visible()
        expect(self.button("Cancel")).to_be_disabled()
