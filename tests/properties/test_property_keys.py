"""Of a key no eight characters in a row survive, however a text spells it, and nothing else is taken out."""

import base64
import json
import re
from urllib.parse import quote, quote_plus, unquote

from hypothesis import assume, example, given
from hypothesis import strategies as st

from ipyimagegen.client.errors import parse_error
from ipyimagegen.client.response import ON_DISK, read_response
from ipyimagegen.client.spool import Spool
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.redact import Redactor

RUN = 8
TOKEN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
ANY = "".join(chr(c) for c in range(33, 127) if chr(c) not in "\"'`")  # what keys.py lets a key have
starts = st.sampled_from(["", "sk-", "sk-proj-", "xai-", "AIza", "r8_", "gsk_", "Basic:", "dmx/"])
tokens = st.one_of(
    st.text(TOKEN, min_size=20, max_size=50),
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.text(TOKEN + "-_", min_size=20, max_size=60),
    st.text(TOKEN + "+/", min_size=20, max_size=44).map(lambda t: t + "="),
    st.text(ANY, min_size=8, max_size=40),
)
keys = st.builds(str.__add__, starts, tokens).filter(lambda key: "[key]" not in key)


# The oracle: what a reader could make of a text, by the libraries that write such texts.


def unescaped(text):
    return re.sub(
        r"\\(?:u([0-9a-fA-F]{4})|(.))", lambda f: chr(int(f[1], 16)) if f[1] else f[2], text, flags=re.DOTALL
    )


def decoded(text):
    """All that base64 in the text may mean, whichever of its characters is the first."""
    for run in re.findall(r"[A-Za-z0-9+/_-]{10,}", text):
        for start in range(4):
            part = run[start:].replace("-", "+").replace("_", "/")
            part = part[: len(part) - (len(part) % 4 == 1)]
            yield base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")


def readings(text):
    plain = {text, unquote(text), unescaped(text)}
    plain |= {further(key) for key in plain for further in (unquote, unescaped)}
    return plain | {meant for key in plain for meant in decoded(key)}


def survives(text, key):
    windows = [key[at : at + RUN] for at in range(len(key) - RUN + 1)]
    return [reading for reading in readings(text) for window in windows if window in reading]


# How servers, proxies and programs spell a key.


def lower_hex(text):
    return re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), text)


SPELLINGS = (
    lambda key: key,
    lambda key: quote(key, safe=""),
    quote,
    quote_plus,
    lambda key: lower_hex(quote_plus(key)),
    lambda key: "".join(f"%{ord(c):02x}" for c in key),
    lambda key: json.dumps(key)[1:-1],
    lambda key: json.dumps(key, ensure_ascii=False)[1:-1].replace("/", r"\/"),
    lambda key: "".join(f"\\u{ord(c):04X}" for c in key),
    lambda key: "".join(f"\\u{ord(c):04x}" if c in "+/<>&=-" else c for c in key),
    lambda key: json.dumps(quote(key, safe=""))[1:-1],
    lambda key: json.dumps(json.dumps(key)[1:-1])[1:-1],
    lambda key: repr(key)[1:-1],
    lambda key: quote("".join(f"\\u{ord(c):04x}" for c in key)),
    lambda key: key[:RUN] + "*" * 6 + key[-4:],
    lambda key: key[:-1] + "…",
    lambda key: "".join(c if at % 3 else f"%{ord(c):02X}" for at, c in enumerate(key)),
)
around = st.text("abc :/\"'{}狐\n=", max_size=8)


@st.composite
def encoded(draw):
    """A key with its surroundings, in base64: `Basic`, a cookie, a data URL."""
    key = draw(keys)
    inner = draw(around).encode() + key.encode() + draw(around).encode()
    text = draw(st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]))(inner).decode()
    text = text.rstrip("=") if draw(st.booleans()) else text
    return key, draw(st.sampled_from([lambda t: t, lambda t: t.replace("/", r"\/"), quote]))(text)


spelled = st.builds(lambda key, spell: (key, spell(key)), keys, st.sampled_from(SPELLINGS)) | encoded()
before = st.text(max_size=12) | st.sampled_from(
    ["Bearer ", "key=", "Basic ", '{"error": "', "\\", "%", "x" * 9]
)


@given(spelled, before, before)
@example(("~~~?>>>?~~~", "fn5-Pz4-Pj9-fn4"), "", "")
@example(("pass-word", base64.b64encode(b"x:pass-word").decode()), "Basic ", "")
def test_no_eight_characters_in_a_row_survive(case, before, after):
    key, written = case
    assume(not survives(f"{before} {after}", key))
    text = f"{before}{written}{after}"
    clean = Redactor([key]).redact(text)
    assert not survives(clean, key)
    assert Redactor([key]).redact(clean) == clean
    if survives(text, key):
        assert "[key]" in clean


@given(st.text(max_size=60) | st.lists(around | st.text(TOKEN, max_size=11)).map(" ".join), keys)
@example("a skier at 100%25 \\u0041 of \\\\ the alps, sk-8 board", "0123456789abcdef")
def test_a_text_without_a_key_is_left_as_it_is(text, key):
    assume(not survives(text, key))
    assume(not re.search(r"(?i)(sk|pk|xai|gsk|r8|hf|tgp)[-_]|AIza|bearer|api[-_ ]?key", text))
    assert Redactor([key]).redact(text) == text
    assert not Redactor([key]).holds(text)


ENDPOINT = Endpoint(name="lab", base_url="https://lab.example/v1")


def answer(key, item, **body):
    return read_response({"data": [item], **body}, ENDPOINT, Redactor([key]))


SAYERS = (
    lambda text, key: Redactor([key]).clean(text, 300),
    lambda text, key: Redactor([key]).clean(text),
    lambda text, key: parse_error({"error": {"message": text}}, redactor=Redactor([key])).message,
    lambda text, key: parse_error({"error": {"code": text}}, redactor=Redactor([key])).code,
    lambda text, key: answer(key, {"url": "y", "revised_prompt": text}).images[0].revised_prompt,
    lambda text, key: answer(key, {}, model=text).facts.get("model"),
    lambda text, key: answer(key, {"url": f"file:{text}"}).images[0].note.removeprefix(ON_DISK),
)
fillers = st.sampled_from(["a", "狐", "a ", "x\u202e", "\x1b[1m"])
limits = st.sampled_from([0, 40, 80, 200, 300, 1024, 2000, 8000])


@given(keys, limits, st.integers(-60, 10), fillers, st.sampled_from(SAYERS), st.booleans(), st.booleans())
@example("0123456789abcdef" * 4, 2000, -40, "a", SAYERS[2], True, False)
@example("0123456789abcdef" * 4, 0, 0, "a", SAYERS[6], False, True)
def test_what_a_limit_cuts_is_no_key(key, limit, back, filler, say, many, hidden):
    """A key, or many that shrink to a mark each, at the place where a text is cut."""
    key = key[:60]
    text = f"{key} " * (limit // (len(key) + 1) if many else 0)
    text += filler * (max(limit - len(text) + back, 0) // len(filler))
    text += "\u200b".join(key) if hidden else key
    assert not survives(say(text, key) or "", key)


WRITERS = (
    lambda key: json.dumps({"error": key}),
    lambda key: json.dumps({"error": key}).replace("/", r"\/"),  # PHP
    lambda key: re.sub("[<>&]", lambda f: f"\\u{ord(f[0]):04x}", json.dumps([key])),  # Go
    lambda key: re.sub("[<>&+']", lambda f: f"\\u{ord(f[0]):04X}", json.dumps([key])),  # .NET
    lambda key: f"<a href='?token={quote(key, safe='')}'>",
    lambda key: lower_hex(f"token={quote(key)}&x=1"),
    lambda key: base64.urlsafe_b64encode(f"user:{key}".encode()).decode(),
    lambda key: base64.b64encode(f"a:{key}!".encode()).decode(),
)


@given(keys, st.sampled_from(WRITERS), st.lists(st.integers(1, 40), max_size=8), st.integers(0, 40))
def test_a_spool_holds_no_key_however_it_comes(tmp_path_factory, key, write, sizes, cut):
    text = (f"before {write(key)} after")[: -cut or None].encode()
    assume(not survives(write("x").replace("x", ""), key))
    path = tmp_path_factory.getbasetemp() / "spool"
    with Spool(path, 10_000, Redactor([key])) as spool:
        at = 0
        for size in [*sizes, len(text)]:
            spool.write(text[at : at + size])
            at += size
    assert not survives(path.read_text(), key)
    if not cut:
        assert path.read_text().startswith("before ")
        assert path.read_text().endswith(" after")
