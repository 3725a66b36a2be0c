"""The states of what is done to many texts at once, and which may follow which."""

from __future__ import annotations

from django.db import models

from voxanne.durable.lifecycle import Lifecycle


class BulkState(models.TextChoices):
    """Each with the words that staff read for it."""

    QUEUED = "queued", "Under way"
    WORKING = "working", "At work"
    DONE = "done", "Done"
    STOPPED = "stopped", "Stopped"


BULK_LIFECYCLE = Lifecycle(
    waiting=BulkState.QUEUED,
    claimed=BulkState.WORKING,
    # A step is done in the transaction that settles it: what a dead worker began was rolled back.
    lost=BulkState.QUEUED,
    dead=BulkState.STOPPED,
    transitions={
        BulkState.QUEUED: frozenset({BulkState.WORKING, BulkState.STOPPED}),
        BulkState.WORKING: frozenset({BulkState.QUEUED, BulkState.DONE, BulkState.STOPPED}),
        BulkState.STOPPED: frozenset({BulkState.QUEUED}),
        BulkState.DONE: frozenset(),
    },
)
