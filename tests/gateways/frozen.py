"""What packages say that their servers take: fields.toml as checks of a strict server."""

import tomllib
from pathlib import Path

FROZEN = tomllib.loads(Path(__file__).with_name("fields.toml").read_text())
_TYPES = {"text": str, "flag": bool, "integer": int, "number": (int, float), "list": list, "object": dict}
_FILES = {"file", "files"}


def takes(field):
    """Return the check of a field by its types, words and bounds; without any it takes everything."""
    kinds = set(field.get("type", "").split(" | ")) - {""}

    def check(value):
        if field.get("choices") and value not in field["choices"]:
            return False
        if kinds and not any(
            isinstance(value, _TYPES[kind]) and (type(value) is bool) == (kind == "flag")
            for kind in kinds - _FILES
        ):
            return False
        return value != "" and field.get("low", value) <= value <= field.get("high", value)

    return check


def read_checks(package, operation="generations"):
    """Return the checks of all fields but those of images."""
    fields = FROZEN[package][operation]
    return {name: takes(field) for name, field in fields.items() if not _is_file(field)}


def list_fields(package, operation="generations"):
    """Return the names of all fields."""
    return tuple(FROZEN[package][operation])


def _is_file(field):
    return bool(_FILES & set(field.get("type", "").split(" | ")))
