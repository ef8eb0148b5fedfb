"""The words of cells and of the panel: options as flags or labels, remedies as what to run or press."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ipyimagegen.core.messages import Front, Message, Remedy, _, name_setting
from ipyimagegen.core.options import OPTIONS, Option

BY_FLAG: Mapping[str, Option] = {
    flag: option for option in OPTIONS.values() for flag in (option.flag, option.short) if flag
}
NEGATED: Mapping[str, Option] = {f"--no-{name}": OPTIONS[name] for name in ("watermark", "wait")}
SETTING = "--set"
HELP = ("-h", "--help")
_RUN = "{run}"  # stays in the template until the remedy is recommended
_KEYS = {"image": "inputs", "new": "rerun", "extra": "other"}  # of options whose label has another key


def name_flag(name: str, value: object) -> str:
    """Return an option as a line has it: `--size 1024x1024`, `--new`, `--stream=false`."""
    if name == "extra":
        items = value.items() if isinstance(value, Mapping) else ()
        return " ".join(f"{SETTING} {key}={item}" for key, item in items) or SETTING
    flag = OPTIONS[name].flag if name in OPTIONS else f"--{name.replace('_', '-')}"
    if value is False:
        negated = flag.replace("--", "--no-", 1)
        return negated if negated in NEGATED else f"{flag}=false"
    if value is True:
        return flag
    return f"{flag} {_write_value(value)}" if value is not None else flag


def _write_value(value: object) -> str:
    if isinstance(value, range):
        return f"{value.start}..{value.stop - 1}"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


@cache
def load_labels() -> Mapping[str, Mapping[str, str]]:
    """Return the labels of the panel's front end, by language and key."""
    file = Path(__file__).with_name("panel") / "static" / "labels.json"
    labels: Mapping[str, Mapping[str, str]] = json.loads(file.read_text(encoding="utf-8"))
    return labels


def name_control(name: str, value: object) -> str:
    """Return the label of an option's field or button: `Size 1024x1024`."""
    labels = load_labels()["en"]
    label = labels.get(f"option.{name}") or labels.get(_KEYS.get(name, name)) or name.replace("_", " ")
    return label if value is None or value is True else f"{label} {_write_value(value)}"


def _name_show(run: str) -> str:
    return f"%imagine_show {run}"


_CELL_REMEDIES: Mapping[Remedy, Message] = {
    Remedy.RUN_AGAIN: _("Run the cell again."),
    Remedy.RUN_LATER: _("Run the cell again later."),
    Remedy.RETRY: _("Use --retry to send it again."),
    Remedy.CHANGE_REQUEST: _("Fix the problem above and run the cell again."),
    Remedy.CHANGE_PROMPT: _("Describe it in other words, or use other images, and run the cell again."),
    Remedy.CHECK_KEY: _("Check the API key; %imagine_doctor shows where it comes from."),
    Remedy.SET_KEY: _(
        "Keys belong in the environment or in a .env file; %imagine_endpoints lists their names."
    ),
    Remedy.CHECK_BASE_URL: _("Check the base URL; %imagine_endpoints shows it."),
    Remedy.VERIFY_ORGANIZATION: _(
        "Verify the organization in the account at that server, then run the cell again."
    ),
    Remedy.ADD_CREDIT: _("Add credit to the account at that server."),
    Remedy.SEND_LESS: _("Send a shorter prompt, or smaller or fewer images, and run the cell again."),
    Remedy.CHECK_NETWORK: _(
        "A proxy or firewall seems to have refused it. Check the proxy, use another network or ask the "
        "administrator."
    ),
    Remedy.CHANGE_MODEL: _("Choose another model; %imagine_models lists those that are known."),
    Remedy.CHANGE_ENDPOINT: _("Choose another endpoint; %imagine_endpoints lists those that are known."),
    Remedy.SEND_NEW: _("Use --new to send a new request."),
    Remedy.SHOW: _("The response is stored. {run} reads it at no cost.", run=_RUN),
    Remedy.SHOW_KEPT: _("{run} shows what came, at no cost; --retry sends it again.", run=_RUN),
    Remedy.FETCH: _("{run} fetches the image again at no cost; --new sends a new request.", run=_RUN),
    Remedy.ASK_JOB: _(
        "Run the cell again, or {run}, to ask for the result at no cost; --retry starts (and bills) a second "
        "job.",
        run=_RUN,
    ),
    Remedy.SHOW_JOB: _("{run} shows the job; --retry starts (and bills) a second job.", run=_RUN),
    Remedy.ASK_B64: _(
        "{run} shows the URL, which a browser may open; --response-format b64_json --new requests the image "
        "itself.",
        run=_RUN,
    ),
    Remedy.WAIT: _("Run the cell again to wait for its images; later, {run} shows them.", run=_RUN),
    Remedy.RUN_MISSING: _("Run the cell again: only what is missing is sent."),
    Remedy.RETRY_UNKNOWN: _(
        "Run the cell again for what is missing; --retry also sends what may have been billed."
    ),
    Remedy.FREE_SPACE: _("What came is kept. Free disk space and run the cell again, at no cost."),
    Remedy.DIAGNOSE: _("Run the cell again, or find the cause with %imagine_doctor."),
}
_PANEL_REMEDIES: Mapping[Remedy, Message] = {
    Remedy.RUN_AGAIN: _("Press Generate again."),
    Remedy.RUN_LATER: _("Press Generate again later."),
    Remedy.RETRY: _("Press Retry to send again."),
    Remedy.SEND_NEW: _("Press Run again to send a new request."),
    Remedy.CHANGE_REQUEST: _("Fix the problem above and press Generate again."),
    Remedy.CHANGE_PROMPT: _("Describe it in other words, or use other images, and press Generate again."),
    Remedy.CHECK_KEY: _("Check the API key; %imagine_doctor in a cell shows where it comes from."),
    Remedy.SET_KEY: _(
        "Keys belong in the environment or in a .env file; %imagine_endpoints in a cell lists their names."
    ),
    Remedy.CHECK_BASE_URL: _("Check the base URL; %imagine_endpoints in a cell shows it."),
    Remedy.VERIFY_ORGANIZATION: _(
        "Verify the organization in the account at that server, then press Generate again."
    ),
    Remedy.ADD_CREDIT: _("Add credit to the account at that server."),
    Remedy.SEND_LESS: _("Send a shorter prompt, or smaller or fewer images, and press Generate again."),
    Remedy.CHECK_NETWORK: _(
        "A proxy or firewall seems to have refused it. Check the proxy, use another network or ask the "
        "administrator."
    ),
    Remedy.CHANGE_MODEL: _("Choose another model; %imagine_models in a cell lists known models."),
    Remedy.CHANGE_ENDPOINT: _("Choose another server from the list."),
    Remedy.SHOW: _("The response is stored. {run} in a cell reads it at no cost.", run=_RUN),
    Remedy.SHOW_KEPT: _("{run} in a cell shows what came, at no cost; Retry sends it again.", run=_RUN),
    Remedy.FETCH: _("{run} in a cell fetches the image again at no cost.", run=_RUN),
    Remedy.ASK_JOB: _(
        "Press Generate again to ask for the result at no cost; Retry starts (and bills) a second job."
    ),
    Remedy.SHOW_JOB: _("{run} in a cell shows the job; Retry starts (and bills) a second job.", run=_RUN),
    Remedy.ASK_B64: _(
        "{run} in a cell shows the URL, which a browser may open. Response format b64_json requests the "
        "image itself.",
        run=_RUN,
    ),
    Remedy.WAIT: _(
        "Press Generate again to wait for its images; later, {run} in a cell shows them.", run=_RUN
    ),
    Remedy.RUN_MISSING: _("Press Generate again: only what is missing is sent."),
    Remedy.RETRY_UNKNOWN: _(
        "Press Generate again for what is missing; Retry sends what may have been billed."
    ),
    Remedy.FREE_SPACE: _("What came is kept. Free disk space and press Generate again, at no cost."),
    Remedy.DIAGNOSE: _("Press Generate again, or run %imagine_doctor in a cell to find the cause."),
}

CELL = Front(option=name_flag, setting=name_setting, run=_name_show, remedies=_CELL_REMEDIES)
PANEL = Front(option=name_control, setting=name_setting, run=_name_show, remedies=_PANEL_REMEDIES)
