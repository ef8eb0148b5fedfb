"""Ask a server what became of a job that it made of a call: by GET, of its own origin alone, at no cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from ipyimagegen.client.body import HttpCall
from ipyimagegen.client.cancel import CancelToken
from ipyimagegen.client.dialects import DIALECTS, OPENAI
from ipyimagegen.client.errors import parse_error
from ipyimagegen.client.response import Outcome
from ipyimagegen.client.retry import LONGEST
from ipyimagegen.client.search import get_state, walk
from ipyimagegen.client.spool import load_json, read_blocks
from ipyimagegen.client.transport import exchange
from ipyimagegen.core.endpoints import Endpoint, have_same_origin, to_host
from ipyimagegen.core.messages import _
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import Credentials, Redactor
from ipyimagegen.core.run import ErrorInfo, Job, Status
from ipyimagegen.core.text import sanitize

INTERVAL, LONGEST_INTERVAL = 1.0, 10.0  # seconds between two questions: at first, and at most
UNKNOWN_YET = 30.0  # seconds for which a server may not know a job that it has just made
_RESULT_URLS = ("response_url", "responseUrl")  # fal; other names are those of images
_NOT_THERE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.TOO_EARLY)


def find_poll_url(job: Job, endpoint: Endpoint) -> str | None:
    """Return the URL that tells what became of a job, None where there is none: nothing else is asked.

    It is the server's own if that has the endpoint's origin, else that of the endpoint's row.
    """
    if job.url and have_same_origin(job.url, endpoint.base_url):
        return job.url
    if not endpoint.poll or not job.id.strip("."):  # dots would be another route
        return None
    query = f"?{urlencode(endpoint.query)}" if endpoint.query else ""
    return endpoint.base_url.rstrip("/") + endpoint.poll.replace("{id}", quote(job.id, safe="")) + query


def explain_job(job: Job, endpoint: Endpoint, problem: str = "") -> ErrorInfo:
    """Return what is known of a job that has not ended; `problem` is why it could not be asked for."""
    ids = ", ".join((job.id, *job.others))
    name = _("{job} ({status})", job=ids, status=job.status) if job.status else ids
    names = {"server": sanitize(endpoint.name, 80), "job": name}
    message = _("{server} accepted the request as job {job}, which is not finished.", **names)
    if problem:
        message = _(
            "{server} accepted the request as job {job}. Its state is not known: {problem}.",
            problem=problem.rstrip("."),
            **names,
        )
    elif job.url and not find_poll_url(job, endpoint):
        message = _(
            "{server} accepted the request as job {job}. Its result is at {host}, which was not contacted.",
            host=sanitize(to_host(job.url), 80),
            **names,
        )
    return ErrorInfo(message=message)


def poll(
    job: Job,
    endpoint: Endpoint,
    credentials: Credentials | None,
    *,
    n: int,
    token: CancelToken,
    redactor: Redactor,
    note: Callable[[Job], None],
    patient: bool = True,
    after: float | None = None,
    **options: Any,
) -> tuple[Job, Outcome]:
    """Ask for a job until it has ended; return what is known of it, and its outcome.

    `find_poll_url` has to find its URL. The first question comes `after` the seconds that the server
    requested, the next when it requests it, both within a minute, else after one second, later up to ten,
    until the deadline of `token`. A failing network ends nothing, nor does an answer without an image, an
    error or a word for success. Unless `patient`, there is only one. `note` gets the job after each. An
    outcome without an answer: the job has not ended, and its error says what is known. `options` are those
    of `exchange`.
    """
    dialect = DIALECTS.get(endpoint.dialect, OPENAI)
    call = HttpCall(
        method="GET",
        url=find_poll_url(job, endpoint) or "",
        headers=dialect.poll_headers,
        key_header=dialect.key_header,
        n=n,
    )
    began, interval, state_url = token.clock(), INTERVAL, call.url
    wait = min(after or 0.0, LONGEST)
    if wait and token.clock() + wait < token.ends and token.wait(wait):
        return job, Outcome(status=Status.UNKNOWN, error=explain_job(job, endpoint))
    while True:
        outcome = exchange(
            call, endpoint, credentials, token=token, redactor=redactor, idempotency_key="", **options
        )
        objects, whole = _read_objects(outcome)
        states = [redactor.clean(state, 40) for state in map(get_state, objects) if state]
        images = outcome.answer.images if outcome.answer else ()
        job = replace(job, status=_choose_state(states, job.status))
        note(job)
        if (
            whole and images and not any(Job(id="", status=state).unfinished for state in states)
        ):  # any other is not a preview
            return job, outcome
        if whole and job.failed:
            failure = _explain_failure(job, endpoint, parse_error(objects[0], redactor=redactor))
            return job, replace(outcome, status=Status.UNKNOWN, error=failure)
        if whole and not images and not _is_pending(outcome, states):
            result_url = _find_result_url(objects, endpoint) if call.url == state_url else None
            if result_url in (None, state_url):
                return job, replace(outcome, status=Status.UNKNOWN)
            call = replace(call, url=result_url)
            continue
        wait = min(outcome.retry_after or interval, LONGEST)
        interval = min(2 * interval, LONGEST_INTERVAL)
        new = token.clock() < began + UNKNOWN_YET
        last = not patient or not _may_change(outcome, new=new) or token.clock() + wait >= token.ends
        if last or token.wait(wait):
            break
    if images:  # of a response that was cut each time
        return job, outcome
    asked = whole or token.clock() >= token.ends or outcome.error is None
    problem = "" if asked or outcome.error is None else outcome.error.message
    return job, Outcome(status=Status.UNKNOWN, error=explain_job(job, endpoint, problem))


def _read_objects(outcome: Outcome) -> tuple[list[Mapping[str, Json]], bool]:
    """Return the objects in a response, outer ones first, and whether it is whole."""
    if outcome.answer is None or outcome.spool is None:
        return [], False
    try:
        values, whole, _size = load_json(read_blocks(outcome.spool))
    except (ValueError, OSError):  # the image itself
        return [], True
    return [mapping for mapping, _aside in walk(list(values))], whole


def _choose_state(states: Sequence[str], before: str) -> str:
    """Return the word that counts: envelopes have a state of their own, which is a success."""
    jobs = [Job(id="", status=state) for state in states]
    failed = [job.status for job in jobs if job.failed]
    others = [job.status for job in jobs if not job.succeeded]
    return next(iter([*failed, *others, *states, before]))


def _is_pending(outcome: Outcome, states: Sequence[str]) -> bool:
    """Return whether a whole response without an image leaves it open that the job goes on."""
    if states:
        pending = any(not Job(id="", status=state).succeeded for state in states)
    else:  # a progress, for one, or nothing yet
        pending = not (outcome.answer and outcome.answer.errors)
    return pending or (outcome.error is not None and outcome.error.status == HTTPStatus.ACCEPTED)


def _find_result_url(objects: Sequence[Mapping[str, Json]], endpoint: Endpoint) -> str | None:
    """Return the URL that an ended job names for its result, in the endpoint's origin alone."""
    urls = (mapping.get(name) for mapping in objects for name in _RESULT_URLS)
    return next((u for u in urls if isinstance(u, str) and have_same_origin(u, endpoint.base_url)), None)


def _may_change(outcome: Outcome, *, new: bool) -> bool:
    """Return whether another question may bring more; a `new` job may not be known yet."""
    status = outcome.error.status if outcome.error else None
    if outcome.final or (status is not None and 300 <= status < 400):
        return False
    if status in _NOT_THERE:
        return new
    unreadable = outcome.answer is None and outcome.spool is not None  # a web page, for one
    return outcome.status is not Status.REFUSED and not unreadable


def _explain_failure(job: Job, endpoint: Endpoint, error: ErrorInfo) -> ErrorInfo:
    """Return why a job failed; `error` is what its server says."""
    message = _(
        "Job {job} of {server} ended as {status}: {reason}.",
        job=job.id,
        server=sanitize(endpoint.name, 80),
        status=job.status,
        reason=error.message.rstrip("."),
    )
    return replace(error, message=message)
