"""When a figure is bad enough to tell a person (contract, section 10). Looked at each minute by a worker.

Each floor registers the checks of its own figures. A handful of events proves nothing: shares and quantiles
are judged from a least number on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from django.db import DatabaseError

from monitoring.alerts import Fact, Severity, alert
from monitoring.gauges import oldest_waiting
from monitoring.metrics import BOOKING, MISSED_CALLS
from monitoring.recent import growth, quantile, total

logger = structlog.get_logger(__name__)

MINUTES_5 = 300.0
DAY = 86_400.0
# Share of bookings, and the seconds that it may take.
BOOKING_QUANTILES = ((0.50, 0.300), (0.95, 0.500), (0.99, 0.800))
MOST_BOOKING_ERRORS = 0.001
LEAST_FAST_SHARE = 0.95
# When a provider's cool-down, a lease and a sweep are long over.
LONGEST_WAIT = 300.0
FAR_TOO_LONG = 1800.0
ENOUGH_BOOKINGS = 20
ENOUGH_CALLS = 20


@dataclass(frozen=True, slots=True)
class Breach:
    """``name`` is the fingerprint's; ``title`` one sentence; ``facts`` counts and shares."""

    name: str
    title: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    severity: Severity = Severity.WARNING


Check = Callable[[], list[Breach]]
_checks: dict[str, Check] = {}


def register_threshold(name: str, check: Check) -> None:
    """``check`` returns what is bad now; it opens its own scope and its queries are bounded."""
    _checks[name] = check


def look_at_thresholds() -> list[str]:
    """Alerts on every breach; returns their names. One check's failure keeps no other from being made."""
    found: list[Breach] = []
    for name, check in sorted(_checks.items()):
        try:
            found += check()
        except DatabaseError as error:
            logger.warning("threshold_not_looked_at", check=name, reason=type(error).__name__)
    for breach in found:
        alert(breach.severity, f"threshold:{breach.name}", breach.title, **breach.facts)
    return [breach.name for breach in found]


def booking_figures() -> list[Breach]:
    """Bookings of the last five to ten minutes: how long they took, and how many went wrong."""
    sums = growth("minutes", MINUTES_5)
    bookings = total(BOOKING, sums)
    if bookings < ENOUGH_BOOKINGS:
        return []
    found = [
        _slow(bookings, share, most, quantile(BOOKING, sums, share)) for share, most in BOOKING_QUANTILES
    ]
    errors = total(BOOKING, sums, ("error",))
    if errors / bookings > MOST_BOOKING_ERRORS:
        facts: dict[str, Fact] = {"errors": errors, "bookings": bookings}
        found.append(Breach("booking_errors", "Bookings fail.", facts, Severity.CRITICAL))
    return [breach for breach in found if breach]


def _slow(bookings: int, share: float, most: float, seconds: float | None) -> Breach | None:
    if seconds is None or seconds <= most:
        return None
    name = f"p{share * 100:.0f}"
    facts: dict[str, Fact] = {"ms": round(seconds * 1000), "bar_ms": round(most * 1000), "bookings": bookings}
    return Breach(f"booking_{name}", f"Bookings are slow ({name}).", facts)


def fast_path_share() -> list[Breach]:
    """Missed calls of the last one to two days: how many were found by Twilio's own word, not by polling."""
    sums = growth("days", DAY)
    calls, fast = total(MISSED_CALLS, sums), total(MISSED_CALLS, sums, ("fast",))
    if calls < ENOUGH_CALLS or fast / calls >= LEAST_FAST_SHARE:
        return []
    facts: dict[str, Fact] = {"fast": fast, "calls": calls}
    return [Breach("fast_path", "Too few missed calls are found by the dial's own outcome.", facts)]


def waiting_work() -> list[Breach]:
    """Kinds of durable work of which a row has been due for so long: its threads are all at work, or fail. Where no
    worker runs nobody looks; ``/health`` says so."""
    waits = ((kind, seconds) for (kind,), seconds in oldest_waiting().items())
    return [_stuck(kind, seconds) for kind, seconds in waits if seconds >= LONGEST_WAIT]


def _stuck(kind: str, seconds: float) -> Breach:
    facts: dict[str, Fact] = {"work": kind, "seconds": round(seconds)}
    said = (
        f"Work of one kind waits ({kind}): see whether the workers keep up, and whether the provider answers."
    )
    severity = Severity.CRITICAL if seconds >= FAR_TOO_LONG else Severity.WARNING
    return Breach(f"waiting_{kind}", said, facts, severity)


register_threshold("bookings", booking_figures)
register_threshold("work", waiting_work)
register_threshold("missed calls", fast_path_share)
