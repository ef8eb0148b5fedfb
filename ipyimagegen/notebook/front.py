"""The words of a cell: options as flags, remedies as what to do with the cell."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ipyimagegen.core.messages import Front, Remedy, name_setting
from ipyimagegen.core.options import OPTIONS, Option

BY_FLAG: Mapping[str, Option] = {
    flag: option for option in OPTIONS.values() for flag in (option.flag, option.short) if flag
}
NEGATED: Mapping[str, Option] = {"--no-watermark": OPTIONS["watermark"]}
SETTING = "--set"
HELP = ("-h", "--help")


def name_flag(name: str, value: object) -> str:
    """Return an option as a line has it: `--size 1024x1024`, `--new`, `--stream=false`."""
    if name == "extra":
        items = value.items() if isinstance(value, Mapping) else ()
        return " ".join(f"{SETTING} {key}={item}" for key, item in items) or SETTING
    if isinstance(value, range):
        value = f"{value.start}..{value.stop - 1}"
    flag = OPTIONS[name].flag if name in OPTIONS else f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return flag if value else f"{flag}=false"
    return f"{flag} {value}" if value is not None else flag


CELL = Front(
    option=name_flag,
    setting=name_setting,
    run=lambda run: f"%imagine_show {run}",
    remedies=MappingProxyType(
        {
            Remedy.RUN_AGAIN: "Run the cell again.",
            Remedy.RUN_LATER: "Run the cell again later.",
            Remedy.RETRY: "Use --retry to send it again.",
            Remedy.CHANGE_REQUEST: "Fix the problem above and run the cell again.",
            Remedy.CHECK_KEY: "Check the API key; %imagine_doctor shows where it comes from.",
            Remedy.ADD_CREDIT: "Add credit to the account at that server.",
            Remedy.SEND_LESS: "Send smaller or fewer images, and run the cell again.",
            Remedy.CHANGE_MODEL: "Choose another model; %imagine_models lists those that are known.",
            Remedy.CHANGE_ENDPOINT: "Choose another endpoint; %imagine_endpoints lists those that are known.",
            Remedy.SEND_NEW: "Use --new to send a new request.",
            Remedy.SHOW: "The response is stored. {run} reads it at no cost.",
            Remedy.FETCH: "{run} fetches the image again at no cost; --new sends a new request.",
            Remedy.WAIT: "Run the cell again to wait for its images; later, {run} shows them.",
            Remedy.RUN_MISSING: "Run the cell again: only what is missing is sent.",
            Remedy.RETRY_UNKNOWN: (
                "Run the cell again for what is missing; --retry also sends what may have been billed."
            ),
            Remedy.FREE_SPACE: "What came is kept. Free disk space and run the cell again, at no cost.",
            Remedy.DIAGNOSE: "Run the cell again, or find the cause with %imagine_doctor.",
        }
    ),
)
