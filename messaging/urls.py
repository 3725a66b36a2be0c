from __future__ import annotations

from django.urls import URLPattern, path

from messaging import monitoring_views

urlpatterns: list[URLPattern] = [
    path("api/monitoring/sms-queue-health", monitoring_views.sms_queue_health, name="sms-queue-health"),
    path(
        "api/monitoring/sms-dead-letter-queue",
        monitoring_views.sms_dead_letter_queue,
        name="sms-dead-letter-queue",
    ),
    path(
        "api/monitoring/sms-retry-dead-letter/<uuid:message_id>",
        monitoring_views.sms_retry_dead_letter,
        name="sms-retry-dead-letter",
    ),
]
