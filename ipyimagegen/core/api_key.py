"""A key that is shown to its own server only."""

from __future__ import annotations

import re
from typing import Any, Never

from ipyimagegen.core.endpoints import to_origin
from ipyimagegen.core.redact import HiddenText

# A blank, a quote or a line break in a key is always a slip of copying; other text is no header.
_POSSIBLE = re.compile(r"[!#-&(-_a-~]+")


class ApiKey:
    """A key bound to the origin of a URL; no repr shows it, and it cannot be copied or pickled."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, base_url: str) -> None:
        self._value = value if isinstance(value, HiddenText) else HiddenText(value)
        self.origin = to_origin(base_url)

    def reveal(self, url: str) -> HiddenText | None:
        """Return the key if `url` is of its origin, else None."""
        return self._value if self.belongs_to(url) else None

    def belongs_to(self, url: str) -> bool:
        """Return whether `url` is of the key's origin."""
        try:
            return to_origin(url) == self.origin
        except ValueError:
            return False

    @property
    def clear(self) -> HiddenText:
        """The key whatever the URL: for the redactor alone."""
        return self._value

    @property
    def possible(self) -> bool:
        """Whether it can be a key at all: no blank, quote, line break, or other text that no header takes."""
        return bool(_POSSIBLE.fullmatch(self._value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiKey) and (self.origin, self._value) == (other.origin, other._value)

    def __hash__(self) -> int:
        return hash((self.origin, self._value))

    def __repr__(self) -> str:
        return f"<key for {getattr(self, 'origin', '')}>"  # an interrupt may come before it has an origin

    def __reduce_ex__(self, protocol: Any) -> Never:
        raise TypeError("a key is not copied or pickled")
