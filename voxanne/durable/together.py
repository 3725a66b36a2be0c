"""Several rows claimed and settled in one transaction each. What holds for one row holds for each of them: its own
lease and token, a compare-and-swap, nothing performed inside a transaction (see work.py)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from voxanne.durable import many_rows, work
from voxanne.durable.models import DurableWork
from voxanne.durable.settlement import Settlement, Together
from voxanne.durable.turns import Turn
from voxanne.durable.work import Claimed, WorkKind
from voxanne.tenancy.scope import org_scope

logger = structlog.get_logger(__name__)

Work = TypeVar("Work", bound=DurableWork)
Landed = tuple[Work, Settlement]


@dataclass(frozen=True)
class Taken(Generic[Work]):
    """What a turn brought: ``count`` rows, of which ``claimed`` are to be worked off. The others were settled as soon
    as they were prepared."""

    claimed: list[Claimed[Work]]
    count: int


def claim_turn(kind: WorkKind[Work], turn: Turn, most: int) -> Taken[Work]:
    """Claims at most ``most`` of the clinic's due rows in this lane. Where one of them cannot be prepared, each is
    claimed by itself, so that it makes room for the others."""
    rows: list[Work] = []
    now = timezone.now()
    try:
        with org_scope(turn.org_id):
            rows = many_rows.take_some(
                kind.model, turn.org_id, kind.lane, turn.lane, most, now=now, until=now + kind.lease
            )
            return _prepared(kind, rows)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.warning("claimed_singly", kind=kind.name, error=type(error).__name__, exc_info=error)
        singly = [work.claim(kind, turn.org_id, row.pk) for row in rows]
        return Taken([one for one in singly if one is not None], len(rows))


def _prepared(kind: WorkKind[Work], rows: list[Work]) -> Taken[Work]:
    if not rows:
        return Taken([], 0)
    prepared = kind.prepare_all(rows) if kind.prepare_all is not None else [kind.prepare(row) for row in rows]
    known = [(row, found) for row, found in zip(rows, prepared, strict=True) if isinstance(found, Settlement)]
    _swap(known)
    for _, settlement in known:
        if settlement.record is not None:
            settlement.record()
    to_do = [
        (row, found) for row, found in zip(rows, prepared, strict=True) if not isinstance(found, Settlement)
    ]
    return Taken([Claimed(row, found) for row, found in to_do], len(rows))


def settle_all(kind: WorkKind[Work], landed: Sequence[Landed[Work]]) -> None:
    """Settles each row as its work ended, those that can be together in one transaction. Where that fails, and for
    all others, each by itself."""
    together = [one for one in landed if _goes_together(one[1])]
    if len(together) > 1 and _settled_together(kind, together):
        landed = [one for one in landed if not _goes_together(one[1])]
    failures: list[Exception] = []
    for row, settlement in landed:
        try:
            work.settle_performed(kind, row, settlement)
        except Exception as error:
            logger.exception("work_not_settled", kind=kind.name, id=str(row.pk), error=type(error).__name__)
            failures.append(error)
    if failures:
        raise failures[0]


def _goes_together(settlement: Settlement) -> bool:
    record = settlement.record
    return settlement.within is None and (record is None or isinstance(record, Together))


def _settled_together(kind: WorkKind[Work], landed: Sequence[Landed[Work]]) -> bool:
    try:
        with org_scope(*{row.org_id for row, _ in landed}):
            # The rows first, then what belongs to them: everybody locks in this order.
            held = _swap(landed)
            _record([settlement.record for _, settlement in landed])
            _tell_overtaken(kind, landed, held)
    # Also a fault of ours in one row's record: the others must not go to their lost state for it.
    except Exception as error:
        logger.warning(
            "settled_singly", kind=kind.name, rows=len(landed), error=type(error).__name__, exc_info=error
        )
        if isinstance(error, OperationalError | InterfaceError):
            connection.close()
        return False
    return True


def _swap(landed: Sequence[Landed[Work]]) -> set[UUID]:
    """Moves the rows whose claims hold; their ids. Rows that go the same way go in one statement."""
    alike: dict[tuple[Any, ...], list[tuple[Work, dict[str, Any]]]] = {}
    for row, settlement in landed:
        row.lifecycle.check(row.lifecycle.claimed, settlement.state)
        columns = work.settled_columns(type(row), settlement, lost_leases=0)
        alike.setdefault((tuple(columns), settlement.uses_attempt), []).append((row, columns))
    held: set[UUID] = set()
    for (_, adds_attempt), some in alike.items():
        rows = [row for row, _ in some]
        held |= many_rows.swap_all(rows, [columns for _, columns in some], adds_attempt=adds_attempt)
    return held


def _record(records: Iterable[Any]) -> None:
    by_kind: dict[type[Any], list[Any]] = {}
    for record in records:
        if record is not None:
            by_kind.setdefault(type(record), []).append(record)
    for some in by_kind.values():
        some[0].write_all(some)


def _tell_overtaken(kind: WorkKind[Work], landed: Sequence[Landed[Work]], held: set[UUID]) -> None:
    if kind.overtaken is None:
        return
    for row, settlement in landed:
        if row.pk not in held:
            with org_scope(row.org_id):
                kind.overtaken(row, settlement)
