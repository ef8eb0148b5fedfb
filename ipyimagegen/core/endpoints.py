"""What is known of a server or a model: the rows of the catalog's tables, frozen.

The annotations are the types of the tables' columns, in our own tables and in the users' entries; the text
in an `Annotated` names a check of `catalog.tables`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

from ipyimagegen.core.options import Json

T = TypeVar("T")
ANY_SERVER = "IPYIMAGEGEN_API_KEY"  # the variable with the key of the server that IPYIMAGEGEN_BASE_URL names

ImageFormat: TypeAlias = Annotated[str, "format"]
OptionName: TypeAlias = Annotated[str, "option"]
OptionNames: TypeAlias = tuple[OptionName, ...]
FieldChanges: TypeAlias = Annotated[OptionNames, "changes"]  # names, or changes such as `+user` and `-style`
Size: TypeAlias = Annotated[str, "size"]
Ratio: TypeAlias = Annotated[str, "ratio"]
Count: TypeAlias = Annotated[int, "count"]  # 0 or more
Positive: TypeAlias = Annotated[int, "positive"]
Seconds: TypeAlias = Annotated[float, "seconds"]  # more than 0
Amount: TypeAlias = Annotated[float, "amount"]  # 0 or more
VariableName: TypeAlias = Annotated[str, "variable"]  # of the environment
ModelColumns: TypeAlias = Annotated[Mapping[str, Json], "model"]


@dataclass(frozen=True, kw_only=True)
class Price:
    """A published price of an image, or of a million tokens; `source` and `date` always.

    `quality` and `size` are None where the price holds for any. `amount_max` makes it a range;
    `at_least` says that the source gives a lower bound.
    """

    amount: Amount
    currency: str
    source: str
    date: str
    quality: str | None = None
    size: str | None = None
    amount_max: Amount | None = None
    at_least: bool = False


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Prices of a million tokens, and how many output tokens an image has, where published.

    `detail` maps a quality to the grid factor of the token formula; `partial_tokens` is what each
    partial image of a stream adds.
    """

    currency: str
    source: str
    date: str
    text_in: Amount
    image_in: Amount
    image_out: Amount
    detail: Mapping[str, Count] = field(default_factory=dict)
    partial_tokens: Count = 0


@dataclass(frozen=True, kw_only=True)
class SizeRule:
    """Free sizes in pixels: both edges multiples of `multiple`, within the bounds."""

    multiple: Positive = 1
    min_edge: Positive = 1
    max_edge: Positive = 16384
    max_ratio: Annotated[float, "positive"] = 1e9
    min_pixels: Positive = 1
    max_pixels: Positive = 1 << 40


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model, at its own vendor or behind an endpoint that lists it.

    `fields`: the options that may be sent, None where not known. `edit_fields`: the same for edits, as
    names or as changes of `fields` (`+input_fidelity`, `-style`); None where they are the same.
    `choices` and `limits` bound the values of single options; `edit_choices` are those of edits where they
    differ. `reported` names options whose values are
    third parties' claims: they are used to translate, never to refuse. `compression_formats`: the output
    formats that `output_compression` requires. `vendor_id` is what its vendor's own server calls it, where
    that is not its name here. `edit`: the number of input images (0: none, None: not
    known). `input_formats`, `input_bytes`, `input_square`: what each input image has to be.
    """

    name: str
    vendor: str = ""
    aliases: tuple[str, ...] = ()
    vendor_id: str = ""
    fields: OptionNames | None = None
    edit_fields: FieldChanges | None = None
    sizes: tuple[Size, ...] = ()
    size_rule: SizeRule | None = None
    ratios: tuple[Ratio, ...] = ()
    choices: Mapping[OptionName, tuple[str, ...]] = field(default_factory=dict)
    edit_choices: Mapping[OptionName, tuple[str, ...]] = field(default_factory=dict)
    limits: Mapping[OptionName, tuple[float, float]] = field(default_factory=dict)
    reported: OptionNames = ()
    compression_formats: tuple[str, ...] = ()
    required: Mapping[OptionName, Json] = field(default_factory=dict)
    edit: Count | None = None
    mask: bool | None = None
    input_formats: tuple[ImageFormat, ...] = ()
    input_bytes: Positive | None = None
    input_square: bool = False
    prompt_chars: Positive | None = None
    prompt_cjk: Positive | None = None
    prompt_words: Positive | None = None
    prices: Annotated[tuple[Price, ...], "prices"] = ()
    rates: Rates | None = None
    seconds: tuple[Amount, Amount] | None = None
    retired: Annotated[str, "date"] | None = None
    successor: str | None = None
    note: str = ""
    source: str = ""
    date: str = ""


@dataclass(frozen=True, kw_only=True)
class HeaderVariable:
    """The environment variable that holds the value of a header: a secret, like a key."""

    env: VariableName


AUTHORIZATION = "authorization"  # a header of this name takes the place of the key


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server: its address, its dialect, whose key it takes, what it accepts.

    `base_url` is everything before `/images/generations`; it is empty where the user has to give it. It ends
    with a slash where the routes do. `vendor` names the vendor whose models, with their fields and prices,
    are the endpoint's own. `models` lists models behind this endpoint (`*`: any) with columns that override
    those of the model's row, `choices` and `limits` option by option.

    `ignored_fields` names options that it is known to drop without a word: they are not sent.
    `unreliable_fields` names options that its documents promise and that its relay may not pass on.

    `free`: whether its requests cost nothing; None is what its address tells.

    `poll`: the route below `base_url` that tells what became of a job, such as `/tasks/{id}`; it is asked
    where the server names no URL of its own.

    `allow_key`: the user lets a key go there that belongs to another server. `keyring`: the system keyring's
    key of this name belongs there.

    `negative_sign`: the sign in a prompt after which it reads a negative prompt, which is sent there.

    `headers` are sent with each request, by name. A value is text, or the variable that holds it.

    `idle_timeout` and `call_timeout` limit its silence and the whole call, in seconds; None is the default,
    which is no limit on this machine.

    `edits`: whether it edits images, None where not known. `edit_fields` and `mask_fields`: the fields of
    edits, and of edits with a mask, where they differ. `edit_form`: how edits are encoded; a form of
    which an option is in `json_only` is sent as JSON too. `image_field` and `most_inputs`: the field for
    images and their largest number, by a pattern of the model's name (`*kontext*`). `mask`: whether it takes
    a mask; `mask_as`: `alpha` (0 where to edit) or `white` there; `mask_needs_size` and
    `mask_needs_model`: a mask requires `size`, or a model.
    """

    name: str
    base_url: str
    title: str = ""
    dialect: str = "openai"
    vendor: str = ""
    key_env: Annotated[tuple[str, ...], "variables"] = ()
    key_optional: bool = False
    free: bool | None = None
    allow_key: bool = False
    keyring: bool = True
    allow_http: bool = False
    default_model: str | None = None
    model_required: bool = False
    fields: OptionNames | None = None
    ignored_fields: OptionNames = ()
    unreliable_fields: OptionNames = ()
    required: Mapping[OptionName, Json] = field(default_factory=dict)
    models: Mapping[str, ModelColumns] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    negative_sign: str = ""
    poll: Annotated[str, "poll"] = ""
    headers: Annotated[Mapping[str, str | HeaderVariable], "headers"] = field(
        default_factory=dict, repr=False
    )
    idle_timeout: Seconds | None = None
    call_timeout: Seconds | None = None
    edits: bool | None = None
    edit_fields: FieldChanges | None = None
    mask_fields: FieldChanges | None = None
    edit_form: Literal["multipart", "json"] = "multipart"
    json_only: OptionNames = ()
    image_field: Mapping[str, str] = field(default_factory=dict)
    most_inputs: Mapping[str, Positive] = field(default_factory=dict)
    mask: bool | None = None
    mask_as: Literal["alpha", "white"] = "alpha"
    mask_needs_size: bool = False
    mask_needs_model: bool = False
    input_formats: tuple[ImageFormat, ...] = ()
    input_bytes: Positive | None = None
    note: str = ""
    source: str = ""
    date: str = ""

    @property
    def header_variables(self) -> Mapping[str, str]:
        """The variables that hold the values of headers, by the name of the header."""
        return {name: value.env for name, value in self.headers.items() if isinstance(value, HeaderVariable)}

    @property
    def sends_key(self) -> bool:
        """Whether it gets a key, if there is one; a header may take its place."""
        return bool(self.key_env) and not any(name.lower() == AUTHORIZATION for name in self.headers)

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables whose values it gets."""
        return (*(self.key_env if self.sends_key else ()), *self.header_variables.values())


def match_model(table: Mapping[str, T], model: str | None) -> T | None:
    """Return the value of the first pattern that matches a model's name."""
    return next((value for pattern, value in table.items() if fnmatchcase(model or "", pattern)), None)


def sends_edits_as_json(endpoint: Endpoint, options: Iterable[str]) -> bool:
    """Return whether an edit with these options is sent as JSON rather than as a form."""
    return endpoint.edit_form == "json" or not set(endpoint.json_only).isdisjoint(options)


_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/?$")


def find_deployment(base_url: str) -> str | None:
    """Return the deployment that a base URL of Azure names: it is the model of every call there."""
    match = _DEPLOYMENT.search(base_url)
    return unquote(match[1]) if match else None


def write_url(base_url: str, route: str) -> str:
    """Return the URL of a route below a base URL."""
    return base_url.rstrip("/") + route + ("/" if base_url.endswith("/") else "")


# urlsplit drops some of these characters, urllib3 escapes some, refuses some, or ends the host there.
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\]")


@lru_cache(256)  # called for every endpoint whenever their table is made
def to_origin(url: str) -> str:
    """Return scheme, host and port of `url`, as `https://api.openai.com`; a default port is left out.

    Raises ValueError for a URL without a host, or with a host that parsers read differently.
    """
    if _AMBIGUOUS.search(re.split("[/?#]", url.partition("//")[2], maxsplit=1)[0]):
        raise ValueError("the host contains control characters, spaces or backslashes")
    parts = urlsplit(url)
    if not parts.scheme or not parts.hostname:
        raise ValueError("the URL has no host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def have_same_origin(url: str, other: str) -> bool:
    """Return whether two URLs lead to the same server; not where one is malformed or names a user."""
    try:
        return to_origin(url) == to_origin(other) and urlsplit(url).username is None
    except ValueError:
        return False


def to_host(url: str) -> str:
    """Return the host of a URL, with its port unless that is the default. Raises ValueError."""
    return to_origin(url).partition("://")[2]
