"""Are webhooks worked off, and do calls' ends reach us? Read from the rows, through their indexes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Min, Q
from django.utils import timezone

from telephony.models import Call, WebhookDelivery
from telephony.states import FAILED, WebhookState
from voxanne.tenancy.scope import current_scope, platform_scope

DAY = timedelta(hours=24)
# A report comes after Vapi's own work on the call; one that is later than this was lost.
REPORT_DUE = timedelta(minutes=15)
SHOWN_STATES = (
    WebhookState.PENDING.value,
    FAILED,
    WebhookState.PROCESSING.value,
    WebhookState.COMPLETED.value,
    WebhookState.DEAD_LETTER.value,
)


@dataclass(frozen=True, slots=True)
class Reliability:
    """The calls that ended in the last 24 hours: whose report came by itself, whose we had to ask for, and whose
    is missing. ``share`` is the percentage of the first, None without a call."""

    told: int
    asked: int
    missing: int

    @property
    def share(self) -> float | None:
        calls = self.told + self.asked + self.missing
        return round(100 * self.told / calls, 2) if calls else None


def counts_by_state() -> dict[str, int]:
    """Webhooks by state: what is alive, the open dead letters, and what came in and was completed in the last 24
    hours. Of the clinics in scope, else of all."""
    live = (WebhookState.PENDING, WebhookState.PROCESSING)
    with _readable():
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
    with _readable():
        return WebhookDelivery.objects.filter(state=WebhookState.DEAD_LETTER).order_by().count()


def oldest_waiting_seconds() -> int:
    """Since the longest-due webhook became due; 0 where none waits."""
    now = timezone.now()
    with _readable():
        due = WebhookDelivery.objects.filter(state=WebhookState.PENDING, next_attempt_at__lte=now)
        oldest = due.order_by().aggregate(oldest=Min("next_attempt_at"))["oldest"]
    return int((now - oldest).total_seconds()) if oldest else 0


def last_failures(limit: int) -> list[WebhookDelivery]:
    """The newest dead letters, then what failed and waits for its next try; what they said is left unread."""
    with _readable():
        rows = WebhookDelivery.objects.defer("payload")
        dead = list(rows.filter(state=WebhookState.DEAD_LETTER).order_by("-updated_at")[:limit])
        failed = rows.filter(state=WebhookState.PENDING, attempts__gt=0).order_by("-updated_at")
        return (dead + list(failed[:limit]))[:limit]


def reliability() -> Reliability:
    """How calls' ends reached us in the last 24 hours."""
    now = timezone.now()
    with _readable():
        ended = Call.objects.filter(ended_at__gte=now - DAY, ended_at__lte=now).order_by()
        late = Q(report_learnt="", ended_at__lt=now - REPORT_DUE)
        found = ended.aggregate(
            told=Count("pk", filter=Q(report_learnt=Call.Learnt.TOLD)),
            asked=Count("pk", filter=Q(report_learnt=Call.Learnt.ASKED)),
            missing=Count("pk", filter=late),
        )
    return Reliability(**found)


def webhooks_by_state() -> Mapping[tuple[str, ...], float]:
    """For the gauge."""
    return {(state,): float(number) for state, number in counts_by_state().items()}


def reported_share() -> Mapping[tuple[str, ...], float]:
    """For the gauge: between 0 and 1; nothing without a call."""
    share = reliability().share
    return {} if share is None else {(): share / 100}


@contextmanager
def _readable() -> Iterator[None]:
    """The scope at hand; the platform's where there is none."""
    if current_scope() is not None:
        yield
    else:
        with platform_scope("health of the webhooks"):
            yield
