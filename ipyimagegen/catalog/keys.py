"""Whose key a variable holds: an entry of the user's may not send it to another server unasked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from ipyimagegen.catalog.addresses import normalise_base_url
from ipyimagegen.core.endpoints import ANY_SERVER, Endpoint, to_host, to_origin
from ipyimagegen.core.errors import InvalidOption

Owners = Mapping[str, frozenset[str]]


def list_key_owners(known: Iterable[Endpoint], environ: Mapping[str, str]) -> Owners:
    """Return the origins that the key in each variable belongs to.

    `known` are the endpoints of the table, at the addresses that the environment gives them. The key of
    one that waits for the user's base URL belongs wherever the user says, so it is not among them.
    """
    owners: dict[str, frozenset[str]] = {}
    for endpoint in known:
        for variable in endpoint.key_env if endpoint.base_url else ():
            owners[variable] = owners.get(variable, frozenset()) | {to_origin(endpoint.base_url)}
    if address := environ.get("IPYIMAGEGEN_BASE_URL"):
        with suppress(InvalidOption):  # reported where that address is used
            owners[ANY_SERVER] = frozenset({to_origin(normalise_base_url(address, "IPYIMAGEGEN_BASE_URL"))})
    return owners


def bind_keys(entry: Endpoint, base: Endpoint | None, owners: Owners) -> Endpoint:
    """Return an entry of the user's, its `allow_key` and `keyring` as they are in effect.

    `base` is the endpoint that it overrides. Raises InvalidOption where a key would go to another
    server, and the entry does not allow it.
    """
    if not entry.base_url:
        return entry
    place = to_origin(entry.base_url)
    foreign = [variable for variable in entry.key_env if place not in owners.get(variable, {place})]
    if foreign and not entry.allow_key:
        raise InvalidOption(
            f"%config Imagine.endpoints: {entry.name!r} would send {foreign[0]}, the key of another server, "
            f"to {to_host(entry.base_url)}. Nothing was sent.\n"
            'Set a variable of its own as key_env. If that host may have the key, add "allow_key": True'
        )
    moved = base is not None and bool(base.base_url) and to_origin(base.base_url) != place
    allowed = entry.allow_key and (moved or bool(foreign))
    return replace(entry, allow_key=allowed, keyring=allowed or not moved)
