"""Where an endpoint's key comes from, and a box for it that shows it to nobody else.

In this order: environment, a `.env` file beside the notebook, the system keyring, Colab's secrets, a
hidden prompt. A key belongs to the origin of its endpoint and is revealed for no other.
"""

from __future__ import annotations

import re
import sys
import threading
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from ipyimagegen.errors import InvalidOption, MissingKey

if TYPE_CHECKING:  # its many dataclasses take a tenth of the time that loading may take
    from ipyimagegen.rows import Endpoint

ANY_SERVER = "IPYIMAGEGEN_API_KEY"  # the key of whatever IPYIMAGEGEN_BASE_URL names
KEYRING_SERVICE = "ipyimagegen"
KEYRING_SECONDS = 0.8  # for a cell without a key and without a person has to fail within one
DOTENV_BYTES = 1 << 20


class Secret:
    """A key bound to an origin; it shows in no repr, and cannot be copied or pickled."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, base_url: str) -> None:
        self._value = value
        self.origin = _origin(base_url)

    def reveal(self, url: str) -> str | None:
        """Return the key if `url` is of its origin, else None."""
        try:
            return self._value if _origin(url) == self.origin else None
        except ValueError:
            return None

    @property
    def possible(self) -> bool:
        """Whether it can be a key at all: no blank, quote or line break, nothing that no header takes."""
        return bool(_KEY.fullmatch(self._value))

    def __repr__(self) -> str:
        return f"<key for {self.origin}>"

    def __reduce_ex__(self, protocol: Any) -> Never:
        raise TypeError("a key is not copied or pickled")


class Variables(Mapping[str, str]):
    """The environment, whose repr shows none of it: verbose tracebacks print every variable of ours."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def __getitem__(self, name: str) -> str:
        return self._given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def __repr__(self) -> str:
        return "<the environment>"


def _origin(url: str) -> str:
    from ipyimagegen.rows import origin  # noqa: PLC0415 - a key is made long after loading

    return origin(url)


def find(
    endpoint: Endpoint, *, environ: Mapping[str, str], folder: Path, ask: Callable[[str], str] | None = None
) -> Secret | None:
    """Return the endpoint's key, or None when it has none.

    `ask` shows its text to a person and returns what was typed; None where nobody is there. Raises
    InvalidOption, without the key, when what was found cannot be one.
    """
    # Put away before anything can be raised: verbose tracebacks print every variable.
    boxed = ((one, Secret(value, endpoint.base_url)) for one, value in _candidates(endpoint, environ, folder))
    place, secret = next(boxed, ("what was typed", None))
    if secret is None and ask is not None and endpoint.key_env and not endpoint.key_optional:
        question = f"Key for {endpoint.title or endpoint.name} ({endpoint.key_env[0]}): "
        secret = _typed(ask(question).strip(), endpoint)
    if secret is None or secret.possible:
        return secret
    raise InvalidOption(
        f"The key from {place} contains a blank, a quote, a line break or another character that no key "
        "has.\nIt was not used; set it again."
    )


def _typed(value: str, endpoint: Endpoint) -> Secret | None:
    return Secret(value, endpoint.base_url) if value else None


def require(
    endpoint: Endpoint, *, environ: Mapping[str, str], folder: Path, ask: Callable[[str], str] | None = None
) -> Secret | None:
    """Like `find`, but raises MissingKey where the endpoint wants a key and there is none."""
    secret = find(endpoint, environ=environ, folder=folder, ask=ask)
    if secret is None and endpoint.key_env and not endpoint.key_optional:
        raise MissingKey(
            f"{endpoint.title or endpoint.name} wants a key: set {' or '.join(endpoint.key_env)} in the "
            f"environment or in a .env file beside the notebook. Nothing was sent.\n"
            f'Free and without a key: %config Imagine.endpoint = "sketch"'
        )
    return secret


def source(endpoint: Endpoint, *, environ: Mapping[str, str], folder: Path) -> str | None:
    """Return where the endpoint's key comes from, such as `OPENAI_API_KEY`; never any part of it."""
    return next((place for place, _ in _candidates(endpoint, environ, folder)), None)


def known(endpoints: Iterable[Endpoint], *, environ: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """Return all keys of these endpoints, and of any server, in environment and `.env`: for redaction."""
    names = {ANY_SERVER, *(name for endpoint in endpoints for name in endpoint.key_env)}
    written = _dotenv(folder, names)
    values = {v.strip() for name in names for v in (environ.get(name, ""), written.get(name, ""))}
    return tuple(sorted(values - {""}, key=len, reverse=True))


def _candidates(endpoint: Endpoint, environ: Mapping[str, str], folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, key) from the nearest place on; each is looked at only when it is asked for."""
    if not endpoint.key_env:
        return
    yield from ((name, v) for name in endpoint.key_env if (v := environ.get(name, "").strip(" \t")))
    written = _dotenv(folder, endpoint.key_env)
    yield from ((f"{name} in .env", written[name]) for name in endpoint.key_env if written.get(name))
    if endpoint.keyring and (stored := _keyring(endpoint.name)):
        yield "the system keyring", stored
    yield from ((f"{name} in Colab's secrets", w) for name in endpoint.key_env if (w := _colab(name)))


# A blank, a quote or a line break in a key is always a slip of copying; other text is no header.
_KEY = re.compile(r"[!#-&(-_a-~]+")

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*")


def _dotenv(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the named variables of `folder`/.env; nothing else in the file is read.

    PowerShell's `>` writes UTF-16.
    """
    try:
        with (folder / ".env").open("rb") as raw:
            coding = "utf-16" if raw.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig"
            raw.seek(0)
            lines = TextIOWrapper(raw, coding, "replace").read(DOTENV_BYTES).split("\n")
    except OSError:
        return {}
    found = (_LINE.fullmatch(line) for line in lines)
    return {one[1]: _unquoted(one[2]) for one in found if one and one[1] in set(names)}


def _unquoted(text: str) -> str:
    if text[:1] in ("'", '"') and text.find(text[0], 1) > 0:
        return text[1 : text.find(text[0], 1)]
    return re.split(r"\s#", f" {text}", maxsplit=1)[0].strip()


_hanging: list[threading.Thread] = []  # the look at the keyring that waits for somebody


def _keyring(user: str) -> str | None:
    """Return the system keyring's password, if that package is installed and answers within a second.

    A backend may wait for a person at another screen, so it gets a thread that nobody waits for; until
    that one ends, no other is begun.
    """
    if find_spec("keyring") is None or any(one.is_alive() for one in _hanging):
        return None
    found: list[str | None] = []

    def look() -> None:
        try:
            import keyring  # noqa: PLC0415 - an optional package, slow to import

            found.append(keyring.get_password(KEYRING_SERVICE, user))
        except Exception:  # noqa: BLE001, S110 - whatever a backend raises, there is no key
            pass

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(KEYRING_SECONDS)
    if thread.is_alive():
        _hanging[:] = [thread]
    return found[0] if found else None


def _colab(name: str) -> str | None:
    """Return a secret of Google Colab; it asks the person for leave by itself."""
    if "google.colab" not in sys.modules:
        return None
    try:
        from google.colab import userdata  # noqa: PLC0415 - exists in Colab alone

        return str(userdata.get(name) or "") or None
    except Exception:  # noqa: BLE001 - no such secret, or no leave to read it
        return None
