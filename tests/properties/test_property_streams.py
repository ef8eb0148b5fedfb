"""An event stream in any pieces, ended or cut anywhere, is what its events say one by one."""

import base64
import json

from event_lines import by_the_standard, cut_up
from hypothesis import example, given
from hypothesis import strategies as st
from tape import Tape, tapes
from test_property_replies import whole_members

from ipyimagegen.client.spool import Spool
from ipyimagegen.client.streaming import Previews, load_body

KINDS = ["image_generation.completed", "image_edit.partial_image", "image_generation.partial_succeeded"]
KINDS += [*KINDS[:2], "image_generation.partial_failed", "error", "image", "ping", ""]
NOISE = [": keep-alive", "id: 7", "retry: 3", 'data: {"a": [', "data: 7", "data: hello", "event: x", "data:"]
FACTS = ["created", "model", "size", "usage"]


def event(tape):
    """The lines of an event, as some server might write it."""
    kind = tape.choose(KINDS)
    fields = {"type": kind} if tape.below(3) else {}
    if kind in ("error", "image_generation.partial_failed") or not tape.below(9):
        fields["error"] = tape.choose([{"code": "c", "message": "no"}, "overloaded", None])
    elif kind == "image" or not tape.below(9):
        fields["data"] = tape.several(lambda: image(tape), 3)
    elif tape.below(5):
        fields |= image(tape)
    for name in tape.several(lambda: tape.choose(FACTS), 2):
        fields[name] = {"total_tokens": tape.below(9)} if name == "usage" else tape.below(99)
    text = json.dumps(fields, ensure_ascii=bool(tape.below(2)), indent=tape.choose([None, None, 1]))
    lines = [tape.choose(["data: ", "data:"]) + line for line in text.split("\n")]
    named = [f"event: {kind}"] if tape.below(2) or "type" not in fields else []
    return [*named, *tape.several(lambda: tape.choose(NOISE[:3]), 1), *lines, ""]


def image(tape):
    fields = {"b64_json": base64.b64encode(bytes([65 + tape.below(20)]) * 9).decode()}
    fields |= {"revised_prompt": "狐 / fox"} if tape.below(2) else {}
    return fields if tape.below(8) else {"url": f"https://x/{tape.below(9)}.png", "b64_json": ""}


def stream(tape):
    end = tape.choose(["\n", "\r\n", "\r"])
    events = tape.several(lambda: tape.choose([event, event, event, noise, done])(tape), 7)
    lines = [line for event in events for line in event]
    return (tape.choose(["", "\ufeff"]) + end.join([": begins", *lines, ""])).encode()


def noise(tape):
    return [tape.choose(NOISE), ""]


def done(_):
    return ["data: [DONE]", ""]


# The reader that takes its time: by the standard, by json.loads, one event after the other.


NAMELESS = Tape(
    b"\0\4\0\0\0\1\1\1\0\0\1\0\0\0\0\0\0\0\xbd\0\0\0\xd4\0\0\0\0\0\x08\0\0\0\0\0\0\1\0\0\0\1\1\1\0\0\1\0\0\0\0\0\0\0\0\1"
)


def read_slowly(text):
    """Return the events that ended, and what the end cut: kind, value and whether that is whole JSON."""
    plain = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    rest = plain.removeprefix(b"\xef\xbb\xbf").rpartition(b"\n\n")[2]
    last = by_the_standard(rest + b"\n\n")
    spoken_events = [spoken(name, data, True) for name, data in by_the_standard(text)]
    cut = [spoken(name, data, False) or ("", {}, False) for name, data in last]
    partly = rest.rpartition(b"\n")[2]
    if not last and (b"event:" in rest or (partly and not partly.startswith(b":"))):
        cut.append(("", {}, False))
    return [event for event in spoken_events if event], cut


DONE = object()


def spoken(name, data, ended):
    text, whole = data.decode("utf-8", "replace").strip(), True
    if text == "[DONE]":
        return DONE
    if name == "error" and ended and not text.startswith("{"):
        return "error", {"error": text or "no reason given"}, True
    try:
        value = json.loads(text)
    except ValueError:
        value, whole = None if ended else whole_members(data.decode("utf-8", "replace")), False
    return (value.get("type") or name, value, whole) if isinstance(value, dict) else None


def is_image(image):
    return bool(image.get("b64_json") or image.get("url"))


def shown(kind, value, whole):
    """Return the images of an event, each with whether it is partial."""
    listed = value.get("data") or []
    listed = list({image.get("url") or number: image for number, image in enumerate(listed)}.values())
    own = not kind.endswith(("completed", "complete", "succeeded")) if kind else not whole
    own = "partial" in kind if "data" in value else own
    alone = [(value, own)] if is_image(value) else []
    return alone + [(image, "partial" in kind) for image in listed if is_image({**value, **image})]


def content(image):
    return image.get("b64_json") or image.get("url")


def assembled(events, n, clean):
    """Return what a stream brought: images, errors, usage, and whether it came to its end."""
    finished, partial, errors, wrong, usage = [], None, [], None, None
    ended = cut = counted = False
    for event in events:
        if event is DONE:
            ended = True
            break
        kind, value, whole = event
        cut |= not whole
        images = shown(kind, value, whole)
        for image, is_partial in images:
            partial = content({**value, **image}) if is_partial else None
            if not is_partial:
                finished.append(content({**value, **image}))
                counted = not kind.endswith("succeeded")
        error = value.get("error") or None
        if kind == "error" and not error:
            error = {k: v for k, v in value.items() if k != "type"} or "no reason given"
        failed = [error] if kind.endswith("partial_failed") else []
        errors += failed
        wrong = error if error and not failed else wrong
        used = (value.get("usage") or {}).get("total_tokens")
        if not images:
            usage = usage if used is None else used
        elif used is not None and not all(is_partial for _, is_partial in images):
            usage = (usage or 0) + used
        ended |= whole and kind.endswith(".completed") and not images
    enough = len(finished) + len(errors) >= n
    ended = ended or bool(wrong) or (counted and (enough or (clean and not cut and partial is None)))
    left = [(partial, True)] if partial and not (counted and len(finished) >= n) else []
    return [(image, False) for image in finished] + left, errors, wrong, usage, ended


def told_of(events, n):
    """Return the images to be shown on the way: all but the last that was asked for."""
    for event in events:
        if event is DONE:
            return
        kind, value, whole = event
        for image, is_partial in shown(kind, value, whole):
            n -= not is_partial and not kind.endswith("succeeded")
            if n > 0 or is_partial:
                yield content({**value, **image})


cuts = st.lists(st.integers(0, 500), max_size=10) | st.none()


@given(tapes(120), st.none() | st.integers(0, 3000), cuts, st.integers(1, 4), st.booleans())
@example(Tape([1, 1, 0, 0, 1, 1, 1]), 1100, [], 1, False)  # whole JSON without the blank line behind it
@example(NAMELESS, 422, None, 2, True)  # cut behind an event's empty name
def test_a_stream_is_what_its_events_say(tmp_path_factory, tape, cut, cuts, n, clean):
    text = stream(tape)
    text = text[: len(text) if cut is None else 12 + cut % len(text)]
    path = tmp_path_factory.getbasetemp() / "stream"
    heard, seconds = [], iter(range(10**6))
    with Spool(path, 1 << 20) as spool:
        previews = Previews(
            lambda item: heard.append(content(item)), spool=spool, n=n, clock=lambda: next(seconds)
        )
        for chunk in cut_up(text, cuts):
            previews.feed(spool.write(chunk))
    events, last = read_slowly(text)
    body, ended = load_body(path, n, clean=clean)
    images = [(content(item), item["partial"]) for item in body["data"] if is_image(item)]
    errors = [item["error"] for item in body["data"] if not is_image(item)]
    usage = (body.get("usage") or {}).get("total_tokens")
    assert (images, errors, body["error"], usage, ended) == assembled(events + last, n, clean)
    assert heard == list(told_of(events, n))
