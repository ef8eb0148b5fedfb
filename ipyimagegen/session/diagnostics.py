"""What works and what does not, as findings: a fact each, with the remedy where something is wrong.

Nothing here costs money, and nothing is created or changed. The text is safe to paste anywhere: it holds no
key or part of a key, no password, no name of a user or machine.
"""

from __future__ import annotations

import math
import platform
import re
import ssl
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ipyimagegen import catalog, client
from ipyimagegen.core.background import run_in_background
from ipyimagegen.core.endpoints import to_host
from ipyimagegen.core.errors import ImagineError, InvalidOption
from ipyimagegen.core.messages import _, ngettext
from ipyimagegen.core.plan import SKETCH
from ipyimagegen.core.settings import Settings
from ipyimagegen.core.text import DOT, format_count, sanitize, truncate
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.session.planning import merge
from ipyimagegen.store import location
from ipyimagegen.store.health import StoreHealth, inspect_store

if TYPE_CHECKING:
    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.core.redact import ApiKey
    from ipyimagegen.session.studio import Studio

T = TypeVar("T")
POLL = 0.2  # seconds, short enough that an interrupt is heard on every system
STORE_SECONDS = 6.0  # that a disk may take
SERVER_SECONDS = 10.0  # that a server may take
LONGEST = 400  # characters of a finding
LONGEST_REPLY = 160  # characters of a server's own text
WIDTH = 80  # columns of the report

PACKAGES = (
    *("ipyimagegen", "ipython", "ipykernel", "ipywidgets", "anywidget", "requests", "urllib3", "pillow"),
    *("jupyterlab", "notebook"),
)
_FRONT_ENDS: Mapping[str, str] = {
    "COLAB_RELEASE_TAG": "Colab",
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle",
    "BINDER_SERVICE_HOST": "Binder",
    "DATABRICKS_RUNTIME_VERSION": "Databricks",
    "JUPYTERHUB_USER": "JupyterHub",
    "VSCODE_PID": "VS Code",
}


class State(StrEnum):
    """How something is; `unknown` is what was not or could not be checked."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """A fact about `name`: its state and a sentence."""

    name: str
    state: State
    text: str


class Report(tuple[Finding, ...]):
    """Findings in order; its text has a line for each."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = []
        for finding in self:
            head = f"{finding.state:<9}{finding.name:<13}"
            wrapper = textwrap.TextWrapper(
                WIDTH, head, " " * len(head), break_long_words=False, break_on_hyphens=False
            )
            lines.append(wrapper.fill(finding.text))
        counts = [(sum(finding.state is state for finding in self), state) for state in _COUNTED]
        summary = [format_count(count, str(state)) for count, state in counts if count]
        return "\n".join([*lines, DOT.join([*(summary or [_("no problem")]), _("no check cost anything")])])


_COUNTED = (State.PROBLEM, State.WARNING)


@dataclass(frozen=True)
class _Examination:
    """What is examined, and how; see `examine`."""

    studio: Studio
    named: str | None
    environ: Mapping[str, str]
    mounts: Callable[[], Mapping[str, Any]]
    offline: bool


def examine(
    studio: Studio,
    named: str | None,
    *,
    environ: Mapping[str, str],
    mounts: Callable[[], Mapping[str, Any]],
    offline: bool,
) -> Report:
    """Return all findings, within seconds. Raises nothing: a check that fails is a finding too.

    `named` is an endpoint, else that of the settings; `mounts` gives the applications that answer in
    this process; `offline` leaves the network alone.
    """
    examination = _Examination(studio, named, environ, mounts, offline)
    checks = {
        "settings": _check_settings,
        "endpoint": _check_endpoint,
        "store": _check_store,
        "versions": _check_versions,
    }
    findings = [
        finding for name, check in checks.items() for finding in _guard(name, partial(check, examination))
    ]
    return Report(replace(finding, text=_anonymize(finding.text, examination)) for finding in findings)


def _guard(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check; its failure is a finding of that name."""
    try:
        yield from check()
    except ImagineError as error:
        yield Finding(name, State.PROBLEM, str(error))
    except TimeoutError:
        yield Finding(name, State.UNKNOWN, _("the check took too long"))
    except Exception as error:  # noqa: BLE001 - a failed check stops no other; its text may hold anything
        yield Finding(name, State.UNKNOWN, _("the check failed: {error}", error=type(error).__name__))


def _run_within(seconds: float, work: Callable[[], T]) -> T:
    """Return the result of the work. Raises TimeoutError: name servers and network folders may hang."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            future.set_exception(error)

    run_in_background(run, "check")
    ends = time.monotonic() + seconds
    while not future.done() and time.monotonic() < ends:
        wait((future,), timeout=POLL)
    return future.result(timeout=0)


def _anonymize(text: str, examination: _Examination) -> str:
    """Return text on one line, without keys and users."""
    text = sanitize(examination.studio.keys.hidden(text), LONGEST)
    home = ""
    with suppress(RuntimeError):  # the home folder is unknown
        home = str(Path.home())
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    names = ("USER", "LOGNAME", "USERNAME", "JUPYTERHUB_USER")
    for user in {*(examination.environ.get(name, "") for name in names), Path(home).name} - {""}:
        text = re.sub(rf"(?<=[/\\]){re.escape(user)}(?![\w.-])", "USER", text)
    return text


# Settings and versions


def _check_settings(examination: _Examination) -> Iterator[Finding]:
    settings = examination.studio.settings
    problems = []
    for name, value in settings.options.items():
        try:
            merge(UserInput(prompt=""), replace(settings, options={name: value}))
        except InvalidOption as error:
            problems.append(Finding("settings", State.PROBLEM, str(error)))
    names = [*settings.options, *(["endpoints"] if settings.endpoints else [])]
    text = _("set: {names}", names=names) if names else _("all at their defaults")
    yield from problems or [Finding("settings", State.OK, text)]


def _check_versions(examination: _Examination) -> Iterator[Finding]:
    shells = (("ipykernel", "a kernel"), ("IPython", "IPython"))
    shell = [title for name, title in shells if name in sys.modules][:1]
    front_ends = [title for name, title in _FRONT_ENDS.items() if name in examination.environ]
    where = f" in {', '.join([*shell, *front_ends])}" if shell or front_ends else ""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    openssl = " ".join(ssl.OPENSSL_VERSION.split()[:2])
    yield Finding("python", State.OK, DOT.join([platform.python_version() + where, system, openssl]))
    yield Finding("packages", State.OK, DOT.join(_list_versions()))


def _list_versions() -> Iterator[str]:
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            yield f"{package} {metadata.version(package)}"


# The store

_LOCKS = _("locks may not work there; the index is then rebuilt from time to time, and the files are safe")
_FILE_SYSTEMS: Mapping[str, str] = {
    **dict.fromkeys(
        ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "beegfs"), _LOCKS
    ),
    **dict.fromkeys(("gpfs", "vboxsf", "drvfs", "virtiofs", "fuse"), _LOCKS),
    **dict.fromkeys(("tmpfs", "ramfs"), _("kept in memory; lost when the machine stops")),
    "overlay": _("belongs to a container; lost when the container is deleted"),
}
_INDEX: Mapping[str, tuple[State, str]] = {
    "missing": (State.OK, _("none yet: created when it is needed")),
    "newer": (State.WARNING, _("written by a newer version: the history is read from the files, slowly")),
    "damaged": (State.WARNING, _("damaged: rebuilt when the history is next read")),
    "foreign": (
        State.WARNING,
        _(
            "index.sqlite belongs to another program or user: the history is read from the files. "
            "Move it elsewhere"
        ),
    ),
    "locked": (
        State.WARNING,
        _("locked by another process. If that lasts, end it or restart its kernel"),
    ),
    "cut off": (State.OK, _("its last write was interrupted: repaired when the history is next read")),
    "read-only": (State.WARNING, _("can be read but not written")),
    "unreadable": (State.WARNING, _("cannot be read. Delete index.sqlite: it is rebuilt from the files")),
}


def _check_store(examination: _Examination) -> Iterator[Finding]:
    home = examination.studio.home
    health = _run_within(STORE_SECONDS, lambda: inspect_store(home))
    temporary = location.describe_impermanence(home, examination.environ)
    if health.trouble or temporary:
        state = State.PROBLEM if health.trouble else State.WARNING
        yield Finding("store", state, health.trouble or temporary or "")
    else:
        yield Finding("store", State.OK, _("{home} can be written", home=home))
    yield _check_space(health)
    kind = (health.kind or "").partition(".")[0]  # fuse.sshfs
    text = health.kind or _("not reported by this system")
    state = State.WARNING if kind in _FILE_SYSTEMS else State.OK if kind else State.UNKNOWN
    yield Finding("file system", state, f"{text}: {_FILE_SYSTEMS[kind]}" if kind in _FILE_SYSTEMS else text)
    yield _check_index(health)
    yield Finding("unfinished", State.OK, _list_unfinished(health))


def _check_space(health: StoreHealth) -> Finding:
    if health.free is None:
        return Finding("space", State.UNKNOWN, _("not reported by this system"))
    size = _format_size(health.free)
    if health.roomy:
        return Finding("space", State.OK, _("{size} free", size=size))
    return Finding(
        "space", State.PROBLEM, _("{size} free, too little for an image. Free disk space.", size=size)
    )


def _check_index(health: StoreHealth) -> Finding:
    state, text = _INDEX.get(health.index, (State.OK, format_count(health.runs or 0, "run")))
    parts = [text]
    if health.unindexed:
        parts.append(
            ngettext("{count} record is missing in it", "{count} records are missing in it", health.unindexed)
        )
    if health.aside:
        parts.append(_("a damaged index was put aside: index.damaged may be deleted"))
    return Finding("index", state, "; ".join(parts))


def _list_unfinished(health: StoreHealth) -> str:
    places = (("spool", health.spool), ("quarantine", health.quarantine))
    parts = [
        f"{format_count(count, 'file')} in {name} ({_format_size(size)})"
        for name, (count, size) in places
        if count
    ]
    return ", ".join(parts) or _("spool and quarantine are empty")


def _format_size(count: int) -> str:
    return f"{count / (1 << 30):,.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):,.1f} MiB"


# The server: its key, the way to it, and its answer to a free question


def _check_endpoint(examination: _Examination) -> Iterator[Finding]:
    studio = examination.studio
    try:
        settings = studio.settings
    except InvalidOption:  # reported by the check of the settings
        yield Finding("endpoint", State.UNKNOWN, _("not checked while a setting is wrong"))
        return
    if examination.named:
        endpoint = studio.registry.find(examination.named)
        reason = ""
    else:
        endpoint = studio.default_endpoint()
        reason = f" ({_explain_default(settings, examination.environ, endpoint)})"
    yield Finding("endpoint", State.OK, DOT.join([endpoint.name, _describe_endpoint(endpoint)]) + reason)
    finding, key = _check_key(endpoint, studio)
    yield finding
    local = endpoint.name == SKETCH or catalog.is_loopback(endpoint)
    if examination.offline and not local:
        yield Finding("host", State.UNKNOWN, _("not checked: offline"))
        return
    yield from _guard("host", lambda: _check_server(endpoint, key, examination))


def _explain_default(settings: Settings, environ: Mapping[str, str], endpoint: Endpoint) -> str:
    """Return why this endpoint is the default."""
    if settings.options.get("endpoint"):
        return _("as configured")
    for name in ("IPYIMAGEGEN_ENDPOINT", "IPYIMAGEGEN_BASE_URL"):
        if environ.get(name):
            return _("set by {name}", name=name)
    if endpoint.name != SKETCH:
        return _("because its API key is set")
    return _("because no endpoint is configured and OPENAI_API_KEY is not set")


def _describe_endpoint(endpoint: Endpoint) -> str:
    if endpoint.name == SKETCH:
        return _("built in; not an AI model")
    return DOT.join([endpoint.base_url, _("dialect {name}", name=endpoint.dialect)])


def _check_key(endpoint: Endpoint, studio: Studio) -> tuple[Finding, ApiKey | None]:
    """Return the finding about the key, and the key if a request would carry it."""
    if not endpoint.key_env:
        return Finding("key", State.OK, _("none required")), None
    try:
        key = studio.keys.held(endpoint)
        catalog.check_transport(endpoint, has_key=key is not None)
    except InvalidOption as error:
        return Finding("key", State.PROBLEM, str(error)), None
    if key is None:
        names = " or ".join(endpoint.key_env)
        if endpoint.key_optional:
            return Finding("key", State.OK, _("not set: {names}, which is optional", names=names)), None
        text = _("not set. Set {names} in the environment or in a .env file beside the notebook", names=names)
        return Finding("key", State.PROBLEM, text), None
    source = studio.keys.source(endpoint) or _("typed in this session")
    parts = [f"{source} (environment)" if source in endpoint.key_env else source]
    if endpoint.allow_key:
        host = to_host(endpoint.base_url)
        parts.append(_("the key of another server, sent to {host} as allow_key permits", host=host))
    unencrypted = endpoint.base_url.startswith("http:") and not catalog.is_loopback(endpoint)
    if unencrypted:
        parts.append(_("sent unencrypted, as allow_http permits"))
    state = State.WARNING if endpoint.allow_key or unencrypted else State.OK
    return Finding("key", state, "; ".join(parts)), key


def _check_server(endpoint: Endpoint, key: ApiKey | None, examination: _Examination) -> Iterator[Finding]:
    mounts = examination.mounts() if endpoint.name == SKETCH else {}
    offline = examination.offline
    probe = _run_within(
        SERVER_SECONDS + 2,
        lambda: client.probe(endpoint, key, mounts=mounts, seconds=SERVER_SECONDS, offline=offline),
    )
    if mounts and endpoint.base_url in mounts:
        yield Finding("host", State.OK, _("in this process, without a network"))
        yield _check_answer(probe, has_key=False)
        return
    yield _check_reached(endpoint, probe)
    if probe.reached:
        yield _check_answer(probe, has_key=key is not None)
    yield _check_clock(probe.clock_offset)


def _check_reached(endpoint: Endpoint, probe: client.ProbeResult) -> Finding:
    way = _("through the proxy {proxy}", proxy=probe.proxy) if probe.proxy else _("without a proxy")
    if not probe.reached:
        remedy = _("Check the URL, the network and the proxy.")
        if probe.untrusted:
            remedy = _(
                "Check the date of this machine. Certificates of a company belong into REQUESTS_CA_BUNDLE."
            )
        elif catalog.is_loopback(endpoint):
            remedy = _("Check that the server is running, and its port.")
        text = _("not reached {way}: {cause}. {remedy}", way=way, cause=probe.message, remedy=remedy)
        return Finding("host", State.PROBLEM, text)
    if endpoint.base_url.startswith("https:"):
        return Finding("host", State.OK, _("reached {way}, certificate trusted", way=way))
    return Finding("host", State.OK, _("reached {way}", way=way))


# The meaning of a status that is not about keys.
_MEANINGS: Mapping[int, tuple[State, str]] = {
    **dict.fromkeys(
        (404, 405, 501),
        (
            State.UNKNOWN,
            _("the server has no list of models, or the base URL is incomplete: most end in /v1"),
        ),
    ),
    407: (State.PROBLEM, _("the proxy requires a user name and password")),
    429: (State.WARNING, _("the server limits requests, or a quota is used up")),
}
_REFUSED = State.UNKNOWN, _("the server refused the question")
_FAILING = State.PROBLEM, _("the server fails; try again later")


def _check_answer(probe: client.ProbeResult, *, has_key: bool) -> Finding:
    if probe.status is None:
        return Finding("answer", State.PROBLEM, _("none: {cause}", cause=probe.message))
    state, meaning = _interpret(probe, probe.status, has_key=has_key)
    values = {
        "status": probe.status,
        "milliseconds": f"{probe.seconds * 1000:.0f}",
        "meaning": meaning,
        "reply": truncate(probe.message, LONGEST_REPLY),
    }
    if probe.message:
        text = _(
            "{status} to GET /models after {milliseconds} ms: {meaning}. The server's text: {reply}", **values
        )
    else:
        text = _("{status} to GET /models after {milliseconds} ms: {meaning}", **values)
    return Finding("answer", state, text)


def _interpret(probe: client.ProbeResult, status: int, *, has_key: bool) -> tuple[State, str]:
    if status < 300 and probe.message:
        return State.PROBLEM, _("but the server refuses")
    if status < 300 and not probe.is_api:
        return State.WARNING, _("a web page instead of an API. Check the base URL: most end in /v1")
    if status < 300:
        return State.OK, _("the key was not refused") if has_key else _("the server answers")
    if status < 400:
        remedy = _("Set the base URL of the server that answers itself")
        return State.PROBLEM, _(
            "redirected to {url}. {remedy}", url=probe.redirect or _("another URL"), remedy=remedy
        )
    if status in (401, 403):
        return State.PROBLEM, _("the key was refused") if has_key else _("refused without a key")
    return _MEANINGS.get(status, _REFUSED if status < 500 else _FAILING)


def _check_clock(ahead: float) -> Finding:
    if math.isnan(ahead):
        now = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        return Finding(
            "clock", State.UNKNOWN, _("{now} UTC; no server sent a time to compare it with", now=now)
        )
    if abs(ahead) <= 60:
        return Finding("clock", State.OK, _("within a minute of the server's"))
    minutes = abs(ahead) / 60
    span = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    if ahead > 0:
        text = _("{span} behind the server's. Set it: certificates and dates depend on it", span=span)
    else:
        text = _("{span} ahead of the server's. Set it: certificates and dates depend on it", span=span)
    return Finding("clock", State.WARNING, text)
