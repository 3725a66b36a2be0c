"""How long calls are followed: settled ones go after 7 days, and with them who was texted when."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from monitoring.retention import remove
from telephony.models import ActiveCall, TextBack

KEPT = timedelta(days=7)


def cleanup_old_calls() -> int:
    """Removes settled calls that have served their time; returns how many. An unsettled one is never removed."""
    return remove(_old_calls, "remove old settled calls")


def forget_text_backs() -> int:
    """Removes what keeps no second text back any more; returns how many rows."""
    return remove(_old_text_backs, "forget who was texted")


def _old_calls() -> QuerySet[ActiveCall]:
    return ActiveCall.objects.filter(processed=True, processed_at__lt=timezone.now() - KEPT).order_by(
        "processed_at"
    )


def _old_text_backs() -> QuerySet[TextBack]:
    return TextBack.objects.filter(texted_at__lt=timezone.now() - KEPT)
