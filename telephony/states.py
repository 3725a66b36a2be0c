"""The states of what calls leave to be done: commands to a call, webhooks that were taken in, and fire drills."""

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


class WebhookState(models.TextChoices):
    """A webhook that failed and waits for its next try is ``pending`` with attempts; figures and pages call it
    failed (``FAILED``). A state of its own would be a second waiting one that every claim and sweep must know of."""

    PENDING = "pending", "Waiting"
    PROCESSING = "processing", "Being worked off"
    COMPLETED = "completed", "Done"
    DEAD_LETTER = "dead_letter", "Given up"


# How figures name what is pending after a try that failed.
FAILED = "failed"

# Working off is nothing but rows, in one transaction with its mark: repeating what was lost is harmless.
WEBHOOK_LIFECYCLE = Lifecycle(
    waiting=WebhookState.PENDING,
    claimed=WebhookState.PROCESSING,
    lost=WebhookState.PENDING,
    dead=WebhookState.DEAD_LETTER,
    transitions={
        WebhookState.PENDING: frozenset({WebhookState.PROCESSING}),
        WebhookState.PROCESSING: frozenset(
            {WebhookState.PENDING, WebhookState.COMPLETED, WebhookState.DEAD_LETTER}
        ),
        # A replay by a person.
        WebhookState.COMPLETED: frozenset({WebhookState.PENDING}),
        WebhookState.DEAD_LETTER: frozenset({WebhookState.PENDING}),
    },
    stamps={WebhookState.COMPLETED: ("completed_at",)},
    clears={WebhookState.PENDING: ("completed_at",)},
)
