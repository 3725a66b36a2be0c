"""The one mechanism for durable work: claim, settle, sweep, redrive.

Every change of state is a compare-and-swap on the row, so any number of workers, sweepers and people may
try it at once and one wins. The work itself happens between claim and settle, outside any transaction;
the lease outlives the work's own deadline. A worker that died leaves a lease to run out; ``release_lost``
then moves the row to the kind's ``lost`` state.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import connection, models
from django.db.models import F
from django.utils import timezone

from voxanne.durable.models import DurableWork
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope, platform_scope

Work = TypeVar("Work", bound=DurableWork)


@dataclass(frozen=True)
class WorkKind(Generic[Work]):
    """One kind of durable work.

    ``prepare`` runs in the claim's own transaction and returns what ``perform`` will need from the database.
    ``perform`` then works outside any transaction and returns how it ended; it never raises for what the
    other side does. ``resolve``, where given, is asked about rows in the ``lost`` state that are due.
    """

    name: str
    model: type[Work]
    prepare: Callable[[Work], Any]
    perform: Callable[[Work, Any], Settlement]
    lease: timedelta
    queue: str
    resolve: Callable[[Work], Settlement | None] | None = None
    order: tuple[str, ...] = ("next_attempt_at",)


@dataclass(frozen=True)
class Claimed(Generic[Work]):
    """A row that is ours until its lease runs out, and what ``prepare`` found for it."""

    row: Work
    prepared: Any


def claim(kind: WorkKind[Work], org_id: UUID, pk: UUID) -> Claimed[Work] | None:
    """Claims the row if it is waiting and due; None when someone else has it, or it is not due."""
    with org_scope(org_id):
        return _claim_one(kind, kind.model.objects.filter(pk=pk))


def claim_next(kind: WorkKind[Work]) -> Claimed[Work] | None:
    """Claims the row of any clinic that has been due the longest; None when nothing is due."""
    with platform_scope(f"claim the next {kind.name}"):
        return _claim_one(kind, kind.model.objects.all())


def _claim_one(kind: WorkKind[Work], rows: models.QuerySet[Work]) -> Claimed[Work] | None:
    now = timezone.now()
    due = rows.filter(state=kind.model.lifecycle.waiting, next_attempt_at__lte=now).order_by(*kind.order)
    row = due.select_for_update(skip_locked=True, of=("self",)).first()
    if row is None:
        return None
    row.state = kind.model.lifecycle.claimed
    row.claim_token = uuid.uuid4()
    row.claimed_until = now + kind.lease
    row.save(update_fields=["state", "claim_token", "claimed_until", "updated_at"])
    return Claimed(row, kind.prepare(row))


def settle(row: DurableWork, settlement: Settlement) -> bool:
    """Records how the claimed row's try ended. False when the claim is no longer ours: the lease ran out,
    or a receipt settled it first; then nothing is changed."""
    lifecycle = row.lifecycle
    lifecycle.check(lifecycle.claimed, settlement.state)
    with org_scope(row.org_id):
        if settlement.record is not None:
            settlement.record()
        held = type(row).objects.filter(pk=row.pk, state=lifecycle.claimed, claim_token=row.claim_token)
        return _move(held, settlement) == 1


def move(
    model: type[DurableWork], org_id: UUID, pk: UUID, settlement: Settlement, *, sources: tuple[str, ...] = ()
) -> bool:
    """Compare-and-swap outside a claim (receipts, reconciliation, people): True when this call moved it."""
    allowed = model.lifecycle.sources(settlement.state)
    wanted = tuple(source for source in sources if source in allowed) if sources else allowed
    with org_scope(org_id):
        return _move(model.objects.filter(pk=pk, state__in=wanted), settlement) == 1


def _move(rows: models.QuerySet[Any], settlement: Settlement) -> int:
    now = timezone.now()
    columns: dict[str, Any] = {
        "state": settlement.state,
        "claim_token": None,
        "claimed_until": None,
        "last_error": settlement.error[:2000],
        "next_attempt_at": now + settlement.wait,
        "updated_at": now,
        **settlement.columns,
    }
    if settlement.uses_attempt:
        columns["attempts"] = F("attempts") + 1
    return rows.update(**columns)


def release_lost(kind: WorkKind[Work], now: datetime | None = None) -> int:
    """Moves rows whose lease ran out to the kind's ``lost`` state, due at once. Returns how many."""
    lifecycle = kind.model.lifecycle
    with platform_scope(f"release lost {kind.name}"):
        lapsed = kind.model.objects.filter(state=lifecycle.claimed, claimed_until__lt=now or timezone.now())
        return _move(
            lapsed, Settlement(lifecycle.lost, error="The worker stopped before the outcome was known.")
        )


def perform(kind: WorkKind[Work], claimed: Claimed[Work]) -> Settlement:
    """Does a claimed row's work and settles it. The connection goes back to the pool meanwhile."""
    connection.close_if_unusable_or_obsolete()
    settlement = kind.perform(claimed.row, claimed.prepared)
    settle(claimed.row, settlement)
    return settlement


def resolve_due(kind: WorkKind[Work], limit: int = 100) -> int:
    """Asks ``resolve`` about rows in the ``lost`` state that are due; returns how many were asked about."""
    if kind.resolve is None:
        return 0
    lost = kind.model.lifecycle.lost
    with platform_scope(f"find unresolved {kind.name}"):
        rows = list(
            kind.model.objects.filter(state=lost, next_attempt_at__lte=timezone.now()).order_by(
                "next_attempt_at"
            )[:limit]
        )
    for row in rows:
        settlement = kind.resolve(row)
        if settlement is not None:
            move(kind.model, row.org_id, row.pk, settlement, sources=(lost,))
    return len(rows)


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
    lifecycle = model.lifecycle
    settlement = Settlement(lifecycle.waiting, uses_attempt=False, columns={"attempts": 0, **(columns or {})})
    return move(model, org_id, pk, settlement, sources=(lifecycle.dead,))
