"""What operations is told about webhooks, registered with the floor below."""

from __future__ import annotations

from monitoring.alerts import Fact
from monitoring.gauges import register_gauge
from monitoring.metrics import WEBHOOKS
from monitoring.retention import register_retention
from monitoring.schedule import register_periodic
from monitoring.thresholds import Breach, register_threshold
from telephony.webhooks.health import open_dead_letters, webhooks_by_state
from telephony.webhooks.retention import remove_old_webhooks

HOUR = 3600


def dead_webhooks() -> list[Breach]:
    """A webhook that was given up is something a provider told us and nobody acted on."""
    dead = open_dead_letters()
    if not dead:
        return []
    facts: dict[str, Fact] = {"dead_letters": dead}
    return [
        Breach("webhooks_given_up", "Webhooks were given up: read their reasons, then replay them.", facts)
    ]


def register() -> None:
    register_gauge(WEBHOOKS, webhooks_by_state)
    register_threshold("webhooks given up", dead_webhooks)
    register_retention("webhook_delivery_log", remove_old_webhooks)
    register_periodic("forget what webhooks said", "telephony.tasks.forget_payloads", HOUR)
