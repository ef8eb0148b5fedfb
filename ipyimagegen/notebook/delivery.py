"""What a request asks for its result besides being shown: a variable, and files."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from ipyimagegen.core.options import Value
from ipyimagegen.results import Generation, Sweep

NAMED = 8  # files that are named; the others are counted


def deliver_result(
    result: Generation | Sweep, local: Mapping[str, Value], variables: MutableMapping[str, Any]
) -> str:
    """Bind and save the result as its options say; return what to tell of it, or nothing.

    Called when it is shown already: a file that cannot be written hides no image. Raises StoreError.
    """
    if "as_" in local:
        variables[str(local["as_"])] = result
    if "save" not in local:
        return ""
    files = [str(path) for path in result.save(str(local["save"]))]
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    return f"saved: {', '.join(files[:NAMED])}{more}"
