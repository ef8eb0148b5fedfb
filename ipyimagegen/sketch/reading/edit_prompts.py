"""Prompts of edits: what to do with an image that is there already; pure.

A prompt is read like any other, but what it mentions as being there ("on the fox", "make the car red",
给狐狸戴上) becomes "it" first, so that it is not drawn again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from ipyimagegen.sketch.reading.prompts import Scene, find_words, read_scene

DETERMINERS = frozenset({"the", "this", "that", "these", "those", "its", "his", "her", "their", "my", "our"})
BETWEEN = 3  # words that may stand between "the" and its noun
_NOUNS = {"thing", "shape"}
_MODIFIERS = {"number", "colour", "shade", "size"}

_WORD = re.compile(r"[A-Za-z][\w'-]*|\d+|[^\s\w]|[^\x00-\x7f]+")
# words that do not stand between "the" and its noun
_BREAKS = {"is", "are", "was", "look", "looks", "be", "and", "or", "with", "into", "as", "so", "it"}
_ADDING = {"add", "draw", "insert"}
_OTHERS = {"make", "turn", "change", "give", "put", "beside", "below", "beneath", "next", "so", "but", "for"}

_CLAUSE = r"(?:^|(?<=[，。；、,.;\s]))(?:请|再)?"
_SOME = r"[^，。；,.;加添画放]"
_TURNING = re.compile(rf"{_CLAUSE}(?:把|将|给|让|使|帮)?{_SOME}{{1,10}}?(?=变|换|涂成|涂|染|改|弄)")
_PUTTING = re.compile(r"[把将](?!一|两|几|三)[^，。,.]{1,8}?(?=放)")
_GIVING = re.compile(
    rf"{_CLAUSE}(?:[给为让帮使]{_SOME}{{1,8}}?|[^，。；,.;加添画放把将一两三几个只条]{{0,6}}?)"
    r"(?:戴上|戴着|戴了|戴|穿上|换上|配上|加上|添上|画上|放上|加|添|画|放)(?!.{0,8}的(?:狐|猫|狗|人|熊))"
)
_GIFT = re.compile(rf"{_CLAUSE}[给送]{_SOME}{{1,8}}?(?=[一两三几][顶个只条副件朵把辆座棵]?)")
_BESIDE = re.compile(r"在([^，。,.一两三几个]{1,6}?)(?=旁|左|右|后|前|头|身|上|下|边|手)")
_INTO = re.compile(
    r"(?:变成|变为|改成|换为|换作|换成|\b(?:turn|change|transform)\b.*?\b(?:in)?to\b)(.*)", re.IGNORECASE
)
_BACKGROUND = re.compile(
    r"\b(?:replace|swap|exchange|remove|erase|delete)\s+(?:(?:the|its|this|that|whole|entire|plain|\w+ish)\s+)*"
    r"(?:sky|background|backdrop|weather|light|lighting|season|scenery|surroundings)\b"
    r"|(?:天空|天|背景|底色|天气|光线|季节)(?=替换|换|去掉|移除|删除|去除)"
    r"|(?:替换|去掉|移除|删除|去除)(?:天空|背景|底色)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class EditPrompt:
    """All that was understood of an edit: the scene of its prompt, and what to do with the image."""

    scene: Scene = field(default_factory=Scene)
    adjust: tuple[str, ...] = ()
    remove: bool = False
    replace: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing was understood."""
        return replace(self, replace=False) == EditPrompt(Scene(avoid=self.scene.avoid))


def read_edit(prompt: str, *, negative: str = "", style: str = "", masked: bool = False) -> EditPrompt:
    """Return what the prompt of an edit means; `style` goes before a style that it names.

    `masked` says that the prompt describes what shall be in a mask, where "the moon" is drawn.
    """
    edit = _read(prompt, remove_known(prompt), negative, style)
    words = prompt.split(maxsplit=1)
    if edit.empty and masked and words and words[0].lower() in DETERMINERS and find_words(prompt):
        edit = _read(prompt, prompt, negative, style)
    return edit


def _read(prompt: str, new: str, negative: str, style: str) -> EditPrompt:
    """Return the edit of a prompt, `new` being the prompt without what is there already."""
    words = find_words(prompt, "edits")
    acts = {word.value for word in words if word.kind == "act"}
    scene = read_scene(new, negative=negative)
    if "remove" in acts and not acts & {"add", "replace"}:
        scene = replace(scene, figures=(), palette=(), backdrop="", place="")
    if scene.figures and not scene.backdrop and "add" in acts:
        scene = replace(scene, place="")  # "add a boat to the sea": the sea is there
    background = _BACKGROUND.search(prompt) is not None
    swap = not background and ("replace" in acts or ("add" not in acts and _turns_into_thing(prompt)))
    if "remove" in acts and background and not (scene.backdrop or scene.place):
        scene = replace(scene, backdrop="white")
    if scene.palette and not scene.figures:  # "change the hat to blue"
        swap = False
    adjust = tuple(dict.fromkeys(word.value for word in words if word.kind == "adjust"))
    scene = replace(scene, style=style or scene.style)
    return EditPrompt(scene, adjust, remove="remove" in acts and not background, replace=swap)


def _turns_into_thing(prompt: str) -> bool:
    """Return whether a thing becomes another: "turn it into a cat", not "turn it into a watercolour"."""
    match = _INTO.search(prompt)
    kinds = [word.kind for word in find_words(match[1]) if word.kind not in _MODIFIERS] if match else []
    return bool(kinds) and kinds[0] in _NOUNS


def remove_known(prompt: str) -> str:
    """Return the prompt with "it" for what it mentions as known: "the fox", but not "add the moon"."""
    tokens = _WORD.findall(_remove_known_chinese(prompt))
    kept: list[str] = []
    k, adding = 0, False
    while k < len(tokens):
        token = tokens[k].lower()
        adding = token in _ADDING or (adding and not _ends_list(token))
        after = _find_end_of_noun(tokens, k) or (_find_end_of_taker(tokens, k) if kept else 0)
        if after and not adding:
            kept.append("it")
            k = after
            continue
        wearing = token in {"with", "wearing"} and kept[-1:] == ["it"]
        if wearing and "add" not in (word.lower() for word in kept):
            kept.append("add")  # "the fox wearing a hat": only the hat is new
        else:
            kept.append(tokens[k])
        k += 1
    return " ".join(kept)


def _remove_known_chinese(prompt: str) -> str:
    """Return the prompt without whom something is given to, and without what becomes another."""
    prompt = _GIFT.sub("加", _TURNING.sub("", _PUTTING.sub("", prompt)))
    prompt = _GIVING.sub(_replace_giving, prompt)
    return _BESIDE.sub(_replace_beside, prompt) if re.search("[加添放画戴]", prompt) else prompt


def _replace_giving(match: re.Match[str]) -> str:
    """Return "add" for the taker and the verb; a place before it is kept: 在雪地里加."""
    known = {*_NOUNS, "colour", "size", "number", "skip", "cut"}
    return "加" if all(word.kind in known for word in find_words(match[0])) else match[0]


def _replace_beside(match: re.Match[str]) -> str:
    kinds = {word.kind for word in find_words(match[1])}
    known = kinds & _NOUNS and kinds <= {*_NOUNS, "colour", "size", "skip"}
    return "在它" if known else match[0]


def _ends_list(token: str) -> bool:
    """Return whether the list of what is added is over."""
    if token in _OTHERS:
        return True
    words = find_words(token)
    return bool(words) and (words[0].kind == "cut" or token in {".", ";", "。", "；"})


def _find_end_of_noun(tokens: list[str], k: int) -> int:
    """Return the place behind the noun of a determiner at `k`, 0 if there is none."""
    if tokens[k].lower() not in DETERMINERS:
        return 0
    for j in range(k + 1, min(k + 2 + BETWEEN, len(tokens))):
        words = find_words(tokens[j])
        kind = words[0].kind if words else "stop" if tokens[j].lower() in _BREAKS else ""
        if kind in _NOUNS:
            return j + 1
        if kind not in {"", "colour", "shade", "size"}:
            return 0
    return 0


def _find_end_of_taker(tokens: list[str], k: int) -> int:
    """Return the place behind whom something is given to: "give fox a hat"; 0 if there is nobody."""
    if tokens[k - 1].lower() != "give":
        return 0
    for j in range(k, min(k + 1 + BETWEEN, len(tokens) - 1)):
        words = find_words(tokens[j])
        if words and words[0].kind == "number":
            return 0
        if words and words[0].kind in _NOUNS:
            after = find_words(tokens[j + 1])
            return j + 1 if after and after[0].kind in {*_MODIFIERS, "thing"} else 0
    return 0
