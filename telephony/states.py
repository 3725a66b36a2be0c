"""The states of a command to a call, and of a fire drill."""

from __future__ import annotations

from django.db import models

from voxanne.durable.lifecycle import Lifecycle


class CommandState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    SENDING = "sending", "Being sent"
    DONE = "done", "Done"
    DEAD = "dead", "Given up"


COMMAND_LIFECYCLE = Lifecycle(
    waiting=CommandState.QUEUED,
    claimed=CommandState.SENDING,
    lost=CommandState.QUEUED,
    dead=CommandState.DEAD,
    transitions={
        CommandState.QUEUED: frozenset({CommandState.SENDING}),
        CommandState.SENDING: frozenset({CommandState.QUEUED, CommandState.DONE, CommandState.DEAD}),
        CommandState.DONE: frozenset(),
        CommandState.DEAD: frozenset({CommandState.QUEUED}),
    },
)


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
