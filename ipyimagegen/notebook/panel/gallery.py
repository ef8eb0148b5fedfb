"""The panel's strip: the images of a session as tiles, and how they descend from each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ipyimagegen.core.errors import NotInHistory
from ipyimagegen.core.text import escape_hidden, truncate
from ipyimagegen.notebook.panel.attachments import File
from ipyimagegen.results import Generation, Image

EDGE = 192  # pixels of a tile's image: sharp at 96 on a dense screen
PROMPT = 300  # characters of it that name a tile


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One image. `key` is its lasting id, `parents` and `children` are those of the images around it.

    Tiles stand in order of `number`: those of a sweep come as their servers answer.
    """

    key: str
    number: int
    label: str
    prompt: str
    caption: str
    width: int
    height: int
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()


class Gallery:
    """The tiles of one panel, in the order in which they came. What was removed from view stays out."""

    def __init__(self) -> None:
        self._images: dict[str, Image] = {}
        self._tiles: dict[str, Tile] = {}
        self._hidden: set[str] = set()

    def add(self, generation: Generation) -> list[Tile]:
        """Take in a result; return the tiles that are new or changed, parents among them."""
        changed: dict[str, Tile] = {}
        for one in generation:
            if one.id in self._hidden:
                continue
            self._images[one.id] = one
            known = self._tiles.get(one.id)
            tile = _tile(one, generation, known.children if known else ())
            changed[one.id] = tile
            for parent in generation.parents:
                mother = changed.get(parent) or self._tiles.get(parent)
                if mother and one.id not in mother.children:
                    changed[parent] = replace(mother, children=(*mother.children, one.id))
        self._tiles.update(changed)
        return list(changed.values())

    @property
    def tiles(self) -> list[Tile]:
        """Every tile."""
        return list(self._tiles.values())

    def image(self, key: str) -> Image:
        """Return the image of a tile. Raises NotInHistory for one that is out of view."""
        if key not in self._images:
            raise NotInHistory("That image is not in view any more.")
        return self._images[key]

    def file(self, key: str) -> File | None:
        """Return the bytes of a tile's image as they came, None when it is out of view."""
        one = self._images.get(key)
        if one is None:
            return None
        name = f"{one.id.replace('/', '-')}{one.path.suffix}"
        return File(data=one.bytes, mime=one.mime, width=one.size[0], height=one.size[1], name=name)

    def renew(self, generations: Iterable[Generation]) -> None:
        """Begin anew with these; what was removed from view stays out.

        Another thread may look an image up meanwhile, and finds those that there were or those that are.
        """
        fresh = Gallery()
        fresh._hidden = self._hidden
        for one in generations:
            fresh.add(one)
        self._images, self._tiles = fresh._images, fresh._tiles

    def remove(self, key: str) -> None:
        """Take a tile out of view; the image stays in the history."""
        self._hidden.add(key)
        self._tiles.pop(key, None)
        self._images.pop(key, None)


def as_message(tiles: Iterable[Tile]) -> list[dict[str, Any]]:
    """Return tiles as a front end takes them."""
    return [dict(vars(tile)) for tile in tiles]


def _tile(one: Image, generation: Generation, children: tuple[str, ...]) -> Tile:
    number = generation.number or generation.id
    return Tile(
        key=one.id,
        number=generation.number or 0,
        label=f"{number}.{one.index}" if len(generation) > 1 else f"{number}",
        prompt=escape_hidden(truncate(one.prompt, PROMPT)),
        caption=escape_hidden(generation.caption),
        width=one.size[0],
        height=one.size[1],
        parents=generation.parents,
        children=children,
    )
