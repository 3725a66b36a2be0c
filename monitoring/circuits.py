"""The rules of a circuit: what they are called, how many make one open, and how it closes again.

Two circuits stand in the way of each call: the clinic's own at that service, and the whole service's. The
clinic's opens when three different pieces of work of that clinic failed within a minute with no success
between; the service's when three different clinics did. After a cool-down one call is let through to
probe; its outcome closes the circuit or opens it for another cool-down. A piece of work that fails over and
over counts once, so that no message alone closes the way for others.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from django.conf import settings

FAILURES_TO_OPEN = 3
WINDOW_SECONDS = 60.0
COOL_DOWN_SECONDS = float(settings.BREAKER_COOL_DOWN_SECONDS)
# A probe whose worker died is replaced after this long; it outlives every provider's time-outs.
PROBE_SECONDS = 30.0
# While another's probe is under way, ask again this soon.
PROBE_POLL_SECONDS = 2.0
# The clinic of calls that the platform makes for itself.
PLATFORM = "platform"


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Level(StrEnum):
    SERVICE = "service"
    CLINIC = "clinic"


@dataclass(frozen=True, slots=True)
class Transition:
    level: Level
    state: CircuitState


@dataclass(frozen=True, slots=True)
class Ruling:
    """``doubtful``: a success is worth telling, for there are failures to forget or a probe to end. ``probes``: this is
    the one call that finds out whether a service that failed is well again."""

    allowed: bool = True
    retry_after: float = 0.0
    doubtful: bool = False
    transitions: tuple[Transition, ...] = ()
    probes: bool = False


@dataclass(frozen=True, slots=True)
class CircuitReport:
    """One circuit as it stands; times are Unix seconds; ``clinic`` is None for the service's own. ``failing_since``
    is when it opened first; each probe that fails opens it anew (``opened_at``)."""

    service: str
    clinic: str | None
    state: CircuitState
    failures: int = 0
    opened_at: float | None = None
    next_probe_at: float | None = None
    failing_since: float | None = None


class Circuits(Protocol):
    """``subject`` names the piece of work; ``token`` the one call."""

    def ask(self, service: str, clinic: str, token: str) -> Ruling: ...
    def succeeded(self, service: str, clinic: str, token: str) -> Ruling: ...
    def failed(self, service: str, clinic: str, token: str, subject: str) -> Ruling: ...
    def abandoned(self, service: str, clinic: str, token: str) -> Ruling: ...
    def report(self, service: str) -> list[CircuitReport]: ...


Clock = Callable[[], float]


def next_probe(state: CircuitState, opened_at: float | None, probe_until: float | None) -> float | None:
    if state == CircuitState.OPEN and opened_at is not None:
        return opened_at + COOL_DOWN_SECONDS
    return probe_until if state == CircuitState.HALF_OPEN else None


def is_well(report: CircuitReport) -> bool:
    return report.state == CircuitState.CLOSED and report.failures == 0


def new_token() -> str:
    return uuid.uuid4().hex
