"""Is it well? Heartbeats of the periodic work, and what happened to the circuits to outside services."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from voxanne.tenancy.owned import OwnedManager


class Heartbeat(models.Model):
    """When a periodic job was last begun and last ran through. The platform's own row, no clinic's."""

    job = models.CharField(max_length=60, primary_key=True)
    started_at = models.DateTimeField(null=True, blank=True)
    last_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "heartbeats"

    def __str__(self) -> str:
        return self.job


class BreakerTransition(models.Model):
    """One change of a circuit. The platform's own row; ``org`` names the clinic whose circuit it was, if one's."""

    service = models.CharField(max_length=40)
    org = models.ForeignKey(
        "tenancy.Organization",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        db_index=False,
        verbose_name="clinic",
        related_name="+",
    )
    level = models.CharField(max_length=10, help_text="service or clinic.")
    state = models.CharField(max_length=10, help_text="closed, open or half_open.")
    shared = models.BooleanField(
        default=True, help_text="False where one process acted alone, without Redis."
    )
    at = models.DateTimeField(auto_now_add=True)

    objects: OwnedManager[BreakerTransition] = OwnedManager()

    class Meta:
        db_table = "breaker_transitions"
        ordering = ("-at",)
        indexes: ClassVar = [models.Index(fields=["-at"], name="idx_breaker_transitions_at")]

    def __str__(self) -> str:
        return f"{self.service} {self.state}"
