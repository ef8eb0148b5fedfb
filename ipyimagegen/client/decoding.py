"""Read a response body as it comes, decompressed with little memory.

urllib3 before 2.6 decompresses whatever one read returns in one step: a few kilobytes can become gigabytes.
Here one step gives at most `BLOCK` bytes, so that a cap on the size can stop it, with any version.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import chain

import requests
from urllib3.exceptions import DecodeError

from ipyimagegen.client.control import Deadline
from ipyimagegen.client.reply import BLOCK

ACCEPTED = "gzip, deflate"  # the value of Accept-Encoding
NESTED = 2  # encodings of one body; no server applies more
_HEAD = 1 << 12  # bytes of a valid header; the rest of a longer one is not looked at
_TEXT = frozenset(b"\t\n\r" + bytes(range(32, 127)))
_IMAGES = (b"\x89P", b"\xff\xd8", b"\0\0")  # PNG, JPEG, AVIF; other formats begin with letters
_GZIP, _ZLIB, _DEFLATE = 31, 15, -15  # zlib's `wbits`
_FORMATS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _DEFLATE)}  # some servers mean the last
_UNSUPPORTED = ("br", "zstd", "compress", "x-compress")


class UnsupportedEncoding(DecodeError):
    """The body is compressed in a way that was not asked for; its text is the name of the encoding."""


def read_chunks(response: requests.Response, watch: Deadline, size: int = BLOCK) -> Iterator[bytes]:
    """Yield the decoded body as it comes, until it ends or `watch` is stopped.

    A body that does not begin as its Content-Encoding says is read as it is: some gateways decompress and
    leave the header. Raises what urllib3 raises, and UnsupportedEncoding at the end of a body that
    was yielded undecoded.
    """
    names = [name.strip().lower() for name in response.headers.get("Content-Encoding", "").split(",")]
    compressed = [name for name in names if name in _FORMATS or name in _UNSUPPORTED]
    chunks = _read(response, size)
    if len(compressed) > NESTED or any(name in _UNSUPPORTED for name in compressed):
        chunks = _pass(chunks, ", ".join(compressed)[:80])
    else:
        for name in reversed(compressed):
            chunks = _decode(chunks, name)
    for chunk in chunks:
        if chunk:
            yield chunk
        if watch.stopped:
            return


def _read(response: requests.Response, size: int) -> Iterator[bytes]:
    while chunk := response.raw.read1(size, decode_content=False):
        yield chunk


def _pass(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield `chunks` unchanged. Raises UnsupportedEncoding at the end if they are no text and no image."""
    head = b""
    for chunk in chunks:
        head = head if len(head) > 1 else head + chunk[:2]
        yield chunk
    if not _is_plain(head[:2]):
        raise UnsupportedEncoding(name)


def _decode(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the decompressed chunks, some of them empty. Raises DecodeError for damaged data."""
    head, bits = _find_format(chunks, name)
    chunks = chain([head], chunks)
    if bits is None:
        yield from chunks
        return
    decompressor, padded = zlib.decompressobj(bits), False
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if decompressor.eof:  # what follows is padding, or the next member of a gzip file
                    decompressor, padded = zlib.decompressobj(_GZIP), True
                yield decompressor.decompress(data, BLOCK)
                data = decompressor.unconsumed_tail or decompressor.unused_data
        yield decompressor.flush()  # less than one block: all input has been consumed
    except zlib.error:
        if not padded:
            raise DecodeError("the compressed data is damaged") from None


def _find_format(chunks: Iterator[bytes], name: str) -> tuple[bytes, int | None]:
    """Return the beginning of the body and the `wbits` that decompress it, None if it is not compressed."""
    head = b""
    for chunk in chunks:
        head += chunk
        bits = next((bits for bits in _FORMATS[name] if _may_be(head, bits)), None)
        if bits is None or len(head) > _HEAD:
            return head, bits
        trial = zlib.decompressobj(bits)
        if trial.decompress(head, 1) or trial.eof:
            return head, bits
    return head, None


def _may_be(head: bytes, bits: int) -> bool:
    if bits < 0 and _is_plain(head[:2]):  # bare deflate has no mark, and text may pass for it
        return False
    try:
        zlib.decompressobj(bits).decompress(head, 1)
    except zlib.error:
        return False
    return True


def _is_plain(head: bytes) -> bool:
    """Return whether two bytes begin a text or an image, where compressed data has no mark of its own."""
    return head in _IMAGES or all(byte in _TEXT for byte in head)
