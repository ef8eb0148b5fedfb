"""Examples typed as cells: which server, what must arrive there, and what must be seen."""

import re
from dataclasses import dataclass, field

from strict import KEY, Document

KEYS = {
    "xzbzq": "XZBZQ_API_KEY",
    "whatai": "WHATAI_API_KEY",
    "dmxapi": "DMXAPI_API_KEY",
    "api000": "API000_API_KEY",
    "new-api": "NEW_API_KEY",
    "ark": "ARK_API_KEY",
    "together": "TOGETHER_API_KEY",
    "xai": "XAI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "siliconflow": "SILICONFLOW_API_KEY",
    "zhipu": "ZHIPUAI_API_KEY",
    "modelscope": "MODELSCOPE_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
    "litellm": "LITELLM_API_KEY",
}


def use(kernel, server, name, **entry):
    """Make the server at its loopback address the notebook's endpoint `name`, with its key."""
    entry = {"base_url": server.base_url, "free": False, "allow_key": True, **entry}
    variable = entry.get("key_env", KEYS.get(name))
    key = f"import os\nos.environ[{variable!r}] = {KEY!r}\n" if variable else ""
    done = kernel.run(
        f"{key}%config Imagine.endpoints = {{{name!r}: {entry!r}}}\n%config Imagine.endpoint = {name!r}"
    )
    assert done.error is None, done.error


def list_notes(cell):
    """Return the caption's lines between the facts and the cost, without those on retirement."""
    lines = [line for line in cell.caption.splitlines() if line[:2] in ("! ", "- ")]
    return [line for line in lines if " shut down " not in line]


@dataclass(frozen=True, kw_only=True)
class Example:
    """A cell with the prompt `a fox`, and what must come of it.

    `prompt` is the one that arrives. `shown` stands in the caption's facts, `notes` are its mismatches
    and notes, with … for the words between the values. `entry` are settings beside the address.
    """

    at: str
    document: Document
    cell: str
    body: dict
    shown: str
    prompt: str = "a fox"
    cost: str = "cost unknown"
    notes: tuple = ()
    entry: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.at} {self.cell}"


def base_of(server, document):
    """Return the address that a user would configure: what every route there begins with."""
    beginning = re.match(r"/(?:openai/v1|openai|api/v\d|api/paas/v\d|v1)", document.path)[0]
    return server.base_url.removesuffix("/v1") + beginning


def check_example(kernel, server, example):
    """Run the cell; the server must have got exactly that, and the notebook show exactly this."""
    use(kernel, server, example.at, **{"base_url": base_of(server, example.document), **example.entry})
    cell = kernel.run(f"%%imagine {example.cell}\na fox")
    assert cell.error is None
    (post,) = server.posts
    assert post.path == example.document.path
    assert post.json == {"prompt": example.prompt, **example.body}
    assert keys_in(post) == wanted_key(example.document)
    assert len(cell.images) == 1
    title, facts, *_, last = cell.caption.splitlines()
    assert title.endswith("· a fox")
    assert facts.startswith(f"{example.at} · ")
    assert f" · {example.shown}" in facts
    lines = list_notes(cell)
    assert len(lines) == len(example.notes), lines
    for line, note in zip(lines, example.notes, strict=True):
        assert re.fullmatch(".*".join(map(re.escape, note.split("…"))), line), (line, note)
    assert re.fullmatch(rf"\d+\.\d s · {re.escape(example.cost)}", last)
    assert KEY not in str(cell.outputs)


def keys_in(seen):
    """Return the headers of a request that hold a key."""
    return {k: v for k, v in seen.headers.items() if KEY in v or k == "Authorization"}


def wanted_key(document):
    """Return the headers in which the document wants its key."""
    value = f"Bearer {KEY}" if document.key_header == "Authorization" else KEY
    return {document.key_header: value} if document.key else {}
