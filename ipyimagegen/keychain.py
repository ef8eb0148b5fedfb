"""The keys of one studio: where they come from, which were typed, and that none is told.

A key goes to its server and nowhere else. What is asked, shown, recorded or complained of is looked
through here first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ipyimagegen import keys
from ipyimagegen.errors import ImagineError, InvalidOption
from ipyimagegen.safe import holds_key, redact

if TYPE_CHECKING:
    from ipyimagegen.records import Request
    from ipyimagegen.rows import Endpoint


HERE = Path()  # the notebook's folder, wherever that is now, even deleted
SHORTEST = 8  # characters: shorter ones stand in ordinary words
WORD = 20  # characters: what is as long is no dummy
TOLD = (
    "That holds what looks like a key; nothing was sent. Change that key if it is in the notebook.\n"
    "Keys belong in the environment or a .env file: see %imagine_endpoints."
)


class Keychain:
    """Keys by endpoint. `ask` prompts for one where a person is there to answer."""

    def __init__(
        self,
        environ: Mapping[str, str],
        ask: Callable[[str], str] | None,
        endpoints: Callable[[], Iterable[Endpoint]],
    ) -> None:
        self._environ, self.ask, self._endpoints = environ, ask, endpoints
        self._typed: dict[str, str] = {}  # by question; never written anywhere

    def source(self, endpoint: Endpoint) -> str | None:
        """Return where the key of an endpoint comes from, or None; never any part of it."""
        return keys.source(endpoint, environ=self._environ, folder=HERE)

    def held(self, endpoint: Endpoint) -> keys.Secret | None:
        """Return the key if there is one, asking nobody. Raises InvalidOption for what can be none."""
        return keys.find(
            endpoint, environ=self._environ, folder=HERE, ask=lambda question: self._typed.get(question, "")
        )

    def secret(self, endpoint: Endpoint) -> keys.Secret | None:
        """Return the key; one that is typed is kept, in memory, until a server refuses it.

        No variable of this frame holds it: verbose tracebacks print them all.
        """

        def once(question: str) -> str:
            assert self.ask is not None  # handed over only where somebody can be asked
            self._typed[question] = self._typed.get(question) or self.ask(question)
            return self._typed[question]

        try:
            return keys.require(endpoint, environ=self._environ, folder=HERE, ask=once if self.ask else None)
        except InvalidOption:
            self.forget()  # it may be what was typed, which is asked for again
            raise

    def forget(self) -> None:
        """Forget what was typed: a server refused it."""
        self._typed.clear()

    def _known(self) -> tuple[str, ...]:
        """Return the keys that are set, to be kept out of every text.

        A dummy such as `lm-studio` that stands in a server's own name or address is no secret; a real key
        there is one.
        """
        servers = tuple(self._endpoints())
        public = [text for one in servers for text in (one.name, one.base_url)]
        given = tuple(key for key in self._typed.values() if key)
        found = given + keys.known(servers, environ=self._environ, folder=HERE)
        secret = (key for key in found if len(key) >= WORD or holds_key(key))
        return (*secret, *(key for key in found if not any(key in text for text in public)))

    def refuse(self, text: str) -> None:
        """Raise InvalidOption, without echoing it, when the text holds what looks like a key."""
        if holds_key(text, self._known()):
            raise InvalidOption(TOLD)

    def refuse_in(self, requests: Iterable[Request]) -> None:
        """Raise InvalidOption when a key stands in what would be sent, shown and recorded."""
        known = self._known()
        if any(_has_key(one, known) for one in requests):
            raise InvalidOption(TOLD)

    @contextmanager
    def discreet(self) -> Iterator[None]:
        """Let no key stand in an error: a variable may hold one, and messages repeat what was given."""
        try:
            yield
        except ImagineError as fault:
            self._without_keys(fault)
            raise

    def _without_keys(self, fault: ImagineError) -> None:
        """Take keys out of a message; in a frame of its own, which is on no traceback."""
        if (said := self.hidden(str(fault))) != str(fault):
            fault.args = (said,)

    def hidden(self, text: str) -> str:
        """Return `text` without keys."""
        return redact(text, [key for key in self._known() if len(key) >= SHORTEST])


def _has_key(request: Request, known: tuple[str, ...]) -> bool:
    pictures = (*request.inputs, *((request.mask,) if request.mask else ()))
    said = [request.prompt, request.template or "", repr({**request.options, **request.extra})]
    # Models and files may look like keys, as hf-internal-testing/tiny does; only a known one counts.
    names = [request.model or "", request.base_url, request.endpoint, *(one.label for one in pictures)]
    return holds_key("\n".join(said), known) or any(
        key in name for key in known if len(key) >= SHORTEST for name in names
    )
