"""The gallery of the panel: the images of a session as tiles, and which of them are edits of which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ipyimagegen.core.errors import NotInHistory
from ipyimagegen.core.messages import _
from ipyimagegen.core.text import escape_hidden, truncate
from ipyimagegen.notebook.fronts import PANEL
from ipyimagegen.notebook.panel.attachments import ImageFile
from ipyimagegen.results import Generation, Image

PROMPT_LENGTH = 300  # characters of a prompt in the name of a tile


@dataclass(frozen=True, kw_only=True)
class Tile:
    """An image and its result. `children` are the ids of its edits."""

    image: Image
    generation: Generation
    children: tuple[str, ...] = ()

    def to_message(self) -> dict[str, Any]:
        """Return the form in which the front end receives it.

        The front end sorts tiles by `number`: those of a sweep arrive in any order.
        """
        image, generation = self.image, self.generation
        label = f"{generation.number or generation.id}"
        width, height = image.size
        return {
            "key": image.id,
            "number": generation.number or 0,
            "label": f"{label}.{image.number}" if len(generation) > 1 else label,
            "prompt": escape_hidden(truncate(image.prompt, PROMPT_LENGTH)),
            "caption": escape_hidden(generation.write_caption(PANEL)),
            "width": width,
            "height": height,
            "parents": generation.parents,
            "children": self.children,
        }


class Gallery:
    """The tiles of a panel by the ids of their images, in the order of arrival, without removed tiles."""

    def __init__(self) -> None:
        self._tiles: dict[str, Tile] = {}
        self._removed: set[str] = set()

    def add(self, generation: Generation) -> list[Tile]:
        """Add the images of a result; return the tiles that are new or changed, parents among them."""
        changed: dict[str, Tile] = {}
        for image in generation:
            if image.id in self._removed:
                continue
            known = self._tiles.get(image.id)
            children = known.children if known else ()
            changed[image.id] = Tile(image=image, generation=generation, children=children)
            for key in generation.parents:
                parent = changed.get(key) or self._tiles.get(key)
                if parent and image.id not in parent.children:
                    changed[key] = replace(parent, children=(*parent.children, image.id))
        self._tiles.update(changed)
        return list(changed.values())

    @property
    def tiles(self) -> list[Tile]:
        """Every tile."""
        return list(self._tiles.values())

    def find_image(self, key: str) -> Image:
        """Return the image of a tile. Raises NotInHistory when it is not in the panel."""
        if key not in self._tiles:
            raise NotInHistory(_("That image is no longer in the panel."))
        return self._tiles[key].image

    def find_file(self, key: str) -> ImageFile | None:
        """Return the original bytes of a tile's image, or None when it is not in the panel."""
        tile = self._tiles.get(key)
        if tile is None:
            return None
        image = tile.image
        name = f"{image.id.replace('/', '-')}{image.path.suffix}"
        width, height = image.size
        return ImageFile(data=image.bytes, mime=image.mime, width=width, height=height, name=name)

    def reset(self, generations: Iterable[Generation]) -> None:
        """Replace the images by those of these results; what was removed stays out.

        A look-up in another thread meanwhile finds either the old images or the new ones.
        """
        fresh = Gallery()
        fresh._removed = self._removed
        for generation in generations:
            fresh.add(generation)
        self._tiles = fresh._tiles

    def remove(self, key: str) -> None:
        """Remove a tile; the image stays in the history."""
        self._removed.add(key)
        self._tiles.pop(key, None)
