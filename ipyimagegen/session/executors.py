"""Calls carried out elsewhere: on whatever is behind a `concurrent.futures.Executor`, a cluster for instance.

The call travels, small; the key is found where it runs and travels only when told to; the reply's bytes
come back, and the caller stores them as if it had asked itself. Nothing here knows one executor from
another: each call holds a number of its own, so that one that takes equal calls for one still makes all
of them, and one question that costs nothing goes before, so that one that asks everybody is found out.
"""

from __future__ import annotations

import os
import pickle
import platform
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ipyimagegen import __version__, catalog, client
from ipyimagegen.core.api_key import ApiKey
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.errors import ImagineError, InvalidOption, MissingKey
from ipyimagegen.core.hosts import is_offline
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo, Status
from ipyimagegen.core.text import sanitize, truncate
from ipyimagegen.session import keys
from ipyimagegen.session.keys import Environment
from ipyimagegen.store.ownership import delete_old_files, make_private_folder

SKETCH = "sketch"
_MARK = re.compile(r"[0-9a-f]{16}")  # the name of a mark is the nonce of its call
ANSWER = 60.0  # seconds for the question before; a cluster may have to start
DAY = 86400.0  # seconds for which it is known that a call was begun
STEP = 0.2  # seconds between two looks at whether a call is given up
# They run calls on this machine alone, so that a mark left in a folder that both know is seen by both.
HERE = (ThreadPoolExecutor, ProcessPoolExecutor)


class Executor(Protocol):
    """What is asked of an executor: `concurrent.futures.Executor`, Dask's, ipyparallel's, Ray's."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Run `fn(*args)` somewhere and return its future."""


@dataclass(frozen=True, kw_only=True)
class RemoteTask:
    """One call as it travels. `nonce` makes it unlike any other; `key` is None where it is found there.

    `marks` is the caller's folder of marks, where both can reach it.
    """

    nonce: str
    call: client.HttpCall
    endpoint: Endpoint
    idempotency_key: str
    timeouts: client.Timeouts
    key: ApiKey | None = None
    marks: str | None = None
    offline: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels: the one place where a key does, since --send-key asked for it."""
        key = self.key and (self.key.origin, str.__str__(self.key.clear))
        return {**self.__dict__, "key": key}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        key = state["key"] and ApiKey(state["key"][1], state["key"][0])
        self.__dict__.update(state, key=key)


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """What was found where calls would run: which version of this package, and which keys are not there."""

    nonce: str
    version: str
    place: str
    without: tuple[str, ...] = ()


# What runs there


def probe_worker(nonce: str, endpoints: tuple[Endpoint, ...]) -> WorkerInfo:
    """Say what is here: the question that goes before the calls. `endpoints` want a key of this place."""
    _tidy()
    without = tuple(one.key_env[0] for one in endpoints if _key_of(one) is None)
    return WorkerInfo(nonce=nonce, version=__version__, place=platform.node(), without=without)


def send_remotely(errand: RemoteTask) -> tuple[str, client.PackedOutcome]:
    """Send the call from here, once, and return its nonce with what became of it.

    A cluster whose worker died may bring the same call a second time: on this machine it is known again.
    """
    first = _claimed(errand)
    if first is None and errand.marks is not None:  # the caller goes by the mark
        return errand.nonce, client.pack_outcome(client.make_not_sent(f"{errand.marks} takes no file."))
    if first is False:
        again = ErrorInfo(message="The executor brought a call that was begun before")
        return errand.nonce, client.PackedOutcome(
            outcome=client.Outcome(status=Status.UNKNOWN, error=again, final=True)
        )
    try:
        folder = tempfile.TemporaryDirectory(prefix="ipyimagegen-", ignore_cleanup_errors=True)
    except OSError as fault:
        lacking = f"There is no room for a reply on {platform.node()}: {fault.strerror}."
        return errand.nonce, client.pack_outcome(client.make_not_sent(lacking))
    with folder as name:
        return errand.nonce, client.pack_outcome(_sent(errand, Path(name) / "reply"))


def _known_place() -> Path:
    """Return where the marks of begun calls lie on this machine, if nobody else has put something there."""
    user = getattr(os, "getuid", str)()  # the folder of temporary files may be everybody's
    return Path(tempfile.gettempdir(), f"ipyimagegen-begun-{user}")


def _place_for_marks() -> str | None:
    """Return a private folder for marks, or None where none can be made."""
    with suppress(OSError):
        if make_private_folder(folder := _known_place()):
            return str(folder)
        return tempfile.mkdtemp(prefix="ipyimagegen-begun-")
    return None


def _tidy() -> None:
    """Delete the marks of older days."""
    with suppress(OSError):
        delete_old_files(_known_place(), _MARK, DAY)


def _claimed(errand: RemoteTask) -> bool | None:
    """Leave a mark that the call was begun; say whether there was none, None where nobody can tell."""
    try:
        folder = Path(errand.marks) if errand.marks else _known_place()
        if not make_private_folder(folder):  # the cluster has to see to it
            return None
        (folder / errand.nonce).touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return None
    return True


def _sent(errand: RemoteTask, spool: Path) -> client.Outcome:
    endpoint = errand.endpoint
    try:
        secret = errand.key or _required(endpoint)
        catalog.check_transport(endpoint, has_key=secret is not None)
    except ImagineError as fault:
        return client.make_not_sent(f"{str(fault).splitlines()[0]} (on {platform.node()})")
    return client.exchange(
        errand.call,
        endpoint,
        secret,
        spool=spool,
        token=client.CancelToken(),
        timeouts=errand.timeouts,
        mounts=_mounts(endpoint),
        idempotency_key=errand.idempotency_key,
        offline=errand.offline or is_offline(os.environ),
    )


def _mounts(endpoint: Endpoint) -> Mapping[str, Any]:
    if endpoint.name != SKETCH:
        return {}
    from ipyimagegen.sketch.app import create_app  # noqa: PLC0415 - only where it draws

    return {endpoint.base_url: create_app()}


def _required(endpoint: Endpoint) -> ApiKey | None:
    secret = keys.find_key(endpoint, environ=Environment(), folder=Path())
    if secret is None and keys.is_required(endpoint):
        raise keys.make_missing_error(endpoint)
    return secret


def _key_of(endpoint: Endpoint) -> object:
    try:
        return _required(endpoint) or "none is needed"
    except MissingKey:
        return None


# What stays here


class ExecutorTransport:
    """Sends calls by way of an executor; used like `client.exchange`. `send_key` lets keys travel."""

    def __init__(self, executor: Executor, *, send_key: bool = False) -> None:
        self._executor, self._send_key = executor, send_key
        self._marks = _place_for_marks() if type(executor) in HERE else None

    def check(self, endpoints: Iterable[Endpoint], seconds: float = ANSWER) -> None:
        """Ask, at no cost, whether a call comes to one place and back. Raises InvalidOption or MissingKey."""
        if isinstance(self._executor, type) or not callable(getattr(self._executor, "submit", None)):
            kind = type(self._executor).__name__
            raise InvalidOption(
                f"--executor takes a concurrent.futures.Executor, not {kind}. Nothing was sent."
            )
        nonce = os.urandom(8).hex()
        wanting = () if self._send_key else tuple({one.base_url: one for one in endpoints}.values())
        try:
            found = self._executor.submit(probe_worker, nonce, wanting).result(timeout=min(seconds, ANSWER))
        except Exception as fault:  # noqa: BLE001 - an executor may raise anything
            told = _told(fault)
            problem = (
                f"The executor did not answer a first question ({told}). "
                "It has to be running, with ipyimagegen installed where it runs calls."
            )
        else:
            problem = self._problem(found, nonce)
        if problem:
            raise InvalidOption(f"{problem} Nothing was sent.")
        if found.without:
            raise MissingKey(
                f"{found.place}, where the calls would run, has no {', '.join(found.without)}. "
                "Set it there, or let the key travel: --send-key. Nothing was sent."
            )

    def _problem(self, found: object, nonce: str) -> str:
        if isinstance(found, (list, tuple)) and any(isinstance(one, WorkerInfo) for one in found):
            return (
                f"This executor runs every call in {len(found)} places, and each would be paid. "
                "Take one that balances the load, such as ipyparallel's load_balanced_view().executor."
            )
        if not isinstance(found, WorkerInfo) or found.nonce != nonce:
            kind = truncate(type(found).__name__)
            return f"The executor answered a first question with {kind}: no answer to it."
        if found.version != __version__:
            return f"Where calls would run ({found.place}) is ipyimagegen {found.version}, not {__version__}."
        return ""

    def __call__(
        self,
        call: client.HttpCall,
        endpoint: Endpoint,
        secret: ApiKey | None,
        *,
        spool: Path,
        token: client.CancelToken,
        idempotency_key: str,
        timeouts: client.Timeouts,
        fallback: Callable[[], Path | None] = lambda: None,
        offline: bool = False,
        redactor: Redactor = NO_KEYS,
        **_: object,
    ) -> client.Outcome:
        """Send the call from elsewhere, once; see `client.exchange`."""
        token.start(timeouts.whole)
        errand = RemoteTask(
            nonce=os.urandom(8).hex(),
            call=call,
            endpoint=endpoint,
            idempotency_key=idempotency_key,
            timeouts=timeouts,
            key=secret if self._send_key else None,
            marks=self._marks,
            offline=offline,
        )
        try:
            pickle.dumps(errand)
            future = self._executor.submit(send_remotely, errand)
        except Exception as fault:  # noqa: BLE001 - an executor may raise anything
            return client.make_not_sent(f"The executor did not take the call: {_told(fault, errand.key)}.")
        return self._ended(future, errand, token) or _come_back(future, errand, spool, fallback, redactor)

    def _ended(
        self, future: Future[Any], errand: RemoteTask, token: client.CancelToken
    ) -> client.Outcome | None:
        """Wait for the future; return what became of the call where that was ended from here."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        begun = False
        while not done.wait(STEP):
            if token.detached and not begun:
                begun = not _taken_back(errand)
                if not begun:
                    future.cancel()
                    return client.make_not_sent("Stopped before it was sent.")
            if token.cancelled:
                future.cancel()  # some say that they did, though the call is under way
                return client.Outcome(status=Status.UNKNOWN, error=ErrorInfo(message="Given up."))
        return None


def _taken_back(errand: RemoteTask) -> bool:
    """Say whether a call is certain not to have begun; whoever comes to it from now on leaves it alone."""
    return errand.marks is not None and _claimed(errand) is True


def _come_back(
    future: Future[Any],
    errand: RemoteTask,
    spool: Path,
    fallback: Callable[[], Path | None],
    redactor: Redactor,
) -> client.Outcome:
    try:
        nonce, parcel = future.result()
        if nonce == errand.nonce and isinstance(parcel, client.PackedOutcome):
            return client.unpack_outcome(parcel, spool, fallback, redactor)
        told = "it answered another call"
    except BaseException as fault:  # noqa: BLE001 - what runs elsewhere may raise anything, an interrupt too
        told = _told(fault, errand.key)
        if _taken_back(errand):
            return client.make_not_sent(f"The executor did not begin the call ({told}).")
    return client.Outcome(
        status=Status.UNKNOWN, error=ErrorInfo(message=f"The executor lost the call ({told})."), final=True
    )


def _told(fault: BaseException, key: ApiKey | None = None) -> str:
    """Return an error of an executor in a few words, without the key that travelled."""
    said = Redactor([key.clear] if key else []).redact(str(fault))
    return f"{type(fault).__name__}: {sanitize(said, 200)}".rstrip(": ")
