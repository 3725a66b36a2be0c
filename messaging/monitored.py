"""What operations is told about texts, registered with the floor below."""

from __future__ import annotations

from messaging.queue_health import messages_by_state
from messaging.retention import cleanup_old_sms_delivery_logs
from monitoring.gauges import register_gauge
from monitoring.metrics import MESSAGES
from monitoring.retention import register_retention


def register() -> None:
    register_gauge(MESSAGES, messages_by_state)
    register_retention("sms_delivery_log", cleanup_old_sms_delivery_logs)
