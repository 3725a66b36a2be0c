"""Is it well? Heartbeats of the periodic work."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """When a periodic job was last begun and last ran through. The platform's own row, no clinic's."""

    job = models.CharField(max_length=60, primary_key=True)
    started_at = models.DateTimeField(null=True, blank=True)
    last_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "heartbeats"

    def __str__(self) -> str:
        return self.job
