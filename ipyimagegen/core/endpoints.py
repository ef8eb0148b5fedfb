"""What is known of a server or a model: the rows of the catalog's tables, frozen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TypeVar
from urllib.parse import urlsplit

from ipyimagegen.core.options import Json

T = TypeVar("T")
ANY_SERVER = "IPYIMAGEGEN_API_KEY"  # the variable with the key of whatever IPYIMAGEGEN_BASE_URL names


@dataclass(frozen=True, kw_only=True)
class Price:
    """One published price of an image, or of a million tokens; `source` and `date` always.

    `quality` and `size` are None where the price holds for any. `amount_max` makes it a range;
    `at_least` says that the source gives a lower bound.
    """

    amount: float
    currency: str
    source: str
    date: str
    quality: str | None = None
    size: str | None = None
    amount_max: float | None = None
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
    text_in: float
    image_in: float
    image_out: float
    detail: Mapping[str, int] = field(default_factory=dict)
    partial_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class SizeRule:
    """Free sizes in pixels: both edges multiples of `multiple`, within the bounds."""

    multiple: int = 1
    min_edge: int = 1
    max_edge: int = 16384
    max_ratio: float = 1e9
    min_pixels: int = 1
    max_pixels: int = 1 << 40


@dataclass(frozen=True, kw_only=True)
class Model:
    """A row of the catalog: what is known of a model, on its own vendor or behind one endpoint.

    `fields`: names of the options that may be sent, or None when not known; `edit_fields` the same
    for edits, where they differ. `choices` and `limits` bound the values of single options, `reported`
    names options whose values are third parties' claims and refuse nothing. `compression_formats`:
    the output formats that `output_compression` needs. `edit`: how many input images (0: none,
    None: not known); `input_formats` and `input_bytes` what each may be, `input_square` that it must be.
    """

    name: str
    vendor: str = ""
    aliases: tuple[str, ...] = ()
    fields: tuple[str, ...] | None = None
    edit_fields: tuple[str, ...] | None = None
    sizes: tuple[str, ...] = ()
    size_rule: SizeRule | None = None
    ratios: tuple[str, ...] = ()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    reported: tuple[str, ...] = ()
    compression_formats: tuple[str, ...] = ()
    required: Mapping[str, Json] = field(default_factory=dict)
    edit: int | None = None
    mask: bool | None = None
    input_formats: tuple[str, ...] = ()
    input_bytes: int | None = None
    input_square: bool = False
    prompt_chars: int | None = None
    prompt_cjk: int | None = None
    prompt_words: int | None = None
    prices: tuple[Price, ...] = ()
    rates: Rates | None = None
    seconds: tuple[float, float] | None = None
    retired: str | None = None
    successor: str | None = None
    note: str = ""
    source: str = ""
    date: str = ""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server: where it is, how it is spoken to, whose key it takes, what it accepts.

    `base_url` has no trailing slash and is all that stands before `/images/generations`; it is
    empty where the user has to give it. `models` overrides model rows behind this endpoint (`*`: any
    model). `may_drop` names options that its documents promise and its relay may not pass on.

    `allow_key` says that the user lets a key go there that belongs to another server, and `keyring` that
    the system keyring's key of this name belongs there.

    `edits` says whether it edits images (None: not known), and `edit_fields` and `mask_fields` what
    it takes for edits, and for those with a mask, where that differs. `edit_form` is OpenAI's `json` in
    place of a form, and so is a form with an option of `json_only`, for which a form has no field.
    `image_field` is the field for images and `most_inputs` how many there may be, by the model's name
    (`*kontext*`). `input_formats` and `input_bytes` say what images it takes, `mask` whether any mask;
    `mask_as` how that is drawn, `alpha` (0 where to edit) or `white` there, and `mask_needs_size` that
    the size must then be sent.
    """

    name: str
    base_url: str
    title: str = ""
    dialect: str = "openai"
    vendor: str = ""
    key_env: tuple[str, ...] = ()
    key_optional: bool = False
    free: bool = False
    allow_key: bool = False
    keyring: bool = True
    allow_http: bool = False
    default_model: str | None = None
    model_required: bool = False
    fields: tuple[str, ...] | None = None
    may_drop: tuple[str, ...] = ()
    required: Mapping[str, Json] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    edits: bool | None = None
    edit_fields: tuple[str, ...] | None = None
    mask_fields: tuple[str, ...] | None = None
    edit_form: str = "multipart"
    json_only: tuple[str, ...] = ()
    image_field: Mapping[str, str] = field(default_factory=dict)
    most_inputs: Mapping[str, int] = field(default_factory=dict)
    mask: bool | None = None
    mask_as: str = "alpha"
    mask_needs_size: bool = False
    input_formats: tuple[str, ...] = ()
    input_bytes: int | None = None
    note: str = ""
    source: str = ""
    date: str = ""


def match_model(table: Mapping[str, T], model: str | None) -> T | None:
    """Return what a table says of a model: its first pattern that fits the name counts."""
    return next((value for pattern, value in table.items() if fnmatchcase(model or "", pattern)), None)


def sends_edits_as_json(endpoint: Endpoint, options: Iterable[str]) -> bool:
    """Say whether an edit with these options goes out as JSON rather than as a form."""
    return endpoint.edit_form == "json" or not set(endpoint.json_only).isdisjoint(options)


# urlsplit drops some of these characters, urllib3 escapes some, refuses some, or ends the host there.
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f\\]")


@lru_cache(256)  # asked for each endpoint whenever their table is made
def to_origin(url: str) -> str:
    """Return scheme, host and port of `url`, as `https://api.openai.com`; a default port is left out.

    Raises ValueError for what is no address with a host, or has one that parsers read differently.
    """
    if _AMBIGUOUS.search(re.split("[/?#]", url.partition("//")[2], maxsplit=1)[0]):
        raise ValueError("an address with control characters, spaces or backslashes before its path")
    parts = urlsplit(url)
    if not parts.scheme or not parts.hostname:
        raise ValueError("no address with a host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def to_host(url: str) -> str:
    """Return the host of an address, with its port where that is not the usual one. Raises ValueError."""
    return to_origin(url).partition("://")[2]
