"""What a server's answer holds: images, facts, usage, errors of single items."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from ipyimagegen.client.faults import fault
from ipyimagegen.client.found import ResponseImage
from ipyimagegen.client.reply import Slice, begins_as_image, most_items
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo
from ipyimagegen.core.text import TEXT_LIMIT, sanitize

# What a reply says of itself, at the top or, with some gateways, in each item.
_FACTS = ("created", "model", "size", "quality", "background", "output_format", "seed", "id")
_ITEM_FACTS = ("size", "quality", "background", "output_format", "seed")
ERRORS = 4  # of single items are told


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply of 2xx: `body` is its JSON with slices of `spool`, `headers` have lower-case names.

    `n` images were asked for.
    """

    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)
    spool: Path | None = None
    n: int = 1


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was found in a reply; all text in it is inert and redacted.

    `facts`: created, model, size, quality, background, output_format, seed, id as the server says
    them (which may be wrong); `usage` {input_tokens, output_tokens, total_tokens, …_details,
    generated_images}; `cost` {amount, currency, source} where the server names one; `items`, the number
    of images, where not all of them are in `found`. `errors` are items that failed, or the error of a
    200, which is `failed` too and the first. `note` says why nothing was found.
    """

    found: tuple[ResponseImage, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    errors: tuple[ErrorInfo, ...] = ()
    failed: ErrorInfo | None = None
    note: str = ""

    @property
    def finished(self) -> int:
        """How many images there are, not counting partial ones."""
        return sum(not one.partial for one in self.found)


def read(reply: Reply, endpoint: Endpoint, redactor: Redactor = NO_KEYS) -> Answer:
    """Return what `reply` holds; relative addresses are joined with the endpoint's base."""
    body: Mapping[str, Json] = reply.body if isinstance(reply.body, Mapping) else {"data": reply.body}
    data = body.get("data")
    items = data if isinstance(data, list) else [data] if isinstance(data, Mapping) else []
    failed = fault(body, redactor=redactor) if body.get("error") else None
    with_error, with_image = _sorted(items)
    errors = [failed] if failed else []
    errors += [fault(item, redactor=redactor) for item in with_error[:ERRORS]]
    if len(with_error) > ERRORS:
        errors.append(ErrorInfo(message=f"{len(with_error) - ERRORS} more items failed"))
    taken = with_image[: most_items(reply.n)]
    found = [one for item in taken if (one := found_in(item, reply.spool, endpoint, redactor))]
    left = {"items": len(with_image)} if len(with_image) > len(taken) else {}
    first = items[0] if items and isinstance(items[0], Mapping) else {}
    facts = _facts({**first, **{k: v for k, v in body.items() if v not in (None, "")}}, _FACTS, redactor)
    usage = _usage(body.get("usage"))
    cost = _cost(body.get("usage"), reply.headers)
    return Answer(
        found=tuple(found),
        facts=facts | left | ({"usage": usage} if usage else {}) | ({"cost": cost} if cost else {}),
        errors=tuple(errors),
        failed=failed,
        note="" if any(not one.partial for one in found) else _nothing(body, data),
    )


def _sorted(items: Iterable[Json]) -> tuple[list[Mapping[str, Json]], list[Mapping[str, Json]]]:
    """Return the items that tell an error, and those with an image."""
    mappings = [item for item in items if isinstance(item, Mapping)]
    failed = [item for item in mappings if item.get("error")]
    images = [item for item in mappings if not item.get("error") and _holds_image(item)]
    return failed, images


def _holds_image(item: Mapping[str, Json]) -> bool:
    return any(_present(item.get(name)) is not None for name in ("b64_json", "url"))


def bare(spool: Path) -> Answer | None:
    """Return the answer of a server that sends the image itself in place of JSON, if it is one.

    vLLM-Omni does so for `response_format: file`.
    """
    with spool.open("rb") as file:
        head = file.read(12)
    return Answer(found=(ResponseImage(spool=spool, bare=True),)) if begins_as_image(head) else None


def _nothing(body: Mapping[str, Json], data: Json) -> str:
    if isinstance(data, list):
        if any(isinstance(item, Mapping) and item.get("partial") for item in data):
            return "its stream ended before the image was finished"
        return "its items hold no image" if data else "its list of images is empty"
    if "data" in body:
        return "its list of images is empty" if data is None else "its data is no list of images"
    return "it holds no list of images"


def found_in(
    item: Mapping[str, Json], spool: Path | None, endpoint: Endpoint, redactor: Redactor
) -> ResponseImage | None:
    """Return the image of an item, or None when it has neither base64 nor address."""
    base64, address = _present(item.get("b64_json")), _present(item.get("url"))
    if address is not None and _head(address).lstrip()[:5].lower() == "data:":
        base64, address = base64 or address, None
    if base64 is None and address is None:
        return None
    url, note = (None, "") if address is None else _absolute(_head(address).strip(), endpoint, redactor)
    facts = _facts(item, _ITEM_FACTS, redactor)
    mime = _text(item.get("media_type") or item.get("mime_type"), redactor, 80)
    return ResponseImage(
        base64=base64,
        spool=spool if isinstance(base64, Slice) else None,
        url=url,
        revised_prompt=_text(item.get("revised_prompt"), redactor, TEXT_LIMIT),
        facts=facts | ({"mime": mime} if mime else {}),
        note="" if base64 is not None else note,
        partial=item.get("partial") is True,
    )


def _present(value: Json) -> str | Slice | None:
    """Return a text that is there; "" and null are not."""
    if isinstance(value, Slice):
        return value
    return value if isinstance(value, str) and value.strip() else None


def _head(value: str | Slice) -> str:
    return value.head if isinstance(value, Slice) else value


# Xinference answers with the path of a file on its own disk unless asked for base64.
_ON_DISK = re.compile(
    r"(?:file:|[A-Za-z]:[\\/]|\\\\|~/|/(?:root|home|tmp|var|opt|mnt|data|Users|srv)/)", re.IGNORECASE
)
ON_DISK = "The server gave a path on its own disk; ask again with --response-format b64_json."


def _absolute(text: str, endpoint: Endpoint, redactor: Redactor) -> tuple[str | None, str]:
    """Return the absolute address, or None and why there is none."""
    on_xinference = endpoint.dialect == "xinference" and text.startswith("/")
    if on_xinference or _ON_DISK.match(text):
        return None, ON_DISK
    try:
        url = urljoin(endpoint.base_url.rstrip("/") + "/", text)
        usable = urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname)
    except ValueError:
        usable = False
    if not usable or len(url) > 8192 or sanitize(url, 8192) != url:
        return None, f"The server sent an invalid image URL: {redactor.clean(text, 80)}"
    if redactor.holds_part(url):
        return None, "The server sent an image URL that contains the key; it was not fetched."
    return url, ""


def _text(value: Json, redactor: Redactor, limit: int) -> str | None:
    value = value.head if isinstance(value, Slice) else value
    return redactor.clean(value, limit) or None if isinstance(value, str) else None


def _number(value: Json) -> float | int | None:
    right = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if right and -1e18 < value < 1e18 else None  # neither NaN nor too long for a float


def _fact(value: Json, redactor: Redactor) -> Json:
    number = _number(value)
    return _text(value, redactor, 200) if number is None else number


def _facts(source: Mapping[str, Json], names: Iterable[str], redactor: Redactor) -> dict[str, Json]:
    said = {k: _fact(source[k], redactor) for k in names if k in source}
    return {k: v for k, v in said.items() if v is not None}


# Both forms of counting tokens are in use; the second is the older one of chat completions.
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


def _usage(usage: Json) -> dict[str, Json]:
    if not isinstance(usage, Mapping):
        return {}
    counted = {name: _count(usage, keys) for name, keys in _USAGE.items()}
    details = {name: _detail(usage, keys) for name, keys in _DETAILS.items()}
    return {k: v for k, v in {**counted, **details}.items() if v not in (None, {})}


def _count(usage: Mapping[str, Json], keys: Iterable[str]) -> int | None:
    values = (_number(usage.get(key)) for key in keys)
    return next((int(v) for v in values if v is not None and v >= 0), None)


def _detail(usage: Mapping[str, Json], keys: Iterable[str]) -> dict[str, int]:
    inner = next((v for key in keys if isinstance(v := usage.get(key), Mapping)), {})
    counts = {name: _count(inner, (name,)) for name in _COUNTS}
    return {k: v for k, v in counts.items() if v is not None}


def _cost(usage: Json, headers: Mapping[str, str]) -> dict[str, Json] | None:
    """Return the amount that the server itself says: OpenRouter in usage, LiteLLM in a header; both US$."""
    said = _number(usage.get("cost")) if isinstance(usage, Mapping) else None
    source = "usage.cost"
    if said is None:
        source = "x-litellm-response-cost"
        try:
            said = _number(float(headers.get(source, "")))
        except ValueError:
            said = None
    return None if said is None or said < 0 else {"amount": said, "currency": "USD", "source": source}
