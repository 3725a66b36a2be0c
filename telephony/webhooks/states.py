"""The states of a webhook that was taken in."""

from __future__ import annotations

from django.db import models

from voxanne.durable.lifecycle import Lifecycle


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
