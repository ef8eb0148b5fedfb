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
        return keys.source(endpoint, environ=self._environ, folder=Path.cwd())

    def secret(self, endpoint: Endpoint) -> keys.Secret | None:
        """Return the key; one that is typed is kept, in memory, until a server refuses it."""
        given: dict[str, str] = {}

        def once(question: str) -> str:
            assert self.ask is not None  # handed over only where somebody can be asked
            given[question] = self._typed.get(question) or self.ask(question)
            return given[question]

        found = keys.require(
            endpoint, environ=self._environ, folder=Path.cwd(), ask=once if self.ask else None
        )
        self._typed |= given
        return found

    def forget(self) -> None:
        """Forget what was typed: a server refused it."""
        self._typed.clear()

    def _known(self) -> tuple[str, ...]:
        """Return the keys that are set, to be kept out of every text."""
        given = tuple(key for key in self._typed.values() if key)
        return given + keys.known(self._endpoints(), environ=self._environ, folder=Path.cwd())

    def refuse(self, text: str) -> None:
        """Raise InvalidOption, without echoing it, when the text holds what looks like a key."""
        if holds_key(text, self._known()):
            raise InvalidOption(
                "That holds what looks like a key; nothing was sent. Change that key if it is in the "
                "notebook.\nKeys belong in the environment or a .env file: see %imagine_endpoints."
            )

    def refuse_in(self, request: Request) -> None:
        """Raise InvalidOption when a key stands in what would be sent, shown and recorded."""
        pictures = (*request.inputs, *((request.mask,) if request.mask else ()))
        said = [request.prompt, request.template or "", repr({**request.options, **request.extra})]
        names = [request.model or "", request.base_url, request.endpoint, *(one.label for one in pictures)]
        self.refuse("\n".join([*said, *names]))

    @contextmanager
    def discreet(self) -> Iterator[None]:
        """Let no key stand in an error: a variable may hold one, and messages repeat what was given."""
        try:
            yield
        except ImagineError as fault:
            known = self._known()
            if holds_key(str(fault), known):
                fault.args = (redact(str(fault), known),)
            raise
