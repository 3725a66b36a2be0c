"""What a look at a clinic's tool chain found at the providers, item by item, and what was done about it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

import structlog

logger = structlog.get_logger(__name__)


class Kind(StrEnum):
    TOOL = "tool"
    ASSISTANT = "assistant"
    LINK = "links"
    NUMBER = "number"


class State(StrEnum):
    """``TROUBLE`` needs a person; the others say what was done, or would be done by a run that may change things."""

    AS_WANTED = "as wanted"
    CREATED = "created"
    REPAIRED = "repaired"
    REMOVED = "removed"
    TROUBLE = "needs a person"


IF_ALLOWED = {
    State.CREATED: "is missing",
    State.REPAIRED: "differs",
    State.REMOVED: "is left over",
}


@dataclass(frozen=True, slots=True)
class Item:
    """``there`` is its id at the provider, ``faults`` are the members that were not as wanted, or the sentence that
    says what a person must do."""

    kind: Kind
    name: str
    there: str
    state: State
    faults: tuple[str, ...] = ()


@dataclass(slots=True)
class ClinicReport:
    """One clinic; ``failure`` says why the look could not be finished."""

    org_id: UUID
    slug: str
    check_only: bool
    items: list[Item] = field(default_factory=list)
    failure: str = ""
    milliseconds: float = 0.0

    @property
    def differs(self) -> bool:
        """Whether anything was, or would have to be, changed."""
        return any(item.state in IF_ALLOWED for item in self.items)

    @property
    def troubled(self) -> bool:
        return bool(self.failure) or any(item.state is State.TROUBLE for item in self.items)

    def of(self, kind: Kind) -> list[Item]:
        return [item for item in self.items if item.kind is kind]


@contextmanager
def one_clinics_turn(report: ClinicReport, *known: type[Exception]) -> Iterator[None]:
    """Whatever goes wrong with one clinic is told in its report, and the others still get their turn. Exceptions of
    the ``known`` kinds are sentences for operators; any other goes to the log."""
    began = time.perf_counter()
    try:
        yield
    except known as fault:
        report.failure = str(fault)
    except Exception as error:
        logger.exception("clinic_not_finished", org_id=str(report.org_id))
        report.failure = f"An unexpected fault ({type(error).__name__}); the log has more."
    report.milliseconds = (time.perf_counter() - began) * 1000


def table(reports: Iterable[ClinicReport]) -> list[str]:
    """The set as lines of text, one item a line."""
    rows = [
        (report.slug, item.kind.value, item.name, item.there or "-", _said(report, item))
        for report in reports
        for item in report.items
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    return ["  ".join([*(row[at].ljust(widths[at]) for at in range(4)), row[4]]).rstrip() for row in rows]


def _said(report: ClinicReport, item: Item) -> str:
    word = IF_ALLOWED.get(item.state, item.state.value) if report.check_only else item.state.value
    return f"{word}: {', '.join(item.faults)}" if item.faults else word


def summary(reports: list[ClinicReport]) -> str:
    """One sentence on the whole run."""
    changes = sum(item.state in IF_ALLOWED for report in reports for item in report.items)
    troubles = sum(item.state is State.TROUBLE for report in reports for item in report.items)
    failures = sum(bool(report.failure) for report in reports)
    check_only = any(report.check_only for report in reports)
    told = [f"{changes} {'differences' if check_only else 'changes'}" if changes else "Nothing to change"]
    if troubles:
        told.append(f"{troubles} for a person to look at")
    if failures:
        told.append(f"{failures} clinics could not be finished")
    return f"{', '.join(told)}, in {len(reports)} clinics."
