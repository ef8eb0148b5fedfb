"""Where an endpoint's API key comes from.

The order: environment, a `.env` file beside the notebook, the system keyring, Colab's secrets, and then a
hidden prompt (`credentials`). A key belongs to the origin of its endpoint and is revealed for no other. The
same holds for the secret values of headers, which neither the keyring nor a prompt has.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from ipyimagegen.core.background import run_in_background
from ipyimagegen.core.endpoints import ANY_SERVER, AUTHORIZATION, Endpoint, to_origin
from ipyimagegen.core.errors import InvalidOption, MissingKey
from ipyimagegen.core.messages import Setting, _
from ipyimagegen.core.redact import ApiKey, Credentials, HiddenText, hide_frames

KEYRING_SERVICE = "ipyimagegen"
KEYRING_SECONDS = 0.8  # for a cell without a key and without a person has to fail within 1 s
DOTENV_BYTES = 1 << 20


class Environment(Mapping[str, str]):
    """The environment, whose repr shows none of it: verbose tracebacks print all variables."""

    @hide_frames
    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self._given = os.environ if given is None else given

    @hide_frames
    def __getitem__(self, name: str) -> str:
        return self._given[name]

    @hide_frames
    def get(self, name: str, default: Any = None) -> Any:
        """Return a variable; no exception is made for an unset variable, which an interrupt could show."""
        return self._given.get(name, default)

    @hide_frames
    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    @hide_frames
    def __len__(self) -> int:
        return len(self._given)

    def __repr__(self) -> str:
        return "<the environment>"


Note = Callable[[ApiKey], None]


def _forget(_key: ApiKey) -> None:
    """Note nothing."""


def find_key(
    endpoint: Endpoint, *, environ: Mapping[str, str], folder: Path, note: Note = _forget
) -> ApiKey | None:
    """Return the endpoint's key, or None when it has none; `note` is called with what is found.

    Raises InvalidOption, without the key, when what was found cannot be a key.
    """
    for place, secret in _candidates(endpoint, environ, folder):
        note(secret)
        check_key(secret, place)
        return secret
    return None


def find_credentials(
    endpoint: Endpoint, *, environ: Mapping[str, str], folder: Path, note: Note = _forget
) -> Credentials:
    """Return the endpoint's headers, and its key where one is set.

    Raises InvalidOption for what cannot be a key or a header, MissingKey for a header without a value.
    """
    origin = to_origin(endpoint.base_url or NOWHERE)
    headers: dict[str, str] = {}
    for name, value in endpoint.headers.items():
        if isinstance(value, str):
            headers[name] = HiddenText(value) if name.lower() == AUTHORIZATION else value
        else:
            headers[name] = _find_header(endpoint, name, value.env, environ, folder)
    for secret in Credentials(origin=origin, headers=headers).secrets:
        note(secret)
    for name, variable in endpoint.header_variables.items():
        if not _HEADER.fullmatch(headers[name]):
            raise InvalidOption(
                _(
                    "The value of {variable} cannot be sent as the header {name}: it contains a line break "
                    "or a character that is not ASCII.\nNothing was sent. Set it again.",
                    variable=variable,
                    name=name,
                )
            )
    key = find_key(endpoint, environ=environ, folder=folder, note=note) if endpoint.sends_key else None
    return Credentials(origin=origin, key=key, headers=headers)


_HEADER = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def _find_header(
    endpoint: Endpoint, name: str, variable: str, environ: Mapping[str, str], folder: Path
) -> HiddenText:
    """Return the value of a header. Raises MissingKey."""
    value = _find_value(variable, environ, folder)
    if value is None:
        raise MissingKey(
            _(
                "{endpoint} requires {variable} for the header {name}. Set it in the environment or in a "
                ".env file beside the notebook. Nothing was sent.",
                endpoint=endpoint.title or endpoint.name,
                variable=variable,
                name=name,
            )
        )
    return value


def _find_value(variable: str, environ: Mapping[str, str], folder: Path) -> HiddenText | None:
    """Return the value of a variable from the nearest place that has it."""
    return (
        _variable(environ, variable) or _dotenv(folder, [variable]).get(variable) or _colab(variable) or None
    )


def list_missing(endpoint: Endpoint, *, environ: Mapping[str, str], folder: Path) -> list[str]:
    """Return the variables that a call to the endpoint requires, and that have no value."""
    names = endpoint.header_variables.values()
    missing = [name for name in names if not _find_value(name, environ, folder)]
    keyless = is_required(endpoint) and not find_key_source(endpoint, environ=environ, folder=folder)
    return [*(endpoint.key_env[:1] if keyless else ()), *missing]


def check_key(secret: ApiKey, place: str) -> None:
    """Raise InvalidOption, without the key, when the key is impossible; `place` says where it comes from."""
    if not secret.possible:
        raise InvalidOption(
            _(
                "The API key from {source} contains a blank, a quote, a line break or another character that "
                "no key has.\nIt was not used. Set it again.",
                source=place,
            )
        )


def make_missing_error(endpoint: Endpoint) -> MissingKey:
    """Return the error that names what to set."""
    return MissingKey(
        _(
            "{endpoint} requires an API key. Set {variables} in the environment or in a .env file beside the "
            "notebook. Nothing was sent.\nFree and without a key: {setting}",
            endpoint=endpoint.title or endpoint.name,
            variables=" or ".join(endpoint.key_env),
            setting=Setting("endpoint", "sketch"),
        )
    )


def is_required(endpoint: Endpoint) -> bool:
    """Return whether the endpoint requires a key."""
    return endpoint.sends_key and not endpoint.key_optional


def find_key_source(
    endpoint: Endpoint, *, environ: Mapping[str, str], folder: Path, note: Note = _forget
) -> str | None:
    """Return where the endpoint's key comes from, such as `OPENAI_API_KEY`; never any part of it."""
    for name, variable in endpoint.header_variables.items():
        if name.lower() == AUTHORIZATION and _find_value(variable, environ, folder):
            return variable
    if not endpoint.sends_key:
        return None
    for place, secret in _candidates(endpoint, environ, folder):
        note(secret)
        return place
    return None


def list_known_keys(
    endpoints: Iterable[Endpoint], *, environ: Mapping[str, str], folder: Path
) -> Iterator[ApiKey]:
    """Yield the keys of these endpoints, and of any server, in environment and `.env`: for redaction."""
    endpoints = tuple(endpoints)
    where = {name: endpoint.base_url for endpoint in endpoints for name in endpoint.key_env}
    of_headers = {name: place.base_url for place in endpoints for name in place.header_variables.values()}
    written = _dotenv(folder, {ANY_SERVER, *where, *of_headers})
    for name in (ANY_SERVER, *where, *of_headers):
        for value in (_variable(environ, name), written.get(name)):
            if value and name in of_headers:
                origin = to_origin(of_headers[name] or NOWHERE)
                yield from Credentials(origin=origin, headers={name: HiddenText(value.strip())}).secrets
            elif value:
                yield ApiKey(HiddenText(value.strip()), where.get(name) or NOWHERE)


NOWHERE = "none://unknown"  # the origin of a key whose server has no address yet


def _candidates(endpoint: Endpoint, environ: Mapping[str, str], folder: Path) -> Iterator[tuple[str, ApiKey]]:
    """Yield (place, key) from the nearest place on; each is looked at only when it is asked for."""
    for place, value in _places(endpoint, environ, folder):
        if value:
            yield place, ApiKey(value, endpoint.base_url or NOWHERE)


def _places(
    endpoint: Endpoint, environ: Mapping[str, str], folder: Path
) -> Iterator[tuple[str, HiddenText | None]]:
    names = endpoint.key_env
    if not names:
        return
    for name in names:
        yield name, _variable(environ, name)
    written = _dotenv(folder, names)
    for name in names:
        yield f"{name} in .env", written.get(name)
    if endpoint.keyring:
        yield "the system keyring", _keyring(endpoint.name)
    for name in names:
        yield f"{name} in Colab's secrets", _colab(name)


@hide_frames
def _variable(environ: Mapping[str, str], name: str) -> HiddenText:
    return HiddenText(environ.get(name, "").strip(" \t"))


@hide_frames
def _dotenv(folder: Path, names: Iterable[str]) -> dict[str, HiddenText]:
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
    wanted, found = set(names), {}
    for line in lines:
        before, assigned, value = line.partition("=")
        words = before.split()
        name = words[-1] if words[:-1] in ([], ["export"]) and words else ""
        if assigned and name in wanted:
            found[name] = HiddenText(_unquoted(value.strip()))
    return found


def _unquoted(text: str) -> str:
    if text[:1] in ("'", '"') and text.find(text[0], 1) > 0:
        return text[1 : text.find(text[0], 1)]
    return _COMMENT.split(f" {text}", maxsplit=1)[0].strip()


_COMMENT = re.compile(r"\s#")
_hanging: list[threading.Thread] = []  # the look-up in the keyring that waits for a person


@hide_frames
def _keyring(user: str) -> HiddenText | None:
    """Return the system keyring's password, if that package is installed and answers within a second.

    A backend may wait for a person at another screen, so it runs in the background, and no second thread
    starts while it hangs.
    """
    if find_spec("keyring") is None or any(thread.is_alive() for thread in _hanging):
        return None
    passwords: list[HiddenText] = []

    def look() -> None:
        with suppress(Exception):  # whatever a backend raises, there is no key
            import keyring  # noqa: PLC0415 - an optional package, slow to import

            passwords.append(HiddenText(keyring.get_password(KEYRING_SERVICE, user) or ""))

    thread = run_in_background(look, "keyring")
    thread.join(KEYRING_SECONDS)
    if thread.is_alive():
        _hanging[:] = [thread]
    return passwords[0] if passwords else None


@hide_frames
def _colab(name: str) -> HiddenText | None:
    """Return a secret of Google Colab, which asks the user for permission by itself."""
    if "google.colab" not in sys.modules:
        return None
    with suppress(Exception):  # no such secret, or no leave to read it
        from google.colab import userdata  # noqa: PLC0415 - exists in Colab alone

        return HiddenText(userdata.get(name) or "")
    return None
