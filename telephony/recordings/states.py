"""The states of a recording."""

from __future__ import annotations

from django.db import models

from voxanne.durable.lifecycle import Lifecycle


class RecordingState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    FETCHING = "fetching", "Being fetched"
    STORED = "stored", "Kept"
    DEAD = "dead", "Given up"
    DELETED = "deleted", "Deleted"


# Fetching twice under one name leaves one file, so a lost lease simply waits again.
RECORDING_LIFECYCLE = Lifecycle(
    waiting=RecordingState.QUEUED,
    claimed=RecordingState.FETCHING,
    lost=RecordingState.QUEUED,
    dead=RecordingState.DEAD,
    transitions={
        RecordingState.QUEUED: frozenset({RecordingState.FETCHING, RecordingState.DELETED}),
        RecordingState.FETCHING: frozenset(
            {RecordingState.QUEUED, RecordingState.STORED, RecordingState.DEAD, RecordingState.DELETED}
        ),
        RecordingState.STORED: frozenset({RecordingState.DELETED}),
        RecordingState.DEAD: frozenset({RecordingState.QUEUED, RecordingState.DELETED}),
        RecordingState.DELETED: frozenset(),
    },
    stamps={RecordingState.STORED: ("stored_at",), RecordingState.DELETED: ("deleted_at",)},
)
