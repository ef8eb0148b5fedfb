"""What the prompt of an edit asks for: text in, a frozen `Wish` out; pure.

It is read like any prompt, but what it speaks of as being there already is not drawn again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from ipyimagegen.sketch.reading.known import DETERMINERS, turned_into_a_thing, without_known
from ipyimagegen.sketch.reading.reading import Scene, read
from ipyimagegen.sketch.reading.words import words

_GROUND = re.compile(
    r"\b(?:replace|swap|exchange|remove|erase|delete)\s+(?:(?:the|its|this|that|whole|entire|plain|\w+ish)\s+)*"
    r"(?:sky|background|backdrop|weather|light|lighting|season|scenery|surroundings)\b"
    r"|(?:天空|天|背景|底色|天气|光线|季节)(?=替换|换|去掉|移除|删除|去除)"
    r"|(?:替换|去掉|移除|删除|去除)(?:天空|背景|底色)",
    re.IGNORECASE,
)


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


def wish(prompt: str, *, negative: str = "", style: str = "", filling: bool = False) -> Wish:
    """Return what the prompt of an edit asks for; `style` goes before a style that it names.

    `filling` says that it tells what shall be in a mask, where "the moon" is one to draw.
    """
    asked = _wish(prompt, without_known(prompt), negative, style)
    if asked.empty and filling and words(prompt) and prompt.split(maxsplit=1)[0].lower() in DETERMINERS:
        asked = _wish(prompt, prompt, negative, style)
    return asked


def _wish(prompt: str, new: str, negative: str, style: str) -> Wish:
    """Return what the prompt asks for, `new` being what of it is not there already."""
    told = words(prompt, "edits")
    acts = {word.value for word in told if word.kind == "act"}
    scene = read(new, negative=negative)
    if "remove" in acts and not acts & {"add", "replace"}:
        scene = replace(scene, figures=(), palette=(), backdrop="", place="")
    if scene.figures and not scene.backdrop and _elsewhere(prompt):
        scene = replace(scene, place="")
    ground = _GROUND.search(prompt) is not None
    remove = "remove" in acts and not ground
    swap = not ground and ("replace" in acts or ("add" not in acts and turned_into_a_thing(prompt)))
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
