"""Acts on thousands of texts at once."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from messaging.undelivered.bulk_states import BULK_LIFECYCLE, BulkState
from voxanne.durable.models import DurableWork


class BulkAct(DurableWork):
    """What one person asked to be done to many dead letters of a clinic: worked off in steps, in the background.

    ``chosen`` are the messages as they were shown; of them the first ``handled`` have had their turn, ``changed`` by
    it, and ``in_doubt`` are left to a person. The fates of those from ``judged`` on are watched: where they die again,
    the rest is left alone.
    """

    lifecycle = BULK_LIFECYCLE

    class Act(models.TextChoices):
        REDRIVE = "redrive", "Send again"
        DISCARD = "discard", "Discard"

    act = models.CharField(max_length=10, choices=Act.choices)
    state = models.CharField(max_length=20, choices=BulkState.choices, default=BulkState.QUEUED)
    reason = models.CharField(max_length=200)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_key = models.UUIDField(help_text="Of the page that asked: pressed twice, it is done once.")
    chosen = ArrayField(models.UUIDField())
    handled = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    in_doubt = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Left alone: nobody knows whether they arrived."
    )
    judged = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "message_bulk_acts"
        ordering = ("-created_at",)
        verbose_name = "bulk act on texts"
        verbose_name_plural = "bulk acts on texts"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "asked_key"], name="one_bulk_act_a_page"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["org", "-created_at"], name="idx_message_bulk_acts_org"),
            models.Index(
                fields=["state", "next_attempt_at"],
                name="idx_message_bulk_acts_live",
                condition=Q(state__in=["queued", "working"]),
            ),
        ]

    def __str__(self) -> str:
        return self.get_act_display()
