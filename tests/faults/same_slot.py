"""50 callers want one provider at the same instant of the same day."""

from __future__ import annotations

from tests.faults.callers import booking
from tests.faults.evidence import without
from tests.faults.races import Race, race
from tests.faults.rows import Row
from tests.faults.stack import Stack
from tests.guards import NO_OVERLAP

NAME = "same-slot"
CALLERS = 50


def run(stack: Stack) -> Row:
    raced = _race(stack)
    held = raced.clean and (raced.booked, raced.refused) == (1, CALLERS - 1)
    return Row(NAME, f"{CALLERS} callers: {raced}", held)


def control(stack: Stack) -> Row:
    """The same without the exclusion constraint."""
    with without(stack, NO_OVERLAP):
        raced = _race(stack)
    return Row(NAME, f"no constraint: {raced}", not raced.overlaps)


def _race(stack: Stack) -> Race:
    day, provider = stack.fresh_day(), stack.clinic["providers"][0]["id"]
    return race(stack, day, [booking(stack.clinic, day, "10:00", provider=provider) for _ in range(CALLERS)])
