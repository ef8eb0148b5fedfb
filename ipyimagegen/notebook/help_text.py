"""The help of every magic, from the table of options: shown by `--help` and by `?`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ipyimagegen.core.options import INPUTS, LOCAL, OPTIONS, SENT, Kind, Option
from ipyimagegen.notebook.fronts import NEGATED

_SETTING = "any other field, unchecked; the value is JSON if it parses as JSON"
_ID = (
    "An ID is a variable that holds a result (fox, {fox}, fox[1]), 1120-k7f2/3 (any run ever), -1 (shown "
    "last), 3 (the number in the caption) or 3.2 (an image)."
)
_IDS = (
    "IDS are any number of variables that hold results (fox, {fox}, fox[1]), 1120-k7f2/3 or 1120-k7f2/2-5 "
    "(any run ever), -1 (shown last), 3 (the number in the caption), 3.2 (an image) and 2-5."
)
_DATES = '2026-11-29, 11-29, today, yesterday, 12h, 3d, 2w, "2026-11-29 14:30"'
_WITH_CHOICES = (Kind.CHOICE, Kind.WORD)


@dataclass(frozen=True, kw_only=True)
class HelpPage:
    """The help of a magic, and what its line takes.

    `flags` are its own, `options` says whether it takes those of a request, `words` what its words are.
    """

    usage: tuple[str, ...]
    text: str
    examples: tuple[str, str]
    flags: Mapping[str, str] = field(default_factory=dict)
    options: bool = False
    words: Literal["", "prompt", "ids", "models", "endpoints"] = ""

    @property
    def own(self) -> dict[str, bool]:
        """Its own flags, and whether each takes a value."""
        spellings = [names.split(", ") for names in self.flags]
        return {flag.split()[0]: " " in flags[-1] for flags in spellings for flag in flags}


PAGES: Mapping[str, HelpPage] = {
    "imagine": HelpPage(
        usage=("%%imagine [options]      (the cell below is the prompt)", "%imagine [options] prompt"),
        text="Generate images and show them. {name} in the prompt is replaced by the value of your variable. "
        "If the store has a result of the same request, it is shown at no cost. Lists make a sweep, "
        "one call for each combination: --seed 1..4, --quality low,high, --model a,b, and a {red|blue} fox.",
        examples=(
            "%%imagine --size 1024x1536 -n 2\na red fox in the snow, watercolour",
            "fox = %imagine --seed 7 a red fox\n%imagine --image fox --mask 10,10,200,200 a yellow moon",
        ),
        options=True,
        words="prompt",
    ),
    "imagine_rerun": HelpPage(
        usage=("%imagine_rerun ID [options]", "%%imagine_rerun ID [options]      (a new prompt below)"),
        text="Send the request of a run again, with options or prompt changed, and show what differs. "
        f"Unchanged, it sends (and bills) a new request every time. --NAME default removes an option. {_ID}",
        examples=(
            "fox = %imagine a red fox\n%imagine_rerun fox --seed 8",
            "fox = %imagine a red fox\n\n%%imagine_rerun fox\na red fox at night",
        ),
        options=True,
        words="ids",
    ),
    "imagine_history": HelpPage(
        usage=(
            "%imagine_history [IDS] [--search TEXT] [--model M] [--endpoint E] [--since DATE] [--all] [-l N]",
        ),
        text=f"List the runs of this session, with small images. {_IDS} Numbers follow the order of the "
        "session: in what you keep, write variables or full ids. In Python: history.table, "
        'history.search("fox"), history.to_dataframe().',
        examples=("%imagine_history", "%imagine_history --all --search fox --since 7d -l 10"),
        flags={
            "--search TEXT": "only prompts that contain the text, in any case",
            "-m, --model M": "only this model",
            "--endpoint E": "only this endpoint",
            "--since DATE": f"only runs since then: {_DATES}",
            "--all": "the runs of every session",
            "-l, --limit N": "at most N runs, the newest (20; with ids all)",
        },
        words="ids",
    ),
    "imagine_show": HelpPage(
        usage=("%imagine_show ID",),
        text="Show a run in full: request as sent, response, mismatches, cost and images. A pending "
        f"download is tried again. {_ID}",
        examples=("%imagine_show -1", "fox = %imagine a red fox\n%imagine_show fox"),
        words="ids",
    ),
    "imagine_compare": HelpPage(
        usage=("%imagine_compare IDS",),
        text="Show the images of 2 to 12 runs side by side, and how they differ from the first: prompts word "
        f"by word, [-removed-] {{+added+}}, then the options. {_IDS} In Python: history.compare(fox, owl).",
        examples=(
            "fox = %imagine a red fox\nowl = %imagine a grey owl\n%imagine_compare fox owl",
            "%imagine_compare -2 -1",
        ),
        words="ids",
    ),
    "imagine_models": HelpPage(
        usage=("%imagine_models [NAME]", "%imagine_models --server [ENDPOINT] [-l N]"),
        text="List the models of the catalog, or everything it knows about a model: sizes, ratios, n, "
        "qualities, edits, seed, prices with source and date, retirement date. With --server, list what a "
        "server itself offers, image models first; that costs nothing.",
        examples=("%imagine_models gpt-image-2", "%imagine_models --server sketch"),
        flags={
            "--server": "what the server lists; ENDPOINT is a name or base URL, else the default",
            "-l N": "with --server: at most N models (40)",
        },
        words="models",
    ),
    "imagine_endpoints": HelpPage(
        usage=("%imagine_endpoints",),
        text="List the endpoints: base URL, whether a key is set and where (never any part of it), "
        "and which is the default.",
        examples=("%imagine_endpoints", '%config Imagine.endpoint = "sketch"'),
    ),
    "imagine_cost": HelpPage(
        usage=("%imagine_cost [--all]",),
        text="Show the requests, images and reused results of this session, and its known spending, by "
        "endpoint. Unknown costs are counted separately.",
        examples=("%imagine_cost", "%imagine_cost --all"),
        flags={"--all": "of every session, by month and endpoint"},
    ),
    "imagine_panel": HelpPage(
        usage=("%imagine_panel",),
        text="Open the panel: a form with the options of the chosen model, input images with a mask to "
        "paint, and the images of this session. Its images stand under it as plain images, which are "
        'saved with the notebook. "Copy as cell" copies the request.',
        examples=("%imagine_panel", "panel = %imagine_panel\npanel"),
    ),
    "imagine_doctor": HelpPage(
        usage=("%imagine_doctor [ENDPOINT] [--offline]",),
        text="Check settings, endpoint, key, network, store and versions. The server gets one free request "
        "(GET /models) with its key. Nothing is billed or changed. The report contains no key, password or "
        "user name, so it can be pasted into an issue.",
        examples=("%imagine_doctor", "%imagine_doctor openai"),
        flags={"--offline": "contact no server except on this machine"},
        words="endpoints",
    ),
    "imagine_forget": HelpPage(
        usage=(
            "%imagine_forget IDS [--yes]",
            "%imagine_forget [--session [NAME]] [--before DATE] [--yes]",
        ),
        text="Delete prompts, inputs and images of runs. Number, time, cost and what other runs use stay. "
        f"Of more than one run, it first says what it would delete. {_IDS}",
        examples=("fox = %imagine a red fox\n%imagine_forget fox", "%imagine_forget --before 30d"),
        flags={
            "--session": "the runs of this session, or of the session NAME, such as 1120-k7f2",
            "--before DATE": f"the runs of every session before then: {_DATES}",
            "--yes": "delete the prompts and images of several runs",
        },
        words="ids",
    ),
}


def write_help(magic: str) -> str:
    """Return the help of a magic as plain text."""
    page = PAGES[magic]
    parts = ["\n".join(page.usage), textwrap.fill(page.text, 88)]
    if page.flags:
        parts.append("\n".join(_format_item(flag, text) for flag, text in page.flags.items()))
    if page.options:
        parts += [
            "\n".join(
                ["Sent, and only when set:", *_format(SENT), _format_item("--set KEY=VALUE", _SETTING)]
            ),
            "\n".join(["Images:", *_format(INPUTS)]),
            "\n".join(["Local, never sent:", *_format(LOCAL), _format_item("-h, --help", "show this text")]),
        ]
    examples = "\n\n".join(textwrap.indent(example, "  ") for example in page.examples)
    return "\n\n".join([*parts, f"Examples:\n\n{examples}"])


def write_options_table() -> str:
    """Return the README's table of options."""
    rows = ["| option | values | sent | what it does |", "|---|---|---|---|"]
    for option in OPTIONS.values():
        choices, metavar = ", ".join(option.choices), option.metavar.replace("|", " or ")
        values = choices if option.kind in _WITH_CHOICES else metavar
        rows.append(f"| `{_name(option)}` | {values} | {'yes' if option.sent else 'no'} | {option.help} |")
    return "\n".join([*rows, f"| `--set` | KEY=VALUE | yes | {_SETTING} |"])


def _format(options: Mapping[str, Option]) -> list[str]:
    return [
        _format_item(f"{_name(option)} WORD", f"{option.help}: {', '.join(option.choices)}")
        if option.kind in _WITH_CHOICES
        else _format_item(f"{_name(option)} {option.metavar}".rstrip(), option.help)
        for option in options.values()
    ]


def _name(option: Option) -> str:
    negated = f"/--no-{option.name}" if option in NEGATED.values() else ""
    return ", ".join(filter(None, [option.short, option.flag])) + negated


def _format_item(flags: str, text: str) -> str:
    first = f"  {flags:<26}" if len(flags) <= 25 else f"  {flags}  "
    return textwrap.fill(first + text, 100, subsequent_indent=" " * 28)
