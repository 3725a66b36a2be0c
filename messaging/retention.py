"""How long messages are kept: 30 days after they were settled, dead letters 90."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from messaging.models import Message
from messaging.states import MessageState
from messaging.undelivered.dead_letters import GAVE_UP_AT
from monitoring.retention import remove

SETTLED = (
    MessageState.SENT, MessageState.DELIVERED, MessageState.SUPPRESSED, MessageState.EXPIRED, MessageState.CANCELED,
)  # fmt: skip
KEPT = timedelta(days=30)
DEAD_KEPT = timedelta(days=90)


def cleanup_old_sms_delivery_logs() -> int:
    """Removes messages, and their tries with them, that have served their time; returns how many. What still
    waits is never removed, however old."""
    now = timezone.now()
    # A reminder may be made months before it is sent: the last change decides, the making finds it by index.
    settled = Q(state__in=SETTLED, created_at__lt=now - KEPT, updated_at__lt=now - KEPT)
    dead = Q(state=MessageState.DEAD_LETTER, gave_up_at__lt=now - DEAD_KEPT)
    return _remove(settled) + _remove(dead)


def _remove(old: Q) -> int:
    return remove(
        lambda: Message.objects.annotate(gave_up_at=GAVE_UP_AT).filter(old).order_by("created_at"),
        "remove old messages",
    )
