"""Messages as data: literal templates with named placeholders, worded for whoever reads them.

    message = _("{mask} requires {image}.", mask=OptionName("mask"), image=OptionName("image"))
    raise InvalidOption(message)

A cell shows `--mask requires --image.`, a Python call `mask= requires image=.`, and the panel its own
labels. A `Front` holds these words; `render` writes a message for a front. A message is
also a `str` in the words of Python, so that it can be stored, logged and compared like any other text.

`_` and `ngettext` mark templates for extraction, as the standard library's `gettext` does; translation
happens in `render` alone. Values from outside are sanitized by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


class Message(str):
    """A template with its values; as a `str` it is the text that a Python call shows."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, Any]

    def __new__(cls, template: str, values: Mapping[str, Any]) -> Self:
        """Return the message. Raises KeyError where the template names a value that is not given."""
        message = super().__new__(cls, _fill(template, values, PYTHON))
        message.template = template
        message.values = values
        return message

    def __reduce__(self) -> tuple[Any, ...]:
        return (Message, (self.template, self.values))


def _(template: str, **values: Any) -> Message:
    """Return a message: `_("Run {run} does not exist.", run="3")`."""
    return Message(template, values)


def ngettext(singular: str, plural: str, count: int, **values: Any) -> Message:
    """Return the message for that count, which both templates may name as `{count}`."""
    return Message(singular if count == 1 else plural, {"count": f"{count:,}", **values})


def join(parts: Iterable[str], separator: str = " · ") -> Message:
    """Return texts and messages with a separator between them, as a message."""
    values = {f"part{number}": part for number, part in enumerate(parts)}
    return Message(separator.join(f"{{{name}}}" for name in values), values)


class Remedy(StrEnum):
    """What a person can do about an error. Each front words all of them."""

    RUN_AGAIN = "run_again"  # nothing was billed
    RUN_LATER = "run_later"
    RETRY = "retry"  # the outcome is unknown: sending again may bill again
    CHANGE_REQUEST = "change_request"
    CHANGE_PROMPT = "change_prompt"  # its content is forbidden there
    CHECK_KEY = "check_key"
    SET_KEY = "set_key"
    CHECK_BASE_URL = "check_base_url"
    VERIFY_ORGANIZATION = "verify_organization"
    ADD_CREDIT = "add_credit"
    SEND_LESS = "send_less"
    CHECK_NETWORK = "check_network"  # what refused stands in front of the server
    CHANGE_MODEL = "change_model"
    CHANGE_ENDPOINT = "change_endpoint"
    SEND_NEW = "send_new"
    SHOW = "show"  # the response is stored; needs `run`
    SHOW_KEPT = "show_kept"  # what came is stored, and is not what was asked for; needs `run`
    FETCH = "fetch"  # a download is pending; needs `run`
    ASK_JOB = "ask_job"  # the server made a job of it, which can be asked for; needs `run`
    SHOW_JOB = "show_job"  # the server made a job of it; needs `run`
    ASK_B64 = "ask_b64"  # the URL of the image is not fetched; needs `run`
    WAIT = "wait"  # the call goes on; needs `run`
    RUN_MISSING = "run_missing"  # a sweep that was stopped
    RETRY_UNKNOWN = "retry_unknown"  # a sweep with calls of unknown outcome
    FREE_SPACE = "free_space"  # the response is kept; the disk refused to store it
    DIAGNOSE = "diagnose"


# After these a request may be billed twice.
OF_UNKNOWN = (Remedy.RETRY, Remedy.SHOW_KEPT, Remedy.ASK_JOB, Remedy.SHOW_JOB)


@dataclass(frozen=True)
class OptionName:
    """The name of an option, with the recommended value, if any."""

    name: str
    value: object = None


@dataclass(frozen=True)
class Setting:
    """The name of a setting, with the recommended value, if any."""

    name: str
    value: object = None


@dataclass(frozen=True)
class RunLink:
    """How to look at a run: its lasting id."""

    id: str


@dataclass(frozen=True, kw_only=True)
class Front:
    """The words of a front door: cells, Python calls, the panel."""

    option: Callable[[str, object], str]
    setting: Callable[[str, object], str]
    run: Callable[[str], str]
    remedies: Mapping[Remedy, str] = field(default_factory=dict)


def render(text: str, front: Front) -> str:
    """Return a message in the words of that front; other text as it is."""
    return _fill(text.template, text.values, front) if isinstance(text, Message) else text


def render_remedy(remedy: Remedy, front: Front, **values: Any) -> str:
    """Return the sentence that recommends a remedy."""
    return _fill(front.remedies[remedy], values, front)


def _fill(template: str, values: Mapping[str, Any], front: Front) -> str:
    return template.format_map({name: _render_value(value, front) for name, value in values.items()})


def _render_value(value: Any, front: Front) -> Any:
    match value:
        case OptionName():
            return front.option(value.name, value.value)
        case Setting():
            return front.setting(value.name, value.value)
        case RunLink():
            return front.run(value.id)
        case Message():
            return render(value, front)
        case list() | tuple():
            return ", ".join(str(_render_value(item, front)) for item in value)
    return value


def name_setting(name: str, value: object) -> str:
    """Return a setting as a notebook sets it: `%config Imagine.max_calls = 32`."""
    return f"%config Imagine.{name}" + (f" = {value!r}" if value is not None else "")


def _name_argument(name: str, value: object) -> str:
    """Return a setting as a Python call gives it: `Settings(max_calls=32)`, which a `Studio` takes."""
    if value is None:
        return f"Settings.{name}"
    return f"{name}={value!r}" if name == "endpoint" else f"Settings({name}={value!r})"


_python_remedies: dict[Remedy, Message] = {}
# What Python has in place of options of cells.
_METHODS = {
    "save": "result.save(…)",
    "as_": "an assignment",
    "limit": "history.rows",
    "all": "history.to_dataframe(all=True)",
}


def _name_keyword(name: str, value: object) -> str:
    """Return an option as a Python call gives it: `size='1024x1024'`."""
    return _METHODS.get(name) or (f"{name}=" if value is None else f"{name}={value!r}")


PYTHON = Front(
    option=_name_keyword,
    setting=_name_argument,
    run=lambda run: f"history[{run!r}]",
    remedies=_python_remedies,
)
_RUN = "{run}"  # stays in the template until the remedy is recommended
_python_remedies |= {  # after PYTHON, which words every message
    Remedy.RUN_AGAIN: _("Call it again."),
    Remedy.RUN_LATER: _("Call it again later."),
    Remedy.RETRY: _("Use retry=True to send it again."),
    Remedy.CHANGE_REQUEST: _("Fix the problem above and call it again."),
    Remedy.CHANGE_PROMPT: _("Describe it in other words, or use other images, and call it again."),
    Remedy.CHECK_KEY: _("Check the API key; default_studio().doctor() shows where it comes from."),
    Remedy.SET_KEY: _("Keys belong in the environment or in a .env file."),
    Remedy.CHECK_BASE_URL: _("Check the base URL; default_studio().doctor() shows it."),
    Remedy.VERIFY_ORGANIZATION: _(
        "Verify the organization in the account at that server, then call it again."
    ),
    Remedy.ADD_CREDIT: _("Add credit to the account at that server."),
    Remedy.SEND_LESS: _("Send a shorter prompt, or smaller or fewer images."),
    Remedy.CHECK_NETWORK: _(
        "A proxy or firewall seems to have refused it. Check the proxy, use another network or ask the "
        "administrator."
    ),
    Remedy.CHANGE_MODEL: _("Choose another model."),
    Remedy.CHANGE_ENDPOINT: _("Choose another endpoint."),
    Remedy.SEND_NEW: _("Use new=True to send a new request."),
    Remedy.SHOW: _("The response is stored. {run} reads it at no cost.", run=_RUN),
    Remedy.SHOW_KEPT: _("{run} shows what came, at no cost; retry=True sends it again.", run=_RUN),
    Remedy.FETCH: _("{run} fetches the image again at no cost; new=True sends a new request.", run=_RUN),
    Remedy.ASK_JOB: _(
        "Call it again to ask for the result at no cost; retry=True starts (and bills) a second job."
    ),
    Remedy.SHOW_JOB: _("{run} is the job; retry=True starts (and bills) a second job.", run=_RUN),
    Remedy.ASK_B64: _(
        "{run} names the URL, which a browser may open; response_format='b64_json', new=True requests the "
        "image itself.",
        run=_RUN,
    ),
    Remedy.WAIT: _("Call it again to wait for its images; later, they are in {run}.", run=_RUN),
    Remedy.RUN_MISSING: _("Call it again: only what is missing is sent."),
    Remedy.RETRY_UNKNOWN: _(
        "Call it again for what is missing; retry=True also sends what may have been billed."
    ),
    Remedy.FREE_SPACE: _("What came is kept. Free disk space and call it again, at no cost."),
    Remedy.DIAGNOSE: _("Call it again, or find the cause with default_studio().doctor()."),
}
