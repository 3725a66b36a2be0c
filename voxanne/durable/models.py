"""The row is the queue: what every piece of durable work carries."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from voxanne.durable.lifecycle import Lifecycle
from voxanne.tenancy.owned import Owned


class DurableWork(Owned):
    """A row that is its own queue entry: when it is due, who holds it until when, and how it went.

    A subclass names its states in ``lifecycle`` and adds what the work needs.
    """

    lifecycle: ClassVar[Lifecycle]

    state = models.CharField(max_length=20)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True, blank=True)
    claim_token = models.UUIDField(null=True, blank=True, editable=False)
    # In a row, by workers that died or code that raised; a try that ends in any other way sets it back.
    lost_leases = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    last_error = models.TextField(blank=True, default="")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
