"""A row that was tried and waits shortly is hinted at for when it is due; for later ones the sweeper comes by."""

from __future__ import annotations

from typing import Any

from voxanne.durable.hints import Hint, offer
from voxanne.durable.models import DurableWork
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind

# A longer countdown would be delivered twice by the broker.
LONGEST_COUNTDOWN = 20.0


def hint_again(kind: WorkKind[Any], row: DurableWork, settlement: Settlement) -> None:
    """Hints at ``row`` where ``settlement`` put it back for a moment; one clinic's no more often than the kind
    allows."""
    wait = settlement.wait.total_seconds()
    if settlement.state == kind.model.lifecycle.waiting and wait <= LONGEST_COUNTDOWN:
        most = kind.most_hints_a_second
        offer(Hint(kind.name, kind.queue, row.org_id, row.pk, countdown=wait, most_a_second=most))
