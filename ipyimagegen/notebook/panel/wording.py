"""The panel's words: its labels, and messages that were written for cells."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from ipyimagegen.core.options import OPTIONS

LABELS: Mapping[str, Mapping[str, str]] = json.loads(
    Path(__file__).with_name("static").joinpath("labels.json").read_text(encoding="utf-8")
)
_INSTEAD = {
    "--retry asks again": "the button below asks again",
    "not sent without --retry": "not sent by Generate",
    "without --retry this fails": "Generate fails",
    "--new, or rerun()": "press Generate once more",
    "run the cell again": "press Generate again",
    "Run the cell again": "Press Generate again",
}


def to_panel_words(text: str) -> str:
    """Return a message with fields in place of flags, and buttons in place of cells."""
    words = LABELS["en"]
    for name, option in OPTIONS.items():
        if label := words.get(f"option.{name}"):
            text = re.sub(rf"(?<!\S){re.escape(option.flag)}\b", label, text)
    for said, instead in _INSTEAD.items():
        text = text.replace(said, instead)
    return text
