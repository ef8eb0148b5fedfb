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
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ipyimagegen import catalog, client
from ipyimagegen.core.endpoints import to_host
from ipyimagegen.core.errors import ImagineError, InvalidOption, MissingKey
from ipyimagegen.core.messages import _, ngettext
from ipyimagegen.core.plan import SKETCH
from ipyimagegen.core.settings import Settings
from ipyimagegen.core.text import DOT, format_count, list_some, sanitize
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.session.planning import merge
from ipyimagegen.session.probing import State, describe_answer, probe_server, run_within
from ipyimagegen.store import location
from ipyimagegen.store.health import StoreHealth, inspect_store

if TYPE_CHECKING:
    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.core.redact import Credentials
    from ipyimagegen.session.studio import Studio

STORE_SECONDS = 6.0  # that a disk may take
LONGEST = 400  # characters of a finding
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


OK, WARNING, PROBLEM, UNKNOWN = State


class Finding(NamedTuple):
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
        counts = Counter(finding.state for finding in self)
        summary = [format_count(counts[state], str(state)) for state in (PROBLEM, WARNING) if counts[state]]
        if counts[UNKNOWN]:
            summary.append(_("{count} unknown", count=counts[UNKNOWN]))
        return "\n".join([*lines, DOT.join([*(summary or [_("no problem")]), _("no check cost anything")])])


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
        "settings": examination.check_settings,
        "endpoint": examination.check_endpoint,
        "store": examination.check_store,
        "versions": examination.check_versions,
    }
    findings = [finding for name, check in checks.items() for finding in _guard(name, check)]
    return Report(finding._replace(text=examination.anonymize(finding.text)) for finding in findings)


def _guard(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check; its failure is a finding of that name."""
    try:
        yield from check()
    except ImagineError as error:
        yield Finding(name, PROBLEM, str(error))
    except TimeoutError:
        yield Finding(name, UNKNOWN, _("the check took too long"))
    except Exception as error:  # noqa: BLE001 - a failed check stops no other; its text may hold anything
        yield Finding(name, UNKNOWN, _("the check failed: {error}", error=type(error).__name__))


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
    "missing": (OK, _("none yet: created when it is needed")),
    "newer": (WARNING, _("written by a newer version: the history is read from the files, slowly")),
    "damaged": (WARNING, _("damaged: rebuilt when the history is next read")),
    "foreign": (
        WARNING,
        _(
            "index.sqlite belongs to another program or user: the history is read from the files. "
            "Move it elsewhere"
        ),
    ),
    "locked": (WARNING, _("locked by another process. If that lasts, end it or restart its kernel")),
    "cut off": (OK, _("its last write was interrupted: repaired when the history is next read")),
    "read-only": (WARNING, _("can be read but not written")),
    "unreadable": (WARNING, _("cannot be read. Delete index.sqlite: it is rebuilt from the files")),
}


@dataclass(frozen=True)
class _Examination:
    """What is examined, and how, see `examine`; its checks yield findings."""

    studio: Studio
    named: str | None
    environ: Mapping[str, str]
    mounts: Callable[[], Mapping[str, Any]]
    offline: bool

    def anonymize(self, text: str) -> str:
        """Return text on one line, without keys and users."""
        text = sanitize(self.studio.keys.hidden(text), LONGEST)
        home = ""
        with suppress(RuntimeError):  # the home folder is unknown
            home = str(Path.home())
        if len(home) > 1:
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
        names = ("USER", "LOGNAME", "USERNAME", "JUPYTERHUB_USER")
        for user in {*(self.environ.get(name, "") for name in names), Path(home).name} - {""}:
            text = re.sub(rf"(?<=[/\\]){re.escape(user)}(?![\w.-])", "USER", text)
        return text

    def check_settings(self) -> Iterator[Finding]:
        settings = self.studio.settings
        problems = []
        for name, value in settings.options.items():
            try:
                merge(UserInput(prompt=""), replace(settings, options={name: value}))
            except InvalidOption as error:
                problems.append(Finding("settings", PROBLEM, str(error)))
        names = [*settings.options, *(["endpoints"] if settings.endpoints else [])]
        text = _("set: {names}", names=names) if names else _("all at their defaults")
        yield from problems or [Finding("settings", OK, text)]

    def check_versions(self) -> Iterator[Finding]:
        shells = (("ipykernel", "a kernel"), ("IPython", "IPython"))
        places = [title for name, title in shells if name in sys.modules][:1]
        places += [title for name, title in _FRONT_ENDS.items() if name in self.environ]
        where = f" in {', '.join(places)}" if places else ""
        system = f"{platform.system()} {platform.release()} {platform.machine()}"
        openssl = " ".join(ssl.OPENSSL_VERSION.split()[:2])
        yield Finding("python", OK, DOT.join([platform.python_version() + where, system, openssl]))
        versions = []
        for package in PACKAGES:
            with suppress(metadata.PackageNotFoundError):
                versions.append(f"{package} {metadata.version(package)}")
        yield Finding("packages", OK, DOT.join(versions))

    def check_store(self) -> Iterator[Finding]:
        home = self.studio.home
        health = run_within(STORE_SECONDS, lambda: inspect_store(home))
        temporary = location.describe_impermanence(home, self.environ)
        state = PROBLEM if health.trouble else WARNING if temporary else OK
        text = health.trouble or temporary or _("{home} can be written", home=home)
        yield Finding("store", state, text)
        size = _format_size(health.free or 0)
        if health.free is None:
            yield Finding("space", UNKNOWN, _("not reported by this system"))
        elif health.roomy:
            yield Finding("space", OK, _("{size} free", size=size))
        else:
            text = _("{size} free, too little for an image. Free disk space.", size=size)
            yield Finding("space", PROBLEM, text)
        kind = (health.kind or "").partition(".")[0]  # fuse.sshfs
        text = health.kind or _("not reported by this system")
        if note := _FILE_SYSTEMS.get(kind):
            yield Finding("file system", WARNING, f"{text}: {note}")
        else:
            yield Finding("file system", OK if kind else UNKNOWN, text)
        state, text = _INDEX.get(health.index, (OK, format_count(health.runs or 0, "run")))
        parts = [text]
        if missing := health.unindexed:
            parts.append(
                ngettext("{count} record is missing in it", "{count} records are missing in it", missing)
            )
        if health.aside:
            parts.append(_("a damaged index was put aside: index.damaged may be deleted"))
        yield Finding("index", state, "; ".join(parts))
        yield from self._describe_records(health)
        unfinished = [
            f"{format_count(count, 'file')} in {name} ({_format_size(size)})"
            for name, (count, size) in (("spool", health.spool), ("quarantine", health.quarantine))
            if count
        ]
        yield Finding("unfinished", OK, ", ".join(unfinished) or _("spool and quarantine are empty"))

    def _describe_records(self, health: StoreHealth) -> Iterator[Finding]:
        """Yield the findings on what the records say; an outcome is free to stay unknown at a free server."""
        in_flight = self.studio.ledger.in_flight()
        unknown = [run for run in health.unknown if run not in in_flight]
        parts = []
        if health.damaged:
            parts.append(
                ngettext(
                    "{count} record is cut short or damaged, and left out of the history",
                    "{count} records are cut short or damaged, and left out of the history",
                    health.damaged,
                )
            )
        if unknown:
            parts.append(
                ngettext(
                    "{count} run has no known outcome and may have been billed: {runs}",
                    "{count} runs have no known outcome and may have been billed: {runs}",
                    len(unknown),
                    runs=list_some(unknown),
                )
            )
        if health.jobs:
            parts.append(_("the server may still work on the job of {runs}", runs=list_some(health.jobs)))
        if not health.counted:
            parts.append(_("not all records were read in the time"))
        yield Finding("records", WARNING if parts else OK, "; ".join(parts) or _("every outcome is known"))

    def check_endpoint(self) -> Iterator[Finding]:
        """Check the server: its key, the way to it, and its answer to a free question."""
        studio = self.studio
        try:
            settings = studio.settings
        except InvalidOption:  # reported by the check of the settings
            yield Finding("endpoint", UNKNOWN, _("not checked while a setting is wrong"))
            return
        if self.named:
            endpoint = studio.registry.find(self.named)
            reason = ""
        else:
            endpoint = studio.default_endpoint()
            reason = f" ({self._explain_default(settings, endpoint)})"
        if endpoint.name == SKETCH:
            text = DOT.join([SKETCH, _("built in; not an AI model")])
        else:
            dialect = _("dialect {name}", name=endpoint.dialect)
            text = DOT.join([endpoint.name, endpoint.base_url, dialect])
        yield Finding("endpoint", OK, text + reason)
        yield from self._check_model(endpoint, settings)
        own = None
        try:
            own = studio.keys.find(endpoint)
            catalog.check_transport(endpoint, has_key=bool(own.secrets))
            yield Finding("key", *self._describe_key(endpoint, has_key=own.key is not None))
        except (InvalidOption, MissingKey) as error:
            own = None
            yield Finding("key", PROBLEM, str(error))
        if endpoint.headers:
            yield Finding("headers", OK, describe_headers(endpoint))
        if self.offline and endpoint.name != SKETCH and not catalog.is_loopback(endpoint):
            yield Finding("host", UNKNOWN, _("not checked: offline"))
        else:
            yield from _guard("host", lambda: self._check_server(endpoint, own))

    @staticmethod
    def _check_model(endpoint: Endpoint, settings: Settings) -> Iterator[Finding]:
        """Yield a finding where the model of a request that names none is retired, or will be."""
        model = str(settings.options.get("model") or endpoint.default_model or "")
        capabilities = catalog.describe_capabilities(endpoint, model, "generations")
        if model and (retirement := catalog.describe_retirement(capabilities)):
            yield Finding("model", WARNING, retirement)

    def _explain_default(self, settings: Settings, endpoint: Endpoint) -> str:
        """Return why this endpoint is the default."""
        if settings.options.get("endpoint"):
            return _("as configured")
        for name in ("IPYIMAGEGEN_ENDPOINT", "IPYIMAGEGEN_BASE_URL"):
            if self.environ.get(name):
                return _("set by {name}", name=name)
        if endpoint.name != SKETCH:
            return _("because its API key is set")
        return _("because no endpoint is configured and OPENAI_API_KEY is not set")

    def _describe_key(self, endpoint: Endpoint, *, has_key: bool) -> tuple[State, str]:
        names = " or ".join(endpoint.key_env)
        if not endpoint.sends_key:
            return OK, _("none required") if not endpoint.key_env else _("replaced by a header")
        if not has_key and endpoint.key_optional:
            return OK, _("not set: {names}, which is optional", names=names)
        if not has_key:
            advice = _(
                "not set. Set {names} in the environment or in a .env file beside the notebook", names=names
            )
            return PROBLEM, advice
        source = self.studio.keys.source(endpoint) or _("typed in this session")
        parts = [f"{source} (environment)" if source in endpoint.key_env else source]
        if endpoint.allow_key:
            host = to_host(endpoint.base_url)
            parts.append(_("the key of another server, sent to {host} as allow_key permits", host=host))
        if endpoint.base_url.startswith("http:") and not catalog.is_loopback(endpoint):
            parts.append(_("sent unencrypted, as allow_http permits"))
        return WARNING if parts[1:] else OK, "; ".join(parts)

    def _check_server(self, endpoint: Endpoint, own: Credentials | None) -> Iterator[Finding]:
        mounts = self.mounts() if endpoint.name == SKETCH else {}
        probe = probe_server(endpoint, own, self.studio, mounts=mounts, offline=self.offline)
        mounted = endpoint.base_url in mounts
        if mounted:
            yield Finding("host", OK, _("in this process, without a network"))
        else:
            yield Finding("host", *_describe_way(endpoint, probe))
        if mounted or probe.reached:
            yield Finding(
                "answer", *self._describe_answer(endpoint, probe, has_key=bool(own and own.secrets))
            )
        if not mounted:
            yield Finding("clock", *_describe_clock(probe.clock_offset))

    @staticmethod
    def _describe_answer(
        endpoint: Endpoint, probe: client.ProbeResult, *, has_key: bool
    ) -> tuple[State, str]:
        if probe.status is None:
            remedy = _("Try again later. If it lasts, check the base URL, the network and the proxy.")
            if catalog.is_loopback(endpoint):
                remedy = _("Check the log of the server, and its port.")
            return PROBLEM, _("none: {cause}. {remedy}", cause=probe.message, remedy=remedy)
        state, meaning = describe_answer(probe, endpoint, has_key=has_key)
        text = _(
            "{status} to GET {route} after {milliseconds} ms: {meaning}",
            status=probe.status,
            route=probe.route,
            milliseconds=f"{probe.seconds * 1000:.0f}",
            meaning=meaning,
        )
        return state, text


def describe_headers(endpoint: Endpoint) -> str:
    """Return the names of an endpoint's headers, and of the variables that hold their values."""
    variables = endpoint.header_variables
    names = [f"{name} ({variables[name]})" if name in variables else name for name in endpoint.headers]
    return ", ".join(names)


def _format_size(count: int) -> str:
    return f"{count / (1 << 30):,.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):,.1f} MiB"


def _describe_way(endpoint: Endpoint, probe: client.ProbeResult) -> tuple[State, str]:
    way = _("through the proxy {proxy}", proxy=probe.proxy) if probe.proxy else _("without a proxy")
    if probe.reached and endpoint.base_url.startswith("https:"):
        return OK, _("reached {way}, certificate trusted", way=way)
    if probe.reached:
        return OK, _("reached {way}", way=way)
    remedy = _("Check the URL, the network and the proxy.")
    if probe.untrusted:
        remedy = _(
            "Check the date of this machine. Set REQUESTS_CA_BUNDLE to the certificates of your company."
        )
    elif catalog.is_loopback(endpoint):
        remedy = _("Check that the server is running, and its port.")
    return PROBLEM, _("not reached {way}: {cause}. {remedy}", way=way, cause=probe.message, remedy=remedy)


def _describe_clock(ahead: float) -> tuple[State, str]:
    if math.isnan(ahead):
        now = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        return UNKNOWN, _("{now} UTC; no server sent a time to compare it with", now=now)
    if abs(ahead) <= 60:
        return OK, _("within a minute of the server's")
    minutes = abs(ahead) / 60
    span = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    if ahead > 0:
        text = _("{span} behind the server's. Set it: certificates and dates depend on it", span=span)
    else:
        text = _("{span} ahead of the server's. Set it: certificates and dates depend on it", span=span)
    return WARNING, text
