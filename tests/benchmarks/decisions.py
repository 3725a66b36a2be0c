"""How long the breaker takes to decide, beside the bare round trip to Redis that it is made of."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

CLINICS = 500


@dataclass(frozen=True, slots=True)
class Decisions:
    """Milliseconds; ``own_p99`` is this thread's processor time alone, which no neighbour on the machine stretches."""

    p50: float
    p99: float
    own_p99: float
    ping_p50: float
    ping_p99: float


def measure(decisions: int) -> Decisions:
    """Asks about as many clinics in turn, some of their circuits open, while nothing else is done here."""
    from monitoring import breaker, redis_link
    from monitoring.breaker import Service

    clinics = [uuid.uuid4() for _ in range(CLINICS)]
    for clinic in clinics[::10]:
        for _ in range(3):
            breaker.shared.failed(Service.TWILIO_WHATSAPP.value, str(clinic), "", uuid.uuid4().hex)
    asked = iter(clinics * (decisions // CLINICS + 1))

    def ask() -> None:
        breaker.decide(Service.TWILIO_WHATSAPP, next(asked))

    p50, p99 = _percentiles(decisions, ask)
    asked = iter(clinics * (decisions // CLINICS + 1))
    _, own_p99 = _percentiles(decisions, ask, time.thread_time)
    link = redis_link.link()
    ping_p50, ping_p99 = _percentiles(decisions, lambda: link.call(lambda client: client.ping()))
    return Decisions(p50, p99, own_p99, ping_p50, ping_p99)


def _percentiles(
    times: int, work: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> tuple[float, float]:
    work()
    taken = []
    for _ in range(times):
        began = clock()
        work()
        taken.append((clock() - began) * 1000)
    cuts = statistics.quantiles(taken, n=100)
    return cuts[49], cuts[98]
