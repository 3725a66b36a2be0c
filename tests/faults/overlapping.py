"""50 callers want one provider at starts five minutes apart, all within one visit's length."""

from __future__ import annotations

from tests.faults.callers import booking
from tests.faults.evidence import without
from tests.faults.races import Race, race
from tests.faults.rows import Row
from tests.faults.stack import Stack
from tests.guards import NO_OVERLAP

NAME = "overlapping"
CALLERS = 50
MINUTES = 240
# From nine until the last start at which such a visit ends by five.
STARTS = [f"{9 + mark // 12:02d}:{mark % 12 * 5:02d}" for mark in range(MINUTES // 5 + 1)]


def run(stack: Stack) -> Row:
    raced = _race(stack)
    # The first start and the last one do not overlap each other: the two may both be granted.
    held = raced.clean and 1 <= raced.booked <= 2 and raced.booked + raced.refused == CALLERS
    return Row(NAME, f"{CALLERS} callers, {len(STARTS)} starts of {MINUTES} min visits: {raced}", held)


def control(stack: Stack) -> Row:
    """The same without the exclusion constraint."""
    with without(stack, NO_OVERLAP):
        raced = _race(stack)
    return Row(NAME, f"no constraint: {raced}", not raced.overlaps)


def _race(stack: Stack) -> Race:
    day, named = stack.fresh_day(), {"provider": stack.clinic["providers"][0]["id"], "duration": MINUTES}
    starts = [STARTS[index % len(STARTS)] for index in range(CALLERS)]
    return race(stack, day, [booking(stack.clinic, day, at, **named) for at in starts])
