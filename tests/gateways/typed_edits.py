"""Edits typed as cells: images given in every way, and what must arrive of them."""

import re
from dataclasses import dataclass, field

from PIL import Image, ImageChops, ImageDraw, PngImagePlugin
from strict import KEY, Document
from strict_edits import parts
from typed import base_of, keys_in, use, wanted_key

SIZE = (64, 48)
BOX = (8, 8, 16, 16)  # x, y, width, height
PROMPT = "give it a hat"


def scene(seed=1, mode="RGB", size=SIZE):
    """Return an image in which no two neighbours are alike."""
    width, height = size
    pixels = [
        ((7 * x + seed) % 256, (5 * y) % 256, (x * y) % 256) for y in range(height) for x in range(width)
    ]
    image = Image.new("RGB", size)
    image.putdata(pixels)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(size))
    return image.convert(mode)


def lay_out(folder):
    """Write images as files that no encoder of ours would write again byte for byte."""
    folder.mkdir(exist_ok=True)
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "as the camera wrote it")
    scene(1).save(folder / "cat.png", pnginfo=note, compress_level=1)
    scene(2, "RGBA").save(folder / "glass.png", pnginfo=note)
    scene(3, size=(48, 48)).save(folder / "square.png", pnginfo=note)
    scene(4).save(folder / "photo.jpg", quality=71, comment=b"as the camera wrote it")
    scene(5).save(folder / "web.webp", lossless=True)
    mask(white=True).save(folder / "white.png")
    mask(white=False).save(folder / "clear.png")


HAT = """
from PIL import Image
hat = Image.new("RGBA", (40, 30), (10, 20, 30, 255))
hat.paste((200, 100, 50, 128), (5, 5, 20, 20))
"""


def hat():
    """Return what the notebook's variable `hat` holds."""
    image = Image.new("RGBA", (40, 30), (10, 20, 30, 255))
    image.paste((200, 100, 50, 128), (5, 5, 20, 20))
    return image


def mask(*, white, size=SIZE):
    """Return a mask for BOX: white on black, or clear in black."""
    left, top, width, height = BOX
    grey = Image.new("L", size, 0)
    ImageDraw.Draw(grey).rectangle((left, top, left + width - 1, top + height - 1), fill=255)
    if white:
        return grey
    clear = Image.new("RGBA", size, (0, 0, 0, 255))
    clear.putalpha(ImageChops.invert(grey))
    return clear


@dataclass(frozen=True, kw_only=True)
class EditExample:
    """A cell with the prompt `give it a hat`, and what must arrive.

    `given` are its images in order: a file's name, or `hat` for the variable. `fields` are the
    others that arrive, and `names` the field of a form in which each image stands, where the
    document prefers one. `masked`: a mask arrives that leaves BOX to change.
    """

    at: str
    document: Document
    cell: str
    fields: dict
    given: tuple = ("cat.png",)
    names: tuple = ()
    masked: bool = False
    prompt: str = PROMPT
    entry: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.at} {self.cell}"


def begin(kernel, server, example, folder):
    """Lay out the images and make the server the endpoint."""
    lay_out(folder)
    entry = {"base_url": base_of(server, example.document), **example.entry}
    use(kernel, server, example.at, **entry)
    assert kernel.run(HAT).error is None


def check_edit(kernel, server, example, folder):
    """Run the cell; the server must have got exactly that, with the very images."""
    cell = kernel.run(f"%%imagine {example.cell}\n{PROMPT}")
    assert cell.error is None, cell.error
    (post,) = server.posts
    check_arrived(post, example, folder)
    assert len(cell.images) == 1
    title, facts, *_, last = cell.caption.splitlines()
    assert title.endswith(f"· {PROMPT}")
    assert facts.startswith(f"{example.at} · ")
    assert re.match(r"\d+\.\d s · ", last)
    assert KEY not in str(cell.outputs)


def check_arrived(post, example, folder):
    """Compare a request with what was given: fields, keys, every image's bytes, the mask's polarity."""
    document = example.document
    assert post.path == document.path
    assert keys_in(post) == wanted_key(document)
    asked = document.read(post)
    assert asked == {"prompt": example.prompt, **example.fields}
    assert len(asked.images) == len(example.given)
    for given, arrived in zip(example.given, asked.images, strict=True):
        if given == "hat":
            assert same_pixels(arrived.image, hat())
        else:
            assert arrived.data == (folder / given).read_bytes(), given
    if example.names:
        assert tuple(image.name for image in asked.images) == example.names
    assert bool(asked.mask) == example.masked
    if example.masked:
        assert document.mask.may_change(asked.mask).tobytes() == mask(white=True).tobytes()
        assert asked.mask.image.size == asked.images[0].image.size
    if document.place is None:
        assert all(not filename or filename.isascii() for _, filename, *_ in parts(post))


def same_pixels(image, other):
    """Say whether two Pillow images look the same, with their alpha."""
    return image.size == other.size and image.convert("RGBA").tobytes() == other.convert("RGBA").tobytes()
