"""What operations is told about texts, registered with the floor below."""

from __future__ import annotations

from messaging.fates.silent import never_told
from messaging.queue_health import get_sms_delivery_stats, messages_by_state
from messaging.retention import cleanup_old_sms_delivery_logs
from messaging.staff_tasks import forget_what_was_seen_to
from messaging.undelivered.bulk_acts import forget_old_acts
from monitoring.alerts import Fact
from monitoring.gauges import register_gauge
from monitoring.metrics import MESSAGES, MESSAGES_WITHOUT_RECEIPT
from monitoring.retention import register_retention
from monitoring.thresholds import Breach, register_threshold

LEAST_DELIVERED = 99.0
ENOUGH_SETTLED = 20


def delivery_share() -> list[Breach]:
    """Texts settled in the last 24 hours: how many arrived."""
    stats = get_sms_delivery_stats(None)
    if stats.settled < ENOUGH_SETTLED or stats.success_rate is None or stats.success_rate >= LEAST_DELIVERED:
        return []
    facts: dict[str, Fact] = {
        "percent": stats.success_rate,
        "delivered": stats.delivered,
        "failed": stats.failed,
    }
    return [Breach("text_delivery", "Too few texts arrive: read the dead letters' reasons.", facts)]


def register() -> None:
    register_gauge(MESSAGES, messages_by_state)
    register_gauge(MESSAGES_WITHOUT_RECEIPT, never_told)
    register_threshold("text delivery", delivery_share)
    register_retention("sms_delivery_log", cleanup_old_sms_delivery_logs)
    register_retention("staff_tasks", forget_what_was_seen_to)
    register_retention("message_bulk_acts", forget_old_acts)
