"""What the prompt of an edit speaks of as being there already: "on the fox", "make the car red", 给狐狸戴上.

Text in, text out: what is known becomes "it", what shall come is left as it is.
"""

from __future__ import annotations

import re

from ipyimagegen.sketch.reading.words import words

DETERMINERS = frozenset({"the", "this", "that", "these", "those", "its", "his", "her", "their", "my", "our"})
PASSING = 3  # words that may stand between "the" and its noun
_WORD = re.compile(r"[A-Za-z][\w'-]*|\d+|[^\s\w]|[^\x00-\x7f]+")
_CLOSED = frozenset(
    {"is", "are", "was", "look", "looks", "be", "and", "or", "with", "into", "as", "so", "it"}
)
_ASKING = frozenset({"add", "draw", "insert"})
_ELSE = frozenset(
    {"make", "turn", "change", "give", "put", "beside", "below", "beneath", "next", "so", "but", "for"}
)

_CLAUSE = r"(?:^|(?<=[，。；、,.;\s]))(?:请|再)?"
_SOME = r"[^，。；,.;加添画放]"
_TURNING = re.compile(rf"{_CLAUSE}(?:把|将|给|让|使|帮)?{_SOME}{{1,10}}?(?=变|换|涂成|涂|染|改|弄)")
_PUTTING = re.compile(r"[把将](?!一|两|几|三)[^，。,.]{1,8}?(?=放)")
_GIVING = re.compile(
    rf"{_CLAUSE}(?:[给为让帮使]{_SOME}{{1,8}}?|[^，。；,.;加添画放把将一两三几个只条]{{0,6}}?)"
    r"(?:戴上|戴着|戴了|戴|穿上|换上|配上|加上|添上|画上|放上|加|添|画|放)(?!.{0,8}的(?:狐|猫|狗|人|熊))"
)
_GIFT = re.compile(rf"{_CLAUSE}[给送]{_SOME}{{1,8}}?(?=[一两三几][顶个只条副件朵把辆座棵]?)")
_BY = re.compile(r"在([^，。,.一两三几个]{1,6}?)(?=旁|左|右|后|前|头|身|上|下|边|手)")
_INTO = re.compile(
    r"(?:变成|变为|改成|换为|换作|换成|\b(?:turn|change|transform)\b.*?\b(?:in)?to\b)(.*)", re.IGNORECASE
)


def without_known(prompt: str) -> str:
    """Return the prompt without the things that it speaks of as known: "the fox", "its red car".

    "add the moon" is asked for all the same.
    """
    tokens = _WORD.findall(_chinese(prompt))
    kept: list[str] = []
    k, asked = 0, False
    while k < len(tokens):
        token = tokens[k].lower()
        asked = token in _ASKING or (asked and not _ends(token))
        after = _noun_after(tokens, k) or (_taker_after(tokens, k) if kept else 0)
        if after and not asked:
            kept.append("it")
            k = after
        elif token in {"with", "wearing"} and kept[-1:] == ["it"] and "add" not in (t.lower() for t in kept):
            kept.append("add")  # "the fox wearing a hat": only the hat is new
            k += 1
        else:
            kept.append(tokens[k])
            k += 1
    return " ".join(kept)


def turned_into_a_thing(prompt: str) -> bool:
    """Return whether a thing shall become another: "turn it into a cat", not "turn it into a watercolour"."""
    match = _INTO.search(prompt)
    if not match:
        return False
    kinds = [word.kind for word in words(match[1]) if word.kind not in {"number", "colour", "shade", "size"}]
    return kinds[:1] in (["thing"], ["shape"])


def _chinese(prompt: str) -> str:
    """Return the prompt without whom something is given to, or what becomes another."""
    prompt = _GIFT.sub("加", _TURNING.sub("", _PUTTING.sub("", prompt)))
    prompt = _GIVING.sub(_given, prompt)
    return _BY.sub(_beside, prompt) if re.search("[加添放画戴]", prompt) else prompt


def _given(match: re.Match[str]) -> str:
    """Return what stands for the taker and the verb; a place before it is kept: 在雪地里加."""
    told = [
        w
        for w in words(match[0])
        if w.kind not in {"thing", "shape", "colour", "size", "number", "skip", "cut"}
    ]
    return match[0] if told else "加"


def _beside(match: re.Match[str]) -> str:
    kinds = {word.kind for word in words(match[1])}
    return (
        "在它"
        if kinds & {"thing", "shape"} and kinds <= {"thing", "shape", "colour", "size", "skip"}
        else match[0]
    )


def _ends(token: str) -> bool:
    """Return whether the list of what shall be added is over."""
    if token in _ELSE:
        return True
    found = words(token)
    return bool(found) and (found[0].kind == "cut" or token in {".", ";", "。", "；"})


def _noun_after(tokens: list[str], k: int) -> int:
    """Return the place behind the thing that a determiner at `k` speaks of, 0 if there is none."""
    if tokens[k].lower() not in DETERMINERS:
        return 0
    for j in range(k + 1, min(k + 2 + PASSING, len(tokens))):
        found = words(tokens[j])
        kind = found[0].kind if found else "stop" if tokens[j].lower() in _CLOSED else ""
        if kind in {"thing", "shape"}:
            return j + 1
        if kind not in {"", "colour", "shade", "size"}:
            return 0
    return 0


def _taker_after(tokens: list[str], k: int) -> int:
    """Return the place behind whom something is given to: "give fox a hat"; 0 if it is not so."""
    if tokens[k - 1].lower() != "give":
        return 0
    for j in range(k, min(k + 1 + PASSING, len(tokens) - 1)):
        found = words(tokens[j])
        if found and found[0].kind == "number":
            return 0
        if found and found[0].kind in {"thing", "shape"}:
            after = words(tokens[j + 1])
            return j + 1 if after and after[0].kind in {"number", "colour", "shade", "size", "thing"} else 0
    return 0
