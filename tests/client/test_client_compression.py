"""Compressed bodies: every encoding, labels that lie, and little that becomes very much."""

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from raising import assert_names
from sockets import IMAGES, endpoint_at, images, reply

from ipyimagegen.client import CancelToken, Timeouts, download
from ipyimagegen.core.run import Status

MIB = 1 << 20
WHOLE = json.dumps(images()).encode()


def deflate(data, bits=-15):
    packer = zlib.compressobj(wbits=bits)
    return packer.compress(data) + packer.flush()


def members(data):
    """Return a gzip file of many members, as servers write that compress block by block."""
    return b"".join(gzip.compress(data[at : at + 100]) for at in range(0, len(data), 100))


def named(data):
    """Return a gzip file whose header holds a long name."""
    packed = gzip.compress(data)
    return packed[:3] + b"\x08" + packed[4:10] + b"n" * 9999 + b"\0" + packed[10:]


COMPRESSED = {
    "gzip": ("gzip", gzip.compress(WHOLE)),
    "capitals": ("GZIP", gzip.compress(WHOLE)),
    "x-gzip": ("x-gzip", gzip.compress(WHOLE)),
    "members": ("gzip", members(WHOLE)),
    "padding": ("gzip", gzip.compress(WHOLE) + bytes(512)),
    "text after the end": ("gzip", gzip.compress(WHOLE) + b"\r\n"),
    "a long name": ("gzip", named(WHOLE)),
    "zlib": ("deflate", zlib.compress(WHOLE)),
    "bare deflate": ("deflate", deflate(WHOLE)),
    "something after zlib": ("deflate", zlib.compress(WHOLE) + b"\r\n"),
    "twice": ("gzip, gzip", gzip.compress(gzip.compress(WHOLE))),
    "two ways": ("deflate, gzip", gzip.compress(zlib.compress(WHOLE))),
    "beside identity": ("identity, gzip", gzip.compress(WHOLE)),
}
PLAIN = (
    "gzip",
    "x-gzip",
    "deflate",
    "br",
    "zstd",
    "gzip, gzip",
    "br, gzip",
    "gzip, gzip, gzip",
    "utf-8",
    "",
    ",",
)
PACE = (1 << 20, 7)  # bytes that the server sends at once


def in_pieces(body, label, size, status="200 OK"):
    """Return an answer that sends its body in pieces, as chunks, so that no length is announced."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return f"{head}Content-Encoding: {label}\r\n\r\n".encode() + framed + b"0\r\n\r\n"


@pytest.mark.parametrize("size", PACE)
@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_compressed_response_is_read(serve, post, kind, size):
    label, body = COMPRESSED[kind]
    outcome = post(serve(in_pieces(body, label, size)).origin)
    assert outcome.status is Status.DONE
    assert outcome.spool.read_bytes() == WHOLE


@pytest.mark.parametrize("size", PACE)
@pytest.mark.parametrize("label", PLAIN)
def test_a_body_that_is_not_what_its_label_says_is_read_as_it_is(serve, post, label, size):
    outcome = post(serve(in_pieces(WHOLE, label, size)).origin)
    assert outcome.status is Status.DONE
    assert outcome.spool.read_bytes() == WHOLE


@pytest.mark.parametrize("label", PLAIN)
def test_the_reason_of_a_refusal_is_read_whatever_the_label(serve, post, label):
    body = json.dumps({"error": {"message": "Not this one.", "code": "moderation_blocked"}}).encode()
    outcome = post(serve(in_pieces(body, label, 1 << 20, "400 Bad Request")).origin)
    assert (outcome.status, outcome.error.code) == (Status.REFUSED, "moderation_blocked")


@pytest.mark.parametrize("label", ["gzip", "deflate", "br"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_downloaded_image_whatever_the_label(serve, tmp_path, label, packed):
    image = IMAGES[0]
    packers = {"gzip": gzip.compress, "deflate": zlib.compress}
    body = packers.get(label, bytes)(image) if packed else image
    server = serve(reply(body, "200 OK", f"Content-Encoding: {label}", kind="image/png"))
    into = tmp_path / "image"
    fault = download(f"{server.origin}/image", endpoint_at(server.origin), into=into, token=CancelToken())
    assert fault is None
    assert into.read_bytes() == image


def test_an_encoding_that_was_not_requested_is_named_and_the_body_kept(serve, post):
    body = b"\x28\xb5\x2f\xfd" + bytes(99)
    outcome = post(serve(reply(body, "200 OK", "Content-Encoding: zstd")).origin)
    assert outcome.status is Status.UNKNOWN
    assert "zstd" in outcome.error.message
    assert outcome.spool.read_bytes() == body


def test_only_what_can_be_read_is_requested(serve, post):
    server = serve(reply(images()))
    post(server.origin)
    assert b"accept-encoding: gzip, deflate\r\n" in bytes(server.received).lower()


# Bombs: a process of its own prints how much the most memory that it ever had grew.

BOMB = """
import gzip, resource, sys, threading, zlib
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from sockets import Server, endpoint_at, reply
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.client import CancelToken, Timeouts, exchange, write_call

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def packed(bits, mib):
    packer = zlib.compressobj(9, wbits=bits)
    return b"".join(packer.compress(b"A" * (1 << 20)) for _ in range(mib)) + packer.flush()

def nested():
    return gzip.compress(packed(31, 400), 9)

label, kind = sys.argv[3].split("/")
body = {"gzip": lambda: packed(31, 400), "zlib": lambda: packed(15, 400), "nested": nested}[kind]()
server = Server(reply(body, "200 OK", f"Content-Encoding: {label}"))
endpoint = endpoint_at(server.origin)
request = Request(endpoint="lab", base_url=endpoint.base_url, prompt="a fox", options={})
call = write_call(request, PreparedRequest(), endpoint)
before = most()
outcome = exchange(call, endpoint, None, spool=Path(sys.argv[2]), token=CancelToken(), idempotency_key="k",
    timeouts=Timeouts(connect=5, idle=30, whole=60))
print(most() - before, outcome.error.message)
"""


BOMBS = ["gzip/gzip", "deflate/zlib", "gzip, gzip/nested"]


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_stopped_at_the_cap_and_takes_little_memory(tmp_path, kind):
    pytest.importorskip("resource")
    command = [
        sys.executable,
        "-c",
        BOMB,
        str(Path(__file__).parent.parent),
        str(tmp_path / "reply.part"),
        kind,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    grown, message = done.stdout.split(" ", 1)
    assert message
    assert int(grown) < 24 * MIB
    assert (tmp_path / "reply.part").stat().st_size < 90 * MIB


def silent_bomb():
    """Return gzip in gzip whose inner stream never gives a byte."""
    empty = zlib.compressobj(wbits=31)
    begin = empty.compress(b"[") + empty.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, wbits=31)
    blocks = b"\0\0\0\xff\xff" * (MIB // 5)  # stored blocks of no bytes
    first, more = (packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH) for data in (begin, blocks))
    return first + more * 20_000  # after a full flush each piece stands alone


def test_the_deadline_ends_the_decompression_of_what_gives_nothing(serve, post):
    server = serve(reply(silent_bomb(), "200 OK", "Content-Encoding: gzip, gzip"))
    outcome = post(server.origin, timeouts=Timeouts(connect=60, idle=60, whole=1))
    assert outcome.status is Status.UNKNOWN
    assert_names(outcome.error.message, 1)
