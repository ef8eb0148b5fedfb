"""Find images, and a job in place of them, in the JSON of a response, wherever the server puts them.

Servers agree on no place: data[].b64_json and data[].url (OpenAI), images[].url (SiliconFlow), images[] of
texts, data.image_urls[] (MiniMax), choices[].message.images[].image_url.url (OpenRouter's chat),
output[].result (Responses API). So every text of the value is classified by its content: what decodes to the
beginning of an image is base64 under any name, a URL counts under the names that servers give to results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import zip_longest
from typing import TypeAlias

from ipyimagegen.client.spool import Slice, sniff_base64
from ipyimagegen.core.formats import FORMATS
from ipyimagegen.core.options import Json
from ipyimagegen.core.run import Job

Text: TypeAlias = str | Slice
# An image as an item of OpenAI's `data`: b64_json or url or both, and what its object states of it.
Item: TypeAlias = "dict[str, Json]"

URL_LIMIT = 8192  # characters
# What a response states of an image, at the top or, with some gateways, in its items.
FACTS = ("created", "model", "size", "quality", "background", "output_format", "seed", "id")

# Names without case and punctuation. Under these, any text is base64 unless it is a URL, …
_BASE64 = re.compile(r"(?:partial)?(?:image)?(?:b64|base64)(?:json)?\d*")
_NOUN = r"(?:generated|output|result)?(?:images?|imgs?|data|outputs?|results?|samples?|src|files?)"
# … any text is a URL, also a relative one, unless it is base64, …
_URL = re.compile(rf"(?:{_NOUN}|download)?ur[il]s?\d*")
# … and a text is a URL if it looks like one.
_IMAGE = re.compile(rf"{_NOUN}\d*")
# Input images that are echoed and smaller versions: they count where there is nothing else.
_ASIDE = re.compile(
    r"input|request|prompt|param|source|reference|original|init|mask|control|thumb|preview|avatar|logo|icon"
)
# An image in prose, as chat models answer.
_MARKDOWN = re.compile(r"!\[[^\]\n]{0,300}\]\(\s*+<?(https?://[^\s<>)]+)", re.IGNORECASE)
_DATA_URL = re.compile(r"\bdata:image/[\w.+-]{1,40};base64,", re.IGNORECASE)
_PUNCTUATION = re.compile(r"[\W_]+")
_ABSOLUTE = re.compile(r"(?:https?:)?//[^\s/]", re.IGNORECASE)
_SUFFIX = rf"\.(?:{'|'.join(suffix[1:] for known in FORMATS for suffix in known.suffixes)})"
_PATH = re.compile(rf"(?:file:|[a-z]:[\\/]|~?/|\.{{0,2}}/)\S|[^\s:]+{_SUFFIX}\b", re.IGNORECASE)
_IMAGE_FILE = re.compile(rf"[^\s?#]+{_SUFFIX}(?:[?#]|\Z)", re.IGNORECASE)


def find_images(body: Json) -> list[Item]:
    """Return the images of a response in the order of the document, each in the form of OpenAI's `data`.

    `body` is its JSON with slices for long texts. Where there are images under `data`, a URL elsewhere is
    none, and a URL counts once. An item is `partial` where its name or its object says so.
    """
    body = body if isinstance(body, Mapping) else {"data": body}
    images, others = _search({"data": body.get("data")})
    more, more_others = _search({name: value for name, value in body.items() if name != "data"})
    if images:
        return images + [item for item in more if "b64_json" in item]
    return more or others or more_others


def is_text(value: Json) -> bool:
    """Return whether a value is a text that is not blank."""
    return isinstance(value, Slice) or (isinstance(value, str) and bool(value.strip()))


def fold_name(name: str) -> str:
    """Return the name of a member without case and punctuation."""
    return _PUNCTUATION.sub("", name.casefold())


def walk(value: Json) -> Iterator[tuple[Mapping[str, Json], bool]]:
    """Yield the objects of a JSON value in the order of the document, outer ones first.

    JSON inside a text counts, too. With each comes whether it stands aside: below a name that echoed inputs
    or smaller versions have.
    """
    waiting = [(value, False)]
    while waiting:
        value, aside = waiting.pop()
        members: list[tuple[Json, bool]] = []
        if isinstance(value, Mapping):
            yield value, aside
            members = [(v, aside or _is_aside(name)) for name, v in value.items() if _is_container(v)]
        elif isinstance(value, list):
            members = [(v, aside) for v in value if _is_container(v)]
        elif isinstance(value, str):
            with suppress(ValueError, RecursionError):
                members = [(json.loads(value), aside)]
        waiting += reversed(members)


def _is_container(value: Json) -> bool:
    return isinstance(value, (Mapping, list)) or (isinstance(value, str) and value[:1] in ("{", "["))


def _is_aside(name: str) -> bool:
    return _ASIDE.search(name.casefold()) is not None


def _search(body: Json) -> tuple[list[Item], list[Item]]:
    """Return the images of a value, and those that stand aside."""
    images: dict[bool, list[Item]] = {False: [], True: []}
    urls: set[str] = set()
    for mapping, outer in walk(body):
        for aside, item in _read_items(mapping):
            url = item.get("url")
            if isinstance(url, str) and url in urls and "b64_json" not in item:
                continue
            urls |= {url} if isinstance(url, str) else set()
            images[outer or aside].append(item)
    return images[False], images[True]


def _read_items(mapping: Mapping[str, Json]) -> Iterator[tuple[bool, Item]]:
    """Yield the images whose texts are members of an object, or items of its lists.

    Base64 and a URL side by side are the same image; with each comes whether it stands aside.
    """
    texts: dict[tuple[bool, bool, bool], list[Text]] = {}
    for name, value in mapping.items():
        for text in _list_texts(value):
            plain = fold_name(name)
            for is_base64, content in _read_text(plain, text):
                key = (_is_aside(name), plain.startswith("partial"), is_base64)
                texts.setdefault(key, []).append(content)
    for aside, partial in dict.fromkeys(key[:2] for key in texts):
        pairs = zip_longest(texts.get((aside, partial, True), ()), texts.get((aside, partial, False), ()))
        facts = {name: mapping[name] for name in (*FACTS, "revised_prompt") if name in mapping}
        for base64, url in pairs:
            item: Item = {**facts, "partial": partial or mapping.get("partial") is True}
            item |= {} if base64 is None else {"b64_json": base64}
            yield aside, item | ({} if url is None else {"url": url})


def _list_texts(value: Json) -> Iterator[Text]:
    """Yield a text, or those of a list and of its lists."""
    for inner in value if isinstance(value, list) else (value,):
        for text in inner if isinstance(inner, list) else (inner,):
            if is_text(text):
                yield text


def _read_text(name: str, text: Text) -> Iterator[tuple[bool, Text]]:
    """Yield what a text is of an image: base64 (True) or a URL (False); there may be several in prose."""
    is_base64 = _is_base64(name, head := (text.head if isinstance(text, Slice) else text).lstrip(), text)
    if is_base64 is None:
        yield from ((False, url) for url in _MARKDOWN.findall(head))
    else:
        yield is_base64, text


def _is_base64(name: str, head: str, text: Text) -> bool | None:
    """Return whether a text is an image's base64 (True) or its URL (False), None for anything else."""
    is_base64, is_url, is_image = (names.fullmatch(name) for names in (_BASE64, _URL, _IMAGE))
    named = is_base64 or is_url or is_image
    if head[:5].lower() == "data:":
        return True if named or head[5:11].lower() == "image/" else None
    if _ABSOLUTE.match(head):
        return False if named or _IMAGE_FILE.match(head) else None
    if is_base64 or sniff_base64(head) or _DATA_URL.search(head):
        return True
    if is_url and not head.startswith("!["):  # no URL is so long
        return isinstance(text, Slice) or len(text) > URL_LIMIT
    return False if is_image and _PATH.match(head) else None


# Jobs

_STATE_NAMES = ("status", "state", "task_status", "job_status", "taskStatus", "jobStatus")
_TASK_IDS = ("task_id", "taskId", "job_id", "jobId", "prediction_id", "generation_id", "generationId")
_POLLING = ("polling_url", "pollingUrl", "poll_url", "status_url", "task_url", "operation_location")


def find_job(body: Json, *, accepted: bool = False) -> tuple[list[str], str, str] | None:
    """Return the ids of the jobs that stand in place of images, and the polling URL or "" and state of one.

    A job is an object with an id and a word for a job that is not finished. Without a word, an id is that of
    a job where a polling URL stands beside it (Black Forest Labs), or where the response is `accepted` (202).
    The id of a task needs neither: ModelScope calls a task that it has just taken a success. The URL and
    the state are those of the first job, the others stand in the same list.
    """
    objects = [mapping for mapping, aside in walk(body) if not aside]
    for loosely in (False, True) if accepted else (False,):
        for mapping in objects:
            if not (identifier := _find_job_id(mapping, accepted=loosely)):
                continue
            lists = (value for outer in objects for value in outer.values() if isinstance(value, list))
            row = next((value for value in lists if any(item is mapping for item in value)), [])
            items = (item for item in row if isinstance(item, Mapping))
            ids = [identifier, *(_find_job_id(item, accepted=loosely) for item in items)]
            unique = [name for name in dict.fromkeys(ids) if name]
            return unique, _find_polling_url(mapping), get_state(mapping)
    return None


def _find_job_id(mapping: Mapping[str, Json], *, accepted: bool) -> str:
    """Return the id of the job that an object is, "" for what is none."""
    job = Job(id="", status=get_state(mapping))
    task = next((v for name in _TASK_IDS if _is_id(v := mapping.get(name))), None)
    ids = (task, mapping.get("id"), mapping.get("request_id"))
    identifier = next((v for v in ids if _is_id(v)), "")
    names_job = accepted or bool(_find_polling_url(mapping))
    ended = job.failed or job.succeeded
    goes_on = job.unfinished or (task is not None and not job.failed) or (names_job and not ended)
    return str(identifier) if goes_on else ""


def _find_polling_url(mapping: Mapping[str, Json]) -> str:
    """Return the URL that tells the state of a job, or ""."""
    links = mapping.get("urls")
    urls = [mapping.get(name) for name in _POLLING] + [
        links.get("get") if isinstance(links, Mapping) else None
    ]
    return next((v for v in urls if isinstance(v, str) and v.strip()), "")


def get_state(mapping: Mapping[str, Json]) -> str:
    """Return an object's word for a state, or ""."""
    words = (mapping.get(name) for name in _STATE_NAMES)
    return next((word for word in words if isinstance(word, str)), "").strip()


def _is_id(value: Json) -> bool:
    """Return whether a value can be the id of a job: a short text or a whole number."""
    return (isinstance(value, str) and 0 < len(value.strip()) <= 500) or (type(value) is int and value > 0)
