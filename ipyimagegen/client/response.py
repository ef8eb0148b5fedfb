"""Find the images, facts, usage and errors in a response."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from ipyimagegen.client.errors import parse_error
from ipyimagegen.client.spool import IMAGE_LIMIT, Slice, read_blocks
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.formats import sniff
from ipyimagegen.core.messages import OptionName, _, ngettext
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo
from ipyimagegen.core.text import TEXT_LIMIT, sanitize

# What a response states of itself, at the top or, with some gateways, in its items.
_FACTS = ("created", "model", "size", "quality", "background", "output_format", "seed", "id")
ERRORS = 4  # of single items are listed
URL_LIMIT = 8192  # characters


@dataclass(frozen=True, kw_only=True)
class ResponseImage:
    """An image of a response.

    `base64` is text (or a slice of `spool`), `url` an absolute URL; either may be None. Where both are there,
    the URL is for the case that the base64 is damaged. `note` is why there is neither. `partial`: not
    finished, from a stream that goes on or was cut. `bare`: the spool is the image itself.
    """

    base64: str | Slice | None = field(default=None, repr=False)
    spool: Path | None = None
    url: str | None = None
    revised_prompt: str | None = None
    note: str = ""
    partial: bool = False
    bare: bool = False

    @property
    def delivered(self) -> bool:
        """Whether its bytes are in the response, so that `chunks` has some."""
        return self.bare or self.base64 is not None

    def chunks(self) -> Iterator[bytes]:
        """Yield the image's bytes, some 192 KiB at a time.

        Raises ValueError for bad base64, or more than 64 MiB, after yielding what was good; OSError when the
        spool cannot be read.
        """
        if self.bare:
            assert self.spool is not None
            return read_blocks(self.spool)
        if isinstance(self.base64, Slice):
            assert self.spool is not None
            text = _unescape(read_blocks(self.spool, self.base64.start, self.base64.stop))
        else:
            text = iter([(self.base64 or "").encode("ascii", "replace")])
        return _decode_base64(_drop_prefix(text))


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """A response of 2xx: `body` is its JSON with slices of `spool`, `headers` have lower-case names.

    `n` images were requested.
    """

    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)
    spool: Path | None = None
    n: int = 1


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The contents of a response; all text in it is inert and redacted.

    `facts`: created, model, size, quality, background, output_format, seed, id as the server states them
    (which may be wrong); `usage` {input_tokens, output_tokens, total_tokens, …_details, generated_images};
    `cost` {amount, currency, source} where the server names it; `items`, the number of images, where not all
    of them are in `images`. `errors` are those of single items; the error of a whole response of 200 is
    `failed` too, and the first of them. `note` is why there is no finished image.
    """

    images: tuple[ResponseImage, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    errors: tuple[ErrorInfo, ...] = ()
    failed: ErrorInfo | None = None
    note: str = ""

    @property
    def finished(self) -> int:
        """How many images there are, not counting partial ones."""
        return sum(not image.partial for image in self.images)


def limit_items(n: int) -> int:
    """Return how many images of a response are taken when `n` were requested."""
    return max(2 * n, 16)


def read_response(response: HttpResponse, endpoint: Endpoint, redactor: Redactor = NO_KEYS) -> Answer:
    """Return what `response` contains; relative URLs are joined with the endpoint's base."""
    body = response.body if isinstance(response.body, Mapping) else {"data": response.body}
    data = body.get("data")
    items = data if isinstance(data, list) else [data] if isinstance(data, Mapping) else []
    mappings = [item for item in items if isinstance(item, Mapping)]
    failed = parse_error(body, redactor=redactor) if body.get("error") else None
    with_image = [item for item in mappings if not item.get("error") and holds_image(item)]
    taken = with_image[: limit_items(response.n)]
    images = [make_image(item, response.spool, endpoint, redactor) for item in taken]
    left_out = {"items": len(with_image)} if len(with_image) > len(taken) else {}
    first = items[0] if items and isinstance(items[0], Mapping) else {}
    facts = _select_facts({**first, **{k: v for k, v in body.items() if v not in (None, "")}}, redactor)
    usage = _parse_usage(body.get("usage"))
    cost = _parse_cost(body.get("usage"), response.headers)
    return Answer(
        images=tuple(images),
        facts=facts | left_out | ({"usage": usage} if usage else {}) | ({"cost": cost} if cost else {}),
        errors=(*([failed] if failed else []), *_list_errors(mappings, redactor)),
        failed=failed,
        note="" if any(not image.partial for image in images) else _explain_no_image(body),
    )


def read_bare_image(spool: Path) -> Answer | None:
    """Return the answer of a server that sends the image itself in place of JSON, None if it is no image.

    vLLM-Omni does so for `response_format: file`.
    """
    with spool.open("rb") as file:
        head = file.read(16)
    return Answer(images=(ResponseImage(spool=spool, bare=True),)) if sniff(head) else None


def _list_errors(items: Iterable[Mapping[str, Json]], redactor: Redactor) -> Iterator[ErrorInfo]:
    """Yield the errors of the first items that failed, and how many more there are."""
    failed = [item for item in items if item.get("error")]
    yield from (parse_error(item, redactor=redactor) for item in failed[:ERRORS])
    if (more := len(failed) - ERRORS) > 0:
        yield ErrorInfo(message=ngettext("{count} more item failed", "{count} more items failed", more))


def _explain_no_image(body: Mapping[str, Json]) -> str:
    data = body.get("data")
    if "data" not in body:
        return _("it contains no list of images")
    if data is not None and not isinstance(data, list):
        return _("its data is no list of images")
    if not data:
        return _("its list of images is empty")
    if any(isinstance(item, Mapping) and item.get("partial") for item in data):
        return _("its stream ended before the image was finished")
    return _("its items contain no image")


def holds_image(item: Mapping[str, Json]) -> bool:
    """Return whether an item has base64 or a URL."""
    return any(_is_present(item.get(name)) for name in ("b64_json", "url"))


def make_image(
    item: Mapping[str, Json], spool: Path | None, endpoint: Endpoint, redactor: Redactor
) -> ResponseImage:
    """Return the image of an item that has base64 or a URL."""
    base64 = item["b64_json"] if _is_present(item.get("b64_json")) else None
    address = item["url"] if _is_present(item.get("url")) else None
    if address is not None and _get_head(address).lstrip()[:5].lower() == "data:":
        base64, address = base64 or address, None
    url, note = (
        (None, "") if address is None else _resolve_url(_get_head(address).strip(), endpoint, redactor)
    )
    return ResponseImage(
        base64=base64,
        spool=spool if isinstance(base64, Slice) else None,
        url=url,
        revised_prompt=_clean_text(item.get("revised_prompt"), redactor, TEXT_LIMIT),
        note="" if base64 is not None else note,
        partial=item.get("partial") is True,
    )


def _is_present(value: Json) -> bool:
    """Return whether a text is there; "" and null are not."""
    return isinstance(value, Slice) or (isinstance(value, str) and bool(value.strip()))


def _get_head(value: str | Slice) -> str:
    return value.head if isinstance(value, Slice) else value


# Some local servers send the path of a file on their own disk unless base64 is requested.
_ON_DISK = re.compile(
    r"(?:file:|[A-Za-z]:[\\/]|\\\\|~/|/(?:root|home|tmp|var|opt|mnt|data|Users|srv)/)", re.IGNORECASE
)
ON_DISK = _(
    "The server sent a path on its own disk in place of the image; {option} requests the image itself.",
    option=OptionName("response_format", "b64_json"),
)


def _resolve_url(text: str, endpoint: Endpoint, redactor: Redactor) -> tuple[str | None, str]:
    """Return the absolute URL, or None and why there is none."""
    if _ON_DISK.match(text):
        return None, ON_DISK
    try:
        url = urljoin(endpoint.base_url.rstrip("/") + "/", text)
        usable = urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname)
    except ValueError:
        usable = False
    if not usable or len(url) > URL_LIMIT or sanitize(url, URL_LIMIT) != url:
        return None, _("The server sent an invalid image URL: {url}", url=redactor.clean(text, 80))
    if redactor.holds_part(url):
        return None, _("The server sent an image URL that contains the key; it was not fetched.")
    return url, ""


def _clean_text(value: Json, redactor: Redactor, limit: int) -> str | None:
    value = value.head if isinstance(value, Slice) else value
    return redactor.clean(value, limit) or None if isinstance(value, str) else None


def _get_number(value: Json) -> float | int | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and -1e18 < value < 1e18 else None  # neither NaN nor too long for a float


def _select_facts(source: Mapping[str, Json], redactor: Redactor) -> dict[str, Json]:
    """Return the texts and numbers of the names in `_FACTS`."""
    facts: dict[str, Json] = {}
    for name in _FACTS:
        number = _get_number(source.get(name))
        value = _clean_text(source.get(name), redactor, 200) if number is None else number
        if value is not None:
            facts[name] = value
    return facts


# Both forms of counting tokens are in use; the second is the older form of chat completions.
_USAGE = {
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "total_tokens": ("total_tokens",),
    "generated_images": ("generated_images",),
}
_DETAILS = {
    "input_tokens_details": ("input_tokens_details", "prompt_tokens_details"),
    "output_tokens_details": ("output_tokens_details", "completion_tokens_details"),
}
_COUNTS = ("text_tokens", "image_tokens", "cached_tokens")


def _parse_usage(usage: Json) -> dict[str, Json]:
    if not isinstance(usage, Mapping):
        return {}
    counts = {name: _get_count(usage, keys) for name, keys in _USAGE.items()}
    details = {name: _get_details(usage, keys) for name, keys in _DETAILS.items()}
    return {k: v for k, v in {**counts, **details}.items() if v not in (None, {})}


def _get_count(usage: Mapping[str, Json], keys: Iterable[str]) -> int | None:
    values = (_get_number(usage.get(key)) for key in keys)
    return next((int(v) for v in values if v is not None and v >= 0), None)


def _get_details(usage: Mapping[str, Json], keys: Iterable[str]) -> dict[str, int]:
    inner = next((v for key in keys if isinstance(v := usage.get(key), Mapping)), {})
    counts = {name: _get_count(inner, (name,)) for name in _COUNTS}
    return {k: v for k, v in counts.items() if v is not None}


def _parse_cost(usage: Json, headers: Mapping[str, str]) -> dict[str, Json] | None:
    """Return the amount that the server states: OpenRouter in usage, LiteLLM in a header; both US$."""
    amount = _get_number(usage.get("cost")) if isinstance(usage, Mapping) else None
    source = "usage.cost"
    if amount is None:
        source = "x-litellm-response-cost"
        try:
            amount = _get_number(float(headers.get(source, "")))
        except ValueError:
            amount = None
    return None if amount is None or amount < 0 else {"amount": amount, "currency": "USD", "source": source}


# Base64 as servers write it


def _unescape(text: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield the text of a JSON string without its escapes: PHP writes \/, .NET writes \u002B."""
    held = b""
    for block in text:
        joined = held + block
        cut = _find_cut_escape(joined)
        held = joined[cut:]
        yield _ESCAPE.sub(_decode_escape, joined[:cut]) if b"\\" in joined else joined[:cut]
    if held:
        yield held  # no escape, so no base64 either: the decoder reports it


_ESCAPE = re.compile(rb"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_BLANKS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _find_cut_escape(text: bytes) -> int:
    """Return where an escape begins that the end of `text` cuts, or its length."""
    last = text.rfind(b"\\", max(len(text) - 5, 0))
    if last < 0:
        return len(text)
    before = text[: last + 1]
    is_escape = (len(before) - len(before.rstrip(b"\\"))) % 2 == 1
    rest = text[last + 1 :]
    whole = rest and (rest[:1] != b"u" or len(rest) >= 5)
    return last if is_escape and not whole else len(text)


def _decode_escape(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if len(code) == 5:
        return chr(int(code[1:], 16)).encode("utf-8", "replace")
    return _BLANKS.get(code, code)


def _drop_prefix(text: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the text without its `data:image/png;base64,`."""
    first = next(text, b"").lstrip()
    yield first.partition(b",")[2] if first[:5].lower() == b"data:" else first
    yield from text


_PLAIN = bytes.maketrans(b"-_", b"+/")
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def _decode_base64(text: Iterable[bytes]) -> Iterator[bytes]:
    held, size = b"", 0
    for block in text:
        held += block
        padding = held.find(b"=")
        cut = (padding if padding >= 0 else len(held)) // 4 * 4
        try:
            data = binascii.a2b_base64(held[:cut], strict_mode=True)
        except binascii.Error:  # searched for only now: searching takes longer than decoding
            held = _normalize_base64(held)
            wrong = _NO_BASE64.search(held)
            cut = (wrong.start() if wrong else len(held)) // 4 * 4
            data = binascii.a2b_base64(held[:cut])
        held = _normalize_base64(held[cut:])
        size += len(data)
        if size > IMAGE_LIMIT:
            raise ValueError(_("the image is larger than 64 MiB"))
        if data:
            yield data
        if len(held) > 4:
            raise ValueError(_("the base64 of the image is damaged"))
    yield from _decode_last(held, size)


def _normalize_base64(text: bytes) -> bytes:
    """Return the text without blanks, and in the plain alphabet instead of the URL-safe alphabet."""
    return text.translate(_PLAIN, b" \t\r\n")


def _decode_last(held: bytes, size: int) -> Iterator[bytes]:
    """Yield the bytes of the last group, whose padding may be missing."""
    digits = held.rstrip(b"=")
    if len(digits) == 1 or len(held) > 4 or _NO_BASE64.search(digits) or (held and not digits):
        raise ValueError(_("the base64 of the image is damaged"))
    if digits:
        yield binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
    elif not size:
        raise ValueError(_("the image is empty"))
