"""How many images a request asks for, in whatever spelling a server may read it."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.options import Json

MOST = 10_000  # images of one request; no server makes as many
_DEPTH = 4  # levels of nested fields that are searched
# Other servers' names of `n`, as `_plain` writes them.
_NAMES = frozenset(
    {
        "n",
        "num",
        "count",
        "number",
        "quantity",
        "samples",
        "nimages",
        "nsamples",
        "niter",
        "numimages",
        "numimage",
        "numoutputs",
        "numsamples",
        "numimagesperprompt",
        "imagesperprompt",
        "numberofimages",
        "numberofoutputs",
        "numberresults",
        "imagecount",
        "imagesnum",
        "imagenum",
        "samplecount",
        "outputcount",
        "batchsize",
        "batchcount",
        "maximages",
    }
)
# Fields whose value is a word, and how many images a server makes then: Ark makes up to 15 by itself.
_WORDS: Mapping[str, Mapping[str, int]] = {"sequentialimagegeneration": {"auto": 15}}


def read_count(value: Json) -> int | None:
    """Return the whole number from 1 that a server may read in `value`, None where there is none.

    A server may accept 3.0, "3", " 3 ", "1e2" and digits of other scripts. True is no number here.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = value if isinstance(value, int) else float(value)
    except ValueError:
        return None
    whole = isinstance(number, int) or (math.isfinite(number) and number == int(number))
    return int(number) if whole and number >= 1 else None


def count_images(options: Mapping[str, Json], extra: Mapping[str, Json]) -> int:
    """Return how many images a request may bring: the largest number that a server may read; 1 without any.

    `extra` holds further fields, and replaces the option of the same name.
    """
    others = {key: value for key, value in options.items() if key not in extra}
    counts = [count_asked(options, extra), *_counts(others), *_counts(extra)]
    return min(max(counts), MOST)


def count_asked(options: Mapping[str, Json], extra: Mapping[str, Json]) -> int:
    """Return how many images the field `n` itself asks for; 1 without it."""
    return min(read_count(extra.get("n", options.get("n"))) or 1, MOST)


def check_count(extra: Mapping[str, Json]) -> None:
    """Raise InvalidOption where a field `n` of `extra` is no whole number from 1 to `MOST`."""
    for key, value in extra.items():
        if _plain(key) != "n":
            continue
        count = read_count(value)
        if count is None or count > MOST:
            given = repr(value) if isinstance(value, (str, float, bool)) else type(value).__name__
            shown = f"{value:,}" if count and count < 10**12 else given[:40]
            raise InvalidOption(
                f"Invalid --set {key[:20]}: {shown}. Use a whole number from 1 to {MOST:,}. Nothing was sent."
            )


def _counts(fields: Mapping[str, Json], depth: int = _DEPTH) -> Iterator[int]:
    """Yield the numbers of images that `fields` name, in nested fields too."""
    for key, value in fields.items():
        name = _plain(key)
        if name in _NAMES and (count := read_count(value)):
            yield count
        if isinstance(value, str) and (count := _WORDS.get(name, {}).get(value.strip().lower())):
            yield count
        for inner in _nested(value) if depth > 1 else ():
            yield from _counts(inner, depth - 1)


def _nested(value: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the mappings that a value is or holds; Xinference takes further fields as a text of JSON."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    for part in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(part, Mapping):
            yield part


def _plain(key: object) -> str:
    """Return the last part of a field's name as servers compare it that ignore case and signs."""
    last = unicodedata.normalize("NFKC", str(key)).casefold().rpartition(".")[2]
    return last.replace("_", "").replace("-", "")
