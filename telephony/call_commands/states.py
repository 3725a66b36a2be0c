"""The states of a command to a call."""

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
