"""Who is looked at, and how to look so that neither a failure nor a wait stops the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ipyimagegen.core.errors import ImagineError
from ipyimagegen.core.plan import Settings
from ipyimagegen.session.credentials import Keychain
from ipyimagegen.session.diagnostics.findings import Finding, State

if TYPE_CHECKING:
    from ipyimagegen.core.endpoints import Endpoint

T = TypeVar("T")
POLL = 0.2  # seconds, short enough that an interrupt is heard on every system


class Patient(Protocol):
    """What a doctor needs of a studio."""

    keys: Keychain

    @property
    def settings(self) -> Settings:
        """The settings in force. Raises InvalidOption for a bad one."""

    @property
    def home(self) -> Path:
        """The folder of the store."""

    def default_endpoint(self) -> Endpoint:
        """Return the endpoint that a cell without options asks."""


@dataclass(frozen=True)
class Visit:
    """Who is looked at, and how; see `examine`."""

    patient: Patient
    named: str | None
    environ: Mapping[str, str]
    mounts: Callable[[], Mapping[str, Any]]
    offline: bool


def guarded(name: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what `look` finds; what goes wrong with it is a finding of that name."""
    try:
        yield from look()
    except ImagineError as fault:
        yield Finding(name, State.PROBLEM, str(fault))
    except TimeoutError:
        yield Finding(name, State.UNKNOWN, "this took too long to look at")
    except Exception as error:  # noqa: BLE001 - a doctor that fails helps nobody; its text may hold anything
        yield Finding(name, State.UNKNOWN, f"could not be looked at: {type(error).__name__}")


def within(seconds: float, look: Callable[[], T]) -> T:
    """Return what `look` does. Raises TimeoutError: name servers and network folders may hang for minutes."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(look())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    ends = time.monotonic() + seconds
    while not future.done() and time.monotonic() < ends:
        wait((future,), timeout=POLL)
    return future.result(timeout=0)
