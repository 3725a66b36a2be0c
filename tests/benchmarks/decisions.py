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
    """Milliseconds."""

    p50: float
    p99: float
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
    p50, p99 = _percentiles(decisions, lambda: breaker.decide(Service.TWILIO_WHATSAPP, next(asked)))
    link = redis_link.link()
    ping_p50, ping_p99 = _percentiles(decisions, lambda: link.call(lambda client: client.ping()))
    return Decisions(p50, p99, ping_p50, ping_p99)


def _percentiles(times: int, work: Callable[[], object]) -> tuple[float, float]:
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(taken, n=100)
    return cuts[49], cuts[98]
