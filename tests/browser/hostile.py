"""Hostile texts, a server that answers with them, and a trap that nothing may contact."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from typing import TYPE_CHECKING, Self

from loopback import b64, image_bytes

from browser.serving import Serving

if TYPE_CHECKING:
    from pathlib import Path

# Each calls `pwn` of the page with its own name, or requests its own path from the trap. `{trap}` is the
# URL of the trap, `{host}` its host and port, `{canary}` a file that nothing may read.
TEXTS = {
    "script": "<script>pwn('script')</script>",
    "image": "<img src=x onerror=pwn('image')>",
    "dialog": "<img src=x onerror=alert('dialog')>",
    "svg": "<svg onload=pwn('svg')><animate onbegin=pwn('svg') attributeName=x dur=1s>",
    "pre": "</pre></div><script>pwn('pre')</script>",
    "attribute": "\"'><img src=x onerror=pwn('attribute')>",
    "entity": "&lt;img src=x onerror=pwn(&#39;entity&#39;)&gt; &#60;script&#62;pwn(1)",
    "link": "[x](javascript:pwn('link')) <a href=\"javascript:pwn('link')\">x</a>",
    "scheme": "javascript:pwn('scheme')//",
    "data": "data:text/html,<script>pwn('data')</script>",
    "markdown": "![x]({trap}/markdown) **bold** `code`",
    "latex": "$\\href{{javascript:pwn('latex')}}{{x}}$ \\(\\unicode{{60}}\\)",
    "template": "{{{{constructor.constructor('pwn(1)')()}}}} ${{pwn(1)}} <%= pwn(1) %>",
    "load": "<img src={trap}/image><iframe src={trap}/frame></iframe>",
    "style": "<style>@import '{trap}/style';</style><link rel=stylesheet href={trap}/sheet>",
    "refresh": "<meta http-equiv=refresh content='0;url={trap}/refresh'><base href={trap}/>",
    "command": '<button data-commandlinker-command="apputils:reset" data-commandlinker-args="{{}}">x',
    "data-path": '<a data-path="{canary}" data-line=1 onclick=pwn(1) autofocus onfocus=pwn(1)>x</a>',
    "ansi": "\x1b[31;5mred\x1b[2J\x1b[3A\x1b[8mhidden",
    "osc": "\x1b]8;;{trap}/osc\x07click\x1b]8;;\x07\x1b]0;title\x07",
    "c1": "\x9b31mred\x9d8;;{trap}/c1\x9cx\x90q",
    "bidi": "\u202egnp.exe\u2066 \u2067abc\u200fdef\u061c",
    "lines": "one\r\u2028two\u2029three\n! forged: asked 1, got 2\n4 · 0101-aaaa/1\x0b\x0c\x85\x1c-",
    "path": "{canary}",
    "file": "file://{canary}",
    "url": "{trap}/url.png",
    "relative": "//{host}/relative.png",
    "unc": "\\\\127.0.0.1\\x\\y.png",
    "frame": 'File "{canary}", line 1\n{canary}:1\n  File {canary}:1, in f()',
    "widget": '{{"application/vnd.jupyter.widget-view+json": {{"model_id": "x", "version_major": 2}}}}',
    "bundle": '{{"text/html": "<script>pwn(\'bundle\')</script>"}}',
    "long": "W" * 3000,
    "marks": "Z" + "\u0351\u036b\u0353" * 60,
    "nul": "a\x00b\ufeff\U000e0041\ud800",
}


class Trap:
    """A raw listener. `contacts` holds the first line of each contact, or `?` where it is not text."""

    def __enter__(self) -> Self:
        self.contacts = contacts = []

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.settimeout(2)
                head = b""
                with contextlib.suppress(OSError):
                    head = self.request.recv(200)
                contacts.append(head.partition(b"\r\n")[0].decode("ascii", "replace") or "?")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Malicious(Serving):
    """A server of the Images API that fills every member of its answers with hostile texts.

    The request names the kind of answer and its first text: `--set case=refused --set turn=3`.
    """

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.requests: list[tuple[str, int]] = []

    def reply(self, _: str, raw: bytes) -> bytes:
        """Return head and body as bytes: no library would send such headers."""
        try:
            request = json.loads(raw)
        except ValueError:  # the form of an edit
            request = {}
        case, turn = request.get("case", "facts"), int(request.get("turn", 0))
        self.requests.append((case, turn))
        words = [self.texts[(turn + k) % len(self.texts)] for k in range(len(self.texts))]
        status, body, more = CASES[case](words)
        kind = "text/event-stream" if case.startswith("stream") else "application/json"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        in_header = [_header(text) for text in words]
        head = [
            b"HTTP/1.1 %d %s" % (status, in_header[3]),
            b"Content-Type: " + kind.encode(),
            b"Content-Length: %d" % len(data),
            b"x-request-id: " + in_header[0],
            b"x-litellm-response-cost: " + in_header[1],
            b"x-should-retry: false",
            *more,
            b"Connection: close",
        ]
        return b"\r\n".join(head) + b"\r\n\r\n" + data


def _header(text: str) -> bytes:
    """Return the text without what a header cannot contain: line ends and NUL."""
    data = text.encode("utf-8", "surrogatepass")[:1500]
    return bytes(c for c in data if c not in b"\r\n\0")


def _facts(words: list[str]) -> tuple:
    names = ("id", "model", "size", "quality", "background", "output_format", "seed", "created")
    item = {
        "b64_json": b64(image_bytes()),
        "revised_prompt": words[0],
        "url": words[1],
        "mime_type": words[2],
    }
    usage = {"input_tokens": words[11], words[12]: words[13], "input_tokens_details": {words[14]: words[15]}}
    facts = {name: words[k + 3] for k, name in enumerate(names)}
    return 200, {**facts, words[16]: words[17], "usage": usage, "data": [item]}, ()


def _refused(words: list[str]) -> tuple:
    error = {"message": words[0], "code": words[1], "type": words[2], "param": words[3]}
    return 400, {"error": error}, ()


def _page(words: list[str]) -> tuple:
    page = f"<!DOCTYPE html><html><title>{words[0]}</title><body>{words[1]}</body></html>"
    return 502, page.encode("utf-8", "surrogatepass"), ()


def _listed(words: list[str]) -> tuple:
    return 422, {"detail": [{"loc": ["body", words[0]], "msg": words[1], "input": words[2]}]}, ()


def _code(words: list[str]) -> tuple:
    return 400, {"error": {"message": "", "code": words[0]}}, ()


def _addresses(words: list[str]) -> tuple:
    return 200, {"data": [{"url": words[0], "revised_prompt": words[1]}]}, ()


def _partly(words: list[str]) -> tuple:
    good = {"b64_json": b64(image_bytes()), "revised_prompt": words[0]}
    bad = {"b64_json": b64(words[1].encode("utf-8", "surrogatepass") * 9), "mime_type": words[2]}
    return 200, {"data": [good, {"error": {"message": words[3], "code": words[4]}}, bad]}, ()


def _no_json(words: list[str]) -> tuple:
    return 200, words[0].encode("utf-8", "surrogatepass"), ()


def _moved(words: list[str]) -> tuple:
    return 302, {}, (b"Location: " + _header(words[0]),)


def _stream(words: list[str]) -> tuple:
    partial = {"type": "image_generation.partial_image", "b64_json": b64(image_bytes()), "size": words[1]}
    failed = {"type": "error", "error": {"message": words[2], "code": words[3]}}
    odd = {"type": words[4], "b64_json": words[5]}
    parts = [
        f"event: {_one_line(words[0])}\ndata: {json.dumps(event)}\n\n" for event in (odd, partial, failed)
    ]
    return 200, (f": {_one_line(words[6])}\n\n" + "".join(parts)).encode(), ()


def _one_line(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\n", " ").replace("\r", " ")


CASES = {
    "facts": _facts,
    "refused": _refused,
    "page": _page,
    "listed": _listed,
    "code": _code,
    "addresses": _addresses,
    "partly": _partly,
    "no_json": _no_json,
    "moved": _moved,
    "stream": _stream,
}


def texts(trap: Trap, canary: Path) -> dict[str, str]:
    """Return the texts with the addresses of this run."""
    return {
        name: text.format(trap=f"http://{trap.host}", host=trap.host, canary=canary)
        for name, text in TEXTS.items()
    }
