"""The one way to an outside service: ask before each call, tell how it went.

    with guarded(Service.VAPI_API, org_id):
        requests.post(...)

An open circuit raises CircuitOpen at once; nothing was sent, so a refused piece of work has used no attempt.
Where an answer is not an exception, ``decide`` and one of ``record_success``, ``record_failure`` and
``abandon`` do the same by hand.

What counts as a failure is explicit: time-outs, refused or broken connections, 429 and 5xx. Every other
answer shows that the service lives, also one that refuses the work, such as a bad number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import requests

from monitoring import transitions
from monitoring.circuits import PLATFORM, CircuitReport, Circuits, CircuitState, Ruling, new_token
from monitoring.circuits_in_memory import CircuitsInMemory
from monitoring.circuits_in_redis import CircuitsInRedis
from monitoring.redis_link import RedisAway

TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
# Whatever waits for a circuit asks it within seconds of its cool-down's end.
NOT_ASKED_SINCE = 120.0
OUTAGES = (
    requests.Timeout, requests.ConnectionError, requests.exceptions.ChunkedEncodingError, TimeoutError, ConnectionError,
)  # fmt: skip


class Service(StrEnum):
    TWILIO_SMS = "twilio_sms"
    TWILIO_WHATSAPP = "twilio_whatsapp"
    TWILIO_API = "twilio_api"
    GOOGLE_CALENDAR_FREEBUSY = "google_calendar_freebusy"
    GOOGLE_CALENDAR_EVENTS = "google_calendar_events"
    VAPI_API = "vapi_api"


class CircuitOpen(Exception):
    """The call was not made: the service has just been failing. Ask again in ``retry_after`` seconds."""

    def __init__(self, service: Service, retry_after: float) -> None:
        super().__init__(f"{service.value} has just been failing; not asked again for {retry_after:.0f} s.")
        self.service = service
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the call may be made, and what ties its outcome to this answer. ``probes``: it is made to find out
    whether a service that failed is well again. ``counts`` is False of a call that is only to look."""

    service: Service
    org_id: UUID | None
    allowed: bool
    retry_after: float
    token: str
    doubtful: bool
    probes: bool = False
    counts: bool = True


shared: Circuits = CircuitsInRedis()
alone: Circuits = CircuitsInMemory()
_only_looking: ContextVar[bool] = ContextVar("only_looking", default=False)


@contextmanager
def only_looking(looks: bool = True) -> Iterator[None]:
    """What is asked inside, in this thread, changes no circuit and is stopped by none: a check made from a bad place
    must not hold everybody's work up. Without ``looks`` the breaker is asked as ever."""
    before = _only_looking.set(looks or _only_looking.get())
    try:
        yield
    finally:
        _only_looking.reset(before)


def decide(service: Service, org_id: UUID | None) -> Decision:
    """Asks all processes' common memory; this process's own while Redis is away. Never raises, never waits
    for a dead Redis. ``org_id`` is None for the platform's own calls."""
    token = new_token()
    if _only_looking.get():
        return Decision(
            service, org_id, allowed=True, retry_after=0.0, token=token, doubtful=False, counts=False
        )
    ruling = _asked(service, org_id, lambda circuits, clinic: circuits.ask(service, clinic, token))
    return Decision(
        service, org_id, ruling.allowed, ruling.retry_after, token, ruling.doubtful, ruling.probes
    )


def record_success(decision: Decision) -> None:
    """The service answered, with whatever answer."""
    if decision.doubtful:
        _told(decision, lambda circuits, clinic: circuits.succeeded(decision.service, clinic, decision.token))


def record_failure(decision: Decision, subject: str = "") -> None:
    """The service failed. ``subject`` names the piece of work, such as a message's id: it counts once."""
    if not decision.counts:
        return
    who = subject or decision.token
    _told(decision, lambda circuits, clinic: circuits.failed(decision.service, clinic, decision.token, who))


def abandon(decision: Decision) -> None:
    """The call told nothing about the service (a fault of ours before it was made): let another one probe."""
    if decision.doubtful:
        _told(decision, lambda circuits, clinic: circuits.abandoned(decision.service, clinic, decision.token))


@contextmanager
def guarded(
    service: Service,
    org_id: UUID | None,
    subject: str = "",
    counts: Callable[[Exception], bool] | None = None,
) -> Iterator[Decision]:
    """Makes the call inside the block. Raises CircuitOpen instead of entering it. An exception that
    ``counts`` (default: ``is_outage``) is a failure, one that carries an HTTP status of another kind is an
    answer, any other tells nothing."""
    decision = decide(service, org_id)
    if not decision.allowed:
        raise CircuitOpen(service, decision.retry_after)
    try:
        yield decision
    except Exception as error:
        _judge(decision, error, subject, counts or is_outage)
        raise
    except BaseException:
        abandon(decision)
        raise
    record_success(decision)


def _judge(decision: Decision, error: Exception, subject: str, counts: Callable[[Exception], bool]) -> None:
    if counts(error):
        record_failure(decision, subject)
    elif status_of(error) is not None:
        record_success(decision)
    else:
        abandon(decision)


def is_outage(error: Exception) -> bool:
    """Time-outs, connections that failed or broke, 429 and 5xx: the service's fault, not the request's."""
    status = status_of(error)
    if status is not None:
        return is_outage_status(status)
    return isinstance(error, OUTAGES)


def is_outage_status(status: int) -> bool:
    return status == TOO_MANY_REQUESTS or status >= SERVER_ERROR


def status_of(error: Exception) -> int | None:
    """The HTTP status that an exception carries, in any of the usual places."""
    # Not by truth: a response of requests is false where it is an error.
    for holder in (error, getattr(error, "response", None), getattr(error, "resp", None)):
        for name in ("status", "status_code"):
            status = getattr(holder, name, None)
            if isinstance(status, int):
                return status
    return None


def reports(services: Iterable[Service] = Service) -> list[CircuitReport]:
    """Each service's own circuit, and those of clinics that are not simply well."""
    asked = list(services)
    try:
        return [report for service in asked for report in shared.report(service.value)]
    except RedisAway:
        return [report for service in asked for report in alone.report(service.value)]


def failing_now(services: Iterable[Service] = Service) -> list[CircuitReport]:
    """The circuits that keep work waiting. One that nobody has asked for a while says nothing of today: nothing
    waits for it."""
    still = time.time() - NOT_ASKED_SINCE
    return [
        report
        for report in reports(services)
        if report.state != CircuitState.CLOSED and (report.next_probe_at or 0.0) > still
    ]


SEVERITY = (CircuitState.CLOSED, CircuitState.HALF_OPEN, CircuitState.OPEN)


def worst_states() -> dict[tuple[str, ...], float]:
    """For the gauge: 0 closed, 1 half-open, 2 open, the worst of each service's circuits."""
    worst: dict[tuple[str, ...], float] = {}
    for report in reports():
        label = (report.service,)
        worst[label] = max(worst.get(label, 0.0), float(SEVERITY.index(report.state)))
    return worst


Question = Callable[[Circuits, str], Ruling]


def _asked(service: Service, org_id: UUID | None, question: Question) -> Ruling:
    clinic = str(org_id) if org_id else PLATFORM
    known_to_all = True
    try:
        ruling = question(shared, clinic)
    except RedisAway:
        ruling, known_to_all = question(alone, clinic), False
    for transition in ruling.transitions:
        transitions.note(service.value, org_id, transition, shared=known_to_all)
    return ruling


def _told(decision: Decision, statement: Question) -> None:
    _asked(decision.service, decision.org_id, statement)
