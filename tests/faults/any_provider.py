"""50 callers want the same instant and take whoever is free."""

from __future__ import annotations

from tests.faults.callers import booking
from tests.faults.evidence import without
from tests.faults.races import Race, race
from tests.faults.rows import Row
from tests.faults.stack import Stack
from tests.guards import NO_OVERLAP

NAME = "any-provider"
CALLERS = 50


def run(stack: Stack) -> Row:
    raced = _race(stack)
    providers = len(stack.clinic["providers"])
    one_each = len(raced.visits) == providers and set(raced.visits.values()) == {1}
    held = raced.clean and one_each and (raced.booked, raced.refused) == (providers, CALLERS - providers)
    return Row(NAME, f"{CALLERS} callers, {providers} free providers: {raced}", held)


def control(stack: Stack) -> Row:
    """The same without the exclusion constraint."""
    with without(stack, NO_OVERLAP):
        raced = _race(stack)
    return Row(NAME, f"no constraint: {raced}", not raced.overlaps)


def _race(stack: Stack) -> Race:
    day = stack.fresh_day()
    return race(stack, day, [booking(stack.clinic, day, "11:00") for _ in range(CALLERS)])
