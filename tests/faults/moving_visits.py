"""40 patients of one provider, each with a visit of their own, want to move to one time at the same instant."""

from __future__ import annotations

from tests.faults.callers import Prepared, booking, one_after_another, tool_call
from tests.faults.evidence import without
from tests.faults.races import SLOWEST_MILLISECONDS, Race, race
from tests.faults.rows import Row
from tests.faults.stack import Stack
from tests.guards import NO_OVERLAP

NAME = "moving-visits"
MINUTES = 5
WANTED = "16:00"
STARTS = [f"{9 + mark // 12:02d}:{mark % 12 * MINUTES:02d}" for mark in range(40)]


def run(stack: Stack) -> Row:
    raced = _race(stack)
    kept = sum(raced.visits.values())
    proper = not (raced.overlaps or raced.others or raced.deadlocks) and raced.slowest < SLOWEST_MILLISECONDS
    held = proper and (raced.booked, raced.refused, kept) == (1, len(STARTS) - 1, len(STARTS))
    return Row(NAME, f"{len(STARTS)} movers, {kept} visits stand: {raced}", held)


def control(stack: Stack) -> Row:
    """The same without the exclusion constraint."""
    with without(stack, NO_OVERLAP):
        raced = _race(stack)
    return Row(NAME, f"no constraint: {raced}", not raced.overlaps)


def _race(stack: Stack) -> Race:
    day, provider = stack.fresh_day(), stack.clinic["providers"][0]["id"]
    wishes = [booking(stack.clinic, day, at, provider=provider, duration=MINUTES) for at in STARTS]
    made = one_after_another(stack.options.port, wishes)
    to = {"newDate": day.isoformat(), "newTime": WANTED}
    return race(
        stack, day, [_move(stack, to, (answer.result or {}).get("confirmationCode", "")) for answer in made]
    )


def _move(stack: Stack, to: dict[str, str], code: str) -> Prepared:
    return tool_call(stack.clinic, "rescheduleAppointment", {**to, "confirmationCode": code})
