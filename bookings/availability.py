"""What is free: the clinic's hours less visits, less what the providers' own calendars say is taken.

Our own tables answer; no provider is asked while a caller waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from bookings.plan import ClinicPlan, ProviderPlan, ServicePlan
from bookings.slots import Interval, PartOfDay, in_part_of_day, local_day, slot_starts, spread
from voxanne.statements import Statement

MOST_SLOTS = 6
SLOTS_A_DAY_OFFERED = 3
DAYS_OFFERED = 3
# How far ahead alternatives are looked for: in one query, so a full week costs no more than a full day.
DAYS_LOOKED_AT = 21
# No visit or its buffers are longer than this, so one that reaches into a day starts at most this far before it.
LONGEST_BLOCK = timedelta(days=1)

# Provider by provider, led by each one's visits whatever PostgreSQL knows of the table (OFFSET keeps it from joining in
# another way). Visits without the clinic's id, as in bookings/entering.py.
BUSY = Statement(
    """
SELECT busy.* FROM unnest(%(providers)s::uuid[]) AS who (id) CROSS JOIN LATERAL (
    SELECT provider_id, blocked_from, blocked_until FROM appointments
    WHERE provider_id = who.id AND status IN ('held', 'confirmed')
      AND starts_at >= %(start)s - %(longest)s AND starts_at < %(end)s + %(longest)s
      AND blocked_until > %(start)s AND blocked_from < %(end)s
    UNION ALL
    SELECT provider_id, starts_at, ends_at FROM busy_blocks
    WHERE org_id = %(org)s AND provider_id = who.id AND ends_at > %(start)s AND starts_at < %(end)s
    OFFSET 0) AS busy
""",
    binary=True,
)

Busy = dict[UUID, list[Interval]]


@dataclass(frozen=True, slots=True)
class DaySlots:
    """The free starts (UTC) of one local day."""

    day: date
    starts: list[datetime]


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody would like to book. Without ``provider``, anybody who does the service will do."""

    plan: ClinicPlan
    service: ServicePlan
    provider: ProviderPlan | None
    length: timedelta
    now: datetime
    part: PartOfDay | None = None

    @property
    def candidates(self) -> Sequence[ProviderPlan]:
        return [self.provider] if self.provider else self.plan.doing(self.service)

    @property
    def earliest(self) -> datetime:
        """No visit starts before this: the past, and the service's minimum notice."""
        return self.now + self.service.minimum_notice

    @property
    def last_day(self) -> date:
        return self.plan.today(self.now) + timedelta(days=self.service.horizon_days)


def free_on(question: Question, day: date) -> DaySlots:
    """All free starts of ``day``, in order, each once however many providers are free."""
    window = local_day(day, question.plan.zone)
    return DaySlots(day, _starts(question, day, busy_between(question, window)))


def alternatives(question: Question, day: date) -> list[DaySlots]:
    """The nearest days with something free, from ``day`` on, each with a few starts spread over it."""
    first = max(day, question.plan.today(question.now))
    days = [first + timedelta(days=offset) for offset in range(DAYS_LOOKED_AT)]
    days = [each for each in days if each <= question.last_day]
    if not days:
        return []
    zone = question.plan.zone
    busy = busy_between(question, Interval(local_day(days[0], zone).start, local_day(days[-1], zone).end))
    offered: list[DaySlots] = []
    for each in days:
        starts = _starts(question, each, busy)
        if starts:
            offered.append(DaySlots(each, spread(starts, SLOTS_A_DAY_OFFERED)))
        if len(offered) == DAYS_OFFERED:
            break
    return offered


def busy_between(question: Question, window: Interval) -> Busy:
    """What takes each candidate's time within ``window``: visits with their buffers, and mirrored blocks."""
    providers = [provider.id for provider in question.candidates]
    # Buffers reach past the visit, so look a little beyond the window on both sides.
    margin = question.service.before + question.service.after
    values: dict[str, Any] = {
        "org": question.plan.key.org_id,
        "providers": providers,
        "start": window.start - margin,
        "end": window.end + margin,
        "longest": LONGEST_BLOCK,
    }
    busy: Busy = {provider: [] for provider in providers}
    for provider_id, start, end in BUSY.rows(values):
        busy[provider_id].append(Interval(start, end))
    return busy


def _starts(question: Question, day: date, busy: Busy) -> list[datetime]:
    if day > question.last_day:
        return []
    end = local_day(day, question.plan.zone).end
    starts: set[datetime] = set()
    for provider in question.candidates:
        starts.update(
            slot_starts(
                question.plan.open_hours(provider, day),
                busy[provider.id],
                zone=question.plan.zone,
                length=question.length,
                before=question.service.before,
                after=question.service.after,
                not_before=question.earliest,
                not_after=end,
            )
        )
    if question.part is not None:
        return sorted(start for start in starts if in_part_of_day(start, question.plan.zone, question.part))
    return sorted(starts)
