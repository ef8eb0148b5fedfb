"""Fuzz the scan of image files: nothing in a file raises, and what passes is decoded within bounds."""

import io
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ipyimagegen.imaging"]):
    from ipyimagegen.imaging.inspection import inspect, preview_partial
    from ipyimagegen.imaging.scan import scan_bytes

from PIL import Image, ImageFile, PngImagePlugin

from ipyimagegen.core.run import ImageState

MOST_PIXELS = 1_000_000  # larger images are scanned and not decoded, so that many runs fit into a second
MOST_SCAN_SECONDS = 1.0  # of CPU, with the instrumentation; a file has at most some 100 KiB
MOST_DECODE_SECONDS = 2.0
MOST_MEMORY = 100  # MiB that one file adds to the peak of the process
LARGE = 200_000  # bytes to which a piece is repeated
EXIF = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\3\0\1\0\0\0\6\0\0\0\x1a\x01\5\0\1\0\0\0\x08\0\0\0\0\0\0\0"


def build_seeds():
    """Yield small files of all kinds that Pillow writes."""
    noise = Image.effect_noise((40, 24), 90)
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a red fox " * 20)
    text.add_text("Comment", "a red fox " * 200, zip=True)
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>', zip=True)
    text.add_text("Raw profile type exif", f"\nexif\n{len(EXIF)}\n{EXIF.hex()}\n", zip=True)
    kinds = [("PNG", mode, {"pnginfo": text, "exif": EXIF}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1")]
    kinds += [("PNG", "RGB", {"icc_profile": b"icc " * 50, "dpi": (72, 72)})]
    kinds += [("JPEG", mode, {"exif": EXIF, "comment": b"c"}) for mode in ("RGB", "L", "CMYK")]
    kinds += [("JPEG", mode, {"progressive": True, "restart_marker_rows": 1}) for mode in ("RGB", "CMYK")]
    kinds += [("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True}), ("WEBP", "RGB", {"exif": EXIF})]
    kinds += [("GIF", "P", {"comment": b"c"}), ("AVIF", "RGB", {"exif": EXIF}), ("AVIF", "RGBA", {})]
    kinds += [
        (kind, "RGB", {"save_all": True, "append_images": [noise.rotate(180)] * 3})
        for kind in ("PNG", "WEBP", "MPO", "GIF", "AVIF")
    ]
    for kind, mode, options in kinds:
        out = io.BytesIO()
        noise.convert(mode).save(out, kind, **options)
        yield out.getvalue()


def split(data):
    """Return a file as pieces, as far as its structure holds: chunks of PNG and WebP, segments of JPEG."""
    pieces, at = [], {b"\x89P": 8, b"RI": 12}.get(data[:2], 2)
    pieces.append(data[:at])
    while at + 8 <= len(data):
        if data[:2] == b"\x89P":
            size = 12 + int.from_bytes(data[at : at + 4], "big")
        elif data[:2] == b"RI":
            size = 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            size += size & 1
        else:
            size = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            if data[at + 1] == 0xDA:  # with the coded pixels behind it
                following = data.find(b"\xff\xc4", at + size)
                size = (following if following > 0 else len(data)) - at
        pieces.append(data[at : at + size])
        at += size
    pieces.append(data[at:])
    return pieces


def mend(pieces):
    """Return the file of the pieces with lengths and checksums that hold again, most of the time."""
    if pieces[0][:2] == b"RI":
        body = b"".join(pieces)[8:]
        return b"RIFF" + struct.pack("<I", len(body)) + body
    if pieces[0][:2] != b"\x89P":
        return b"".join(pieces)
    mended = [pieces[0]]
    for piece in pieces[1:]:
        if len(piece) >= 12:
            body = piece[4:-4]
            mended.append(struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
        else:
            mended.append(piece)
    return b"".join(mended)


def change_piece(chance, piece):
    """Return a piece with other bytes, another length field, or another size."""
    how = chance.randrange(5)
    if how == 0:
        return piece * min(chance.choice((2, 3, 70, 1000)), 1 + LARGE // (len(piece) + 1))
    if how == 1:
        at = chance.randrange(len(piece) + 1)
        return piece[:at] + chance.randbytes(chance.randrange(40)) + piece[at:]
    if how == 2:
        return piece[: chance.randrange(len(piece) + 1)]
    changed = bytearray(piece)
    ends = 12 if how == 3 else len(piece)  # where lengths and kinds stand, or anywhere
    for _ in range(1 + chance.randrange(3)):
        changed[chance.randrange(min(ends, len(piece)))] = chance.choice(
            (0, 1, 0x7F, 0xFF, chance.randrange(256))
        )
    return bytes(changed)


def mutate(data, most, seed):
    """Return another file: pieces repeated, moved, removed or changed, or what the fuzzer itself does."""
    chance = random.Random(seed)
    if chance.random() < 0.4 or len(data) < 30:
        return atheris.Mutate(data, most)
    pieces = split(data)
    for _ in range(1 + chance.randrange(3)):
        at = chance.randrange(len(pieces))
        how = chance.randrange(3)
        if how == 0 and pieces[at]:
            pieces[at] = change_piece(chance, pieces[at])
        elif how == 1:
            pieces.insert(chance.randrange(1, len(pieces) + 1), pieces[at])
        elif len(pieces) > 2:
            del pieces[max(at, 1)]
    whole = mend(pieces) if chance.random() < 0.8 else b"".join(pieces)
    return whole[:most]


def run_one(data):
    """Scan one file, and decode it if it passes. Raises AssertionError where a promise is broken."""
    began = time.process_time()
    scan = scan_bytes(data)
    assert time.process_time() - began < MOST_SCAN_SECONDS, "the scan takes too long"
    if scan is not None and scan.width * scan.height > MOST_PIXELS:
        return
    PATH.write_bytes(data)
    began, before = time.process_time(), peak_memory()
    loaded.clear()
    seen = inspect(PATH, edge=64)
    preview_partial(data)
    assert time.process_time() - began < MOST_DECODE_SECONDS, "decoding takes too long"
    assert peak_memory() - before < MOST_MEMORY, "decoding takes too much memory"
    assert (seen.thumb is not None) == (seen.state is ImageState.STORED)
    if scan is None or scan.excess:
        assert seen.state is ImageState.QUARANTINED, "decoded although refused"
        assert not loaded, "loaded although refused"
    elif loaded:
        assert set(loaded) <= {(scan.width, scan.height)}, "another size than in the scan is decoded"


def peak_memory():
    """Return the peak of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)


def watch_loading():
    """Note the size of every image that Pillow opens."""
    opening = ImageFile.ImageFile.__init__

    def watched(image, *args, **options):
        opening(image, *args, **options)
        loaded.append(image.size)

    ImageFile.ImageFile.__init__ = watched


PATH = Path(tempfile.mkdtemp(prefix="fuzz-")) / "image"
loaded = []


def main():
    """Run the files that are given, or else fuzz from seeds in a corpus of its own."""
    warnings.simplefilter("ignore")
    watch_loading()
    arguments = sys.argv
    if not any(Path(argument).is_file() for argument in arguments[1:]):
        corpus = Path(tempfile.mkdtemp(prefix="corpus-"))
        for number, seed in enumerate(build_seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
        arguments = [*arguments, str(corpus)]
    atheris.Setup(arguments, run_one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
