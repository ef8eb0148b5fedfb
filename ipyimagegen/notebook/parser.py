"""Read the line of a magic: options first, then the prompt or the words.

Words are read singly, because the prompt at the end of a line may hold anything, also an apostrophe.
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
from ipyimagegen.core.messages import OptionName, _
from ipyimagegen.core.options import (
    DEFAULT,
    OPTIONS,
    Json,
    Kind,
    Option,
    Values,
    normalise,
    to_half_width,
)
from ipyimagegen.core.request import read_setting
from ipyimagegen.core.template import Name, Part, fill, looks_like_alternatives, lookup, parse
from ipyimagegen.core.text import truncate
from ipyimagegen.core.user_input import list_elements, parse_values
from ipyimagegen.notebook.front import BY_FLAG, HELP, NEGATED, SETTING
from ipyimagegen.notebook.tokenizer import (
    DASHES,
    LONG_DASHES,
    QUOTES,
    Token,
    read_word,
    split_pieces,
    tokenize,
)
from ipyimagegen.results import Generation, Image

# Words that are hardly meant as a prompt, and the magic for each.
_MAGIC_FOR = {
    "help": "%imagine --help",
    **{
        word: f"%imagine_{word}"
        for word in ("history", "show", "rerun", "compare", "models", "endpoints", "cost", "panel")
    },
}
_SECRET_FLAGS = re.compile(r"(?i)-{1,2}(api[-_]?key|key|token|secret|password)\b")
_SHORT_FLAGS = {flag for flag in BY_FLAG if not flag.startswith("--")}
_LONG_FLAGS = {*BY_FLAG, *NEGATED, SETTING, "--help"} - _SHORT_FLAGS
AS_TYPED = ("save", "as_")  # options in whose values no braces are filled in
_EQUALS = re.compile("[=＝]")
# What `imagine(…)` leaves when automagic takes it for the magic; "(masterpiece:1.2), a fox" is a prompt.
_LIKE_A_CALL = re.compile(r"(?s)(?=.*\)\s*+(?:;\s*+)?$)\(\s*(?:[rbf]?['\"]|[A-Za-z_]\w*\s*[,)=])")
# The text after a switch, matched before its quotes are read: the prompt may begin there ("--stream 'tis …").
_DEFAULT = re.compile(rf"""\s*(['"]?){DEFAULT}\1(?!\S)""")
_TRUTH = re.compile(r"(?i)\s*(true|false)(?!\S)")
_ON_OR_OFF = re.compile(r"(?i)\s*(true|false|on|off|yes|no)(?!\S)")  # for options with a --no- form
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a line says: `values` (normalised, lists as tuples), `--set` in `extra`, and the rest.

    `images` holds the words of `--image` and `--mask`; `default` alone unsets them. `rest` is the
    text from the first word that is not an option; `words` are its words where options may follow them.
    `own` holds the magic's own flags. `verbatim` is True where `--` ended the options.
    """

    values: Mapping[str, Values] = field(default_factory=dict)
    extra: Mapping[str, Json] = field(default_factory=dict)
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own: Mapping[str, str | bool] = field(default_factory=dict)
    executor: object = None
    rest: str = ""
    words: tuple[str, ...] = ()
    verbatim: bool = False
    help: bool = False

    @property
    def ids(self) -> list[str]:
        """The ids among the words, which blanks or commas separate."""
        return to_half_width(" ".join(self.words)).replace(",", " ").split()


def parse_line(
    line: str, names: Mapping[str, Any], *, own: Mapping[str, bool] = NOTHING, options: bool = True
) -> Line:
    """Return the line with its options read and names in braces filled in.

    `own` maps a magic's own flags to whether they take a value. `options` allows the options of a
    request. Raises InvalidOption or InvalidInput; never echoes what may be a key.
    """
    reader = _Reader(line, names, own, options)
    while (start := reader.skip_blanks()) is not None:
        # The dash is looked at before quotes are read: a prompt may begin with "it's".
        if line[start] not in DASHES or not _is_flag(word := _read_dashed_word(line, start), line):
            return reader.finish(line[start:].rstrip())
        reader.at = word.end
        if word.text == "--":
            return replace(reader.finish(line[word.end :].strip()), verbatim=True)
        flag, value = _split_flag(word.text)
        if flag in HELP:
            return Line(help=True)
        reader.read_flag(flag, value, word)
    return reader.finish("")


def parse_words(
    line: str, names: Mapping[str, Any], *, own: Mapping[str, bool] = NOTHING, options: bool = True
) -> Line:
    """Return a line whose options may stand before, between and after its words.

    Options that are given again replace those before them; see `parse_line`.
    """
    words: list[str] = []
    whole = Line()
    while True:
        part = parse_line(line, names, own=own, options=options)
        if part.help:
            return part
        whole = _merge_lines(whole, part)
        if not part.rest:
            return replace(whole, words=tuple(words))
        word = next(tokenize(part.rest))
        words.append(_fill_ids(word.text, names))
        line = part.rest[word.end :]


def _read_dashed_word(line: str, start: int) -> Token:
    """Return the word that begins with a dash; a long dash usually begins a prompt, as in "—it's a fox"."""
    if line[start] not in LONG_DASHES:
        return read_word(line, start)
    text = line[start:].split(maxsplit=1)[0]
    return Token(text, start, start + len(text))


class _Reader:
    """The position in a line, and what was read before it."""

    def __init__(self, line: str, names: Mapping[str, Any], own: Mapping[str, bool], options: bool) -> None:
        self.at = 0
        self._line, self._names, self._own, self._options = line, names, own, options
        self._values: dict[str, Values] = {}
        self._extra: dict[str, Json] = {}
        self._images: dict[str, tuple[str, ...]] = {}
        self._own_values: dict[str, str | bool] = {}
        self._executor: object = None
        self._raw = ""  # the value of the current flag as it was typed

    def skip_blanks(self) -> int | None:
        """Return where the next word begins, or None at the end."""
        rest = self._line[self.at :]
        return len(self._line) - len(rest.lstrip()) if rest.strip() else None

    def finish(self, rest: str) -> Line:
        """Return what was read, with the rest of the line."""
        return Line(
            values=self._values,
            extra=self._extra,
            images=self._images,
            own=self._own_values,
            executor=self._executor,
            rest=rest,
        )

    def read_flag(self, flag: str, value: str | None, word: Token) -> None:
        """Read a flag and its value; `value` is the text after "=" if there was any."""
        self._raw = _get_raw_value(self._line[word.start : word.end], value)
        if flag in self._own:
            self._own_values[flag] = self._take_value(flag, value) if self._own[flag] else True
        elif not self._options:
            known = [*self._own, *HELP]
            raise InvalidOption(
                _(
                    "There is no option {flag} here.{suggestion}",
                    flag=_shorten(flag),
                    suggestion=suggest_name(flag, known),
                )
            )
        elif flag == SETTING:
            self._set(self._take_value(flag, value))
        elif (option := _find_option(flag, self._own)).kind is Kind.FLAG:
            self._switch(flag, value, option)
        elif option.kind is Kind.OBJECT:
            self._executor = _find_object(self._take_value(flag, value), option, self._names)
        elif option.kind is Kind.INPUT:
            self._add_image(option, str(normalise(option.name, self._take_value(flag, value))))
        else:
            self._assign(option, self._take_value(flag, value))

    def _switch(self, flag: str, value: str | None, option: Option) -> None:
        negated = flag in NEGATED
        if negated and value is not None:
            raise InvalidOption(_("{flag} takes no value.", flag=flag))
        if value is None and not negated:
            if option.config and (match := _DEFAULT.match(self._line, self.at)):
                self.at, value = match.end(), DEFAULT
            else:
                self._refuse_separate_truth(flag, option)
        given = not negated if value is None else _fill_value(value, self._names)
        self._values[option.name] = normalise(option.name, given)

    def _refuse_separate_truth(self, flag: str, option: Option) -> None:
        """Refuse `--stream true`, where the value would become the first word of the prompt."""
        pattern = _ON_OR_OFF if option in NEGATED.values() else _TRUTH
        if match := pattern.match(self._line, self.at):
            raise InvalidOption(
                _(
                    "{flag} {word} would begin the prompt with {word!r}. Write {flag}={value}, "
                    "or {flag} -- {word} … for such a prompt.",
                    flag=flag,
                    word=match[1],
                    value=match[1].lower(),
                )
            )

    def _add_image(self, option: Option, text: str) -> None:
        before = self._images.get(option.name, ())
        if before and not option.repeats:
            raise _make_twice_error(option)
        self._images[option.name] = (*before, text)

    def _set(self, text: str) -> None:
        try:
            key, setting = read_setting(fill(parse(text), self._names))
        except InvalidInput:
            read_setting(text)  # names lost quotes around JSON as the cause, not a missing variable
            raise
        self._extra[key] = setting

    def _assign(self, option: Option, text: str) -> None:
        if option.name in self._values:
            raise _make_twice_error(option)
        if option.name in AS_TYPED:
            self._values[option.name] = normalise(option.name, text)
        elif option.lists:
            self._values[option.name] = parse_values(
                option.name, tuple(split_pieces(self._raw)), lambda piece: _fill_value(piece, self._names)
            )
        else:
            self._values[option.name] = normalise(option.name, _fill_value(text, self._names))

    def _take_value(self, flag: str, value: str | None) -> str:
        """Return the value after "=", or the next word."""
        if value is not None:
            return value
        word = next(tokenize(self._line, self.at), None)
        if word is None or (_is_flag(word, self._line) and not re.match(r"-[\d.]", word.text)):
            raise InvalidOption(_("{flag} needs a value.", flag=flag))
        self.at, self._raw = word.end, self._line[word.start : word.end]
        return word.text


def _make_twice_error(option: Option) -> InvalidOption:
    return InvalidOption(_("{option} is given twice.", option=OptionName(option.name)))


def _find_object(text: str, option: Option, names: Mapping[str, Any]) -> object:
    """Return the value of a variable: `pool`, `{pool}` or `cluster.executor`."""
    parts = parse(f"{{{text.removeprefix('{').removesuffix('}')}}}")
    if path := _get_only_name(parts):
        value = lookup(path, names)
        if value is not None:
            return value
    shown = truncate(text, 40)
    raise InvalidOption(
        _("{option} takes the name of a variable, not {text!r}.", option=OptionName(option.name), text=shown)
    )


def _get_only_name(parts: Sequence[Part]) -> str | None:
    """Return the path of a name that stands alone, without a format."""
    part = parts[0] if len(parts) == 1 else None
    return part.path if isinstance(part, Name) and not (part.spec or part.conversion) else None


def _get_raw_value(raw: str, value: str | None) -> str:
    """Return the value in a word such as --seed=1 or -n4 as it was typed, with its quotes."""
    match = _EQUALS.search(raw)
    return raw[match.end() :] if match else raw[2:] if value else ""


def _is_flag(word: Token, line: str) -> bool:
    text = to_half_width(word.text[:3])
    if text[:1] in LONG_DASHES and (name := word.text.lstrip(DASHES)).partition("=")[0] in OPTIONS:
        shown = _shorten(word.text)
        raise InvalidOption(_("{word} begins with a long dash; write {flag}", word=shown, flag=f"--{name}"))
    quoted = line[word.start] in QUOTES
    return text[:1] == "-" and len(text) > 1 and not text[1].isdigit() and not quoted


def _split_flag(text: str) -> tuple[str, str | None]:
    """Return the flag and the value after "=" if any. `-n4` is `-n 4`."""
    match = _EQUALS.search(text)
    flag = to_half_width(text[: match.start()] if match else text).replace("_", "-")
    if not match and len(flag) > 2 and flag[:2] in BY_FLAG and flag[1] != "-":
        return flag[:2], text[2:]
    return flag, text[match.end() :] if match else None


def _find_option(flag: str, own: Mapping[str, bool]) -> Option:
    option = BY_FLAG.get(flag) or NEGATED.get(flag)
    if option:
        return option
    if _SECRET_FLAGS.match(flag):
        raise InvalidOption(
            _(
                "No option takes a key: a key in a cell is saved with the notebook. "
                "Set the variable that %imagine_endpoints names."
            )
        )
    suggestion = suggest_name(flag, [*BY_FLAG, *NEGATED, SETTING, *own, *HELP])
    raise InvalidOption(
        _("There is no option {flag}.{suggestion}", flag=_shorten(flag), suggestion=suggestion)
    )


def _shorten(flag: str) -> str:
    return truncate(flag, 40)


def _fill_value(text: str, names: Mapping[str, Any]) -> object:
    """Return an option's value with names filled in; a name that stands alone may hold a list."""
    parts = parse(text)
    if path := _get_only_name(parts):
        value = lookup(path, names, source=text)
        if list_elements(value) is not None:
            return value
    return fill(parts, names)


def _fill_ids(text: str, names: Mapping[str, Any]) -> str:
    """Return ids with names filled in: `{i}` in a loop, `{fox}` for a result or a list of results."""
    return "".join(_fill_id(part, names) for part in parse(text))


def _fill_id(part: Part, names: Mapping[str, Any]) -> str:
    if path := _get_only_name((part,)):
        value = lookup(path, names)
        if isinstance(value, (Image, Sequence)) and not isinstance(value, (str, bytes)):
            return " ".join(_list_ids(value))
    return fill((part,), names)


def _list_ids(value: object) -> Iterator[str]:
    if isinstance(value, (Generation, Image)):
        yield value.id
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for item in value:
            yield from _list_ids(item)
    else:
        yield str(value)


def _merge_lines(before: Line, after: Line) -> Line:
    """Return two parts of a line as a single line; options of the second part replace the first ones."""
    for name in before.images.keys() & after.images.keys():
        if not OPTIONS[name].repeats:
            raise _make_twice_error(OPTIONS[name])
    images = {
        name: (*before.images.get(name, ()), *after.images.get(name, ()))
        for name in {**before.images, **after.images}
    }
    return Line(
        values={**before.values, **after.values},
        extra={**before.extra, **after.extra},
        images=images,
        own={**before.own, **after.own},
        executor=before.executor if after.executor is None else after.executor,
    )


def list_notes(line: Line, prompt: str, *, literal: bool) -> list[str]:
    """Return the notes on a prompt that is sent although it looks like something else."""
    notes: list[str] = [
        _("{flag} stands in the prompt and was sent as text", flag=flag) for flag in find_late_options(prompt)
    ]
    word = prompt.strip().lower()
    if word in _MAGIC_FOR:
        notes.append(
            _("{word} was sent as the prompt; did you mean {magic}?", word=word, magic=_MAGIC_FOR[word])
        )
    if not literal and not line.values.get("raw") and looks_like_alternatives(parse(prompt)):
        notes.append(
            _(
                "braces were sent as typed: alternatives are {example}, plain words on one line",
                example="{a|b}",
            )
        )
    return notes


def check_line_prompt(text: str, images: Mapping[str, tuple[str, ...]] = NOTHING) -> None:
    """Refuse a line that is hardly meant as a prompt and name the right form. Raises InvalidOption."""
    if not text:
        raise InvalidOption(_("Write a prompt: %imagine a red fox. All options: %imagine --help"))
    if _LIKE_A_CALL.match(text) or _is_call(text):
        raise InvalidOption(
            _(
                "imagine{call} is Python: run `from ipyimagegen import imagine` first. "
                "To send the text as a prompt: %imagine -- …",
                call=truncate(text, 30),
            )
        )
    word = text.strip().lower()
    if word in _MAGIC_FOR:
        raise InvalidOption(
            _(
                "Did you mean {magic}? To send the word as a prompt: %imagine -- {word}",
                magic=_MAGIC_FOR[word],
                word=word,
            )
        )
    if images and text.startswith("@"):
        raise InvalidOption(
            _(
                "{word} stands in the prompt; write --image once for each image. "
                "To send it as typed: %imagine -- …",
                word=truncate(text.split(maxsplit=1)[0], 30),
            )
        )
    if late := find_late_options(text):
        raise InvalidOption(
            _(
                "{flag} stands after the prompt; options come first: %imagine {flag} … prompt. "
                "To send it as typed: %imagine -- …",
                flag=late[0],
            )
        )


def _is_call(text: str) -> bool:
    """Return whether `imagine` before the text is Python that calls it with a text, a list or a keyword."""
    if text[:1] != "(":
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about backslashes in the text
            tree = ast.parse(f"imagine{text}")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    arguments = [argument for call in calls for argument in (*call.args[:1], *call.keywords)]
    return any(
        isinstance(node, (ast.List, ast.JoinedStr, ast.keyword)) or _is_text(node) for node in arguments
    )


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def find_late_options(text: str) -> list[str]:
    """Return the words of a prompt that are flags of options; a short flag counts if a word follows it."""
    words = text.split()
    dashed = [word for word in words if to_half_width(word[:2]).startswith("--") or word[0] in LONG_DASHES]
    long = [word for word in dashed if _split_flag("--" + word.lstrip(DASHES))[0] in _LONG_FLAGS]
    short = [word for word in words[:-1] if to_half_width(word) in _SHORT_FLAGS]
    return [_EQUALS.split(word, maxsplit=1)[0] for word in long] + short
