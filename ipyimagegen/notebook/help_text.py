"""The help of every magic, from the table of options: shown by `--help` and by `?`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from ipyimagegen.core.options import INPUTS, LOCAL, OPTIONS, SENT, Kind, Option
from ipyimagegen.notebook.parser import NEGATED

_SETTING = "any other field, unchecked; the value is JSON if it is JSON"
_WORDS = (Kind.CHOICE, Kind.WORD)


@dataclass(frozen=True, kw_only=True)
class Page:
    """What is told of one magic; `flags` are its own, with what they mean."""

    usage: tuple[str, ...]
    does: str
    examples: tuple[str, str]
    flags: Mapping[str, str] | None = None
    options: bool = False


PAGES: Mapping[str, Page] = {
    "imagine": Page(
        usage=("%%imagine [options]      (the cell below is the prompt)", "%imagine [options] prompt"),
        does="Ask for images and show them. {name} in the prompt is filled in from your variables. "
        "A request that has a stored result is shown from history and costs nothing. Lists make a sweep, "
        "one call for each combination: --seed 1..4, --quality low,high, --model a,b, and a {red|blue} fox.",
        examples=(
            "%%imagine --size 1024x1536 -n 2\na red fox in the snow, watercolour",
            "fox = %imagine --seed 7 a red fox\n%imagine --image fox --mask 10,10,200,200 a yellow moon",
        ),
        options=True,
    ),
    "imagine_rerun": Page(
        usage=("%imagine_rerun ID [options]", "%%imagine_rerun ID [options]      (a new prompt below)"),
        does="Ask again as that run did, with options or prompt changed. With nothing changed it asks, "
        "and pays, at each run; a --NAME default takes an option out.",
        examples=("%imagine_rerun 1 --seed 8", "%%imagine_rerun -1\na red fox at night"),
        options=True,
    ),
    "imagine_history": Page(
        usage=("%imagine_history [3 | 2-5 | -1] [--search TEXT] [--model M] [--all] [-l N]",),
        does="The runs of this session, with small images.",
        examples=("%imagine_history", "%imagine_history --all --search fox -l 10"),
        flags={
            "--search TEXT": "only prompts that contain the text",
            "--model M": "only this model",
            "--all": "runs of every session",
            "-l N": "at most N, the newest (20)",
        },
    ),
    "imagine_show": Page(
        usage=("%imagine_show ID",),
        does="One run whole: request as sent, reply, mismatches, cost, images; fetches a download that "
        "is still pending. An ID is 3, -1 (the last), 3.2 (an image) or 1120-k7f2/3 (any run ever).",
        examples=("%imagine_show -1", "%imagine_show 1"),
    ),
    "imagine_compare": Page(
        usage=("%imagine_compare ID ID …",),
        does="The images of 2 to 12 runs side by side, and what differs, against the first: prompts word "
        "by word, [-gone-] {+new+}, then the options. An ID is 3, -1 (the last), 3.2 (an image), 2-5 (runs "
        "2 to 5), 1120-k7f2/3 (any run ever) or {fox} (a variable that holds a result or a sweep). In "
        "Python: history.compare(1, 2).",
        examples=("%imagine_compare 1 2", "%imagine_compare -2 -1"),
    ),
    "imagine_models": Page(
        usage=("%imagine_models [NAME]",),
        does="What is known of the models: sizes, ratios, n, qualities, edits, seed, prices with source "
        "and date, retired when.",
        examples=("%imagine_models", "%imagine_models gpt-image-2"),
    ),
    "imagine_endpoints": Page(
        usage=("%imagine_endpoints",),
        does="Addresses, whether a key is set and from where (never any part of it), the default.",
        examples=("%imagine_endpoints", '%config Imagine.endpoint = "sketch"'),
    ),
    "imagine_cost": Page(
        usage=("%imagine_cost",),
        does="What this session asked for, got, reused and, as far as known, spent.",
        examples=("%imagine_cost", "%imagine --dry-run -n 4 a red fox"),
    ),
    "imagine_panel": Page(
        usage=("%imagine_panel",),
        does="The panel: a form with just what the chosen model takes, images and a painted mask to start "
        "from, and the session's images. What it made stands under it as plain images, which are "
        'saved with the notebook. "Copy as cell" takes a request home.',
        examples=("%imagine_panel", "panel = %imagine_panel\npanel"),
    ),
    "imagine_doctor": Page(
        usage=("%imagine_doctor [ENDPOINT] [--offline]",),
        does="What works and what does not: settings, endpoint, key, network, store, versions. The server "
        "gets one free question (GET /models), with its key. Nothing is paid or changed, and the text "
        "holds no key, password or user's name: it can be pasted into an issue.",
        examples=("%imagine_doctor", "%imagine_doctor openai"),
        flags={"--offline": "ask no server but one on this machine"},
    ),
    "imagine_forget": Page(
        usage=("%imagine_forget ID…",),
        does="Delete prompt and images that no other run uses; number, time and cost stay.",
        examples=("%imagine_forget -1", "%imagine_forget 1 2"),
    ),
}


def write_help(magic: str) -> str:
    """Return the help of a magic as plain text."""
    page = PAGES[magic]
    parts = ["\n".join(page.usage), textwrap.fill(page.does, 88)]
    if page.flags:
        parts.append("\n".join(f"  {flag:<26}{told}" for flag, told in page.flags.items()))
    if page.options:
        setting = _hanging("--set KEY=VALUE", _SETTING)
        parts += [
            "Sent, and only when set:\n" + _options(SENT) + "\n" + setting,
            "Images:\n" + _options(INPUTS),
            "Local, never sent:\n" + _options(LOCAL) + f"\n  {'-h, --help':<26}this text",
        ]
    examples = "\n\n".join(textwrap.indent(one, "  ") for one in page.examples)
    return "\n\n".join([*parts, f"Examples:\n\n{examples}"])


def write_options_table() -> str:
    """Return the README's table of options."""
    rows = ["| option | values | sent | what it does |", "|---|---|---|---|"]
    for option in OPTIONS.values():
        values = ", ".join(option.choices) if option.kind in _WORDS else option.metavar.replace("|", " or ")
        where = "yes" if option.sent else "no"
        rows.append(f"| `{_flags(option)}` | {values} | {where} | {option.help} |")
    return "\n".join([*rows, f"| `--set` | KEY=VALUE | yes | {_SETTING} |"])


def _options(table: Mapping[str, Option]) -> str:
    return "\n".join(_option(one) for one in table.values())


def _option(option: Option) -> str:
    if option.kind in _WORDS:
        return _hanging(f"{_flags(option)} WORD", f"{option.help}: {', '.join(option.choices)}")
    return _hanging(f"{_flags(option)} {option.metavar}".rstrip(), option.help)


def _flags(option: Option) -> str:
    flags = ", ".join(flag for flag in (option.short, option.flag) if flag)
    return flags + (f"/--no-{option.name}" if option in NEGATED.values() else "")


def _hanging(flags: str, told: str) -> str:

    first = f"  {flags:<26}" if len(flags) <= 25 else f"  {flags}  "
    return textwrap.fill(first + told, 100, subsequent_indent=" " * 28)
