"""Whether anybody is at the clinic."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from bookings.plan import ClinicPlan, plan_of


def is_open(plan: ClinicPlan, now: datetime) -> bool:
    """Whether somebody takes visits at this moment; a clinic that gave no hours counts as open."""
    if not any(provider.windows for provider in plan.providers):
        return True
    day = plan.today(now)
    hours = [window for provider in plan.providers for window in plan.open_hours(provider, day)]
    return any(window.start <= now < window.end for window in hours)


def is_open_at(org_id: UUID, now: datetime) -> bool:
    """The same for those who know the clinic by its id. Inside its scope."""
    return is_open(plan_of(org_id), now)
