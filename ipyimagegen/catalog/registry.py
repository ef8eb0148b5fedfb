"""From a name or an address to an endpoint: the table, the user's entries, the environment.

A base URL has a single spelling, and a key goes only to the server that it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ipyimagegen.catalog.tables import find_model, list_names, load_endpoints, read_columns
from ipyimagegen.core.endpoints import (
    ANY_SERVER,
    Endpoint,
    find_deployment,
    to_host,
    to_origin,
    write_url,
)
from ipyimagegen.core.errors import InvalidOption, suggest_name
from ipyimagegen.core.hosts import is_loopback_host
from ipyimagegen.core.messages import Remedy, Setting, _
from ipyimagegen.core.request import Request

UserEntries = Mapping[str, Mapping[str, Any]]  # `%config Imagine.endpoints`
NO_ENTRIES: UserEntries = {}
Queries = Mapping[str, Mapping[str, str]]
NO_QUERIES: Queries = {}
OPENAI, AZURE = "openai", "azure"
ADDRESS_VARIABLES = ("OPENAI_BASE_URL", "IPYIMAGEGEN_BASE_URL", "IPYIMAGEGEN_ENDPOINT")
# The columns that hold for whatever else is at the same origin.
_OF_SERVER = (
    *("key_env", "key_optional", "allow_http", "allow_key", "free"),
    *("headers", "idle_timeout", "call_timeout"),
)
_ADDRESS = _("The address")
_IN_RECORD = _("The address in the record")
_EXAMPLE = {"NAME": {"base_url": "https://…", "query": {"api-version": "…"}}}


class Registry:
    """The endpoints in effect: the table, the user's entries over it, the addresses of the environment.

    Raises InvalidOption for a wrong entry or address.

        Registry({"lab": {"base_url": "https://lab.example/v1"}}).find("lab")
    """

    def __init__(self, entries: UserEntries = NO_ENTRIES, environ: Mapping[str, str] = {}) -> None:
        names = ("IPYIMAGEGEN_ENDPOINT", "IPYIMAGEGEN_BASE_URL")
        self._chosen = next(((name, environ[name]) for name in names if _clean(environ.get(name, ""))), None)
        self._base_url = _clean(environ.get("IPYIMAGEGEN_BASE_URL", ""))
        self._by_name = _merge(entries, environ)

    def __iter__(self) -> Iterator[Endpoint]:
        """Yield the endpoints that have a name; `base_url` is empty where the user has to give it."""
        return iter(self._by_name.values())

    def find(self, name_or_url: str, source: str = _ADDRESS) -> Endpoint:
        """Return the endpoint of that name (in any case) or base URL; `source` begins a message.

        Raises InvalidOption for an unknown name (with the nearest), an invalid address, and an endpoint of
        the table whose address the user has to give.
        """
        name = _clean(name_or_url)
        endpoint = self._by_name.get(name_or_url.strip().casefold()) or self._by_name.get(name.casefold())
        if endpoint is None and _is_address(name):
            return self._find_at(read_address(name, source))
        if endpoint is None:
            if source != _ADDRESS:
                raise InvalidOption(
                    _(
                        "{source} names no endpoint that exists, and no base URL such as "
                        "https://gpu.example/v1.{hint}",
                        source=source,
                        hint=suggest_name(name, self._by_name),
                    ),
                    remedy=Remedy.CHANGE_ENDPOINT,
                )
            raise InvalidOption(
                _(
                    "There is no endpoint {name}.{hint} A base URL such as https://gpu.example/v1 works too.",
                    name=repr(name),
                    hint=suggest_name(name, self._by_name),
                ),
                remedy=Remedy.CHANGE_ENDPOINT,
            )
        if not endpoint.base_url:
            raise InvalidOption(
                _(
                    "{name} requires your base URL: {setting}",
                    name=endpoint.name,
                    setting=Setting("endpoints", {endpoint.name: {"base_url": "https://…"}}),
                )
            )
        return endpoint

    def find_default(self, chosen: str | None, has_key: Callable[[Endpoint], bool]) -> Endpoint | None:
        """Return the endpoint that is chosen, else in the environment, else openai if its key is known.

        None means that no endpoint was chosen. Raises InvalidOption like `find`.
        """
        if chosen:
            return self.find(chosen)
        if self._chosen:
            variable, name = self._chosen
            return self.find(name, variable)
        fallback = self.find(OPENAI)
        return fallback if has_key(fallback) else None

    def find_of_request(self, request: Request, queries: Queries = NO_QUERIES) -> Endpoint:
        """Return the endpoint of a stored request: by its name if that still has its URL, else by URL.

        `queries` are the parameters of addresses that the user gave, which no record holds, by base URL.
        Raises InvalidOption for an invalid address: somebody may have edited the record.
        """
        endpoint = self._by_name.get(request.endpoint.casefold())
        if endpoint and endpoint.base_url == request.base_url:
            return endpoint
        whole = read_address(write_url(request.base_url, _GENERATIONS), _IN_RECORD)
        if whole != Address(base_url=request.base_url):
            raise InvalidOption(_("{address} is not written as a base URL.", address=_IN_RECORD))
        endpoint = self._find_at(replace(whole, query=queries.get(request.base_url, {})))
        if request.dialect not in list_dialects():
            return replace(endpoint, name=request.endpoint)
        if endpoint.dialect != request.dialect:  # its entry is gone, what its dialect takes is not
            blank = _make_blank(request.endpoint, request.dialect)
            same = {member: getattr(endpoint, member) for member in ("base_url", "keyring", *_OF_SERVER)}
            endpoint = replace(blank, **same)
        return replace(endpoint, name=request.endpoint, dialect=request.dialect)

    def find_owner(self, model_name: str) -> Endpoint:
        """Return the endpoint of a model's vendor, else the first that lists the model, else openai."""
        model = find_model(model_name)
        known = load_endpoints().values()
        at_vendor = (place.name for place in known if model and model.vendor and place.vendor == model.vendor)
        names = list_names(model) if model else ()
        listing = (place.name for place in known if not place.models.keys().isdisjoint(names))
        return self._by_name[next(chain(at_vendor, listing), OPENAI)]

    def list_queries(self, chosen: str | None = None) -> dict[str, Mapping[str, str]]:
        """Return the base URLs that the table, the user's entries, the environment or `chosen` name.

        Each maps to the parameters that its address has.
        """
        queries = {endpoint.base_url: endpoint.query for endpoint in self if endpoint.base_url}
        for text in (chosen, self._chosen and self._chosen[1], self._base_url):
            if text and _is_address(_clean(text)):
                address = read_address(text)
                queries[address.base_url] = address.query
        return queries

    def _find_at(self, address: Address) -> Endpoint:
        """Return the endpoint of a typed address, with the key of the endpoint that has its origin."""
        base_url, origin = address.base_url, to_origin(address.base_url)
        near = [place for place in self if place.base_url and to_origin(place.base_url) == origin]
        endpoint = next((place for place in near if place.base_url == base_url), None)
        if endpoint is None:
            blank = Endpoint(name=to_host(base_url), base_url="")
            endpoint = _decide_free(_move(blank, address))
            elsewhere = {variable for place in self if place.base_url for variable in place.key_env}
            if not near and not elsewhere.isdisjoint(endpoint.key_env):  # that key belongs to another origin
                endpoint = replace(endpoint, key_env=())
            if near:
                endpoint = replace(endpoint, **{member: getattr(near[0], member) for member in _OF_SERVER})
        elif address.query:
            endpoint = replace(endpoint, query={**endpoint.query, **address.query})
        if (
            self._base_url
            and to_origin(read_address(self._base_url, "IPYIMAGEGEN_BASE_URL").base_url) == origin
        ):
            optional = endpoint.key_optional or not endpoint.key_env
            endpoint = replace(endpoint, key_env=(*endpoint.key_env, ANY_SERVER), key_optional=optional)
        return endpoint


def list_dialects() -> frozenset[str]:
    """Return the names of the dialects."""
    return frozenset(endpoint.dialect for endpoint in load_endpoints().values())


def is_loopback(endpoint: Endpoint) -> bool:
    """Return whether the endpoint is a server on this machine."""
    return is_loopback_host(urlsplit(endpoint.base_url).hostname or "")


def _decide_free(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with `free` as its row or entry says, else by its address.

    A server of this machine is free, unless it requires a key: then it may pay for what it passes on.
    """
    if endpoint.free is not None:
        return endpoint
    return replace(endpoint, free=is_loopback(endpoint) and (endpoint.key_optional or not endpoint.key_env))


def check_transport(endpoint: Endpoint, has_key: bool) -> None:
    """Raise InvalidOption where a key would travel unencrypted and the entry does not allow it."""
    if not has_key or endpoint.allow_http or is_loopback(endpoint):
        return
    if urlsplit(endpoint.base_url).scheme == "http":
        entry = {"base_url": endpoint.base_url, "allow_http": True}
        if endpoint.key_env:
            entry["key_env"] = endpoint.key_env[0]
        raise InvalidOption(
            _(
                "{name} is http:, so its key would travel unencrypted. Nothing was sent. "
                "To allow it:\n{setting}",
                name=endpoint.name,
                setting=Setting("endpoints", {endpoint.name: entry}),
            )
        )


# --- base URLs --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Address:
    """What an address says: the base URL in its canonical spelling, and the parameters of every request."""

    base_url: str
    query: Mapping[str, str] = field(default_factory=dict)


# What follows a base URL in a whole address. OpenRouter's route is /images alone.
_ROUTES = re.compile(
    r"(?i)(?:/(?:(?:chat/)?completions|responses|models|embeddings|images/(?:generations|edits)|(?<=/v1/)images))+$"
)
_GENERATIONS = "/images/generations"
_DATED = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")  # the api-version of Azure's older routes
_VERSION = re.compile(rf"(api-version=({_DATED.pattern}|preview|latest|v1))?")  # never a key
_AZURE_HOST = re.compile(r"\.(openai|cognitiveservices|services\.ai)\.azure\.(com|cn)$")  # of any resource
# What a Chinese input method types, and what is copied along with an address.
_HALF_WIDTH = {0xFF01 + place: 0x21 + place for place in range(94)} | {0x3000: " ", 0x3002: "."}
# A line of a .env file, and a link of Markdown.
_PASTED = re.compile(r"(?:(?:export )?\w+=[\"'“]?|\[[^\]]*\]\()([^\s()]+)\)?")
_AROUND = re.compile(r"""^[\s\u200b\ufeff"'`<“”‘’「『]+|[\s\u200b\ufeff"'`>“”‘’」』,.;]+$""")


def _clean(text: str) -> str:
    """Return a typed name or address in half-width characters, without what was copied along with it."""
    text = _AROUND.sub("", text.translate(_HALF_WIDTH))
    pasted = _PASTED.fullmatch(text)
    return pasted[1] if pasted else text


def _is_address(text: str) -> bool:
    """Return whether `text` can only be an address: no endpoint's name looks like that."""
    return any(sign in text for sign in ("/", ":", ".")) or text.casefold() == "localhost"


def read_address(
    text: str, source: str = _ADDRESS, *, dialect: str = OPENAI, query: Mapping[str, str] = {}
) -> Address:
    """Return what an address says: scheme, host, port unless default, path; no route.

    A final slash is kept behind /images/generations alone: all routes of an unknown server get it.

    A bare host gets the path that its row of the table has, else `/v1`; any other path is kept: it names its
    own version. Without a scheme it is https, or http on this machine. Of a query only `api-version` is
    taken. At Azure, which its host or `dialect` tells, a bare host or `/openai` becomes `/openai/v1`, but
    with a dated `api-version`, which `query` may hold too, `/openai`. `source` begins a message. Raises
    InvalidOption; a message never repeats what may hold a password.
    """
    text = re.sub(r"^(?i:(https?):/)(?!/)", r"\1://", _clean(text))
    parts = _split(text if "://" in text else f"https://{text if _is_address(text) else ''}", source)
    scheme = parts.scheme
    if "://" not in text and is_loopback_host(parts.hostname or ""):
        scheme = "http"
    origin = _join_origin(scheme, parts)
    own = dict(parse_qsl(parts.query))
    whole = re.sub("/+", "/", parts.path).rstrip("/")
    path = _ROUTES.sub("", whole)
    row = _find_row(origin)
    if path == whole and AZURE in (dialect, row and row.dialect) and path in ("", "/openai"):
        dated = _DATED.fullmatch({**query, **own}.get("api-version", ""))
        path = "/openai" if dated else "/openai/v1"
    elif not whole:
        path = urlsplit(row.base_url).path if row else "/v1"
    if row is None and parts.path.endswith("/") and whole.endswith(_GENERATIONS):
        path += "/"  # of all routes
    return Address(base_url=origin + path, query=own)


def _find_row(origin: str) -> Endpoint | None:
    """Return the table's row for the server at an origin."""
    host = urlsplit(origin).hostname or ""
    for row in load_endpoints().values():
        if row.base_url and to_origin(row.base_url) == origin:
            return row
        if row.dialect == AZURE and _AZURE_HOST.search(host):
            return row
    return None


def check_address(endpoint: Endpoint) -> None:
    """Raise InvalidOption where a deployment of Azure lacks the version that its route requires."""
    row = _find_row(to_origin(endpoint.base_url)) if find_deployment(endpoint.base_url) else None
    if row and row.dialect == AZURE and "api-version" not in endpoint.query:
        raise InvalidOption(
            _(
                "{name}: the address of a deployment requires its api-version. Nothing was sent. "
                "Write it as {example}",
                name=endpoint.name,
                example=f"{endpoint.base_url}/images/generations?api-version=2025-04-01-preview",
            )
        )


def _split(text: str, source: str) -> SplitResult:
    try:
        to_origin(text)  # refuses what parsers read differently
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host = None
    twice = host in ("http", "https")  # as http://http://gpu.example
    if not host or twice or any(character.isspace() or not character.isprintable() for character in text):
        raise InvalidOption(_("{source} is not a base URL such as https://gpu.example/v1.", source=source))
    if parts.username is not None or parts.password is not None:
        raise InvalidOption(
            _(
                "{source} contains a user or password. Write https://{host}/v1; keys come from the "
                "environment.",
                source=source,
                host=host,
            )
        )
    if parts.fragment or not _VERSION.fullmatch(parts.query):
        raise InvalidOption(
            _(
                "{source} has a ? or # part ({host}). Put the query into\n{setting}",
                source=source,
                host=host,
                setting=Setting("endpoints", _EXAMPLE),
            )
        )
    if parts.scheme not in ("http", "https"):
        raise InvalidOption(
            _(
                "{source} begins with {scheme}:, not with https: or http: as https://gpu.example/v1 does.",
                source=source,
                scheme=parts.scheme,
            )
        )
    return parts


def _join_origin(scheme: str, parts: SplitResult) -> str:
    """Return scheme, lower-case host and port unless default, as `https://gpu.example:8443`."""
    host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    try:
        host = host if host.isascii() else host.encode("idna").decode()
        origin = to_origin(f"{scheme}://[{host}]{port}" if ":" in host else f"{scheme}://{host}{port}")
    except ValueError:  # UnicodeError too
        origin = ""
    if not origin:
        raise InvalidOption(_("That host name cannot be written as an address."))
    return origin


# --- the table with the user's entries over it --------------------------------------------------------


def _merge(entries: UserEntries, environ: Mapping[str, str]) -> Mapping[str, Endpoint]:
    endpoints = {name.casefold(): endpoint for name, endpoint in load_endpoints().items()}
    address = environ.get("OPENAI_BASE_URL", "")
    if _clean(address):
        endpoints[OPENAI] = _move(endpoints[OPENAI], read_address(address, "OPENAI_BASE_URL"))
    owners = _list_key_owners(endpoints.values(), environ)
    for name, columns in entries.items():
        if not isinstance(name, str):
            raise InvalidOption(_("{setting}: names must be text.", setting=Setting("endpoints")))
        key = name.casefold()
        base = endpoints.get(key)
        endpoints[key] = _bind_keys(_read_entry(name, columns, base), base, owners)
    return {key: _decide_free(endpoint) for key, endpoint in endpoints.items()}


def _read_entry(name: str, columns: Mapping[str, Any], base: Endpoint | None) -> Endpoint:
    """Return an entry of the user's over `base`, the endpoint of that name. Values are never repeated."""
    row = _("{setting}: {name}", setting=Setting("endpoints"), name=repr(name))
    members = read_columns(Endpoint, columns, row)
    dialect, base_name = members.get("dialect", OPENAI), members.pop("base", None)
    for column, value, known in (
        ("dialect", dialect, list_dialects()),
        ("base", base_name, load_endpoints()),
    ):
        if value is not None and value not in known:
            raise InvalidOption(
                _(
                    "{row}: {column} must be one of {names}.{hint}",
                    row=row,
                    column=column,
                    names=", ".join(sorted(known)),
                    hint=suggest_name(value, known),
                )
            )
    if base_name is not None:
        base = replace(load_endpoints()[base_name], name=name, title="")
    elif base is None:
        base = _make_blank(name, dialect)
    if text := members.pop("base_url", ""):
        query = {**base.query, **members.get("query", {})}
        dialect = members.get("dialect", base.dialect)
        address = read_address(text, _("{row}: base_url", row=row), dialect=dialect, query=query)
        base = _move(base, address)
        members["query"] = {**query, **address.query}
        if dialect == AZURE and (deployment := find_deployment(base.base_url)):
            members.setdefault("default_model", deployment)
    return replace(base, **members)


def _make_blank(name: str, dialect: str) -> Endpoint:
    """Return an endpoint without address or key, with what servers of that dialect take."""
    usual = load_endpoints().get(dialect)
    if usual is None or usual.vendor == OPENAI:
        return Endpoint(name=name, base_url="", dialect=dialect)
    any_model = {pattern: columns for pattern, columns in usual.models.items() if pattern == "*"}
    blank = replace(usual, name=name, base_url="", title="", vendor="", key_env=(), default_model=None)
    return replace(blank, models=any_model)


def _move(base: Endpoint, address: Address) -> Endpoint:
    """Return the endpoint at another address.

    Where the table has that address, its row holds; elsewhere it is not the vendor's server any more.
    """
    base_url = address.base_url
    row = _find_row(to_origin(base_url))
    if row and row.base_url in ("", base_url):
        model = find_deployment(base_url) if row.dialect == AZURE else row.default_model
        return replace(
            row,
            name=base.name,
            base_url=base_url,
            key_env=base.key_env or row.key_env,
            query=address.query,
            default_model=model,
        )
    stays = not base.base_url or to_origin(base.base_url) == to_origin(base_url)
    query = {**base.query, **address.query}
    return replace(base, base_url=base_url, query=query, vendor=base.vendor if stays else "")


# --- whose key a variable holds -----------------------------------------------------------------------

_Owners = Mapping[str, frozenset[str]]


def _list_key_owners(known: Iterable[Endpoint], environ: Mapping[str, str]) -> _Owners:
    """Return the origins that the key in each variable belongs to.

    `known` are the endpoints of the table, at the addresses that the environment gives them. The key of an
    endpoint that requires the user's base URL belongs to any address, so it is not among them.
    """
    owners: dict[str, frozenset[str]] = {}
    for endpoint in known:
        for variable in endpoint.key_env if endpoint.base_url else ():
            owners[variable] = owners.get(variable, frozenset()) | {to_origin(endpoint.base_url)}
    if address := _clean(environ.get("IPYIMAGEGEN_BASE_URL", "")):
        with suppress(InvalidOption):  # reported where that address is used
            owners[ANY_SERVER] = frozenset({to_origin(read_address(address).base_url)})
    return owners


def _bind_keys(entry: Endpoint, base: Endpoint | None, owners: _Owners) -> Endpoint:
    """Return an entry of the user's, its `allow_key` and `keyring` as they are in effect.

    `base` is the endpoint that it overrides. Raises InvalidOption where a key would go to another server
    and the entry does not allow it.
    """
    if not entry.base_url:
        return entry
    origin = to_origin(entry.base_url)
    foreign = [variable for variable in entry.variables if origin not in owners.get(variable, {origin})]
    if foreign and not entry.allow_key:
        raise InvalidOption(
            _(
                "{setting}: {name} would send {variable}, the key of another server, to {host}. "
                "Nothing was sent.\n"
                'Use a variable of its own, or add "allow_key": True if {host} may have the key.',
                setting=Setting("endpoints"),
                name=repr(entry.name),
                variable=foreign[0],
                host=to_host(entry.base_url),
            )
        )
    moved = base is not None and bool(base.base_url) and to_origin(base.base_url) != origin
    allowed = entry.allow_key and (moved or bool(foreign))
    return replace(entry, allow_key=allowed, keyring=allowed or not moved)
