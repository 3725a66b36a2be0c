"""How long webhooks are kept: what they said a day after the work is done, their rows a week; what is not done is
kept whole, for 30 days."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from monitoring.retention import in_portions, remove
from telephony.models import WebhookDelivery
from telephony.webhooks.states import WebhookState

PAYLOAD_KEPT = timedelta(hours=24)
KEPT = timedelta(days=7)
UNSETTLED_KEPT = timedelta(days=30)
REMOVE = "remove old webhooks"


def forget_payloads() -> int:
    """Blanks what webhooks said whose work was done a day ago; returns how many. Run each hour."""
    done = Q(state=WebhookState.COMPLETED, completed_at__lt=timezone.now() - PAYLOAD_KEPT)
    return in_portions(
        lambda: _webhooks(done & ~Q(payload=b"")),
        lambda rows: rows.update(payload=b""),
        "forget what old webhooks said",
    )


def remove_old_webhooks() -> int:
    """Removes the rows that have served their time; returns how many. An event id is forgotten with its row: no
    provider repeats itself after a week, and handlers change nothing when one does."""
    now = timezone.now()
    settled = Q(state=WebhookState.COMPLETED, created_at__lt=now - KEPT, completed_at__lt=now - KEPT)
    unsettled = ~Q(state=WebhookState.COMPLETED) & Q(created_at__lt=now - UNSETTLED_KEPT)
    # One after the other, each through an index of its own.
    return remove(lambda: _webhooks(settled), REMOVE) + remove(lambda: _webhooks(unsettled), REMOVE)


def _webhooks(wanted: Q) -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(wanted).order_by("created_at")
