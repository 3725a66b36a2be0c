"""What the booking races have in common: callers at once, then what they heard and what the database holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from tests.faults import evidence
from tests.faults.callers import Answer, Prepared, all_at_once, slowest_of_nothing
from tests.faults.stack import Stack

SLOWEST_MILLISECONDS = 1000.0


@dataclass(frozen=True)
class Race:
    """Answers of one race, the pairs of visits that overlap after it, and the deadlocks during it.

    ``nothing``: milliseconds of the slowest answer when as many callers at once ask for nothing."""

    answers: list[Answer]
    overlaps: int
    deadlocks: int
    visits: dict[tuple[str, str], int]
    nothing: float

    @property
    def booked(self) -> int:
        return sum(answer.booked for answer in self.answers)

    @property
    def refused(self) -> int:
        return sum(answer.politely_refused for answer in self.answers)

    @property
    def others(self) -> list[Answer]:
        """Answers that are neither: faults, and refusals for another reason or without alternatives."""
        return [answer for answer in self.answers if not answer.booked and not answer.politely_refused]

    @property
    def slowest(self) -> float:
        return max(answer.milliseconds for answer in self.answers)

    @property
    def clean(self) -> bool:
        """Nobody shares a time, everybody got a proper answer in time, the database never had to break a ring."""
        return (
            not self.overlaps
            and not self.others
            and not self.deadlocks
            and self.slowest < SLOWEST_MILLISECONDS
            and self.booked == sum(self.visits.values())
        )

    def __str__(self) -> str:
        said = (
            f"{self.booked} booked, {self.refused} refused with alternatives, {len(self.others)} otherwise; "
            f"{self.overlaps} overlapping pairs, {self.deadlocks} deadlocks; slowest answer {self.slowest:.0f} ms "
            f"({self.nothing:.0f} ms where nothing is asked)"
        )
        if self.others:
            odd = self.others[0]
            said += f" (the first otherwise: {odd.fault or odd.result})"
        return said


def race(stack: Stack, day: date, wishes: Sequence[Prepared]) -> Race:
    """All wishes for ``day`` at the same instant, each by a caller of its own."""
    before = evidence.deadlocks(stack)
    return judge(stack, day, all_at_once(stack.options.port, wishes), len(wishes), before)


def judge(stack: Stack, day: date, answers: list[Answer], callers: int, deadlocks_before: int) -> Race:
    return Race(
        answers=answers,
        overlaps=evidence.overlaps(stack, day),
        deadlocks=evidence.deadlocks(stack) - deadlocks_before,
        visits=dict(evidence.visits(stack, day)),
        nothing=slowest_of_nothing(stack.options.port, callers),
    )
