"""The states of a fire drill."""

from __future__ import annotations

from django.db import models

from voxanne.durable.lifecycle import Lifecycle


class DrillState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Under way"
    DONE = "done", "Done"
    DEAD = "dead", "Given up"


DRILL_LIFECYCLE = Lifecycle(
    waiting=DrillState.QUEUED,
    claimed=DrillState.RUNNING,
    lost=DrillState.QUEUED,
    dead=DrillState.DEAD,
    transitions={
        DrillState.QUEUED: frozenset({DrillState.RUNNING}),
        DrillState.RUNNING: frozenset({DrillState.QUEUED, DrillState.DONE, DrillState.DEAD}),
        DrillState.DONE: frozenset(),
        DrillState.DEAD: frozenset({DrillState.QUEUED}),
    },
)
