"""What the prompt of an edit asks for: text in, a frozen `Wish` out; pure.

It is read like any prompt, but what is spoken of as being there already ("on the fox", "make the
car red") is not drawn again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from ipyimagegen.sketch.reading import Scene, read
from ipyimagegen.sketch.words import words

DETERMINERS = frozenset({"the", "this", "that", "these", "those", "its", "his", "her", "their", "my", "our"})
PASSING = 3  # words that may stand between "the" and its noun
_WORD = re.compile(r"[A-Za-z][\w'-]*|\d+|[^\s\w]|[^\x00-\x7f]+")
_GROUND = re.compile(
    r"\b(?:replace|swap|exchange|remove|erase|delete)\s+(?:(?:the|its|this|that|whole|entire|plain|\w+ish)\s+)*"
    r"(?:sky|background|backdrop|weather|light|lighting|season|scenery|surroundings)\b"
    r"|(?:天空|天|背景|底色|天气|光线|季节)(?=替换|换|去掉|移除|删除|去除)"
    r"|(?:替换|去掉|移除|删除|去除)(?:天空|背景|底色)",
    re.IGNORECASE,
)
_CHINESE = re.compile(r"把[^，。,.]{1,8}?(?=变|换|涂|染|改|弄|放)")


@dataclass(frozen=True, slots=True)
class Wish:
    """All that was understood of an edit: the scene of its prompt, and what to do with the picture."""

    scene: Scene = field(default_factory=Scene)
    adjust: tuple[str, ...] = ()
    arrange: str = ""
    remove: bool = False
    replace: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing was understood."""
        return replace(self, arrange="", replace=False) == Wish(Scene(avoid=self.scene.avoid))


def wish(prompt: str, *, negative: str = "", style: str = "") -> Wish:
    """Return what the prompt of an edit asks for; `style` goes before a style that it names."""
    told = words(prompt, "edits")
    acts = {word.value for word in told if word.kind == "act"}
    scene = read(_without_known(prompt), negative=negative)
    if "remove" in acts and not acts & {"add", "replace"}:
        scene = replace(scene, figures=(), palette=(), backdrop="", place="")
    if scene.figures and not scene.backdrop and _elsewhere(prompt):
        scene = replace(scene, place="")
    ground = _GROUND.search(prompt) is not None
    remove, swap = "remove" in acts and not ground, "replace" in acts and not ground
    if "remove" in acts and ground and not (scene.backdrop or scene.place):
        scene = replace(scene, backdrop="white")
    if scene.palette and not scene.figures:  # "change the hat to blue"
        swap = False
    arranged = [word.value for word in told if word.kind == "arrange"]
    return Wish(
        replace(scene, style=style or scene.style),
        tuple(dict.fromkeys(word.value for word in told if word.kind == "adjust")),
        arranged[0] if arranged else "",
        remove,
        swap,
    )


def _elsewhere(prompt: str) -> bool:
    """Return whether the place is where the picture is already: "add a boat to the sea"."""
    return any(w.value == "add" for w in words(prompt, "edits"))


def _without_known(prompt: str) -> str:
    """Return the prompt without the things that it speaks of as known: "the fox", "its red car".

    "add the moon" is asked for all the same.
    """
    tokens = _WORD.findall(_CHINESE.sub("", prompt))
    kept: list[str] = []
    k = 0
    while k < len(tokens):
        after = _noun_after(tokens, k)
        asked = kept and kept[-1].lower() in {"add", "draw", "insert"}
        if after and not asked:
            kept.append("it")
            k = after
        else:
            kept.append(tokens[k])
            k += 1
    return " ".join(kept)


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


_CLOSED = frozenset(
    {"is", "are", "was", "look", "looks", "be", "and", "or", "with", "into", "as", "so", "it"}
)
