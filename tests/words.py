"""The words of messages, by situation: `messages.toml`, where alone they are asserted."""

import tomllib
from pathlib import Path

MESSAGES = tomllib.loads(Path(__file__).with_name("messages.toml").read_text(encoding="utf-8"))
