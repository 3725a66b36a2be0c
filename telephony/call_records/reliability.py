"""Do the ends of calls reach us by themselves? Read from the calls, through their index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Q
from django.utils import timezone

from telephony.models import Call
from voxanne.tenancy.scope import scope_at_hand

DAY = timedelta(hours=24)
# A report comes after Vapi's own work on the call; one that is later than this was lost.
REPORT_DUE = timedelta(minutes=15)


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


def reliability() -> Reliability:
    """How calls' ends reached us in the last 24 hours."""
    now = timezone.now()
    with scope_at_hand("health of the calls' reports"):
        ended = Call.objects.filter(ended_at__gte=now - DAY, ended_at__lte=now).order_by()
        late = Q(report_learnt="", ended_at__lt=now - REPORT_DUE)
        found = ended.aggregate(
            told=Count("pk", filter=Q(report_learnt=Call.Learnt.TOLD)),
            asked=Count("pk", filter=Q(report_learnt=Call.Learnt.ASKED)),
            missing=Count("pk", filter=late),
        )
    return Reliability(**found)


def reported_share() -> Mapping[tuple[str, ...], float]:
    """For the gauge: between 0 and 1; nothing without a call."""
    share = reliability().share
    return {} if share is None else {(): share / 100}
