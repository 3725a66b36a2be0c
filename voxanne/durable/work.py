"""The one mechanism for durable work: claim, settle, sweep, redrive.

Every change of state is a compare-and-swap on the row, so any number of workers, sweepers and people may
try it at once and one wins. The work itself happens between claim and settle, outside any transaction;
the lease outlives the work's own deadline. A worker that died leaves a lease to run out; ``release_lost``
then moves the row to the kind's ``lost`` state.

Nothing is repeated for ever: a row whose leases ran out, or whose code raised, ``MOST_LOST_LEASES`` times in
a row is given up for a person to look at.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypedDict, TypeVar
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, connection, models
from django.db.models import F
from django.utils import timezone

from voxanne.durable import rows
from voxanne.durable.models import DurableWork
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import narrow_to, org_scope, platform_scope, within_org

logger = structlog.get_logger(__name__)

Work = TypeVar("Work", bound=DurableWork)

MOST_LOST_LEASES = 10
FIRST_WAIT_AFTER_ERROR = timedelta(seconds=5)
LONGEST_WAIT_AFTER_ERROR = timedelta(minutes=5)
STOPPED = "The worker stopped before the outcome was known."
WORN_OUT = f"Given up: the work failed {MOST_LOST_LEASES} times in a row. Find out why before it is redriven."


@dataclass(frozen=True)
class WorkKind(Generic[Work]):
    """One kind of durable work.

    ``prepare`` runs in the claim's own transaction and returns what ``perform`` will need from the database.
    ``perform`` then works outside any transaction and returns how it ended; it never raises for what the
    other side does. Work that is nothing but rows it leaves to the settlement's ``within``.
    ``resolve``, where given, is asked about rows in the ``lost`` state that are due.
    ``overtaken`` hears of a settlement whose claim was lost meanwhile, in the same transaction: the row is
    somebody else's, but what the late worker did or learnt may matter to it.
    ``let_go`` hears of a row whose lease ran out before its work began, with what ``prepare`` took up for it.
    ``gives_way`` is how many seconds a claim may wait while callers on this machine are being answered.
    ``threads`` is how many of a process's threads may work its rows off at once (bulkhead.py): as many as one of them
    waits for others, and all kinds' together leave some of a worker's threads to what runs by the clock.
    ``most_hints_a_second`` bounds how many of one clinic's rows are named to the broker; 0 sets no bound (hints.py).
    ``lane`` names the column that goes before the waiting, lowest first. A kind that has one is worked off by a pump
    (``pump.py``): several rows at a time, the clinics taking turns in each lane. ``prepare_all`` then does for rows of
    one clinic what ``prepare`` does for one; a Settlement among its results says that there is nothing to perform.
    """

    name: str
    model: type[Work]
    prepare: Callable[[Work], Any]
    perform: Callable[[Work, Any], Settlement]
    lease: timedelta
    queue: str
    resolve: Callable[[Work], Settlement | None] | None = None
    order: tuple[str, ...] = ("next_attempt_at",)
    overtaken: Callable[[Work, Settlement], None] | None = None
    let_go: Callable[[Work, Any], None] | None = None
    gives_way: float = 0.0
    threads: int = 4
    most_hints_a_second: int = 0
    lane: str = ""
    prepare_all: Callable[[list[Work]], list[Any]] | None = None


@dataclass(frozen=True)
class Claimed(Generic[Work]):
    """A row that is ours until its lease runs out, and what ``prepare`` found for it."""

    row: Work
    prepared: Any


class _Hold(TypedDict):
    token: UUID
    now: datetime
    until: datetime


class _Spoiled(Exception):
    """A row could not be prepared. What was claimed for it is rolled back: it waits as before."""

    def __init__(self, row: DurableWork, error: Exception) -> None:
        super().__init__(str(row.pk))
        self.row = row
        self.error = error


def claim(kind: WorkKind[Work], org_id: UUID, pk: UUID) -> Claimed[Work] | None:
    """Claims the row if it is waiting and due; None when someone else has it, or it is not due."""
    try:
        with org_scope(org_id):
            return _prepared(kind, rows.take_one(kind.model, org_id, pk, **_hold(kind)))
    except _Spoiled as spoiled:
        _put_off(kind, spoiled)
        return None


def claim_next(kind: WorkKind[Work]) -> Claimed[Work] | None:
    """Claims the row of any clinic that has been due the longest; None when nothing is due.

    A row that cannot be prepared makes room for those behind it.
    """
    while True:
        try:
            with platform_scope(f"claim the next {kind.name}"):
                return _prepared(kind, rows.take_next(kind.model, kind.order, **_hold(kind)))
        except _Spoiled as spoiled:
            _put_off(kind, spoiled)


def _hold(kind: WorkKind[Any]) -> _Hold:
    now = timezone.now()
    return {"token": uuid.uuid4(), "now": now, "until": now + kind.lease}


def _prepared(kind: WorkKind[Work], row: Work | None) -> Claimed[Work] | None:
    """What the row's work needs is read as its clinic. Raises _Spoiled."""
    if row is None:
        return None
    try:
        narrow_to(row.org_id)
        return Claimed(row, kind.prepare(row))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        raise _Spoiled(row, error) from error


def _put_off(kind: WorkKind[Any], spoiled: _Spoiled) -> None:
    """Nothing has left the house yet, so waiting again is safe for every kind."""
    row, error = spoiled.row, spoiled.error
    logger.error(
        "work_not_prepared", kind=kind.name, id=str(row.pk), error=type(error).__name__, exc_info=error
    )
    waiting = kind.model.lifecycle.waiting
    settlement = _after_error(row, waiting, error)
    with org_scope(row.org_id):
        rows.swap(
            type(row), row.org_id, row.pk, states=(waiting,), columns=settled_columns(type(row), settlement),
            adds_attempt=settlement.uses_attempt,
        )  # fmt: skip


def perform(kind: WorkKind[Work], claimed: Claimed[Work]) -> Settlement | None:
    """Does a claimed row's work and settles it. The connection goes back to the pool meanwhile.

    None when the lease ran out before the work began: another worker may have the row by now. What raises
    counts as a lost lease at once: only the kind's ``lost`` state knows whether repeating is harmless.
    """
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    settlement = performed(kind, claimed)
    return None if settlement is None else settle_performed(kind, claimed.row, settlement)


def performed(kind: WorkKind[Work], claimed: Claimed[Work]) -> Settlement | None:
    """The same without settling: how the work ended. Needs no database of its own."""
    row = claimed.row
    if row.claimed_until is None or row.claimed_until <= timezone.now():
        logger.warning("lease_over_before_work_began", kind=kind.name, id=str(row.pk))
        if kind.let_go is not None:
            kind.let_go(row, claimed.prepared)
        return None
    try:
        return kind.perform(row, claimed.prepared)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        return _failed(kind, row, error)


def settle_performed(kind: WorkKind[Work], row: Work, settlement: Settlement) -> Settlement:
    """Settles a row whose work is done; as what it was settled in the end."""
    try:
        _settle_surely(kind, row, settlement)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        settlement = _failed(kind, row, error)
        _settle(row, settlement, kind.overtaken)
    return settlement


def _failed(kind: WorkKind[Work], row: Work, error: Exception) -> Settlement:
    logger.error("work_failed", kind=kind.name, id=str(row.pk), error=type(error).__name__, exc_info=error)
    return _after_error(row, row.lifecycle.lost, error)


def settle(row: DurableWork, settlement: Settlement) -> bool:
    """Records how the claimed row's try ended. False when the claim is no longer ours: the lease ran out,
    or a receipt settled it first; then nothing is changed."""
    return _settle(row, settlement, None, lost_leases=0)


def _settle_surely(kind: WorkKind[Work], row: Work, settlement: Settlement) -> bool:
    """A second time on a fresh connection: the outcome is known now, and a restarted database asks for no more."""
    try:
        return _settle(row, settlement, kind.overtaken, lost_leases=0)
    except (OperationalError, InterfaceError):
        connection.close()
        return _settle(row, settlement, kind.overtaken, lost_leases=0)


def _settle(
    row: Work, settlement: Settlement, overtaken: Callable[[Work, Settlement], None] | None, **more: Any
) -> bool:
    row.lifecycle.check(row.lifecycle.claimed, settlement.state)
    with org_scope(row.org_id):
        # The row first, then what belongs to it: everybody locks in this order.
        held = _swap_held(row, settlement, **more)
        if held and settlement.within is not None:
            settlement.within()
        if settlement.record is not None:
            settlement.record()
        if not held and overtaken is not None:
            overtaken(row, settlement)
    return held


def _swap_held(row: DurableWork, settlement: Settlement, **more: Any) -> bool:
    """Moves the row as long as our claim to it holds."""
    lifecycle, columns = row.lifecycle, settled_columns(type(row), settlement, **more)
    return rows.swap(
        type(row), row.org_id, row.pk, states=(lifecycle.claimed,), token=row.claim_token, columns=columns,
        adds_attempt=settlement.uses_attempt,
    )  # fmt: skip


def _after_error(row: DurableWork, state: str, error: Exception) -> Settlement:
    """Where a row goes whose code raised: ``state`` after a growing wait, or given up.

    A row whose fate is unknown is never given up for it: what it came to has to be found out first.
    """
    lost_leases = row.lost_leases + 1
    columns = {"lost_leases": lost_leases}
    said = f"{type(error).__name__} was raised; the log has the rest."
    if state == row.lifecycle.waiting and lost_leases >= MOST_LOST_LEASES:
        return Settlement(row.lifecycle.dead, error=f"{WORN_OUT} {said}", columns=columns)
    if state != row.lifecycle.waiting:
        return Settlement(state, error=said, columns=columns)
    wait = min(FIRST_WAIT_AFTER_ERROR * 2 ** (lost_leases - 1), LONGEST_WAIT_AFTER_ERROR)
    return Settlement(state, error=said, wait=wait, columns=columns)


def move(
    model: type[DurableWork], org_id: UUID, pk: UUID, settlement: Settlement, *, sources: tuple[str, ...] = ()
) -> bool:
    """Compare-and-swap outside a claim (receipts, reconciliation, people): True when this call moved it.

    From ``sources``, else from every state that may become the settlement's. Raises ForbiddenTransition for
    a source from which the table allows no such change.
    """
    for source in sources:
        model.lifecycle.check(source, settlement.state)
    wanted = sources or model.lifecycle.sources(settlement.state)
    with within_org(org_id):
        moved = rows.swap(
            model, org_id, pk, states=wanted, columns=settled_columns(model, settlement),
            adds_attempt=settlement.uses_attempt,
        )  # fmt: skip
        if moved and settlement.record is not None:
            settlement.record()
    return moved


def settled_columns(
    model: type[DurableWork], settlement: Settlement, *, enters: bool = True, **more: Any
) -> dict[str, Any]:
    """What a row's columns become when it goes where ``settlement`` says, its attempts aside."""
    now = timezone.now()
    return {
        "state": settlement.state,
        "claim_token": None,
        "claimed_until": None,
        "last_error": settlement.error[:2000],
        "next_attempt_at": now + settlement.wait,
        "updated_at": now,
        **(model.lifecycle.columns_on_entering(settlement.state, now) if enters else {}),
        **more,
        **settlement.columns,
    }


def move_all(found: models.QuerySet[Any], settlement: Settlement, *, enters: bool = True, **more: Any) -> int:
    """The same for however many rows a query finds."""
    columns = settled_columns(found.model, settlement, enters=enters, **more)
    if settlement.uses_attempt:
        columns["attempts"] = F("attempts") + 1
    return found.update(**columns)


def move_many(
    model: type[DurableWork],
    org_id: UUID,
    pks: Sequence[UUID],
    settlement: Settlement,
    *,
    source: str,
    only: models.Q | None = None,
) -> list[UUID]:
    """``move`` for many rows of a clinic in two statements: those of ``pks`` that are in ``source``, and that ``only``
    fits. Returns which this call moved, in no order. Inside the clinic's scope."""
    model.lifecycle.check(source, settlement.state)
    found = model.objects.filter(only or models.Q(), org_id=org_id, pk__in=pks, state=source)
    # Locked in one order: two such calls wait for each other and never for ever.
    moved = list(found.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
    move_all(model.objects.filter(org_id=org_id, pk__in=moved), settlement)
    return moved


def release_lost(kind: WorkKind[Work], now: datetime | None = None) -> int:
    """Moves rows whose lease ran out to the kind's ``lost`` state, due at once. Returns how many.

    Where ``lost`` means waiting again, a row that lost its lease too often is given up instead.
    """
    lifecycle = kind.model.lifecycle
    with platform_scope(f"release lost {kind.name}"):
        lapsed = kind.model.objects.filter(state=lifecycle.claimed, claimed_until__lt=now or timezone.now())
        given_up = 0
        if lifecycle.lost == lifecycle.waiting:
            worn_out = lapsed.filter(lost_leases__gte=MOST_LOST_LEASES - 1)
            given_up = move_all(
                worn_out, Settlement(lifecycle.dead, error=WORN_OUT), lost_leases=F("lost_leases") + 1
            )
        lost = Settlement(lifecycle.lost, error=STOPPED)
        return given_up + move_all(lapsed, lost, lost_leases=F("lost_leases") + 1)


def count_due(kind: WorkKind[Work]) -> int:
    """How many rows wait and are due, counted no further than 10,000."""
    with platform_scope(f"count due {kind.name}"):
        due = kind.model.objects.filter(
            state=kind.model.lifecycle.waiting, next_attempt_at__lte=timezone.now()
        )
        return due.order_by()[:10_000].count()


def redrive(model: type[DurableWork], org_id: UUID, pk: UUID, columns: dict[str, Any] | None = None) -> bool:
    """Puts a dead row back in the queue with fresh attempts. True when this call did it: pressing twice
    redrives once."""
    return move(model, org_id, pk, afresh(model, columns), sources=(model.lifecycle.dead,))


def afresh(model: type[DurableWork], columns: dict[str, Any] | None = None) -> Settlement:
    """How a dead row goes back to the queue."""
    fresh = {"attempts": 0, "lost_leases": 0, **(columns or {})}
    return Settlement(model.lifecycle.waiting, uses_attempt=False, columns=fresh)
