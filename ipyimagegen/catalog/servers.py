"""From a name or an address to an endpoint: the table, the user's own entries, the environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from ipyimagegen.catalog.accepted import FORMATS
from ipyimagegen.catalog.addresses import is_address, is_loopback, normalise_base_url
from ipyimagegen.catalog.keys import bind_keys, list_key_owners
from ipyimagegen.catalog.tables import find_model, load_endpoints, overlay_endpoint
from ipyimagegen.core.endpoints import ANY_SERVER, Endpoint, to_host, to_origin
from ipyimagegen.core.errors import InvalidOption, suggest_name
from ipyimagegen.core.options import Json
from ipyimagegen.core.request import Request

Own = Mapping[str, Mapping[str, Any]]
NOTHING: Own = {}
OPENAI = "openai"
_IN_RECORD = "The address in the record"
_TYPES: Mapping[str, tuple[type, ...]] = {
    "base_url": (str,),
    "title": (str,),
    "dialect": (str,),
    "vendor": (str,),
    "key_env": (str, list, tuple),
    "key_optional": (bool,),
    "free": (bool,),
    "allow_http": (bool,),
    "allow_key": (bool,),
    "default_model": (str,),
    "model_required": (bool,),
    "fields": (list, tuple),
    "required": (Mapping,),
    "models": (Mapping,),
    "query": (Mapping,),
    "edits": (bool,),
    "edit_fields": (list, tuple),
    "edit_form": (str,),
    "image_field": (Mapping,),
    "most_inputs": (Mapping,),
    "json_only": (list, tuple),
    "mask": (bool,),
    "mask_as": (str,),
    "input_formats": (list, tuple),
    "input_bytes": (int,),
}
_WORDS: Mapping[str, tuple[str, ...]] = {"edit_form": ("multipart", "json"), "mask_as": ("alpha", "white")}


def find_endpoint(name_or_url: str, own: Own = NOTHING, environ: Mapping[str, str] = {}) -> Endpoint:
    """Return the endpoint of that name (known or the user's own, whatever its case) or base URL.

    Raises InvalidOption for an unknown name (with the nearest), an entry that is wrong, an address
    that is none, or a known server whose address only the user can give.
    """
    name = name_or_url.strip()
    entries = _entries(own, environ)
    found = entries.get(name.casefold())
    if found is None and is_address(name):
        return _at(normalise_base_url(name), entries, environ)
    if found is None:
        raise InvalidOption(
            f"There is no endpoint {name!r}.{suggest_name(name, entries)} "
            "A base URL such as https://gpu.example/v1 works too; %imagine_endpoints lists all."
        )
    if not found.base_url:
        raise InvalidOption(
            f"{found.name} needs your base URL: "
            f'%config Imagine.endpoints = {{"{found.name}": {{"base_url": "https://…"}}}}'
        )
    return found


def list_endpoints(own: Own = NOTHING, environ: Mapping[str, str] = {}) -> tuple[Endpoint, ...]:
    """Return every endpoint, known and own; those that wait for an address have an empty `base_url`."""
    return tuple(_entries(own, environ).values())


def find_default_endpoint(
    typed: str | None,
    configured: str | None,
    environ: Mapping[str, str],
    own: Own,
    has_key: Callable[[Endpoint], bool],
) -> Endpoint | None:
    """Return the endpoint to ask: typed, configured, from the environment, openai if its key is set.

    None means that nothing was chosen. Raises InvalidOption like `find_endpoint`.
    """
    named = typed or configured or environ.get("IPYIMAGEGEN_ENDPOINT") or environ.get("IPYIMAGEGEN_BASE_URL")
    if named:
        return find_endpoint(named, own, environ)
    fallback = find_endpoint(OPENAI, own, environ)
    return fallback if has_key(fallback) else None


def list_configured_urls(own: Own, environ: Mapping[str, str], chosen: str | None = None) -> frozenset[str]:
    """Return the base URLs that the table, the user's entries, the environment or `chosen` name."""
    urls = {entry.base_url for entry in _entries(own, environ).values()}
    for text in (chosen, environ.get("IPYIMAGEGEN_ENDPOINT"), environ.get("IPYIMAGEGEN_BASE_URL")):
        if text and is_address(text):
            urls.add(normalise_base_url(text))
    return frozenset(urls - {""})


def find_endpoint_of_request(
    request: Request, own: Own = NOTHING, environ: Mapping[str, str] = {}
) -> Endpoint:
    """Return the endpoint that a stored request went to: by its name if that is still there, else by URL.

    Raises InvalidOption for an address that is none: somebody may have edited the record.
    """
    found = _entries(own, environ).get(request.endpoint.casefold())
    if found and found.base_url == request.base_url:
        return found
    if normalise_base_url(request.base_url, _IN_RECORD) != request.base_url:
        raise InvalidOption(f"{_IN_RECORD} is not written as a base URL.")
    found = _at(request.base_url, _entries(own, environ), environ)
    if request.dialect not in list_dialects():
        return replace(found, name=request.endpoint)
    if found.dialect != request.dialect:  # its entry is gone; what servers of that dialect take is known
        like = _of_dialect(request.endpoint, request.dialect)
        kept = ("base_url", "key_env", "key_optional", "allow_http", "allow_key", "keyring", "free")
        found = replace(like, **{name: getattr(found, name) for name in kept})
    return replace(found, name=request.endpoint, dialect=request.dialect)


def list_dialects() -> frozenset[str]:
    """Return the names of the dialects that are known."""
    return frozenset(entry.dialect for entry in load_endpoints().values())


def find_owner(model_name: str, own: Own = NOTHING, environ: Mapping[str, str] = {}) -> Endpoint:
    """Return where a model is usually asked: at its vendor's, else where it is listed, else at openai."""
    row = find_model(model_name)
    known = load_endpoints().values()
    at_vendor = (one.name for one in known if row and row.vendor and one.vendor == row.vendor)
    listing = (one.name for one in known if row and row.name in one.models)
    return _entries(own, environ)[next(chain(at_vendor, listing), OPENAI)]


# What `_entries` returned last, by what it depends on: one call asks for the table a dozen times.
_MADE: dict[tuple[str | None, ...], Mapping[str, Endpoint]] = {}
_ADDRESSES = ("OPENAI_BASE_URL", "IPYIMAGEGEN_BASE_URL")


def _entries(own: Own, environ: Mapping[str, str]) -> Mapping[str, Endpoint]:
    """Return every endpoint by casefolded name, the table's with the user's settings over them."""
    depends = (repr(own), *map(environ.get, _ADDRESSES))
    made = _MADE.get(depends)
    if made is None:
        made = _make_entries(own, environ)
        _MADE.clear()
        _MADE[depends] = made
    return made


def _make_entries(own: Own, environ: Mapping[str, str]) -> Mapping[str, Endpoint]:
    found = {name.casefold(): one for name, one in load_endpoints().items()}
    address = environ.get("OPENAI_BASE_URL")
    if address:
        found[OPENAI] = _moved(found[OPENAI], normalise_base_url(address, "OPENAI_BASE_URL"))
    owners = list_key_owners(found.values(), environ)
    for name, columns in own.items():
        key = name.casefold()
        base = found.get(key)
        found[key] = bind_keys(_own_entry(name, _checked(name, columns), base), base, owners)
    return {key: _free_here(one, own) for key, one in found.items()}


def _own_entry(name: str, columns: Mapping[str, Json], base: Endpoint | None) -> Endpoint:
    given = dict(columns)
    if isinstance(given.get("key_env"), str):
        given["key_env"] = [given["key_env"]]
    address = given.pop("base_url", None)
    if base is None:
        base = _of_dialect(name, str(given.get("dialect", "openai")))
    if address:
        base = _moved(
            base, normalise_base_url(str(address), f"%config Imagine.endpoints: the base_url of {name!r}")
        )
    return overlay_endpoint(base, given)


def _of_dialect(name: str, dialect: str) -> Endpoint:
    """Return a blank endpoint that knows what servers of that dialect take."""
    like = load_endpoints().get(dialect)
    if like is None or like.vendor == OPENAI:
        return Endpoint(name=name, base_url="", dialect=dialect)
    return replace(
        like, name=name, base_url="", title="", vendor="", key_env=(), default_model=None, models={}
    )


def _moved(base: Endpoint, base_url: str) -> Endpoint:
    """Return the endpoint at another address.

    Where the table knows that address, what is known of it holds; elsewhere it is no longer the
    vendor's own server.
    """
    there = next((one for one in load_endpoints().values() if one.base_url == base_url), None)
    if there:
        return replace(there, name=base.name, key_env=base.key_env or there.key_env)
    stays = not base.base_url or to_origin(base.base_url) == to_origin(base_url)
    return replace(base, base_url=base_url, vendor=base.vendor if stays else "")


def _free_here(one: Endpoint, own: Own) -> Endpoint:
    told = next((entry for name, entry in own.items() if name.casefold() == one.name.casefold()), {})
    return replace(one, free=True) if is_loopback(one) and "free" not in told else one


def _checked(name: str, columns: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return an entry of `%config Imagine.endpoints`, or raise InvalidOption. Values are never echoed."""
    what = f"%config Imagine.endpoints: {name!r}"
    if not isinstance(columns, Mapping):
        raise InvalidOption(f'{what} takes settings such as {{"base_url": "http://gpu.example:8000/v1"}}.')
    for key, value in columns.items():
        if key not in _TYPES:
            hint = suggest_name(str(key), _TYPES)
            if str(key).casefold() in ("key", "api_key", "apikey", "token", "secret", "password"):
                hint = ' Put the key into an environment variable, and its NAME here as "key_env".'
            raise InvalidOption(f"{what} has no setting {key!r}.{hint}")
        if not isinstance(value, _TYPES[key]):
            wanted = "a table" if _TYPES[key][0] is Mapping else _TYPES[key][0].__name__
            raise InvalidOption(f"{what}: {key} is {wanted}, not {type(value).__name__}.")
        if key in _WORDS and value not in _WORDS[key]:
            raise InvalidOption(f"{what}: {key} is {' or '.join(_WORDS[key])}.")
        _check_members(what, key, value)
    variables = columns.get("key_env", ())
    for variable in [variables] if isinstance(variables, str) else variables:
        if not re.fullmatch(r"[A-Za-z_]\w{0,99}", str(variable), re.ASCII):
            raise InvalidOption(f"{what}: key_env is the NAME of an environment variable, never a key.")
    if columns.get("dialect", "openai") not in list_dialects():
        dialect = columns["dialect"]
        raise InvalidOption(
            f"{what}: there is no dialect {dialect!r}.{suggest_name(dialect, list_dialects())}"
        )
    return columns


def _check_members(what: str, key: str, value: Json) -> None:
    """Raise InvalidOption for a member that would only fail once an image is on its way."""
    wrong = {
        "input_formats": lambda: [one for one in value if one not in FORMATS],
        "edit_fields": lambda: [one for one in value if not isinstance(one, str)],
        "image_field": lambda: [one for one in value.values() if not isinstance(one, str)],
        "most_inputs": lambda: [one for one in value.values() if type(one) is not int],
        "input_bytes": lambda: [value] if isinstance(value, bool) or value < 1 else [],
    }
    right = {
        "input_formats": ", ".join(FORMATS),
        "edit_fields": "names of options",
        "image_field": 'a table such as {"*": "image"}',
        "most_inputs": 'a table such as {"*": 4}',
        "input_bytes": "a number of bytes",
    }
    if key in wrong and (found := wrong[key]()):
        raise InvalidOption(f"{what}: {key} is {right[key]}, not {found[0]!r}.")


def _at(base_url: str, entries: Mapping[str, Endpoint], environ: Mapping[str, str]) -> Endpoint:
    """Return the endpoint of a typed address, with the key of whatever entry has its origin."""
    there = [
        one for one in entries.values() if one.base_url and to_origin(one.base_url) == to_origin(base_url)
    ]
    found = next((one for one in there if one.base_url == base_url), None)
    if found is None:
        found = Endpoint(name=to_host(base_url), base_url=base_url)
        found = replace(found, free=is_loopback(found))
        if there:
            near = there[0]
            found = replace(
                found,
                key_env=near.key_env,
                key_optional=near.key_optional,
                allow_http=near.allow_http,
                allow_key=near.allow_key,
                free=near.free,
            )
    address = environ.get("IPYIMAGEGEN_BASE_URL")
    if address and to_origin(normalise_base_url(address, "IPYIMAGEGEN_BASE_URL")) == to_origin(base_url):
        optional = found.key_optional or not found.key_env
        found = replace(found, key_env=(*found.key_env, ANY_SERVER), key_optional=optional)
    return found
