"""Write the generated parts of the documentation: `python docs/generate.py` in the project's folder."""

from __future__ import annotations

import re
from pathlib import Path

from ipyimagegen.notebook.help_text import write_options_table

PAGE = Path(__file__).with_name("options.md")
_TABLE = re.compile(r"^\| option \|.*?\n(?=\n)", re.DOTALL | re.MULTILINE)


def main() -> None:
    """Replace the table of options by the one of today's code."""
    text, tables = _TABLE.subn(
        lambda _match: write_options_table().rstrip("\n") + "\n", PAGE.read_text("utf-8")
    )
    assert tables == 1, f"{PAGE} has {tables} tables of options"
    PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
