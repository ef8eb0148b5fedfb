"""How the words of a magic's line become options.

Words are read one at a time, so that the prompt that ends a line may hold anything, an apostrophe too.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ipyimagegen.core.errors import InvalidInput, InvalidOption, suggest_name
from ipyimagegen.core.options import DEFAULT, OPTIONS, Json, Kind, Option, Values, normalise, to_half_width
from ipyimagegen.core.request import read_setting
from ipyimagegen.core.template import Name, Part, fill, lookup, parse
from ipyimagegen.core.text import truncate
from ipyimagegen.core.user_input import list_elements, parse_values
from ipyimagegen.notebook.tokenizer import (
    DASHES,
    LONG_DASHES,
    QUOTES,
    Word,
    read_word,
    split_pieces,
    tokenize,
)
from ipyimagegen.results import Generation, Image

_TOLD = {
    "help": "%imagine --help",
    **{w: f"%imagine_{w}" for w in ("history", "show", "rerun", "models", "endpoints", "cost", "panel")},
    "compare": "%imagine_compare",
}
_SECRET_FLAGS = re.compile(r"(?i)-{1,2}(api[-_]?key|key|token|secret|password)\b")

BY_FLAG: Mapping[str, Option] = {
    **{option.flag: option for option in OPTIONS.values()},
    **{option.short: option for option in OPTIONS.values() if option.short},
}
SHORT = {option.short for option in OPTIONS.values() if option.short}
NEGATED: Mapping[str, Option] = {"--no-watermark": OPTIONS["watermark"]}
SETTING = "--set"
AS_TYPED = ("save", "as_")  # options in whose values no braces are filled in
HELP = ("-h", "--help")
_LATE_FLAGS = {*BY_FLAG, *NEGATED, SETTING, "--help"}
_LATE = re.compile("[^=＝]+")
# What `imagine(…)` leaves when automagic takes it for the magic; "(masterpiece:1.2), a fox" is a prompt.
_LIKE_A_CALL = re.compile(r"(?s)(?=.*\)\s*+(?:;\s*+)?$)\(\s*(?:[rbf]?['\"]|[A-Za-z_]\w*\s*[,)=])")
# Behind a switch; looked at before quotes are: the prompt may begin there, as in "--stream 'tis a fox".
_DEFAULT = re.compile(rf"""\s*(['"]?){DEFAULT}\1(?!\S)""")
_TRUTH = re.compile(r"(?i)\s*(true|false)(?!\S)")
_ON_OR_OFF = re.compile(r"(?i)\s*(true|false|on|off|yes|no)(?!\S)")  # of what is on or off at the server
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line read: options in `values` (normalised, lists as tuples), `--set` in `extra`, the rest as typed.

    `images` holds the words of `--image` and `--mask`; `default` alone unsets them. `rest` is the
    text from the first word that is no option. `own` holds a magic's own flags.
    `verbatim` says that `--` ended the options.
    """

    values: Mapping[str, Values] = field(default_factory=dict)
    extra: Mapping[str, Json] = field(default_factory=dict)
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own: Mapping[str, str | bool] = field(default_factory=dict)
    executor: object = None
    rest: str = ""
    verbatim: bool = False
    help: bool = False


def _opening(line: str, start: int) -> Word:
    """Return the word that begins with a dash; a long one mostly begins a prompt, as in "—it's a fox"."""
    if line[start] not in LONG_DASHES:
        return read_word(line, start)
    text = line[start:].split(maxsplit=1)[0]
    return Word(text, start, start + len(text))


def read(
    line: str, namespace: Mapping[str, Any], *, own: Mapping[str, bool] = NOTHING, options: bool = True
) -> Line:
    """Return the line with its options read and names in braces filled in.

    `own` names a magic's own flags and whether they take a value. `options` says whether the options
    of a request are allowed. Raises InvalidOption; never echoes what may be a key.
    """
    reader = _Reader(line, namespace, own, options)
    while (start := reader.skip_blanks()) is not None:
        # Looked at before its quotes are: a prompt may begin with "it's".
        if line[start] not in DASHES or not _is_flag(word := _opening(line, start), line):
            return reader.result(line[start:].rstrip())
        reader.at = word.end
        if word.text == "--":
            return replace(reader.result(line[word.end :].strip()), verbatim=True)
        flag, value = _split(word.text)
        if flag in HELP:
            return Line(help=True)
        reader.flag(flag, value, word)
    return reader.result("")


class _Reader:
    """Where reading stands, and what was read so far."""

    def __init__(
        self, line: str, namespace: Mapping[str, Any], own: Mapping[str, bool], options: bool
    ) -> None:
        self.at = 0
        self._line, self._namespace, self._own, self._options = line, namespace, own, options
        self._values: dict[str, Values] = {}
        self._extra: dict[str, Json] = {}
        self._images: dict[str, tuple[str, ...]] = {}
        self._mine: dict[str, str | bool] = {}
        self._executor: object = None
        self._raw = ""  # the value of the flag that is being read, as it was typed

    def skip_blanks(self) -> int | None:
        """Return where the next word begins, or None at the end."""
        rest = self._line[self.at :]
        return len(self._line) - len(rest.lstrip()) if rest.strip() else None

    def peek(self) -> Word | None:
        return next(tokenize(self._line, self.at), None)

    def result(self, rest: str) -> Line:
        return Line(
            values=self._values,
            extra=self._extra,
            images=self._images,
            own=self._mine,
            executor=self._executor,
            rest=rest,
        )

    def flag(self, flag: str, value: str | None, word: Word) -> None:
        self._raw = _raw_value(self._line[word.start : word.end], value)
        if flag in self._own:
            self._mine[flag] = self._take(flag, value) if self._own[flag] else True
        elif not self._options:
            raise InvalidOption(f"There is no option {_shown(flag)} here.{suggest_name(flag, self._own)}")
        elif flag == SETTING:
            self._set(self._take(flag, value))
        elif (option := _option(flag, self._own)).kind is Kind.FLAG:
            self._switch(flag, value, option)
        elif option.kind is Kind.OBJECT:
            self._executor = _held(self._take(flag, value), option, self._namespace)
        elif option.kind is Kind.INPUT:
            self._image(option, str(normalise(option.name, self._take(flag, value))))
        else:
            self._assign(option, self._take(flag, value))

    def _switch(self, flag: str, value: str | None, option: Option) -> None:
        if flag in NEGATED and value is not None:
            raise InvalidOption(f"{flag} takes no value.")
        takes = value is None and option.config and flag not in NEGATED
        if takes and (found := _DEFAULT.match(self._line, self.at)):
            self.at, value = found.end(), DEFAULT
        meant = _ON_OR_OFF if option in NEGATED.values() else _TRUTH
        if value is None and flag not in NEGATED and (found := meant.match(self._line, self.at)):
            word = found[1]
            raise InvalidOption(
                f"{flag} {word} would begin the prompt with {word!r}: write {flag}={word.lower()}, "
                f"or {flag} -- {word} … for such a prompt."
            )
        given = flag not in NEGATED if value is None else _value(value, self._namespace)
        self._values[option.name] = normalise(option.name, given)

    def _image(self, option: Option, text: str) -> None:
        before = self._images.get(option.name, ())
        if before and not option.repeats:
            raise InvalidOption(f"{option.flag} is given twice.")
        self._images[option.name] = (*before, text)

    def _set(self, text: str) -> None:
        try:
            key, setting = read_setting(fill(parse(text), self._namespace))
        except InvalidInput:
            read_setting(text)  # JSON that lost its quotes is told so, not as a missing variable
            raise
        self._extra[key] = setting

    def _assign(self, option: Option, text: str) -> None:
        if option.name in self._values:
            raise InvalidOption(f"{option.flag} is given twice.")
        if option.name in AS_TYPED:
            self._values[option.name] = normalise(option.name, text)
        elif option.lists:
            typed = tuple(split_pieces(self._raw))
            self._values[option.name] = parse_values(
                option.name, typed, lambda piece: _value(piece, self._namespace)
            )
        else:
            self._values[option.name] = normalise(option.name, _value(text, self._namespace))

    def _take(self, flag: str, value: str | None) -> str:
        if value is not None:
            return value
        word = self.peek()
        if word is None or (_is_flag(word, self._line) and not re.match(r"-[\d.]", word.text)):
            raise InvalidOption(f"{flag} needs a value.")
        self.at, self._raw = word.end, self._line[word.start : word.end]
        return word.text


def _held(text: str, option: Option, namespace: Mapping[str, Any]) -> object:
    """Return what a variable holds: `pool`, `{pool}` or `cluster.executor`."""
    parts = parse(f"{{{text.removeprefix('{').removesuffix('}')}}}")
    alone = parts[0] if len(parts) == 1 else None
    if isinstance(alone, Name) and not (alone.spec or alone.conversion):
        found = lookup(alone.path, namespace)
        if found is not None:
            return found
    raise InvalidOption(f"{option.flag} takes a variable that holds one, not {truncate(text, 40)!r}.")


def _raw_value(raw: str, value: str | None) -> str:
    """Return the value in a word such as --seed=1 or -n4 as it was typed, quotes and all."""
    found = re.search("[=＝]", raw)
    return raw[found.end() :] if found else raw[2:] if value else ""


def _is_flag(word: Word, line: str) -> bool:
    text = to_half_width(word.text[:3])
    if text[:1] in LONG_DASHES and (name := word.text.lstrip(DASHES)).partition("=")[0] in OPTIONS:
        raise InvalidOption(f"{_shown(word.text)} begins with a long dash; write --{name}")
    quoted = line[word.start] in QUOTES
    return text[:1] == "-" and len(text) > 1 and not text[1].isdigit() and not quoted


def _split(text: str) -> tuple[str, str | None]:
    """Return flag and the value after "=" if any. `-n4` is `-n 4`."""
    found = re.search("[=＝]", text)
    flag = to_half_width(text[: found.start()] if found else text).replace("_", "-")
    if not found and len(flag) > 2 and flag[:2] in BY_FLAG and flag[1] != "-":
        return flag[:2], text[2:]
    return flag, text[found.end() :] if found else None


def _option(flag: str, own: Mapping[str, bool]) -> Option:
    found = BY_FLAG.get(flag) or NEGATED.get(flag)
    if found:
        return found
    if _SECRET_FLAGS.match(flag):
        raise InvalidOption(
            "No option takes a key: a key in a cell is saved with the notebook. "
            "Set the endpoint's variable instead (%imagine_endpoints names it)."
        )
    known = [*BY_FLAG, *NEGATED, SETTING, *own, *HELP]
    raise InvalidOption(f"There is no option {_shown(flag)}.{suggest_name(flag, known)}")


def _shown(flag: str) -> str:
    return truncate(flag, 40)


def _value(text: str, namespace: Mapping[str, Any]) -> object:
    """Return an option's value: a name that stands alone may hold a list, and that must be seen."""
    parts = parse(text)
    if len(parts) == 1 and isinstance(parts[0], Name) and not (parts[0].spec or parts[0].conversion):
        found = lookup(parts[0].path, namespace, source=parts[0].source)
        if list_elements(found) is not None:
            return found
    return fill(parts, namespace)


def split_first_word(rest: str, names: Mapping[str, Any] = NOTHING) -> tuple[str, str]:
    """Return the first word of a text that has one, with names filled in, and what follows it."""
    word = next(tokenize(rest))
    return fill_ids(word.text, names), rest[word.end :]


def fill_ids(text: str, names: Mapping[str, Any]) -> str:
    """Return ids with the names in braces filled in: `{i}` in a loop, `{fox}` a result or a list of them."""
    return "".join(_as_id(part, names) for part in parse(text))


def split_ids(text: str, names: Mapping[str, Any]) -> list[str]:
    """Return the ids in a text, which blanks or commas keep apart, with names filled in."""
    return to_half_width(fill_ids(text, names)).replace(",", " ").split()


def _as_id(part: Part, names: Mapping[str, Any]) -> str:
    if isinstance(part, Name) and not (part.spec or part.conversion):
        value = lookup(part.path, names)
        if isinstance(value, (Image, Sequence)) and not isinstance(value, (str, bytes)):
            return " ".join(_ids_of(value))
    return fill((part,), names)


def _ids_of(value: object) -> Iterator[str]:
    if isinstance(value, (Generation, Image)):
        yield value.id
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for one in value:
            yield from _ids_of(one)
    else:
        yield str(value)


def merge_lines(before: Line, after: Line) -> Line:
    """Return two parts of one line as one; what stands behind counts."""
    return replace(
        after,
        values={**before.values, **after.values},
        extra={**before.extra, **after.extra},
        images=_together(before.images, after.images),
        own={**before.own, **after.own},
        executor=before.executor if after.executor is None else after.executor,
    )


def _together(
    before: Mapping[str, tuple[str, ...]], after: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return the images of both parts: one that repeats goes on, one that does not is given once."""
    for name in before.keys() & after.keys():
        if not OPTIONS[name].repeats:
            raise InvalidOption(f"{OPTIONS[name].flag} is given twice.")
    names = {**before, **after}
    return {name: (*before.get(name, ()), *after.get(name, ())) for name in names}


def find_magic_word(prompt: str) -> list[str]:
    """Return a note where the prompt is only a word that has a magic of its own, and was sent."""
    word = prompt.strip().lower()
    return [f"{word} was sent as the prompt; for {word} there is {_TOLD[word]}"] if word in _TOLD else []


def check_line_prompt(text: str, images: Mapping[str, tuple[str, ...]] = NOTHING) -> None:
    """Refuse what was hardly meant as a prompt, naming the right form. Raises InvalidOption."""
    if not text:
        raise InvalidOption("Write a prompt: %imagine a red fox. All options: %imagine --help")
    if _LIKE_A_CALL.match(text) or _holds_a_call(text):
        raise InvalidOption(
            f"imagine{truncate(text, 30)} is Python: run `from ipyimagegen import imagine` first. "
            "To draw the text: %imagine -- …"
        )
    word = text.strip().lower()
    if word in _TOLD:
        raise InvalidOption(f"For {word} there is {_TOLD[word]}; to draw the word: %imagine -- {word}")
    if images and text.startswith("@"):
        raise InvalidOption(
            f"{truncate(text.split(maxsplit=1)[0], 30)} stands in the prompt; write --image once for each "
            "image. To send it as typed: %imagine -- …"
        )
    late = find_late_options(text)
    if late:
        raise InvalidOption(
            f"{late[0]} stands behind the prompt; options come first: %imagine {late[0]} … prompt. "
            "To send it as typed: %imagine -- …"
        )


def _holds_a_call(text: str) -> bool:
    """Say whether `imagine` before the text makes Python of it that calls it with a text, list or keyword."""
    if text[:1] != "(":
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the text's own backslashes
            tree = ast.parse(f"imagine{text}")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)]
    given = [part for one in calls for part in (*one.args[:1], *one.keywords)]
    return any(isinstance(one, (ast.List, ast.JoinedStr, ast.keyword)) or _is_text(one) for one in given)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def find_late_options(text: str) -> list[str]:
    """Return the words of a prompt that are our options' flags; a short one has a value behind it."""
    short_ = [one for one in text.split()[:-1] if to_half_width(one) in SHORT]
    words_ = (one for one in text.split() if to_half_width(one[:2]).startswith("--") or one[0] in LONG_DASHES)
    found = ((one, _split("--" + one.lstrip(DASHES))[0]) for one in words_)
    return [_LATE.match(one)[0] for one, flag in found if flag in _LATE_FLAGS] + short_  # type: ignore[index]
