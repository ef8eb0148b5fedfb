"""What works and what does not, as findings: a fact each, and what to do where something is wrong.

Nothing that is asked here costs money, and nothing is made or changed. The text may be pasted anywhere:
no key or part of one, no password, no name of a user or machine is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.text import sanitize
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.session.diagnostics import keeping, server, versions
from ipyimagegen.session.diagnostics.findings import Finding, Report, State
from ipyimagegen.session.diagnostics.visit import Patient, Visit, guarded
from ipyimagegen.session.planning import merge

__all__ = ["Finding", "Report", "State", "examine"]

LONGEST = 400  # characters of what is told in a finding


def examine(
    patient: Patient,
    named: str | None,
    *,
    environ: Mapping[str, str],
    mounts: Callable[[], Mapping[str, Any]],
    offline: bool,
) -> Report:
    """Return all findings, within seconds. Raises nothing: what fails on the way is a finding too.

    `named` is an endpoint, else the default one is looked at; `mounts` gives the applications that answer
    in this process; `offline` leaves the network alone.
    """
    visit = Visit(patient, named, environ, mounts, offline)
    found = [
        *guarded("settings", partial(_settings, visit)),
        *guarded("endpoint", partial(server.look, visit)),
        *guarded("store", partial(keeping.look, visit)),
        *guarded("versions", partial(versions.look, visit)),
    ]
    return Report(replace(one, told=_private(one.told, visit)) for one in found)


def _private(text: str, visit: Visit) -> str:
    """Return text on one line, without keys and users."""
    text = sanitize(visit.patient.keys.hidden(text), LONGEST)
    home = ""
    with suppress(RuntimeError):  # nobody knows
        home = str(Path.home())
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    users = {visit.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "JUPYTERHUB_USER")}
    for user in {*users, Path(home).name} - {""}:
        text = re.sub(rf"(?<=[/\\]){re.escape(user)}(?![\w.-])", "USER", text)
    return text


def _settings(visit: Visit) -> Iterator[Finding]:
    settings = visit.patient.settings
    wrong = []
    for name, value in settings.options.items():
        try:
            merge(UserInput(prompt=""), replace(settings, options={name: value}))
        except InvalidOption as fault:
            wrong.append(Finding("settings", State.PROBLEM, str(fault)))
    names = [*settings.options, *(["endpoints"] if settings.endpoints else [])]
    told = f"set: {', '.join(names)}" if names else "all as by default"
    yield from wrong or [Finding("settings", State.OK, told)]
