"""Base URLs: one spelling for each server, and where a key may travel."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from ipyimagegen.core.endpoints import Endpoint, to_origin
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.hosts import is_loopback_host
from ipyimagegen.core.options import to_half_width

_DEFAULT_PORT = {"http": 80, "https": 443}
_ROUTES = ("/images/generations", "/images/edits")


def is_address(text: str) -> bool:
    """Say whether `text` can only be meant as an address: no endpoint's name looks like that."""
    return any(sign in text for sign in ("/", ":", ".")) or text.casefold() == "localhost"


def normalise_base_url(text: str, source: str = "The address") -> str:
    """Return the base URL that `text` means: scheme, host, port unless default, path; no slash at the end.

    A bare host gets `/v1`; a whole `…/images/generations` or `…/images/edits` address is cut back;
    any other path is kept. Without a scheme it is https, or http on this machine.
    `source` begins a message: what the address is, or where it stands.
    Raises InvalidOption; a message never repeats what may hold a password.
    """
    text = to_half_width(text).strip()
    parts = _split(text if "://" in text else f"https://{text}", source)
    scheme = parts.scheme
    if "://" not in text and is_loopback_host(parts.hostname or ""):
        scheme = "http"
    path = parts.path.rstrip("/")
    for route in _ROUTES:
        if path.endswith(route):
            return origin_of(scheme, parts) + path.removesuffix(route).rstrip("/")
    return origin_of(scheme, parts) + (path or "/v1")


def _split(text: str, source: str) -> SplitResult:
    try:
        to_origin(text)  # refuses what parsers read differently
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or any(c.isspace() or not c.isprintable() for c in text):
        raise InvalidOption(f"{source} is no base URL such as https://gpu.example/v1.")
    if parts.username is not None or parts.password is not None:
        raise InvalidOption(
            f"{source} holds a user or password ({host}): take it out; keys come from the environment."
        )
    if parts.query or parts.fragment:
        raise InvalidOption(
            f"{source} has a ? or # part ({host}). A query goes into\n"
            '%config Imagine.endpoints = {"NAME": {"base_url": "…", "query": {"api-version": "…"}}}.'
        )
    if parts.scheme not in _DEFAULT_PORT:
        raise InvalidOption(f"{source} begins with {parts.scheme}:, not with https: or http:.")
    return parts


def origin_of(scheme: str, parts: SplitResult) -> str:
    """Return scheme, lower-case host and port unless default, as `https://gpu.example:8443`."""
    host = parts.hostname or ""
    try:
        host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        host = ""
    if not host:
        raise InvalidOption("That host name cannot be written as an address.")
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    return f"{scheme}://{host}" + (f":{port}" if port and port != _DEFAULT_PORT[scheme] else "")


def is_loopback(endpoint: Endpoint) -> bool:
    """Say whether the endpoint is a server on this machine."""
    return is_loopback_host(urlsplit(endpoint.base_url).hostname or "")


def check_transport(endpoint: Endpoint, has_key: bool) -> None:
    """Raise InvalidOption where a key would travel unencrypted and nobody allowed it."""
    if not has_key or endpoint.allow_http or is_loopback(endpoint):
        return
    if urlsplit(endpoint.base_url).scheme == "http":
        key = f', "key_env": "{endpoint.key_env[0]}"' if endpoint.key_env else ""
        allowed = f'{{"base_url": "{endpoint.base_url}", "allow_http": True{key}}}'
        raise InvalidOption(
            f"{endpoint.name} is http:, so its key would travel unencrypted; nothing was sent. If you may:\n"
            f'%config Imagine.endpoints = {{"{endpoint.name}": {allowed}}}'
        )
