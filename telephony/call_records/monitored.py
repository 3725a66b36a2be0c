"""What operations is told about the reports of calls, registered with the floor below."""

from __future__ import annotations

from monitoring.alerts import Fact
from monitoring.gauges import register_gauge
from monitoring.metrics import CALLS_REPORTED
from monitoring.schedule import register_periodic
from monitoring.thresholds import Breach, register_threshold
from telephony.call_records.reconciliation import EVERY_SECONDS, JOB
from telephony.call_records.reliability import reliability, reported_share

LEAST_REPORTED = 90.0
ENOUGH_CALLS = 20


def unreported_calls() -> list[Breach]:
    """Vapi's reports get lost: calls are repaired by asking, but live pages and texts come late."""
    found = reliability()
    calls = found.told + found.asked + found.missing
    if calls < ENOUGH_CALLS or found.share is None or found.share >= LEAST_REPORTED:
        return []
    facts: dict[str, Fact] = {"percent": found.share, "asked_for": found.asked, "missing": found.missing}
    said = (
        "Too many calls' ends do not arrive by themselves: check the server address and the retries at Vapi."
    )
    return [Breach("call_reports", said, facts)]


def register() -> None:
    register_gauge(CALLS_REPORTED, reported_share)
    register_threshold("calls' reports", unreported_calls)
    register_periodic(JOB, "telephony.tasks.reconcile_calls", EVERY_SECONDS)
