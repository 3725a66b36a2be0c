"""Rows whose fate nobody knows: each is asked about by its kind's ``resolve`` until it is known."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from voxanne.durable import work
from voxanne.durable.models import DurableWork
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind
from voxanne.tenancy.scope import org_scope, platform_scope

logger = structlog.get_logger(__name__)

Work = TypeVar("Work", bound=DurableWork)

RESOLVE_SECONDS = 20.0


def resolve_due(kind: WorkKind[Work], seconds: float = RESOLVE_SECONDS) -> int:
    """Asks ``resolve`` about rows in the ``lost`` state that are due, the longest waiting first, for at most
    ``seconds`` (and the last question's own time); returns how many were asked about."""
    if kind.resolve is None:
        return 0
    ends = time.monotonic() + seconds
    due_by = timezone.now()
    asked = 0
    while time.monotonic() < ends:
        row = _next_unresolved(kind, due_by)
        if row is None:
            break
        _resolve(kind, row)
        asked += 1
    return asked


def _next_unresolved(kind: WorkKind[Work], due_by: datetime) -> Work | None:
    """Takes one row to ask about: other sweepers leave it alone for as long as a lease lasts. ``due_by`` is when
    the sweep began, so that no row is asked about twice in one."""
    with platform_scope(f"find unresolved {kind.name}"):
        due = kind.model.objects.filter(state=kind.model.lifecycle.lost, next_attempt_at__lte=due_by)
        row = due.order_by("next_attempt_at").select_for_update(skip_locked=True, of=("self",)).first()
        if row is not None:
            row.next_attempt_at = timezone.now() + kind.lease
            row.save(update_fields=["next_attempt_at", "updated_at"])
    return row


def _resolve(kind: WorkKind[Work], row: Work) -> None:
    """Asks about one row. An answer counts only if nothing happened to the row while it was being found."""
    assert kind.resolve is not None
    lifecycle = kind.model.lifecycle
    try:
        settlement = kind.resolve(row)
        if settlement is None:
            return
        if settlement.state == lifecycle.waiting and row.lost_leases >= work.MOST_LOST_LEASES:
            settlement = Settlement(lifecycle.dead, error=work.WORN_OUT, uses_attempt=False)
        lifecycle.check(lifecycle.lost, settlement.state)
        with org_scope(row.org_id):
            unchanged = kind.model.objects.filter(pk=row.pk, state=lifecycle.lost, updated_at=row.updated_at)
            moved = work.move_all(unchanged, settlement, enters=settlement.state != lifecycle.lost) == 1
            if moved and settlement.record is not None:
                settlement.record()
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        # It stays as it is, to be asked about again when the time taken for it is over.
        logger.exception("work_not_resolved", kind=kind.name, id=str(row.pk), error=type(error).__name__)
