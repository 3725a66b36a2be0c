"""Are webhooks worked off? Read from the rows, through their indexes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from django.db.models import Count, Min, Q
from django.utils import timezone

from telephony.models import WebhookDelivery
from telephony.webhooks.states import FAILED, WebhookState
from voxanne.tenancy.scope import scope_at_hand

DAY = timedelta(hours=24)
SHOWN_STATES = (
    WebhookState.PENDING.value,
    FAILED,
    WebhookState.PROCESSING.value,
    WebhookState.COMPLETED.value,
    WebhookState.DEAD_LETTER.value,
)


def counts_by_state() -> dict[str, int]:
    """Webhooks by state: what is alive, the open dead letters, and what came in and was completed in the last 24
    hours. Of the clinics in scope, else of all."""
    live = (WebhookState.PENDING, WebhookState.PROCESSING)
    with scope_at_hand("health of the webhooks"):
        rows = WebhookDelivery.objects.order_by()
        found = rows.filter(state__in=live).aggregate(
            pending=Count("pk", filter=Q(state=WebhookState.PENDING, attempts=0)),
            failed=Count("pk", filter=Q(state=WebhookState.PENDING, attempts__gt=0)),
            processing=Count("pk", filter=Q(state=WebhookState.PROCESSING)),
        )
        recent = rows.filter(created_at__gte=timezone.now() - DAY, state=WebhookState.COMPLETED)
        found["completed"] = recent.count()
        found["dead_letter"] = open_dead_letters()
    return {state: found[state] for state in SHOWN_STATES}


def open_dead_letters() -> int:
    """How many webhooks were given up and wait for a person."""
    with scope_at_hand("health of the webhooks"):
        return WebhookDelivery.objects.filter(state=WebhookState.DEAD_LETTER).order_by().count()


def oldest_waiting_seconds() -> int:
    """Since the longest-due webhook became due; 0 where none waits."""
    now = timezone.now()
    with scope_at_hand("health of the webhooks"):
        due = WebhookDelivery.objects.filter(state=WebhookState.PENDING, next_attempt_at__lte=now)
        oldest = due.order_by().aggregate(oldest=Min("next_attempt_at"))["oldest"]
    return int((now - oldest).total_seconds()) if oldest else 0


def last_failures(limit: int) -> list[WebhookDelivery]:
    """The newest dead letters, then what failed and waits for its next try; what they said is left unread."""
    with scope_at_hand("health of the webhooks"):
        rows = WebhookDelivery.objects.defer("payload")
        dead = list(rows.filter(state=WebhookState.DEAD_LETTER).order_by("-updated_at")[:limit])
        failed = rows.filter(state=WebhookState.PENDING, attempts__gt=0).order_by("-updated_at")
        return (dead + list(failed[:limit]))[:limit]


def webhooks_by_state() -> Mapping[tuple[str, ...], float]:
    """For the gauge."""
    return {(state,): float(number) for state, number in counts_by_state().items()}
