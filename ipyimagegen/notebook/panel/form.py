"""The panel's form: what was filled in, as typed options, and as the cell that asks the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ipyimagegen.core.errors import InvalidInput, InvalidOption
from ipyimagegen.core.options import DEFAULT, OPTIONS, SENT, Kind, Value, Values, find_option, normalise
from ipyimagegen.core.request import read_setting
from ipyimagegen.core.run import Run
from ipyimagegen.core.template import Literal, list_groups, parse
from ipyimagegen.core.text import truncate
from ipyimagegen.core.user_input import InputRefs, UserInput, parse_values
from ipyimagegen.notebook.parser import AS_TYPED, NEGATED, SETTING
from ipyimagegen.notebook.tokenizer import split_pieces, write_word

BRACES = "braces were sent as typed: {one|other} stands for several in a cell, not in a panel"
# What JSON leaves as it is, and a cell takes for the end of a line.
_LINES = {ord(one): f"\\u{ord(one):04x}" for one in "\x85\u2028\u2029"}


@dataclass(frozen=True, kw_only=True)
class Form:
    """Fields as text; an empty one is not set. `other` has a line `key=value` for each further field.

    A field may hold a list, as on a magic's line: `1..4`, `low,high`, a value with a comma in quotes.
    """

    prompt: str = ""
    endpoint: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    other: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Return the form that a front end sent; what is no text is left out."""
        options = told.get("options")
        filled = options.items() if isinstance(options, Mapping) else ()
        texts = {
            name: _whole(told[name])
            for name in ("prompt", "endpoint", "other")
            if isinstance(told.get(name), str)
        }
        return cls(
            **texts,
            options={name: _whole(text) for name, text in filled if isinstance(text, str) and text.strip()},
        )

    @classmethod
    def of_run(cls, run: Run, endpoint: str, configured: Iterable[str]) -> Self:
        """Return the form that asks what a run asked, of that endpoint; what is configured is unset."""
        model = {"model": run.request.model} if run.request.model else {}
        unset = {name: DEFAULT for name in configured if name in SENT}
        options = {**unset, **model, **run.request.options}
        return cls(
            prompt=run.request.prompt,
            endpoint=endpoint,
            options={name: _field(name, value) for name, value in options.items()},
            other="\n".join(f"{key}={_json(value)}" for key, value in run.request.extra.items()),
        )

    def typed(self, images: InputRefs, **local: Value) -> UserInput:
        """Return it as typed options. The prompt is literal. Raises InvalidOption."""
        return UserInput(
            prompt=self.prompt,
            options={**self._values(), **local},
            extra=self._extra(),
            inputs=images,
            notes=(BRACES,) if list_groups(parse(self.prompt)) else (),
        )

    def cell(self, images: Mapping[str, Iterable[str]]) -> str:
        """Return the cell that sends the same; `images` are the words of `image` and `mask`.

        Raises InvalidOption, or InvalidInput for an empty prompt.
        """
        if not self.prompt.strip():
            raise InvalidInput("The prompt is empty. Write what the image is to show.")
        words = [_option(name, value) for name, value in self._values().items()]
        words += [
            f"{SETTING} {write_word(_escaped(f'{key}={_json(value)}'))}"
            for key, value in self._extra().items()
        ]
        words += [f"{OPTIONS[name].flag} {write_word(one)}" for name, some in images.items() for one in some]
        if any(sign in self.prompt for sign in "{}"):
            words.append(OPTIONS["raw"].flag)
        return " ".join(["%%imagine", *words]) + f"\n{self.prompt.strip()}"

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are chosen, none where the server's own is, also while they are being typed."""
        try:
            found = _read("model", self.options["model"]) if "model" in self.options else ()
        except InvalidOption:
            found = self.options["model"]
        return tuple(map(str, found if isinstance(found, tuple) else (found,)))

    def _values(self) -> dict[str, Values]:
        values = {name: _read(name, text) for name, text in self.options.items()}
        return {**({"endpoint": normalise("endpoint", self.endpoint)} if self.endpoint else {}), **values}

    def _extra(self) -> dict[str, Any]:
        return dict(read_setting(line.strip()) for line in self.other.splitlines() if line.strip())


def _read(name: str, text: str) -> Values:
    """Return what a field says, as a line would be read, but for names in braces. Raises InvalidOption."""
    return parse_values(name, tuple(split_pieces(text))) if find_option(name).lists else normalise(name, text)


def _field(name: str, value: object) -> str:
    """Return what a field that holds one value says."""
    return write_word(_text(value), apart=True) if OPTIONS[name].lists else _text(value)


def _option(name: str, value: Values) -> str:
    option = OPTIONS[name]
    if option.lists:
        several = value if isinstance(value, tuple) else (value,)
        return f"{option.flag} {','.join(write_word(_escaped(_text(one)), apart=True) for one in several)}"
    if option.kind is not Kind.FLAG or value == DEFAULT:
        told = str(value) if name in AS_TYPED else _escaped(_text(value))
        return f"{option.flag} {write_word(told)}"
    if value is True:
        return option.flag
    negated = next((flag for flag, one in NEGATED.items() if one is option), None)
    return negated or f"{option.flag}=false"


def _escaped(text: str) -> str:
    """Return the text written so that a line reads it as it is, braces and all."""
    for one in (text, text.replace("{", "{{").replace("}", "}}")):
        parts = parse(one)
        if all(isinstance(part, Literal) for part in parts) and "".join(part.text for part in parts) == text:  # type: ignore[union-attr]
            return one
    raise InvalidOption(f"{truncate(text, 60)!r} cannot be written in a cell: its braces would be filled in.")


def _whole(text: str) -> str:
    """Return text that can be written: half a character, which a page may send, is none."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(value: object) -> str:
    """Return a value as `--set` reads it back: text as it is, unless it would be read as something else."""
    if isinstance(value, str) and value == value.strip() and len(value.splitlines()) < 2:
        try:
            json.loads(value)
        except ValueError:
            if value[:1] not in ("{", "["):
                return value
    return json.dumps(value, ensure_ascii=False).translate(_LINES)
