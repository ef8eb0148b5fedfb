"""Magic lines: every spelling of an option means its value, the prompt stays verbatim, no key is shown."""

import json
from dataclasses import replace
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st
from tape import Tape, tapes
from test_property_keys import survives

from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.errors import InvalidInput, InvalidOption
from ipyimagegen.core.options import OPTIONS, SENT, Kind, normalise
from ipyimagegen.core.request import Request
from ipyimagegen.core.run import from_json, to_json
from ipyimagegen.core.template import fill, parse
from ipyimagegen.notebook.parser import check_line_prompt, parse_line
from ipyimagegen.notebook.tokenizer import write_word
from ipyimagegen.session.credentials import Keychain

FULL = str.maketrans("0123456789:.x=-|", "０１２３４５６７８９：．×＝－｜")
TYPED = [name for name, option in OPTIONS.items() if option.kind not in (Kind.INPUT, Kind.OBJECT)]
NAMES = ["gpt-image-2", "a/b:c", "lab", "狐-1", "https://x.example/v1"]
TEXTS = [
    "blurry",
    "two words",
    "it's",
    "“text”",
    "a, b",
    "1..4",
    "-5 legs",
    "狐狸　雪",
    'say "no"',
    "x=1",
    "#",
]


def number(tape, option):
    low, high = int(option.low + 0.9), int(min(option.high, 99_999))
    whole = low + (tape.below(256) * 397 + tape.below(256)) % (high - low + 1)
    if option.kind is Kind.INTEGER:
        return tape.choose(["", "", "0", "+"] if whole >= 0 else [""]) + str(whole), whole
    text = str(whole) + (tape.choose(["", ".0", ".5"]) if low < whole < high else "")
    return text, float(text)


def size(tape):
    width, height = 1 + tape.below(256) * 397 % 99_999, 1 + tape.below(256) * 16
    exact = (f"{width}{tape.choose('xX*')}{height}", f"{width}x{height}")
    return tape.choose([exact, exact, ("2k", "2K"), ("4K", "4K"), ("Portrait", "portrait")])


def ratio(tape, _):
    width = tape.choose([1, 16, 4, 99_999])
    height = tape.choose([Decimal("9.50"), Decimal("2.390"), Decimal("99999.99"), Decimal(9)])
    return f"{width}{tape.choose([':', ' : '])}{height}", f"{width}:{height.normalize():f}"


FLAGS = [("true", True), ("ON", True), ("1", True), ("no", False), ("False", False), ("off", False)]
MAKERS = {Kind.INTEGER: number, Kind.NUMBER: number, Kind.SIZE: lambda tape, _: size(tape), Kind.RATIO: ratio}


def value(tape, option):
    """Return a text that somebody types, and the value that it means."""
    if option.kind in MAKERS:
        text, meant = MAKERS[option.kind](tape, option)
        return wide(tape, text), meant
    if option.kind is Kind.FLAG:
        return tape.choose(FLAGS)
    if option.choices:
        word = tape.choose(option.choices)
        return tape.choose([word, word.upper(), word.title()]), word
    known = ["fox", "狐"] if option.name == "as_" else NAMES if option.kind is Kind.NAME else TEXTS
    return (tape.choose(known),) * 2


def wide(tape, text):
    return "".join(c.translate(FULL) if tape.below(4) == 3 else c for c in text)


def spelled(tape, option):
    """Return an option as it may stand on a line, and its value."""
    text, meant = value(tape, option)
    flag = wide(tape, option.flag.replace("-", "_") if tape.below(3) == 2 else option.flag)
    flag = "--" + flag[2:] if "_" in flag[:2] else flag
    word = write_word(text)
    if option.kind is Kind.FLAG and tape.below(2):
        return flag, True
    joined = option.kind is Kind.FLAG or tape.below(2) or (word[0] in "-－" and not word[1].isdigit())
    return flag + tape.choose(["=", "＝"] if joined else [" ", "　", "\t "]) + word, meant


def options(tape):
    chosen = dict.fromkeys(tape.several(lambda: tape.choose(TYPED), 4))
    return {name: spelled(tape, OPTIONS[name]) for name in chosen}


prompts = st.text(max_size=40) | st.sampled_from(
    [
        "it's {fox} | --n",
        "—an aside— it's",
        "-5 degrees",
        '{{a}} "',
        "-",
        "“fox”",
        "(fox)",
        "\\frac{a}",
        "default",
    ]
)


@given(tapes(40), prompts, st.booleans())
@example(Tape([]), "—it's a fox", False)
@example(Tape([1, TYPED.index("stream"), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), "'tis a fox", False)
def test_every_spelling_means_its_value_and_the_prompt_is_verbatim(tape, prompt, verbatim):
    typed = options(tape)
    head = " ".join(text for text, _ in typed.values())
    meant = {name: value for name, (_, value) in typed.items()}
    prompt = prompt.strip()
    if prompt[:1] in ("-", "－", "—") and prompt[1:2].strip() and not prompt[1].isdigit():
        verbatim |= prompt[0] != "—"
    verbatim |= prompt.startswith(("——", "—-", "default"))  # a long dash or a value, where one may stand
    parsed = parse_line(f"{head} {'-- ' if verbatim else ''}{prompt}", {})
    assert (parsed.rest, parsed.verbatim) == (prompt, verbatim)
    assert dict(parsed.values) == meant
    assert all(normalise(name, value) == value for name, value in meant.items())
    sent = {name: value for name, value in meant.items() if name in SENT and name != "model"}
    request = Request(
        endpoint="lab", base_url="https://x/v1", model=meant.get("model"), prompt=prompt, options=sent
    )
    stored = json.loads(json.dumps({**to_json(request), "from_a_newer_version": {"a": 1}}))
    again = from_json(Request, stored)
    assert again == request
    assert (again.identity, again.question) == (request.identity, request.question)
    asked = {name: value for name, value in sent.items() if name not in UNASKED}
    assert replace(request, options=asked).identity == request.identity
    assert (replace(request, options={}).identity == request.identity) == (not asked)


LISTED = [name for name, option in OPTIONS.items() if option.lists]


def element(tape, option):
    """Return one element of a list as somebody types it, and the values that it means."""
    if option.kind in (Kind.INTEGER, Kind.NUMBER) and tape.below(3) == 2:
        low = int(option.low + 0.9) + tape.below(3)
        high = min(low + tape.below(4), int(min(option.high, 10**9)))
        first, last = (low, high) if tape.below(2) else (high, low)
        dots = tape.choose(["..", " .. ", "．．"])
        spelled_ = f"'{first}'..{last}" if tape.below(8) == 7 else f'"{first}{dots}{last}"'
        spelled_ = wide(tape, f"{first}..{last}") if tape.below(2) else spelled_
        return spelled_, tuple(range(first, last + 1) if first <= last else range(first, last - 1, -1))
    text, meant = value(tape, option)
    return write_word(text, apart=True), (meant,)


@given(tapes(40), prompts)
def test_a_list_means_its_values_in_order(tape, prompt):
    option = OPTIONS[tape.choose(LISTED)]
    some = [element(tape, option) for _ in range(2 + tape.below(3))]
    text = tape.choose(",，").join(typed for typed, _ in some)
    parsed = parse_line(f"{option.flag}={text} -- {prompt.strip()}", {})
    assert parsed.values == {option.name: tuple(value for _, meant in some for value in meant)}
    assert parsed.rest == prompt.strip()


# The answer is the same without them.
UNASKED = {"response_format", "stream", "partial_images", "user", "safety_identifier"}
LAB = Endpoint(name="lab", base_url="https://lab.example/v1", key_env=("LAB_KEY",))
KEYS = [
    "0123456789abcdef" * 3,
    "tok/en+with=signs~and?more",
    "a\\b%41c'd-e_f.g",
    "sk-canary-0123456789abcdefXYZ",
]
BITS = [
    "--size",
    "-n",
    "--seed=",
    "--set",
    "a=",
    "{k}",
    "{k!r}",
    "{k.x}",
    "{t[k]}",
    "{nope}",
    "{k:d}",
    "--user",
    "=",
    "--",
]
BITS += [
    "'",
    '"',
    "--as",
    "--no-watermark",
    "--watermark",
    "—",
    "-",
    "default",
    "@3",
    "[1",
    "{",
    "}",
    "1..4",
    "--image",
    " ",
]


@given(tapes(24), st.text(max_size=8))
def test_no_line_raises_anything_else_or_tells_a_key(tape, noise):
    key = tape.choose(KEYS)
    part = key[: 9 + tape.below(20)]
    bits = [
        *BITS,
        key,
        part,
        noise,
        *(before + part for before in ("--", "-n ", "--as ", "--size=", "'", "{", "—")),
    ]
    line = "".join(tape.choose(bits) + tape.choose(["", " "]) for _ in range(1 + tape.below(8)))
    chain = Keychain({"LAB_KEY": key}, None, lambda: [LAB])
    names = {"k": key, "t": {"a": 1}}
    problem = complaint(chain, line, names)
    assert problem is None or not survives(problem, key)
    assert problem is None or len(problem.splitlines()) <= 3


def complaint(chain, line, names):
    """Return what a line is refused with, or None; only what is documented may be raised."""
    try:
        with chain.discreet():
            parsed = parse_line(line, names)
            check_line_prompt(parsed.rest, parsed.images)
            fill(parse(parsed.rest), names)
    except (InvalidOption, InvalidInput) as fault:
        return str(fault)
    return None


# Prompts: what is filled in, and what stays.

LITERALS = ["", "fox", " ,", "'\"", "100% ", "\\n", "|x|", "狐", "a:b;", "\n", "$x ", "[0]"]
STAY = [
    "{a b}",
    "{}",
    "{ }",
    "{1}",
    '{"a": {"b": 1}}',
    "{if}",
    "{None}",
    "p {color: red}",
    "{% for %}",
    "{+}",
    "{'a'}",
]
STAY += [r"\frac{animal}{n}", "x^{n}", "y_{n}{animal}", r"\sqrt{animal}"]


def piece(tape, values):
    kind = tape.below(5)
    name = tape.choose(list(values))
    if kind == 0:
        return tape.choose(STAY), None
    if kind == 1:
        return tape.choose([("{{", "{"), ("}}", "}"), ("{{" + name + "}}", "{" + name + "}")])
    if kind == 2:
        return "{" + name + "!r}", repr(values[name])
    if kind == 3:
        return f"{{box['{name}']}}", values[name]
    return "{" + name + "}", values[name]


@given(tapes(40), st.text(max_size=10))
@example(Tape([3, 4, 0, 4, 1]), "{animal}")
def test_values_are_filled_in_once_and_other_braces_stay(tape, noise):
    values = {
        "animal": tape.choose(["fox", "{n}", "{{", "}", "{a|b}", r"\x"]),
        "n": noise,
        "名": "狐{animal}",
    }
    template = text = ""
    for written_, meant in tape.several(lambda: piece(tape, values), 5):
        gap = tape.choose(LITERALS) + ". "
        template += gap + written_ + " ."
        text += gap + (written_ if meant is None else meant) + " ."
    assert fill(parse(template), {**values, "box": values}) == text


@given(st.text(max_size=60))
def test_a_text_without_braces_stays_as_it_is(text):
    plain = text.replace("{", "").replace("}", "")
    assert fill(parse(plain), {}) == plain
