"""What a request does with its result besides showing it: it binds a variable and writes files."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from ipyimagegen.core.messages import _
from ipyimagegen.core.options import Value
from ipyimagegen.results import Generation, Sweep

NAMED = 8  # files that are named; the others are counted


def deliver_result(
    result: Generation | Sweep, local: Mapping[str, Value], variables: MutableMapping[str, Any]
) -> str:
    """Bind and save the result as its options say, and return the line that names the files.

    Call it after the result was shown: a file that cannot be written hides no image. Raises StoreError.
    """
    if "as_" in local:
        variables[str(local["as_"])] = result
    if "save" not in local:
        return ""
    files = [str(path) for path in result.save(str(local["save"]))]
    if len(files) > NAMED:
        return _("saved: {files} and {count} more", files=files[:NAMED], count=len(files) - NAMED)
    return _("saved: {files}", files=files)
