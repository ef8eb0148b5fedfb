"""The words of the panel: the labels of its fields and buttons, and remedies as what to press."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ipyimagegen.core.messages import Front, Remedy, name_setting

# The labels of the front end, by language and key.
LABELS: Mapping[str, Mapping[str, str]] = json.loads(
    Path(__file__).with_name("static").joinpath("labels.json").read_text(encoding="utf-8")
)
_KEYS = {"image": "inputs", "new": "rerun", "extra": "other"}  # of options with another key


def name_control(name: str, value: object) -> str:
    """Return the label of an option's field or button: `Size 1024x1024`."""
    labels = LABELS["en"]
    label = labels.get(f"option.{name}") or labels.get(_KEYS.get(name, name)) or name.replace("_", " ")
    return label if value is None or value is True else f"{label} {value}"


PANEL = Front(
    option=name_control,
    setting=name_setting,
    run=lambda run: f"%imagine_show {run}",
    remedies=MappingProxyType(
        {
            Remedy.RUN_AGAIN: "Press Generate again.",
            Remedy.RUN_LATER: "Press Generate again later.",
            Remedy.RETRY: "Press Retry to send again.",
            Remedy.SEND_NEW: "Press Run again to send a new request.",
            Remedy.CHANGE_REQUEST: "Fix the problem above and press Generate again.",
            Remedy.CHECK_KEY: "Check the API key; %imagine_doctor in a cell shows where it comes from.",
            Remedy.ADD_CREDIT: "Add credit to the account at that server.",
            Remedy.SEND_LESS: "Send smaller or fewer images, and press Generate again.",
            Remedy.CHANGE_MODEL: "Choose another model; %imagine_models in a cell lists known models.",
            Remedy.CHANGE_ENDPOINT: "Choose another server from the list.",
            Remedy.SHOW: "The response is stored. {run} in a cell reads it at no cost.",
            Remedy.FETCH: "{run} in a cell fetches the image again at no cost.",
            Remedy.WAIT: "Press Generate again to wait for its images; later, {run} in a cell shows them.",
            Remedy.RUN_MISSING: "Press Generate again: only what is missing is sent.",
            Remedy.RETRY_UNKNOWN: (
                "Press Generate again for what is missing; Retry sends what may have been billed."
            ),
            Remedy.FREE_SPACE: "What came is kept. Free disk space and press Generate again, at no cost.",
            Remedy.DIAGNOSE: "Press Generate again, or run %imagine_doctor in a cell to find the cause.",
        }
    ),
)
