"""A record comes back whole from its file, whatever was asked and whatever came."""

import json
from dataclasses import is_dataclass

from hypothesis import given
from hypothesis import strategies as st
from tape import tapes

from ipyimagegen.core.request import Input, PreparedRequest, Request
from ipyimagegen.core.run import (
    Cost,
    ErrorInfo,
    ImageRecord,
    ImageState,
    Job,
    Mismatch,
    Run,
    Status,
    from_json,
    to_json,
)

TEXTS = [
    "a fox",
    "狐 \U0001f98a",
    "{a|b}",
    '"',
    "\\",
    "\u2028\u202e",
    "\x00",
    "\ud800",
    " x ",
    "default",
    "null",
]
NUMBERS = [1, 0, -1, 2**63 - 1, 0.5, 1e-9, 123456789.125, True, False]


def json_value(tape, depth=2):
    kind = tape.below(6)
    if kind == 5 and depth:
        return {text: json_value(tape, depth - 1) for text in tape.several(lambda: tape.choose(TEXTS), 3)}
    if kind == 4 and depth:
        return tape.several(lambda: json_value(tape, depth - 1), 3)
    return tape.choose([*TEXTS, *NUMBERS, None, "", [], {}])


def text(tape):
    return tape.choose(TEXTS) + tape.choose(TEXTS)


def maybe(tape, make):
    return make(tape) if tape.below(2) else None


def mapping(tape):
    return {text(tape): json_value(tape) for _ in range(tape.below(3))}


def image_in(tape):
    whole = {"sha256": text(tape), "mime": "image/png", "width": tape.below(99), "height": tape.below(99)}
    return Input(**whole, label=tape.choose(["", *TEXTS]), parent=maybe(tape, text), pixels=maybe(tape, text))


def inputs(tape):
    return tuple(tape.several(lambda: image_in(tape), 2))


def request(tape):
    return Request(
        operation=tape.choose(["generations", "edits"]),
        endpoint=text(tape),
        base_url=text(tape),
        model=maybe(tape, text),
        prompt=tape.choose(["", *TEXTS]),
        template=maybe(tape, text),
        options={"seed": tape.choose(NUMBERS), "stream": True} if tape.below(2) else {},
        extra=mapping(tape),
        inputs=inputs(tape),
        mask=maybe(tape, image_in),
    )


def sent(tape):
    return PreparedRequest(
        model=maybe(tape, text),
        options=mapping(tape),
        notes=tuple(tape.several(lambda: text(tape), 2)),
        inputs=inputs(tape),
        mask=maybe(tape, image_in),
        attempts=tape.below(3),
        body=mapping(tape),
    )


def image(tape):
    return ImageRecord(
        index=tape.below(9),
        state=tape.choose(list(ImageState)),
        sha256=maybe(tape, text),
        bytes=tape.below(99),
        alpha=tape.choose([None, True, False]),
        changed_outside=tape.choose([None, 0.0, 0.25]),
        revised_prompt=maybe(tape, text),
    )


def run(tape):
    return Run(
        session="1120-k7f2",
        number=tape.below(99),
        identity="x",
        request=request(tape),
        created=tape.below(256) * 0.25,
        status=tape.choose(list(Status)),
        elapsed=tape.choose([None, 0.0, 2.5]),
        sent=sent(tape),
        images=tuple(tape.several(lambda: image(tape), 3)),
        response=mapping(tape),
        mismatches=tuple(tape.several(lambda: Mismatch(text(tape), "", text(tape)), 2)),
        cost=Cost(amount=tape.choose([None, 0.0, 0.04]), at_least=bool(tape.below(2)), basis=text(tape)),
        job=maybe(tape, lambda tape: Job(id=text(tape), url=maybe(tape, text), status=text(tape))),
        error=maybe(tape, lambda tape: ErrorInfo(message=text(tape), code=maybe(tape, text), status=429)),
        forgotten=bool(tape.below(2)),
    )


def newer(record, data):
    """The same as a newer version writes it: every record has a member that this one does not know."""
    if is_dataclass(record):
        inner = {k: newer(getattr(record, k), v) for k, v in data.items()}
        return {"of_a_newer_version": [1], **inner}
    if isinstance(record, tuple):
        return [newer(member, of) for member, of in zip(record, data, strict=True)]
    return data


@given(tapes(120), st.booleans())
def test_a_record_comes_back_whole(tape, ascii_):
    before = run(tape)
    stored = json.dumps(newer(before, to_json(before)), ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    again = from_json(Run, json.loads(stored.decode("utf-8", "surrogatepass")))
    assert again == before
    assert repr(again) == repr(before)  # of the same types too
    assert (again.request.identity, again.request.question, again.request.count) == (
        before.request.identity,
        before.request.question,
        before.request.count,
    )
