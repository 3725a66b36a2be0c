"""What operations is told about webhooks and calls, registered with the floor below."""

from __future__ import annotations

from monitoring.alerts import Fact
from monitoring.gauges import register_gauge
from monitoring.metrics import CALLS_REPORTED, WEBHOOKS
from monitoring.retention import register_retention
from monitoring.schedule import register_periodic
from monitoring.thresholds import Breach, register_threshold
from telephony.reconciliation import EVERY_SECONDS, JOB
from telephony.retention import remove_old_webhooks
from telephony.webhook_health import open_dead_letters, reliability, reported_share, webhooks_by_state

HOUR = 3600
LEAST_REPORTED = 90.0
ENOUGH_CALLS = 20


def dead_webhooks() -> list[Breach]:
    """A webhook that was given up is something a provider told us and nobody acted on."""
    dead = open_dead_letters()
    if not dead:
        return []
    facts: dict[str, Fact] = {"dead_letters": dead}
    return [
        Breach("webhooks_given_up", "Webhooks were given up: read their reasons, then replay them.", facts)
    ]


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
    register_gauge(WEBHOOKS, webhooks_by_state)
    register_gauge(CALLS_REPORTED, reported_share)
    register_threshold("webhooks given up", dead_webhooks)
    register_threshold("calls' reports", unreported_calls)
    register_retention("webhook_delivery_log", remove_old_webhooks)
    register_periodic("forget what webhooks said", "telephony.tasks.forget_payloads", HOUR)
    register_periodic(JOB, "telephony.tasks.reconcile_calls", EVERY_SECONDS)
