"""The API keys of a studio: where they come from, which were typed, and that none is shown.

A key goes to its server and nowhere else. Every key that was found in the session is noted here with its
origin; requests, outputs, records and errors are searched for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ipyimagegen.core.endpoints import to_host
from ipyimagegen.core.errors import ImagineError, InvalidOption, MissingKey
from ipyimagegen.core.messages import Remedy, _
from ipyimagegen.core.redact import RUN, ApiKey, Credentials, HiddenText, Redactor, hide_frames
from ipyimagegen.session import keys

if TYPE_CHECKING:
    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.core.request import Request


HERE = Path()  # the notebook's folder, wherever that is now, even deleted
WORD = 20  # characters: what is as long is no dummy
TYPED = "typed in this session"
REFUSAL = _(
    "This contains what looks like an API key. Nothing was sent. Replace the key if it is in the notebook."
)


class Keychain:
    """API keys by origin. `ask` prompts for a key where a person can answer."""

    def __init__(
        self,
        environ: Mapping[str, str],
        ask: Callable[[str], str] | None,
        endpoints: Callable[[], Iterable[Endpoint]],
    ) -> None:
        self._environ, self.ask, self._endpoints = environ, ask, endpoints
        self._typed: dict[str, ApiKey] = {}  # by origin
        self._noted: dict[
            ApiKey, None
        ] = {}  # every key found so far, with its origin; never written anywhere
        self._made: tuple[frozenset[ApiKey], Redactor] = (frozenset(), Redactor())

    def source(self, endpoint: Endpoint) -> str | None:
        """Return where the key of an endpoint comes from, or None; never any part of it."""
        found = keys.find_key_source(endpoint, environ=self._environ, folder=HERE, note=self._note)
        return found or (TYPED if self._find_typed(endpoint) else None)

    def holds(self, endpoint: Endpoint) -> bool:
        """Return whether the key of an endpoint is known."""
        return self.source(endpoint) is not None

    def find(self, endpoint: Endpoint) -> Credentials:
        """Return the headers and the key, if any, without a prompt.

        Raises InvalidOption for an impossible key or header, MissingKey for a header without a value.
        """
        credentials = keys.find_credentials(endpoint, environ=self._environ, folder=HERE, note=self._note)
        typed = self._find_typed(endpoint) if endpoint.sends_key and not credentials.key else None
        return replace(credentials, key=typed) if typed else credentials

    def obtain(self, endpoint: Endpoint) -> Credentials:
        """Return the headers and the key, with a prompt where a person can answer and a key is required.

        A typed key is kept in memory, for its origin alone, until a server refuses it. Raises MissingKey, and
        InvalidOption for an impossible key or header.
        """
        credentials = self.find(endpoint)
        if credentials.key or not keys.is_required(endpoint):
            return credentials
        key = self._ask_for(endpoint)
        if key is None:
            raise keys.make_missing_error(endpoint)
        self._note(key)
        keys.check_key(key, _("the prompt"))
        self._typed[key.origin] = key
        return replace(credentials, key=key)

    @hide_frames
    def _ask_for(self, endpoint: Endpoint) -> ApiKey | None:
        if self.ask is None:
            return None
        name, variable = endpoint.title or endpoint.name, endpoint.key_env[0]
        host = to_host(endpoint.base_url)
        typed = HiddenText(self.ask(f"Key for {name} ({variable}), sent to {host} only: ").strip())
        return ApiKey(typed, endpoint.base_url) if typed else None

    def _find_typed(self, endpoint: Endpoint) -> ApiKey | None:
        return next((key for key in self._typed.values() if key.belongs_to(endpoint.base_url)), None)

    def forget(self, endpoint: Endpoint) -> None:
        """Forget the typed key of an endpoint: its server refused it."""
        self._typed = {
            origin: key for origin, key in self._typed.items() if not key.belongs_to(endpoint.base_url)
        }

    def _note(self, secret: ApiKey) -> None:
        self._noted[secret] = None

    @property
    def redactor(self) -> Redactor:
        """The redactor of every key that was found so far, and of those in environment and `.env` now."""
        for secret in keys.list_known_keys(self._endpoints(), environ=self._environ, folder=HERE):
            self._note(secret)
        return self._noted_redactor()

    def _noted_redactor(self) -> Redactor:
        """Return the redactor of every key that was found so far.

        A dummy such as `lm-studio` that stands in a server's own name or address is no secret; a real key
        there is one.
        """
        noted = frozenset(self._noted)
        if noted != self._made[0]:
            public = [text for server in self._endpoints() for text in (server.name, server.base_url)]
            secret = {key.clear for key in noted if _is_secret(key.clear, public)}
            self._made = noted, Redactor(secret, public)
        return self._made[1]

    def redactor_for(self, credentials: Credentials | None) -> Redactor:
        """Return the redactor of what the server of these sends; a short dummy counts for it alone."""
        short = {key.clear for key in credentials.secrets if len(key.clear) < RUN} if credentials else set()
        if not short:
            return self._noted_redactor()  # what is sent was looked through just before
        return Redactor({*short, *(key.clear for key in tuple(self._noted) if len(key.clear) >= RUN)})

    def redactor_of(self, endpoint: Endpoint) -> Redactor:
        """Return the redactor of what the server of an endpoint sent earlier, wherever its key is now."""
        redactor = self.redactor  # notes what is in environment and `.env`
        try:
            return self.redactor_for(self.find(endpoint))
        except (InvalidOption, MissingKey):  # a key or a header that can be none
            return redactor

    def refuse(self, text: str) -> None:
        """Raise InvalidOption, without an echo, when the text contains what looks like a key."""
        if self.redactor.holds(text):
            raise InvalidOption(REFUSAL, remedy=Remedy.SET_KEY)

    def refuse_in(self, requests: Iterable[Request]) -> None:
        """Raise InvalidOption when a key is in what would be sent, shown and recorded."""
        redactor = self._noted_redactor()  # the plan's text was looked through just before
        if any(_has_key(request, redactor) for request in requests):
            raise InvalidOption(REFUSAL, remedy=Remedy.SET_KEY)

    @contextmanager
    def discreet(self) -> Iterator[None]:
        """Remove keys from errors: a variable may hold a key, and messages repeat the input."""
        try:
            yield
        except ImagineError as error:
            self._redact(error)
            raise

    def _redact(self, error: ImagineError) -> None:
        """Take keys out of a message; in a frame of its own, which is on no traceback."""
        text = str(error.args[0])
        if (redacted := self.hidden(text)) != text:
            error.args = (redacted,)

    def hidden(self, text: str) -> str:
        """Return `text` without keys."""
        return self.redactor.redact(text)


@hide_frames
def _is_secret(key: HiddenText, public: Iterable[str]) -> bool:
    if len(key) < RUN:
        return False
    return len(key) >= WORD or Redactor().holds(key) or not any(key in text for text in public)


def _has_key(request: Request, redactor: Redactor) -> bool:
    images = (*request.inputs, *((request.mask,) if request.mask else ()))
    texts = [request.prompt, request.template or "", repr({**request.options, **request.extra})]
    # Models and files may look like keys, as hf-internal-testing/tiny does; only a known key counts.
    names = [request.model or "", request.base_url, request.endpoint, *(image.label for image in images)]
    return redactor.holds("\n".join(texts)) or redactor.holds_known("\n".join(names))
