"""How long calls are followed: settled ones go after 7 days, and with them who was texted when. Fire drills stay 90."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from telephony.models import ActiveCall, FireDrill, TextBack
from telephony.states import DrillState
from voxanne.tenancy.scope import platform_scope

KEPT = timedelta(days=7)
DRILLS_KEPT = timedelta(days=90)
# Small transactions: others wait for none of them.
ROWS_AT_A_TIME = 1_000


def cleanup_old_calls() -> int:
    """Removes settled calls that have served their time; returns how many. An unsettled one is never removed."""
    removed = 0
    while True:
        with platform_scope("remove old settled calls"):
            old = ActiveCall.objects.filter(processed=True, processed_at__lt=timezone.now() - KEPT)
            batch = list(old.order_by("processed_at").values_list("pk", flat=True)[:ROWS_AT_A_TIME])
            ActiveCall.objects.filter(pk__in=batch).delete()
        removed += len(batch)
        if len(batch) < ROWS_AT_A_TIME:
            return removed


def forget_text_backs() -> int:
    """Removes what keeps no second text back any more; returns how many rows."""
    with platform_scope("forget who was texted"):
        removed, _ = TextBack.objects.filter(texted_at__lt=timezone.now() - KEPT).delete()
    return removed


def forget_fire_drills() -> int:
    with platform_scope("forget old fire drills"):
        old = FireDrill.objects.filter(created_at__lt=timezone.now() - DRILLS_KEPT)
        removed, _ = old.filter(state__in=(DrillState.DONE, DrillState.DEAD)).delete()
    return removed
