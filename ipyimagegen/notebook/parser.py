"""Read the line of a magic: options, then the prompt or words; and what the words of images stand for.

Words are read singly, because the prompt at the end of a line may hold anything, also an apostrophe.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

from ipyimagegen import imaging
from ipyimagegen.core import template, variables
from ipyimagegen.core.errors import ImagineError, InvalidInput, InvalidOption, suggest_name
from ipyimagegen.core.messages import Message, OptionName, _
from ipyimagegen.core.options import (
    BY_SYNONYM,
    DEFAULT,
    OPTIONS,
    PROMPT_NAMES,
    Json,
    Kind,
    Option,
    Values,
    normalise,
    suggest_option,
    to_half_width,
)
from ipyimagegen.core.request import read_setting
from ipyimagegen.core.run import parse_id
from ipyimagegen.core.text import truncate
from ipyimagegen.core.user_input import InputRef, InputRefs, list_elements, parse_values
from ipyimagegen.notebook.fronts import BY_FLAG, HELP, NEGATED, SETTING
from ipyimagegen.notebook.tokenizer import (
    DASHES,
    LONG_DASHES,
    NON_BLANK,
    QUOTES,
    Token,
    read_word,
    split_pieces,
    tokenize,
)
from ipyimagegen.results import list_ids, saving
from ipyimagegen.session.inputs import ADDRESS, BOX, exists

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
_FLAGS = _LONG_FLAGS | _SHORT_FLAGS
_SHOWN = 60  # characters of the word of an image
_EQUALS = re.compile("[=＝]")
# The text after a switch, matched before its quotes are read: the prompt may begin there ("--stream 'tis …").
_DEFAULT = re.compile(rf"""\s*(['"]?){DEFAULT}\1(?!\S)""")
_TRUTH = re.compile(r"(?i)\s*(true|false)(?!\S)")
_ON_OR_OFF = re.compile(r"(?i)\s*(true|false|on|off|yes|no)(?!\S)")  # for options with a --no- form
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(kw_only=True)
class Line:
    """What a line says: `values` (normalised, lists as tuples), `--set` in `extra`, and the rest.

    `images` holds the words of `--image` and `--mask`; `default` alone unsets them. `rest` is the
    text from the first word that is not an option; `words` are its words where options may follow them.
    `own` holds the magic's own flags. `verbatim` is True where `--` ended the options.
    """

    values: dict[str, Values] = field(default_factory=dict)
    extra: dict[str, Json] = field(default_factory=dict)
    images: dict[str, tuple[str, ...]] = field(default_factory=dict)
    own: dict[str, str | bool] = field(default_factory=dict)
    executor: object = None
    rest: str = ""
    words: tuple[str, ...] = ()
    verbatim: bool = False
    help: bool = False

    def get_own(self, *flags: str) -> str | None:
        """Return the value of a flag of the magic's own, under any of its names."""
        values = [value for flag in flags if isinstance(value := self.own.get(flag), str)]
        return values[-1] if values else None


def parse_line(
    text: str,
    names: Mapping[str, Any],
    *,
    own: Mapping[str, bool] = NOTHING,
    options: bool = True,
    words: Callable[[Token, Mapping[str, Any]], Iterable[str]] | None = None,
) -> Line:
    """Return the line with its options read and names in braces filled in.

    `own` maps a magic's own flags to whether they take a value. `options` allows the options of a
    request. With `words`, which reads a word, options may stand before, between and after them; an option
    that is given again after a word replaces the one before. Raises InvalidOption or InvalidInput, which
    never echo a key.
    """
    reader = _Reader(text, names, own, options)
    line = reader.line
    while rest := reader.read_options():
        if words is None:
            line.rest = rest
            break
        word = next(tokenize(text, reader.at))
        reader.at, reader.given = word.end, set()
        line.words += tuple(words(word, names))
    return line


class _Reader:
    """The position in a line, and what was read before it: `given` holds the options since the last word."""

    def __init__(self, text: str, names: Mapping[str, Any], own: Mapping[str, bool], options: bool) -> None:
        self.line, self.at, self.given = Line(), 0, set[str]()
        self._text, self._names, self._own, self._options = text, names, own, options

    def read_options(self) -> str:
        """Read options up to the next word; return the text from there."""
        while match := NON_BLANK.search(self._text, self.at):
            start = match.start()
            # The dash is looked at before quotes are read: a prompt may begin with "it's".
            if match[0] not in DASHES or not (word := self._read_flag_word(start)):
                return self._text[start:].rstrip()
            self.at = word.end
            if word.text == "--":
                self.line.verbatim = True
                return self._text[self.at :].strip()
            flag, value = _split_flag(word.text)
            if flag in HELP:
                self.line.help = True
                return ""
            self._read_flag(flag, value, _split_flag(word.typed)[1] or "")
        return ""

    def _read_flag_word(self, start: int) -> Token | None:
        """Return the flag that begins there, with its value after "=" if any; None for other words."""
        if self._text[start] in LONG_DASHES:  # it usually begins a prompt, with any quotes: "—it's a fox"
            text = self._text[start:].split(maxsplit=1)[0]
            if not self._is_flag(Token(text, text, 0)):
                return None
        word = read_word(self._text, start)
        return word if self._is_flag(word) else None

    def _is_flag(self, word: Token) -> bool:
        """Return whether a word is a flag. A Chinese keyboard puts two long dashes for "--" or for "_"."""
        dashes = word.text[: len(word.text) - len(word.text.lstrip(DASHES))]
        if word.typed[0] in QUOTES or not dashes:
            return False
        flag = _split_flag(word.text)[0]
        if set(dashes) & set(LONG_DASHES):
            return (
                flag in _FLAGS or flag in self._own or (len(dashes) > 1 and bool(re.match("--[a-z]", flag)))
            )
        return len(word.text) > 1 and not word.text[1].isdigit()

    def _read_flag(self, flag: str, value: str | None, typed: str) -> None:
        """Read a flag; `value` is the text after "=", if any, and `typed` the same with its quotes."""
        line = self.line
        if flag in self._own:
            taken = self._take_value(flag, value, typed)[0] if self._own[flag] else value
            line.own[flag] = template.fill(template.parse(taken), self._names) if taken else True
            return
        if not self._options:
            raise InvalidOption(
                _(
                    "There is no option {flag} here.{suggestion}",
                    flag=truncate(flag, 40),
                    suggestion=suggest_name(flag, [*self._own, *HELP]),
                )
            )
        option = None if flag == SETTING else _find_option(flag, self._own)
        if option and option.kind is Kind.FLAG:
            self._switch(flag, value, option)
            return
        text, typed = self._take_value(flag, value, typed)
        if option is None:
            line.extra.update([_fill_setting(text, self._names)])
        elif option.kind is Kind.OBJECT:
            line.executor = _find_object(text, option, self._names)
        elif option.name in (line.images if option.kind is Kind.INPUT else self.given) and not option.repeats:
            raise InvalidOption(_("{option} is given twice.", option=OptionName(option.name)))
        elif option.kind is Kind.INPUT:
            word = str(normalise(option.name, text))
            line.images[option.name] = (*line.images.get(option.name, ()), word)
        else:
            self.given.add(option.name)
            if option.lists:
                resolve = partial(_fill_value, names=self._names)
                line.values[option.name] = parse_values(option.name, tuple(split_pieces(typed)), resolve)
            else:
                given = _FILLERS.get(option.name, _fill_value)(text, self._names)
                line.values[option.name] = normalise(option.name, given)

    def _switch(self, flag: str, value: str | None, option: Option) -> None:
        negated = flag in NEGATED
        if negated and value is not None:
            raise InvalidOption(_("{flag} takes no value.", flag=flag))
        if value is None and not negated:
            if option.config and (match := _DEFAULT.match(self._text, self.at)):
                self.at, value = match.end(), DEFAULT
            elif match := (_ON_OR_OFF if option in NEGATED.values() else _TRUTH).match(self._text, self.at):
                # The value of `--stream true` would become the first word of the prompt.
                raise InvalidOption(
                    _(
                        "{flag} {word} would begin the prompt with {word!r}. Write {flag}={value}, "
                        "or {flag} -- {word} … for such a prompt.",
                        flag=flag,
                        word=match[1],
                        value=match[1].lower(),
                    )
                )
        given = not negated if value is None else _fill_value(value, self._names)
        self.line.values[option.name] = normalise(option.name, given)

    def _take_value(self, flag: str, value: str | None, typed: str) -> tuple[str, str]:
        """Return the value after "=", or the next word: without its quotes, and as typed."""
        if value is not None:
            return value, typed
        word = next(tokenize(self._text, self.at), None)
        if word is None or (self._is_flag(word) and not re.match(r"-[\d.]", word.text)):
            raise InvalidOption(_("{flag} needs a value.", flag=flag))
        self.at = word.end
        return word.text, word.typed


def _split_flag(text: str) -> tuple[str, str | None]:
    """Return the flag and the value after "=" if any. `-n4` is `-n 4`."""
    match = _EQUALS.search(text)
    flag = _to_flag(text[: match.start()] if match else text)
    if not match and len(flag) > 2 and flag[:2] in BY_FLAG and flag[1] != "-":
        return flag[:2], text[2:]
    return flag, text[match.end() :] if match else None


def _to_flag(text: str) -> str:
    """Return a flag as it is meant: `－－ｓｉｚｅ` and `——size` are `--size`, `—n` is `-n`."""
    name = text.lstrip(DASHES)
    dashes = text[: len(text) - len(name)]
    if set(dashes) & set(LONG_DASHES):
        is_short = len(dashes) == 1 and len(name.strip()) == 1
        dashes = "-" if is_short else "--"
    return to_half_width(dashes + re.sub(f"[{LONG_DASHES}]+", "-", name)).replace("_", "-")


def _to_name(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def _find_option(flag: str, own: Mapping[str, bool]) -> Option:
    if option := BY_FLAG.get(flag) or NEGATED.get(flag):
        return option
    if _SECRET_FLAGS.match(flag):
        raise InvalidOption(
            _(
                "No option takes a key: a key in a cell is saved with the notebook. "
                "Set the variable that %imagine_endpoints names."
            )
        )
    name = _to_name(flag)
    hint: str = _(" The prompt stands after the options, without a name.")
    if name not in PROMPT_NAMES:
        hint = suggest_option(name, [*NEGATED, SETTING, *own, *HELP])
    raise InvalidOption(_("There is no option {flag}.{hint}", flag=truncate(flag, 40), hint=hint))


def _find_object(text: str, option: Option, names: Mapping[str, Any]) -> object:
    """Return the value of a variable: `pool`, `{pool}` or `cluster.executor`."""
    path = variables.read_path(text.removeprefix("{").removesuffix("}"))
    if path and (value := variables.lookup(path, names)) is not None:
        return value
    shown = truncate(text, 40)
    raise InvalidOption(
        _("{option} takes the name of a variable, not {text!r}.", option=OptionName(option.name), text=shown)
    )


def _get_only_name(parts: Sequence[template.Part], names: Mapping[str, Any]) -> str | None:
    """Return the path of a name that stands alone, without a format."""
    part = parts[0] if len(parts) == 1 else None
    if not isinstance(part, template.Name) or part.spec or part.conversion:
        return None
    return part.path if part.exists(names) or not part.optional else None


def _keep(text: str, _names: Mapping[str, Any]) -> str:
    return text


def _fill_path(text: str, names: Mapping[str, Any]) -> str:
    """Return the template of a file with names filled in; its own fields stay, `{seed}` and the like."""
    if text[:1] == "“" and text[-1:] == "”":
        text = text[1:-1]
    parts = [
        template.Literal(part.source)
        if isinstance(part, template.Name)
        and (variables.get_first_name(part.path) in saving.FIELDS or not part.exists(names))
        else part
        for part in template.parse(text)
    ]
    return template.fill(tuple(parts), names)


def _fill_value(text: str, names: Mapping[str, Any]) -> object:
    """Return an option's value with names filled in; a name that stands alone may hold a list."""
    parts = template.parse(text)
    if path := _get_only_name(parts, names):
        value = variables.lookup(path, names, source=text)
        if list_elements(value) is not None:
            return value
    return template.fill(parts, names)


_FILLERS: Mapping[str, Callable[[str, Mapping[str, Any]], object]] = {"as_": _keep, "save": _fill_path}


def read_word_of_text(word: Token, names: Mapping[str, Any]) -> Iterator[str]:
    """Yield a word with names in braces filled in."""
    yield template.fill(template.parse(word.text), names)


def _fill_setting(text: str, names: Mapping[str, Any]) -> tuple[str, Json]:
    """Return the key and value of `--set key=value` with names filled in."""
    parts = template.parse(text)
    try:
        return read_setting(template.fill(parts, names))
    except InvalidInput:
        if not any(isinstance(part, template.Name) and part.exists(names) for part in parts):
            read_setting(text)  # names lost quotes around JSON as the cause, not a missing variable
        raise


def read_ids(word: Token, names: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids that a word names, which commas separate: as typed, or of the results in a variable.

    A variable stands bare or in braces, as `fox`, `{fox}`, `fox[1]`, and may hold results, ids or lists of
    them; `{n}` may also be a part, as in `1120-k7f2/{n}`. Raises InvalidInput for a variable of another kind.
    """
    for piece in map(str.strip, split_pieces(word.typed)):
        parts = template.parse(piece)
        path = _get_only_name(parts, names)
        bare = variables.read_path(piece)
        if path is None and bare and variables.get_first_name(bare) in names:
            path = bare
        if path is None:
            yield from template.fill(parts, names).replace(",", " ").split()
        else:
            yield from _list_ids(variables.lookup(path, names), path)


def _list_ids(value: object, path: str) -> list[str]:
    try:
        return list_ids(value)
    except (TypeError, RecursionError):  # a list may hold itself
        kind = type(value).__name__
    raise InvalidInput(_("{name} is {kind}, neither a result nor an id.", name=path, kind=kind))


# What the words of --image and --mask stand for


def resolve_images(words: Mapping[str, tuple[str, ...]], names: Mapping[str, Any]) -> InputRefs:
    """Return the images that the words stand for; `default` stands for none. Raises InvalidInput."""
    return {
        target: tuple(resolve_image(word, names, target) for word in option_words if word != DEFAULT)
        for target, option_words in words.items()
    }


def resolve_image(text: str, names: Mapping[str, Any], target: str) -> InputRef:
    """Return the image that a word of `image` or `mask` stands for: an id, a URL, a variable or a file.

    Raises InvalidInput for a word that could be both a variable and a file, or is neither.
    """
    text = text.strip()
    parts = template.parse(text)
    if path := _get_only_name(parts, names):
        return _refer(variables.lookup(path, names), path, target)
    has_names = any(isinstance(part, template.Name) for part in parts)
    if has_names:
        text = template.fill(parts, names).strip()
    if text.startswith("@"):
        return InputRef(parse_id(text), text)
    if ADDRESS.match(text):
        return InputRef(text, _("the URL"))
    if target == "mask" and BOX.fullmatch(text):
        return InputRef(text, _("the box"))
    file, shown = imaging.expand_path(text), truncate(text, _SHOWN)
    path = None if has_names else variables.read_path(text)  # what was filled in is never read as a variable
    if path and variables.get_first_name(path) in names:
        reference = _find_variable(text, names, target, is_file=exists(file))
        if reference:
            return reference
    if not has_names and not exists(file) and (problem := _explain(text, names, target)):
        option = OptionName(target)
        raise InvalidInput(
            _("{option} {text}: {problem} Nothing was sent.", option=option, text=shown, problem=problem)
        )
    return InputRef(file, shown)


def _refer(value: object, text: str, target: str) -> InputRef:
    """Return the value of a variable. Raises InvalidInput for None: loading it failed."""
    if value is not None:
        return InputRef(value, text)
    option = OptionName(target)
    raise InvalidInput(
        _("{option} {text}: the variable is None, not an image. Nothing was sent.", option=option, text=text)
    )


def _find_variable(text: str, names: Mapping[str, Any], target: str, *, is_file: bool) -> InputRef | None:
    """Return the variable, or None for a file such as `cat.png` beside a variable `cat` without `.png`."""
    try:
        value = variables.lookup(text, names)
    except ImagineError:
        if is_file:
            return None
        raise
    if not is_file:
        return _refer(value, text, target)
    raise InvalidInput(
        _(
            "{option} {text} is a variable and a file. Write {variable} for the variable, "
            "{path} for the file. Nothing was sent.",
            option=OptionName(target),
            text=text,
            variable=f"{{{text}}}",
            path=f"./{text}",
        )
    )


def _explain(text: str, names: Mapping[str, Any], target: str) -> Message | None:
    """Return what is wrong with a word that is neither a variable nor a file, if that is clear."""
    with suppress(InvalidInput):
        parse_id(text)
        return _("write {id} for an image of the history.", id=f"@{text}")
    name = variables.get_first_name(text) if variables.read_path(text) else None
    name = text if text.isidentifier() else name  # also a word of Python's own, such as None
    if name and name not in names and text[len(name) :][:1] in ("", "["):  # else it is a file's name
        suggestion = variables.suggest_variable(name, names)
        return _("no variable and no file has that name.{suggestion}", suggestion=suggestion)
    if "," in text and target == "mask":
        box = OptionName("mask", "10,20,30,40")
        return _("a box is four whole numbers without blanks, such as {box}.", box=box)
    first = re.match(r"\w*", text.lstrip("{~-"))
    if first and first[0] in names:
        return _("only names, dots and [index] are supported. Assign the value to a variable first.")
    return _("write {option} once for each image.", option=OptionName("image")) if "," in text else None


# Prompts that are hardly meant as such


def list_notes(line: Line, prompt: str, *, literal: bool) -> list[str]:
    """Return the notes on a prompt that is sent although it looks like something else."""
    word, late, example = prompt.strip().lower(), find_late_options(prompt), "{a|b}"
    notes: list[str] = [_("{flag} stands in the prompt and was sent as text", flag=flag) for flag in late]
    if magic := _MAGIC_FOR.get(word):
        notes.append(_("{word} was sent as the prompt; did you mean {magic}?", word=word, magic=magic))
    if (
        not literal
        and not line.values.get("raw")
        and template.looks_like_alternatives(template.parse(prompt))
    ):
        text = _(
            "braces were sent as typed: alternatives are {example}, plain words on one line", example=example
        )
        notes.append(text)
    return notes


def check_line_prompt(text: str, images: Mapping[str, tuple[str, ...]] = NOTHING) -> None:
    """Refuse a line that is hardly meant as a prompt and name the right form. Raises InvalidOption."""
    word, late = text.strip().lower(), find_late_options(text)
    if not text:
        problem = _("Write a prompt: %imagine a red fox. All options: %imagine --help")
    elif word in _MAGIC_FOR:
        problem = _(
            "Did you mean {magic}? To send the word as a prompt: %imagine -- {word}",
            magic=_MAGIC_FOR[word],
            word=word,
        )
    elif images and text.startswith("@"):
        problem = _(
            "{word} stands in the prompt; write --image once for each image. "
            "To send it as typed: %imagine -- …",
            word=truncate(text.split(maxsplit=1)[0], 30),
        )
    elif late:
        problem = _(
            "{flag} stands after the prompt; options come first: %imagine {option} … prompt. "
            "To send it as typed: %imagine -- …",
            flag=late[0],
            option=OPTIONS[meant].flag if (meant := BY_SYNONYM.get(_to_name(_to_flag(late[0])))) else late[0],
        )
    else:
        return
    raise InvalidOption(problem)


def check_call(magic: str, line: str) -> None:
    """Refuse what automagic makes of Python, such as `imagine("a fox")`. Raises InvalidOption."""
    # A call whose bracket is not closed is one with a typing error.
    if line[:1].isalnum() or not any(_is_python(f"{magic}{line}{end}") for end in ("", ")")):
        return
    code = truncate(f"{magic}{line}", 40)
    if magic == "imagine":
        problem = _(
            "{code} is Python: run `from ipyimagegen import imagine` first. "
            "To send the text as a prompt: %imagine -- …",
            code=code,
        )
    else:
        problem = _(
            "{code} is Python, and {magic} is a magic: write {magic} without brackets. "
            "In Python: `from ipyimagegen import imagine, history`.",
            code=code,
            magic=f"%{magic}",
        )
    raise InvalidOption(problem)


def _is_python(text: str) -> bool:
    """Return whether a text is Python that begins with a call, an item such as `x[0]`, or is `x += 1`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about backslashes in the text
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(
        isinstance(node, (ast.Call, ast.AugAssign))
        or (
            isinstance(node, ast.Subscript) and isinstance(node.slice, (ast.Constant, ast.UnaryOp, ast.Slice))
        )
        for node in ast.walk(tree)
        if isinstance(node, (ast.expr, ast.stmt)) and (node.lineno, node.col_offset) == (1, 0)
    )


def find_late_options(text: str) -> list[str]:
    """Return the words of a prompt that are flags of options; a short flag counts if a word follows it."""
    words = [_EQUALS.split(word, maxsplit=1)[0] for word in text.split()]
    long = [word for word in words if word[:1] in [*DASHES] and _is_long_flag(_to_flag(word))]
    return long + [word for word in words[:-1] if to_half_width(word) in _SHORT_FLAGS]


def _is_long_flag(flag: str) -> bool:
    """Return whether that is a flag of ours, or of another tool: `--ar` ends many a prompt."""
    return flag in _LONG_FLAGS or (flag[:2] == "--" and _to_name(flag) in BY_SYNONYM)
