"""Find the images, facts, usage and errors in a response, and say what it means for its call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from ipyimagegen.client.cancel import CancelToken, Stopped
from ipyimagegen.client.connections import join_url
from ipyimagegen.client.dialects import DIALECTS, OPENAI
from ipyimagegen.client.errors import classify_error_in_200, classify_status, explain_reason, parse_error
from ipyimagegen.client.reasons import BODY, is_page, parse_body, read_reason, states_error
from ipyimagegen.client.search import FACTS, URL_LIMIT, Item, find_images, find_job
from ipyimagegen.client.spool import Slice, decode_base64, read_blocks, sniff_base64
from ipyimagegen.client.streaming import load_body
from ipyimagegen.core.endpoints import Endpoint, to_origin
from ipyimagegen.core.formats import HEAD, identify, is_whole
from ipyimagegen.core.messages import Message, OptionName, Remedy, _, ngettext
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo, Job, Status
from ipyimagegen.core.text import TEXT_LIMIT, sanitize

ERRORS = 4  # of single items are listed
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


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
        if not isinstance(self.base64, Slice) and not self.bare:
            return decode_base64([(self.base64 or "").encode("ascii", "replace")])
        assert self.spool is not None
        if isinstance(self.base64, Slice):
            blocks = read_blocks(self.spool, self.base64.start, self.base64.stop)
            return decode_base64(blocks, escaped=True)
        return read_blocks(self.spool)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The contents of a response; all text in it is inert and redacted.

    `facts`: created, model, size, quality, background, output_format, seed, id as the server states them
    (which may be wrong); `usage` {input_tokens, output_tokens, total_tokens, …_details, generated_images};
    `cost` {amount, currency, source} where the server names it; `items`, the number of images, where not all
    of them are in `images`. `errors` are those of single items; the error of a whole response of 200 is
    `failed` too, and the first of them. `job` is what the server made of the call in place of an image.
    `note` is why there is no finished image.
    """

    images: tuple[ResponseImage, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    errors: tuple[ErrorInfo, ...] = ()
    failed: ErrorInfo | None = None
    job: Job | None = None
    note: str = ""

    @property
    def finished(self) -> int:
        """How many images there are, not counting partial ones."""
        return sum(not image.partial for image in self.images)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a POST.

    `status` is never PENDING. `answer` is there when a response was read, also with UNKNOWN when it was cut
    after some images. `retry_after` is the seconds that the server requests to wait. `spool` is the file of
    the response while it is kept; the caller deletes it. `final`: not to be repeated whatever the status (bad
    certificate, cancelled, or the server forbids it).
    """

    status: Status
    answer: Answer | None = None
    error: ErrorInfo | None = None
    request_id: str | None = None
    retry_after: float | None = None
    spool: Path | None = None
    final: bool = False


def make_not_sent(reason: str, *, final: bool = True) -> Outcome:
    """Return the outcome of a call of which nothing left this machine."""
    return Outcome(status=Status.NOT_SENT, error=ErrorInfo(message=reason), final=final)


@dataclass(frozen=True, kw_only=True)
class StoredResponse:
    """A response of 2xx on disk: `n` images were requested from `endpoint`.

    `problem` is why it may not be whole: a message without a full stop, or "".
    """

    path: Path
    n: int
    endpoint: Endpoint
    problem: str = ""
    redactor: Redactor = NO_KEYS
    token: CancelToken | None = None

    @property
    def server(self) -> str:
        """What messages call the server."""
        return sanitize(self.endpoint.name, 80)

    def read(self, headers: Mapping[str, str], status: int = HTTPStatus.OK) -> tuple[Outcome, bool]:
        """Return what it means for the call, and whether it is whole; `headers` have lower-case names.

        A body that contains its whole JSON is an answer even when the connection broke after it. A body that
        is not read to its end, because `token` is over, counts as one image that was not read. Raises
        OSError when the disk does not return what it took: it may be read later.
        """
        problem = self.problem
        try:
            # Its owner may be about to write to an empty file.
            spool = self.path if self.path.is_file() and self.path.stat().st_size else None
            answer, whole, unusable = self._read_body(headers, status)
        except Stopped:
            late = _("The response of {server} was not read in time", server=self.server)
            error = ErrorInfo(message=_("{problem}.", problem=problem or late))
            unread = Answer(images=(ResponseImage(),))
            return Outcome(status=Status.UNKNOWN, answer=unread, error=error, spool=spool), False
        except OSError:
            if not problem:
                raise
            error = ErrorInfo(message=_("{problem}.", problem=problem), status=status)
            return Outcome(status=Status.UNKNOWN, error=error), False
        if answer and whole:
            failure = self._find_error(answer)
        else:
            unusable = ErrorInfo(message=problem) if problem else unusable
            whole_images = answer.finished if answer else 0
            failure = replace(unusable, message=_add_count(unusable.message, whole_images))
        kind = Status.UNKNOWN if failure else Status.DONE
        if failure and not (answer and answer.images):  # a partial image shows that work was done, and billed
            in_body = answer is not None and answer.failed is not None
            kind = classify_error_in_200(failure) if in_body else classify_status(500, failure)
        failure = replace(failure, status=status) if failure else None
        return Outcome(status=kind, answer=answer, error=failure, spool=spool), whole

    def _read_body(self, headers: Mapping[str, str], status: int) -> tuple[Answer | None, bool, ErrorInfo]:
        """Return the answer, whether it is whole, and what is wrong with it if not, without a full stop.

        Raises OSError and Stopped.
        """
        cut = ErrorInfo(message=_("The response of {server} was cut short", server=self.server))
        dialect = DIALECTS.get(self.endpoint.dialect, OPENAI)  # a record may name an unknown dialect
        try:
            body, whole = load_body(self.path, self.n, dialect, clean=not self.problem, token=self.token)
            answer = read_response(
                body,
                self.endpoint,
                self.redactor,
                headers=headers,
                spool=self.path,
                n=self.n,
                accepted=status == HTTPStatus.ACCEPTED,
            )
        except ValueError:
            other, unusable = self._read_other(status, headers)
            images = other.images if other else ()
            complete = not self.problem or (len(images) > 0 and all(map(is_whole_image, images)))
            return other, complete, unusable
        except (OSError, Stopped):
            raise
        except Exception as failed:  # noqa: BLE001 - whatever it is, the response is kept
            cause = f"{type(failed).__name__}: {self.redactor.clean(str(failed), 200)}"
        else:
            return answer, whole, cut
        message = _("The response of {server} could not be read: {cause}", server=self.server, cause=cause)
        return None, False, ErrorInfo(message=message)

    def _read_other(self, status: int, headers: Mapping[str, str]) -> tuple[Answer | None, ErrorInfo]:
        """Return the answer in what is no JSON, or None and what is wrong with it, without a full stop."""
        with self.path.open("rb") as file:
            head = file.read(BODY)
        text = head.decode("utf-8", "replace").strip()
        if image := find_bare_image(self.path):
            return Answer(images=(image,)), ErrorInfo(message="")
        made = status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED)  # their Location is what was made
        if made and (job := _read_job({}, self.endpoint, self.redactor, headers)):
            return Answer(job=job, note=_explain_no_image({}, "")), ErrorInfo(message="")
        if not text:
            return None, ErrorInfo(
                message=_("{server} answered {status} with an empty body", server=self.server, status=status)
            )
        if is_page(text):
            url = self.redactor.clean(self.endpoint.base_url, 200)
            page = _(
                "{server} returned a web page instead of JSON; its base URL is {url}",
                server=self.server,
                url=url,
            )
            return None, ErrorInfo(message=page, remedy=Remedy.CHECK_BASE_URL)
        reason = read_reason(parse_body(head), self.redactor)
        message = _("{server} returned no JSON", server=self.server)
        if reason.text:
            message = _("{problem}: {reason}", problem=message, reason=reason.text.rstrip("."))
        return None, replace(explain_reason(reason), message=message)

    def _find_error(self, answer: Answer) -> ErrorInfo | None:
        """Return why a whole answer has no image, or not all: its own errors, or its shape."""
        failed = answer.failed
        if failed and answer.images and answer.finished < self.n:
            reason = failed.message.rstrip(".")
            problem = _("{server} broke off: {reason}", server=self.server, reason=reason)
            return replace(failed, message=_add_count(problem, answer.finished))
        if not answer.note:
            return None
        error = answer.errors[0] if answer.errors else ErrorInfo(message=answer.note)
        message = _("{server} answered without an image: {reason}", server=self.server, reason=error.message)
        return replace(error, message=message)


def find_bare_image(path: Path) -> ResponseImage | None:
    """Return the image that a body is, itself or as base64; None where it is something else. Raises OSError.

    vLLM-Omni sends the image itself for `response_format: file`.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if identify(head):
        return ResponseImage(spool=path, bare=True)
    base64 = _find_base64(path, head)
    return ResponseImage(base64=base64, spool=path) if base64 else None


def is_whole_image(image: ResponseImage) -> bool:
    """Return whether the bytes of an image end as those of its format do. Raises OSError."""
    head = tail = b""
    size = 0
    try:
        for chunk in image.chunks():
            head, tail, size = head or chunk, (tail + chunk)[-HEAD:], size + len(chunk)
    except ValueError:
        return False
    return is_whole(head, tail, size)


def _find_base64(path: Path, head: bytes) -> Slice | None:
    """Return where the base64 of an image is in a body that holds nothing else, None where it does not."""
    text = head.lstrip(b" \t\r\n\"'").decode("ascii", "replace")
    if not (sniff_base64(text) or text[:11].lower() == "data:image/"):
        return None
    start, size = len(head) - len(text), path.stat().st_size
    tail = b"".join(read_blocks(path, max(size - 16, start)))
    return Slice(start, size - len(tail) + len(tail.rstrip(b" \t\r\n\"'")), text[:16])


def _add_count(problem: str, whole: int) -> Message:
    """Return the sentence of a problem, with the number of images that are whole nevertheless."""
    if not whole:
        return _("{problem}.", problem=problem)
    return _("{problem}; images that arrived whole: {count}.", problem=problem, count=whole)


# The contents of a response


def limit_items(n: int) -> int:
    """Return how many images of a response are taken when `n` were requested."""
    return max(2 * n, 16)


def read_response(
    body: Json,
    endpoint: Endpoint,
    redactor: Redactor = NO_KEYS,
    *,
    headers: Mapping[str, str] = NO_HEADERS,
    spool: Path | None = None,
    n: int = 1,
    accepted: bool = False,
) -> Answer:
    """Return what a response of 2xx contains; relative URLs are joined with the endpoint's base.

    `body` is its JSON with slices of `spool`, `headers` have lower-case names, `n` images were requested.
    `accepted`: the status is 202.
    """
    body = body if isinstance(body, Mapping) else {"data": body}
    data = body.get("data")
    usage = body.get("usage") or (data.get("usage") if isinstance(data, Mapping) else None)
    items = [item for item in (data if isinstance(data, list) else [data]) if isinstance(item, Mapping)]
    with_image = find_images(body)
    images = [make_image(item, spool, endpoint, redactor) for item in with_image[: limit_items(n)]]
    first = with_image[:1] or items[:1]
    stated = {**(first[0] if first else {}), **{k: v for k, v in body.items() if v not in (None, "")}}
    facts: dict[str, Json] = {}
    for name in FACTS:
        number = _get_number(stated.get(name))
        value = _clean_text(stated.get(name), redactor, 200) if number is None else number
        if value is not None:
            facts[name] = value
    if len(with_image) > len(images):
        facts["items"] = len(with_image)
    if counts := _parse_usage(usage):
        facts["usage"] = counts
    if cost := _parse_cost(usage, headers):
        facts["cost"] = cost
    broken = [item for item in items if states_error(item.get("error"))]
    failed = parse_error(body, redactor=redactor) if states_error(body.get("error")) else None
    job = None if images or failed else _read_job(body, endpoint, redactor, headers, accepted=accepted)
    quote = ""
    if not (images or failed or broken or job):
        reason = read_reason(body, redactor)
        failed, quote = explain_reason(reason) if reason.text else None, reason.quote
    errors = [failed] if failed else []
    errors += [parse_error(item, redactor=redactor) for item in broken[:ERRORS]]
    if (more := len(broken) - ERRORS) > 0:
        message = ngettext("{count} more item failed", "{count} more items failed", more)
        errors.append(ErrorInfo(message=message))
    return Answer(
        images=tuple(images),
        facts=facts,
        errors=tuple(errors),
        failed=failed,
        job=job,
        note="" if any(not image.partial for image in images) else _explain_no_image(body, quote),
    )


_JOB_HEADERS = ("operation-location", "location")


def _read_job(
    body: Json, endpoint: Endpoint, redactor: Redactor, headers: Mapping[str, str], *, accepted: bool = False
) -> Job | None:
    """Return the job that a response names in its body, or by the address where it is polled.

    A URL that cannot be requested is none. `accepted`: the status is 202.
    """
    identifiers, address, state = find_job(body, accepted=accepted) or ([], "", "")
    texts = [address, *(headers.get(name, "") for name in _JOB_HEADERS)]
    url = next((url for text in texts if text and (url := _resolve_url(text, endpoint, redactor)[0])), None)
    identifiers = identifiers or [urlsplit(url).path.rstrip("/").rpartition("/")[2] if url else ""]
    first, *others = [redactor.clean(identifier, 200) for identifier in identifiers]
    if not first:
        return None
    return Job(id=first, others=tuple(others), url=url, status=redactor.clean(state, 40))


def _explain_no_image(body: Mapping[str, Json], quote: str) -> Message:
    """Return what a response is in place of a list of images, with the beginning of what is unknown in it."""
    name = "data" if "data" in body else "images"
    data = body.get(name)
    if name not in body:
        shape = _("it contains no list of images")
    elif data is not None and not isinstance(data, list):
        shape = _("its data is not a list of images")
    elif not data:
        shape = _("its list of images is empty")
    elif any(isinstance(item, Mapping) and item.get("partial") for item in data):
        shape = _("its stream ended before the image was finished")
    else:
        shape = _("its items contain no image")
    return _("{shape}: {quote}", shape=shape, quote=quote) if quote else shape


def make_image(item: Item, spool: Path | None, endpoint: Endpoint, redactor: Redactor) -> ResponseImage:
    """Return the image of an item of `find_images`."""
    base64, address, url, note = item.get("b64_json"), item.get("url"), None, ""
    if address is not None:
        text = str(address.head if isinstance(address, Slice) else address).strip()
        url, note = _resolve_url(text, endpoint, redactor)
    return ResponseImage(
        base64=base64,
        spool=spool if isinstance(base64, Slice) else None,
        url=url,
        revised_prompt=_clean_text(item.get("revised_prompt"), redactor, TEXT_LIMIT),
        note="" if base64 is not None else note,
        partial=item.get("partial") is True,
    )


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
        url = join_url(endpoint.base_url.rstrip("/") + "/", text.replace("&amp;", "&"))
        usable = to_origin(url).startswith(("http:", "https:"))
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


# The names of the counts that are kept, and others for the same: those of chat completions are older.
_USAGE = (
    ("input_tokens", "prompt_tokens"),
    ("output_tokens", "completion_tokens"),
    ("total_tokens",),
    ("generated_images",),
    ("input_tokens_details", "prompt_tokens_details"),
    ("output_tokens_details", "completion_tokens_details"),
)
_DETAILS = (("text_tokens",), ("image_tokens",), ("cached_tokens",))


def _parse_usage(usage: Json, table: Iterable[Sequence[str]] = _USAGE) -> dict[str, Json]:
    if not isinstance(usage, Mapping):
        return {}
    parsed: dict[str, Json] = {}
    for names in table:
        values = [usage.get(name) for name in names]
        if names[0].endswith("_details"):
            details = next((value for value in values if isinstance(value, Mapping)), None)
            parsed[names[0]] = _parse_usage(details, _DETAILS)
        else:
            counts = (number for value in values if (number := _get_number(value)) is not None)
            parsed[names[0]] = next((int(number) for number in counts if number >= 0), None)
    return {name: value for name, value in parsed.items() if value not in (None, {})}


_TICKS = 1e10  # of a US$, by xAI's reference of 2026-11


def _parse_cost(usage: Json, headers: Mapping[str, str]) -> dict[str, Json] | None:
    """Return the amount in US$ that the server states: OpenRouter and xAI in usage, LiteLLM in a header."""
    table = usage if isinstance(usage, Mapping) else {}
    source, amount = "usage.cost", _get_number(table.get("cost"))
    if amount is None and (ticks := _get_number(table.get("cost_in_usd_ticks"))) is not None:
        source, amount = "usage.cost_in_usd_ticks", round(ticks / _TICKS, 6)
    if amount is None:
        source = "x-litellm-response-cost"
        try:
            amount = _get_number(float(headers.get(source, "")))
        except ValueError:
            amount = None
    return None if amount is None or amount < 0 else {"amount": amount, "currency": "USD", "source": source}
