"""Feed the response reader with whatever a server may send: `python fuzzing/fuzz_response_reader.py CORPUS`.

Needs `atheris` (`pip install atheris`). The first byte chooses how many images were asked for, and
whether the connection ended well; the rest is the body. The arguments are those of libFuzzer, such as
`-max_total_time=1200`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ipyimagegen", "json"]):
    from ipyimagegen.client.response import ERRORS, StoredResponse, limit_items
    from ipyimagegen.client.spool import IMAGE_LIMIT, Spool, TooLarge, limit_response
    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.core.redact import Redactor
    from ipyimagegen.core.run import Status

ENDPOINT = Endpoint(name="fuzzed", base_url="https://images.example/v1")
SECONDS = 2.0  # for one body of some kilobytes, instrumented
REDACTOR = Redactor(["sk-canary-0123456789abcdef"])
FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
STREAM = b"""event: image_generation.partial_image
data: {"type": "image_generation.partial_image", "b64_json": "iVBORw0KGgo=", "partial_image_index": 0}

data: {"type": "image_generation.completed", "b64_json": "iVBORw0KGgo="}

data: [DONE]

"""
ARK = b"""data: {"type": "image_generation.partial_succeeded", "url": "https://images.example/2.png"}

data: {"type": "image_generation.completed", "usage": {"generated_images": 1}}

"""
SEEDS = {
    1: b'{"created": 1, "data": [{"b64_json": "iVBORw0KGgo=", "revised_prompt": "a fox"}], "usage": {}}',
    2: b'{"data": [{"url": "https://images.example/1.png"}, {"error": {"code": "x", "message": "y"}}]}',
    3: b'{"error": {"message": "no", "type": "t", "code": "moderation_blocked"}}',
    4: STREAM,
    133: ARK,
    6: b'{"data": {"b64_json": "data:image/png;base64,iVBORw0KGgo\\u003d"}}',
    7: b"\x89PNG\r\n\x1a\n" + bytes(40),
    8: b'{"data": [' + b'{"b64_json": "' + b"A" * 20_000 + b'"},' * 3,
}


def read_body(data: bytes) -> None:
    """Read one body as a call does, and check what must hold of every outcome."""
    head, body = (data[0], data[1:]) if data else (0, b"")
    n, problem = head % 8 + 1, "The connection broke" if head & 128 else ""
    path = FOLDER / "body"
    try:
        with Spool(path, limit_response(n), REDACTOR) as spool:
            for start in range(0, len(body), 777):
                spool.write(body[start : start + 777])
    except TooLarge:
        problem = "It is too large"
    began = time.process_time()
    outcome, _ = StoredResponse(path=path, n=n, endpoint=ENDPOINT, problem=problem, redactor=REDACTOR).read(
        {}
    )
    assert outcome.status is not Status.PENDING
    assert outcome.error or outcome.status is Status.DONE
    if answer := outcome.answer:
        assert len(answer.images) <= limit_items(n) + 1  # and a partial one
        assert len(answer.errors) <= ERRORS + 2
        assert answer.images or answer.note or answer.errors
        for image in answer.images:
            assert image.delivered or image.url or image.note
            _check_chunks(image)
    assert not REDACTOR.holds_part(repr(outcome))
    assert time.process_time() - began < SECONDS


def _check_chunks(image: object) -> None:
    """Check that an image gives its bytes or says why not."""
    size = 0
    try:
        for chunk in image.chunks() if image.delivered else ():
            size += len(chunk)
    except ValueError as fault:
        assert str(fault)  # noqa: PT017 - there has to be a reason
    assert size <= IMAGE_LIMIT


def main() -> None:
    """Fuzz, beginning with the seeds where the corpus is empty."""
    for corpus in [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")][:1]:
        if corpus.is_file():  # an input that broke a promise, to be seen again
            break
        corpus.mkdir(parents=True, exist_ok=True)
        for head, body in SEEDS.items():
            (corpus / f"seed-{head}").write_bytes(bytes([head]) + body)
    atheris.Setup(sys.argv, read_body)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
