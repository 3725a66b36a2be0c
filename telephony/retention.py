"""How long webhooks are kept: what they said a day after the work is done, their rows a week; what is not done is
kept whole, for 30 days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from telephony.models import WebhookDelivery
from telephony.states import WebhookState
from voxanne.tenancy.scope import platform_scope

PAYLOAD_KEPT = timedelta(hours=24)
KEPT = timedelta(days=7)
UNSETTLED_KEPT = timedelta(days=30)
# Small transactions: others wait for none of them.
ROWS_AT_A_TIME = 1_000

Act = Callable[[QuerySet[WebhookDelivery]], object]


def forget_payloads() -> int:
    """Blanks what webhooks said whose work was done a day ago; returns how many. Run each hour."""
    done = Q(state=WebhookState.COMPLETED, completed_at__lt=timezone.now() - PAYLOAD_KEPT)
    return _in_batches(done & ~Q(payload=b""), lambda rows: rows.update(payload=b""))


def remove_old_webhooks() -> int:
    """Removes the rows that have served their time; returns how many. An event id is forgotten with its row: no
    provider repeats itself after a week, and handlers change nothing when one does."""
    now = timezone.now()
    settled = Q(state=WebhookState.COMPLETED, created_at__lt=now - KEPT, completed_at__lt=now - KEPT)
    unsettled = ~Q(state=WebhookState.COMPLETED) & Q(created_at__lt=now - UNSETTLED_KEPT)
    return _in_batches(settled, _delete) + _in_batches(unsettled, _delete)


def _delete(rows: QuerySet[WebhookDelivery]) -> None:
    rows.delete()


def _in_batches(wanted: Q, act: Act) -> int:
    done = 0
    while True:
        with platform_scope("webhooks that have served their time"):
            found = WebhookDelivery.objects.filter(wanted).order_by("created_at")
            batch = list(found.values_list("pk", flat=True)[:ROWS_AT_A_TIME])
            act(WebhookDelivery.objects.filter(pk__in=batch))
        done += len(batch)
        if len(batch) < ROWS_AT_A_TIME:
            return done
