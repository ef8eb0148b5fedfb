"""The settings of `%config Imagine` and `Studio`: names, defaults, checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.messages import Message, Setting, _
from ipyimagegen.core.options import to_plain


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is configured. Option values are unchecked until a plan reads them."""

    options: Mapping[str, object] = field(default_factory=dict)
    endpoints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reuse: bool = True
    embed: str = "preview"
    max_parallel: int = 4
    max_calls: int = 16
    max_images: int = 100

    def __post_init__(self) -> None:
        for name in ("max_parallel", "max_calls", "max_images", "reuse", "embed"):
            object.__setattr__(self, name, to_plain(getattr(self, name)))  # NumPy's numbers are numbers
        for name in ("max_parallel", "max_calls", "max_images"):
            value, least = getattr(self, name), 1 if name == "max_parallel" else 0
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise _refuse_setting(name, value, _("a whole number from {least}", least=least))
        if not isinstance(self.reuse, bool):
            raise _refuse_setting("reuse", self.reuse, _("True or False"))
        if self.embed not in ("preview", "original"):
            raise _refuse_setting("embed", self.embed, _("preview or original"))
        if not isinstance(self.endpoints, Mapping):
            example = '{"lab": {"base_url": "http://…/v1"}}'
            raise _refuse_setting("endpoints", self.endpoints, _("a mapping such as {x}", x=example))


def _refuse_setting(name: str, value: object, expected: Message) -> InvalidOption:
    return InvalidOption(
        _("Invalid {setting}: use {expected}.", setting=Setting(name, value), expected=expected)
    )
