"""Send calls through a `concurrent.futures.Executor`, such as a cluster, and store the results here.

The call travels to a worker; the key is found there and travels only if the user permits it. The bytes of the
response come back and are stored as if the call had been sent from here. Nothing depends on the kind of
executor: a nonce in every call prevents it from merging equal calls, and a free probe detects an executor
that broadcasts.
"""

from __future__ import annotations

import os
import platform
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ipyimagegen import __version__, catalog, client
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.errors import ImagineError, InvalidOption, MissingKey
from ipyimagegen.core.hosts import is_offline
from ipyimagegen.core.messages import OptionName, _
from ipyimagegen.core.plan import SKETCH
from ipyimagegen.core.redact import ApiKey, Credentials, HiddenText, Redactor, hide_frames
from ipyimagegen.core.run import ErrorInfo, Status
from ipyimagegen.core.text import sanitize, truncate
from ipyimagegen.core.variables import probe
from ipyimagegen.session import keys
from ipyimagegen.session.keys import Environment
from ipyimagegen.sketch import create_app
from ipyimagegen.store.files import delete_old_files, make_private_folder

_CLAIM = re.compile(r"[0-9a-f]{16}")  # the name of a claim file is the nonce of its call
PROBE_SECONDS = 60.0  # for the probe before the first call; a cluster may have to start
DAY = 86400.0  # seconds for which claim files are kept
# They run calls on this machine alone, so that both sides see the claim files.
LOCAL_EXECUTORS = (ThreadPoolExecutor, ProcessPoolExecutor)


@dataclass(frozen=True, kw_only=True)
class RemoteTask:
    """A call as it travels to a worker. `nonce` makes it unique.

    Without `credentials` the worker uses its own. `claims` is the caller's folder of claim files, where both
    sides can reach it.
    """

    nonce: str
    call: client.HttpCall
    endpoint: Endpoint
    idempotency_key: str
    timeouts: client.Timeouts
    credentials: Credentials | None = None
    claims: str | None = None
    offline: bool = False

    @hide_frames
    def __getstate__(self) -> dict[str, Any]:
        """Return what travels, with the key and the secret headers, as the user permitted."""
        own = self.credentials
        if own is None:
            return self.__dict__
        secret = {name for name, value in own.headers.items() if isinstance(value, HiddenText)}
        headers = {name: str.__str__(value) for name, value in own.headers.items()}
        return {
            **self.__dict__,
            "credentials": (own.origin, own.key and str.__str__(own.key.clear), headers, secret),
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        if state["credentials"]:
            origin, key, headers, secret = state["credentials"]
            own = Credentials(
                origin=origin,
                key=ApiKey(key, origin) if key else None,
                headers={n: HiddenText(value) if n in secret else value for n, value in headers.items()},
            )
            self.__dict__.update(credentials=own)


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """What a worker reports: its version of this package, and the keys that it lacks."""

    nonce: str
    version: str
    place: str
    missing_keys: tuple[str, ...] = ()


# What runs on a worker


def probe_worker(nonce: str, endpoints: tuple[Endpoint, ...]) -> WorkerInfo:
    """Return what the caller has to know before the first call; `endpoints` require a key of this worker."""
    with suppress(OSError):
        delete_old_files(_find_claims_folder(), _CLAIM, DAY)
    missing: list[str] = []
    for endpoint in endpoints:
        missing += keys.list_missing(endpoint, environ=Environment(), folder=Path())
    return WorkerInfo(nonce=nonce, version=__version__, place=platform.node(), missing_keys=tuple(missing))


def send_remotely(task: RemoteTask) -> tuple[str, client.PackedOutcome]:
    """Send the call from this worker, once, and return its nonce with the outcome.

    A cluster whose worker died may run the same task a second time: the claim file on this machine stops it.
    """
    claimed = _claim(task)
    if claimed is None and task.claims is not None:  # the caller relies on the claim file
        message = _("{folder} cannot be written.", folder=task.claims)
        return task.nonce, client.pack_outcome(client.make_not_sent(message))
    if claimed is False:
        problem = ErrorInfo(message=_("The executor ran the call a second time; it was not sent again"))
        outcome = client.Outcome(status=Status.UNKNOWN, error=problem, final=True)
        return task.nonce, client.pack_outcome(outcome)
    try:
        folder = tempfile.TemporaryDirectory(prefix="ipyimagegen-", ignore_cleanup_errors=True)
    except OSError as error:
        message = _("No space for a response on {host}: {cause}.", host=platform.node(), cause=error.strerror)
        return task.nonce, client.pack_outcome(client.make_not_sent(message))
    with folder as name:
        return task.nonce, client.pack_outcome(_exchange(task, Path(name) / "response"))


def _find_claims_folder() -> Path:
    """Return this user's folder of claim files on this machine, which may not exist."""
    user = getattr(os, "getuid", str)()  # all users share the folder of temporary files
    return Path(tempfile.gettempdir(), f"ipyimagegen-begun-{user}")


def _claim(task: RemoteTask) -> bool | None:
    """Create the claim file of a call; return False where it exists, None where it cannot be created."""
    try:
        folder = Path(task.claims) if task.claims else _find_claims_folder()
        if not make_private_folder(folder):
            return None
        (folder / task.nonce).touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return None
    return True


def _exchange(task: RemoteTask, spool: Path) -> client.Outcome:
    endpoint = task.endpoint
    try:
        credentials = task.credentials or _find_credentials(endpoint)
        catalog.check_transport(endpoint, has_key=bool(credentials.secrets))
    except ImagineError as error:
        cause = str(error).splitlines()[0]
        return client.make_not_sent(_("{cause} (on {host})", cause=cause, host=platform.node()))
    return client.exchange(
        task.call,
        endpoint,
        credentials,
        spool=spool,
        token=client.CancelToken(),
        timeouts=task.timeouts,
        mounts={endpoint.base_url: create_app()} if endpoint.name == SKETCH else {},
        idempotency_key=task.idempotency_key,
        offline=task.offline or is_offline(os.environ),
    )


def _find_credentials(endpoint: Endpoint) -> Credentials:
    credentials = keys.find_credentials(endpoint, environ=Environment(), folder=Path())
    if credentials.key is None and keys.is_required(endpoint):
        raise keys.make_missing_error(endpoint)
    return credentials


# What runs in the notebook


class ExecutorTransport:
    """Sends calls through an executor, in place of `client.exchange`. `send_key` lets keys travel.

    An executor has `submit`: those of `concurrent.futures`, Dask, ipyparallel and Ray do.
    """

    def __init__(self, executor: Any, *, send_key: bool) -> None:
        self._executor, self._send_key = executor, send_key
        self._claims: str | None = None  # a private folder for claim files, where one can be created
        if type(executor) in LOCAL_EXECUTORS:
            with suppress(OSError):
                folder = _find_claims_folder()
                usable = make_private_folder(folder)
                self._claims = str(folder) if usable else tempfile.mkdtemp(prefix="ipyimagegen-begun-")

    def check(self, endpoints: Iterable[Endpoint], seconds: float) -> None:
        """Check at no cost that a call runs once and returns. Raises InvalidOption or MissingKey."""
        if isinstance(self._executor, type) or not callable(probe(self._executor, "submit")):
            raise InvalidOption(
                _(
                    "{executor} requires a concurrent.futures.Executor, not {kind}. Nothing was sent. Create "
                    "one, such as ThreadPoolExecutor(4).",
                    executor=OptionName("executor"),
                    kind=type(self._executor).__name__,
                )
            )
        nonce = os.urandom(8).hex()
        probed = () if self._send_key else tuple({server.base_url: server for server in endpoints}.values())
        try:
            reply = self._executor.submit(probe_worker, nonce, probed).result(seconds)
        except Exception as error:  # noqa: BLE001 - an executor may raise anything
            problem: str = _(
                "The executor did not answer a probe ({cause}). Nothing was sent. It has to run, with "
                "ipyimagegen installed on its workers.",
                cause=_describe(error),
            )
        else:
            problem = _find_problem(reply, nonce)
        if problem:
            raise InvalidOption(problem)
        if reply.missing_keys:
            raise MissingKey(
                _(
                    "{host}, where the calls would run, has no {variables}. Nothing was sent. Set it there, "
                    "or let the key travel with {send_key}.",
                    host=reply.place,
                    variables=list(reply.missing_keys),
                    send_key=OptionName("send_key", True),
                )
            )

    def __call__(
        self,
        call: client.HttpCall,
        endpoint: Endpoint,
        credentials: Credentials | None,
        *,
        spool: Path,
        token: client.CancelToken,
        idempotency_key: str,
        timeouts: client.Timeouts,
        fallback: Callable[[], Path | None],
        offline: bool,
        redactor: Redactor,
        **_unused: object,
    ) -> client.Outcome:
        """Send the call from elsewhere, once; see `client.exchange`."""
        token.start(timeouts.whole)
        task = RemoteTask(
            nonce=os.urandom(8).hex(),
            call=call,
            endpoint=endpoint,
            idempotency_key=idempotency_key,
            timeouts=timeouts,
            credentials=credentials if self._send_key else None,
            claims=self._claims,
            offline=offline,
        )
        try:
            future = self._executor.submit(send_remotely, task)
        except Exception as error:  # noqa: BLE001 - an executor may raise anything
            message = _(
                "The executor did not accept the call: {cause}.", cause=_describe(error, task.credentials)
            )
            return client.make_not_sent(message)
        if stopped := _wait_for_worker(future, task, token):
            return stopped
        try:
            nonce, packed = future.result()
            if nonce == task.nonce and isinstance(packed, client.PackedOutcome):
                return client.unpack_outcome(packed, spool, fallback, redactor)
            cause: str = _("it returned the result of another call")
        except BaseException as error:  # noqa: BLE001 - a worker may raise anything, an interrupt too
            cause = _describe(error, task.credentials)
            if _take_back(task):
                return client.make_not_sent(_("The executor did not begin the call ({cause}).", cause=cause))
        message = _("The executor lost the call ({cause}).", cause=cause)
        return client.Outcome(status=Status.UNKNOWN, error=ErrorInfo(message=message), final=True)


def _find_problem(reply: object, nonce: str) -> str:
    """Return why a reply to a probe shows that calls cannot be sent, or nothing."""
    if isinstance(reply, (list, tuple)) and any(isinstance(item, WorkerInfo) for item in reply):
        return _(
            "This executor runs every call on {count} workers, and each would be billed. Nothing was sent. "
            "Use a load balancer, such as ipyparallel's load_balanced_view().executor.",
            count=len(reply),
        )
    if not isinstance(reply, WorkerInfo) or reply.nonce != nonce:
        return _(
            "The executor answered a probe with {kind}. Nothing was sent. Use an executor that returns what "
            "a call returns.",
            kind=truncate(type(reply).__name__),
        )
    if reply.version != __version__:
        return _(
            "{host}, where the calls would run, has ipyimagegen {version}, not {expected}. Nothing was sent. "
            "Install the same version there.",
            host=reply.place,
            version=reply.version,
            expected=__version__,
        )
    return ""


def _wait_for_worker(
    future: Future[Any], task: RemoteTask, token: client.CancelToken
) -> client.Outcome | None:
    """Wait for the future; return the outcome where the call was stopped from here."""
    changed, done = threading.Event(), threading.Event()

    def note_done(_future: Future[Any]) -> None:
        done.set()
        changed.set()

    future.add_done_callback(note_done)
    token.on_stop(changed.set)
    begun = False
    while not done.is_set():
        if token.detached and not begun:
            begun = not _take_back(task)
            if not begun:
                future.cancel()
                return client.make_not_sent(_("The call was stopped before it was sent."))
        if token.cancelled:
            future.cancel()  # some executors report success although the call runs
            error = ErrorInfo(message=_("The call was cancelled."))
            return client.Outcome(status=Status.UNKNOWN, error=error)
        changed.wait()
        changed.clear()  # before the next look: what happens from now on sets it again
    return None


def _take_back(task: RemoteTask) -> bool:
    """Return whether the call certainly did not begin; its claim file keeps workers from it from now on."""
    return task.claims is not None and _claim(task) is True


def _describe(error: BaseException, sent: Credentials | None = None) -> str:
    """Return an error of an executor in a few words, without the secrets that travelled."""
    text = Redactor(key.clear for key in (sent.secrets if sent else ())).redact(str(error))
    return f"{type(error).__name__}: {sanitize(text, 200)}".rstrip(": ")
