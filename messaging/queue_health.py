"""Are the texts going out? The queue as it stands, and how delivery went (contract, section 6).

Every figure is read from the messages themselves through an index: what lives through the partial index on
live states, a day's deliveries through the time of their first try, dead letters through their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Avg, Count, ExpressionWrapper, F, Min, Q
from django.db.models.fields import DurationField
from django.utils import timezone

from messaging.models import Message
from messaging.states import MessageState
from messaging.undelivered.dead_letters import GAVE_UP_AT
from voxanne.tenancy.models import Organization
from voxanne.tenancy.scope import org_scope, scope_at_hand

LIVE = (MessageState.QUEUED, MessageState.SENDING, MessageState.UNKNOWN)
# Given up, one way or the other: an opt-out or a withdrawn text is no failure.
FAILED = (MessageState.DEAD_LETTER, MessageState.EXPIRED)
COMPLETED = (MessageState.SENT, MessageState.DELIVERED)
MOST_COUNTED = 10_000
WEEK = timedelta(days=7)

FEW_WAITING = 100
SLOW_SECONDS = 60
STUCK_SECONDS = 300
GOOD_RATE = 95.0
BAD_RATE = 50.0
ENOUGH_SETTLED = 10
MANY_DEAD_LETTERS = 10


@dataclass(frozen=True, slots=True)
class DeliveryStats:
    """The messages first tried within the window. ``failed`` holds the dead letters and what expired;
    ``success_rate`` is the percentage of the settled ones that arrived, None while none is settled."""

    total_sent: int
    delivered: int
    failed: int
    dead_letter: int
    completed: int
    avg_delivery_time_ms: int | None

    @property
    def settled(self) -> int:
        return self.delivered + self.failed

    @property
    def success_rate(self) -> float | None:
        return round(100 * self.delivered / self.settled, 2) if self.settled else None


@dataclass(frozen=True, slots=True)
class Queue:
    """What is alive now. ``oldest_waiting_seconds``: since the longest-due message became due; 0 without one.
    ``unknown`` are among the active ones."""

    waiting: int
    delayed: int
    active: int
    oldest_waiting_seconds: int
    unknown: int = 0

    @property
    def healthy(self) -> bool:
        quick = self.waiting < FEW_WAITING or self.oldest_waiting_seconds < SLOW_SECONDS
        return quick and self.oldest_waiting_seconds < STUCK_SECONDS


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """``open`` is counted no further than 10,000."""

    open: int
    last_week: int


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that somebody should look at."""

    code: str
    severity: str
    message: str


def get_sms_delivery_stats(org: Organization | UUID | None, hours: int = 24) -> DeliveryStats:
    """How the messages went that were first tried in the last ``hours``; of every clinic where ``org`` is None."""
    since = timezone.now() - timedelta(hours=hours)
    with _readable(org.pk if isinstance(org, Organization) else org):
        found = Message.objects.filter(first_attempted_at__gte=since).aggregate(
            total=Count("pk"),
            delivered=Count("pk", filter=Q(state=MessageState.DELIVERED)),
            failed=Count("pk", filter=Q(state__in=FAILED)),
            dead=Count("pk", filter=Q(state=MessageState.DEAD_LETTER)),
            completed=Count("pk", filter=Q(state__in=COMPLETED)),
            average=Avg(
                ExpressionWrapper(F("delivered_at") - F("first_attempted_at"), DurationField()),
                filter=Q(state=MessageState.DELIVERED),
            ),
        )
    average: timedelta | None = found["average"]
    return DeliveryStats(
        total_sent=found["total"],
        delivered=found["delivered"],
        failed=found["failed"],
        dead_letter=found["dead"],
        completed=found["completed"],
        avg_delivery_time_ms=None if average is None else max(0, round(average.total_seconds() * 1000)),
    )


def queue_now(org_id: UUID | None = None) -> Queue:
    """The live messages, of every clinic where ``org_id`` is None."""
    now = timezone.now()
    due = Q(state=MessageState.QUEUED, next_attempt_at__lte=now)
    with _readable(org_id):
        found = (
            Message.objects.filter(state__in=LIVE)
            .order_by()
            .aggregate(
                waiting=Count("pk", filter=due),
                delayed=Count("pk", filter=Q(state=MessageState.QUEUED, next_attempt_at__gt=now)),
                active=Count("pk", filter=~Q(state=MessageState.QUEUED)),
                unknown=Count("pk", filter=Q(state=MessageState.UNKNOWN)),
                oldest=Min("next_attempt_at", filter=due),
            )
        )
    oldest: datetime | None = found["oldest"]
    waited = int((now - oldest).total_seconds()) if oldest else 0
    return Queue(found["waiting"], found["delayed"], found["active"], waited, found["unknown"])


def dead_letters_now(org_id: UUID | None = None) -> DeadLetters:
    with _readable(org_id):
        dead = Message.objects.filter(state=MessageState.DEAD_LETTER).order_by()
        recent = dead.annotate(gave_up_at=GAVE_UP_AT).filter(gave_up_at__gte=timezone.now() - WEEK)
        return DeadLetters(open=dead[:MOST_COUNTED].count(), last_week=recent[:MOST_COUNTED].count())


def status_of(queue: Queue, stats: DeliveryStats) -> str:
    """healthy, degraded or unhealthy, by the rule of the contract."""
    rate = stats.success_rate
    bad = rate is not None and rate < BAD_RATE and stats.settled >= ENOUGH_SETTLED
    if queue.oldest_waiting_seconds >= STUCK_SECONDS or bad:
        return "unhealthy"
    return "healthy" if queue.healthy and (rate is None or rate > GOOD_RATE) else "degraded"


def concerns(queue: Queue, stats: DeliveryStats, dead: DeadLetters) -> list[Concern]:
    """What is wrong, in words."""
    found = []
    if queue.waiting > FEW_WAITING:
        found.append(
            Concern("many_waiting", "warning", f"{queue.waiting} texts are due and wait to be sent.")
        )
    if queue.oldest_waiting_seconds >= SLOW_SECONDS:
        severity = "critical" if queue.oldest_waiting_seconds >= STUCK_SECONDS else "warning"
        said = f"A text has been due for {queue.oldest_waiting_seconds} s: check the worker and the provider."
        found.append(Concern("slow_queue", severity, said))
    if stats.success_rate is not None and stats.success_rate < GOOD_RATE:
        severity = "critical" if stats.success_rate < BAD_RATE else "warning"
        said = f"{stats.success_rate:g} % of the texts settled in 24 hours arrived: read the dead letters' reasons."
        found.append(Concern("low_success_rate", severity, said))
    if dead.last_week > MANY_DEAD_LETTERS:
        said = f"{dead.last_week} texts were given up in 7 days: read why, then redrive, decide about or discard them."
        found.append(Concern("many_dead_letters", "warning", said))
    return found


def messages_by_state() -> Mapping[tuple[str, ...], float]:
    """For the gauge: live messages and open dead letters; of the settled ones those of the last 24 hours, by
    their first try or, where there was none, by when they were made."""
    day_ago = timezone.now() - timedelta(hours=24)
    with _readable(None):
        live = Message.objects.filter(state__in=LIVE)
        tried = Message.objects.filter(first_attempted_at__gte=day_ago).exclude(state__in=LIVE)
        untried = Message.objects.filter(created_at__gte=day_ago, first_attempted_at=None).exclude(
            state__in=LIVE
        )
        counts = Counter(dict.fromkeys(MessageState.values, 0))
        for rows in (live, tried, untried):
            counts.update(dict(rows.order_by().values_list("state").annotate(n=Count("pk"))))
    counts[MessageState.DEAD_LETTER] = dead_letters_now().open
    return {(state,): float(count) for state, count in counts.items()}


@contextmanager
def _readable(org_id: UUID | None) -> Iterator[None]:
    """The clinic's scope; without a clinic the scope at hand, and the platform's where there is none."""
    if org_id is not None:
        with org_scope(org_id):
            yield
    else:
        with scope_at_hand("health of the text queue"):
            yield
