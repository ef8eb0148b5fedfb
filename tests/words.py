"""The words of messages, by situation: `messages.toml`, where alone they are asserted."""

import tomllib
from pathlib import Path

MESSAGES = tomllib.loads(Path(__file__).with_name("messages.toml").read_text(encoding="utf-8"))


def is_inert(text):
    """Return whether text holds nothing but what can be seen, and what joins what can be seen."""
    return all(c.isprintable() or c in "\u200c\u200d" or "\U0001f000" <= c <= "\U0001fbff" for c in text)
