"""A clinic's rules for its texts, as whoever sends one needs them. Kept in memory by the version of its plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils import timezone

from messaging.manners import minute_lines
from messaging.models import Message
from messaging.states import MessageState
from voxanne.tenancy.models import Organization
from voxanne.tenancy.plan_cache import ClinicKey, PlanCache

# How texts that these rules hold back say so: by these words they are found again when the rules change.
HELD_FOR_THE_NIGHT = "Held: it is night"
HELD_BY_BUDGET = "Held: this month's budget"
HELD_BY_MINUTE = "Held: this clinic sends no more texts a minute"
HELD = (HELD_FOR_THE_NIGHT, HELD_BY_BUDGET, HELD_BY_MINUTE)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Each day ``begins`` to ``ends``, local time; over midnight where it begins later than it ends."""

    begins: time
    ends: time


@dataclass(frozen=True, slots=True)
class Policy:
    """None stands for no rule. ``id`` is the row's, where there is one."""

    zone: ZoneInfo
    id: UUID | None = None
    quiet: QuietHours | None = None
    monthly_segments: int | None = None
    messages_a_minute: int | None = None
    answers_help: bool = False


def _load(org_id: UUID) -> Policy:
    columns = ("id", "quiet_from", "quiet_until", "monthly_segments", "messages_a_minute", "answers_help")
    row = Organization.objects.filter(pk=org_id).values_list(
        "timezone", *(f"messagingpolicy__{column}" for column in columns)
    )
    zone, pk, begins, ends, monthly, a_minute, answers_help = row.get()
    quiet = QuietHours(begins, ends) if begins is not None and ends is not None else None
    return Policy(ZoneInfo(zone), pk, quiet, monthly, a_minute, bool(answers_help))


_policies: PlanCache[Policy] = PlanCache(_load)


def policy_of(clinic: ClinicKey) -> Policy:
    """The rules of this version; asked of the database once a version, inside the clinic's scope."""
    return _policies.get(clinic)


def let_go(org_id: UUID) -> int:
    """After the rules changed: texts that the old ones held back are judged anew at once, and nobody stands in a line
    that they made. Returns how many. Inside the clinic's scope."""
    minute_lines.forget(org_id)
    now = timezone.now()
    by_rule = Q()
    for words in HELD:
        by_rule |= Q(last_error__startswith=words)
    waiting = Message.objects.filter(org_id=org_id, state=MessageState.QUEUED, next_attempt_at__gt=now)
    return waiting.filter(by_rule, expires_at__gt=now).update(next_attempt_at=now, updated_at=now)
