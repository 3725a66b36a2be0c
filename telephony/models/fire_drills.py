"""What was proved of a number: that it rings the clinic when nothing of ours can be asked."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from telephony.models.numbers import PhoneNumber
from telephony.never_dead.states import DRILL_LIFECYCLE, DrillState
from voxanne.durable.models import DurableWork


class FireDrill(DurableWork):
    """One drill of one number. Asked for by a person it waits for a worker; by command it is entered as done."""

    class Verdict(models.TextChoices):
        PASS = "pass", "Pass"
        WARN = "warn", "Warn"
        FAIL = "fail", "Fail"

    lifecycle = DRILL_LIFECYCLE

    number = models.ForeignKey(PhoneNumber, on_delete=models.CASCADE, related_name="fire_drills")
    state = models.CharField(max_length=20, choices=DrillState.choices, default=DrillState.QUEUED)
    verdict = models.CharField(max_length=5, choices=Verdict.choices, blank=True, default="")
    checks = models.JSONField(default=list, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "fire_drills"
        ordering = ("-created_at",)
        indexes: ClassVar = [
            models.Index(fields=["org", "-created_at"], name="idx_fire_drills_org"),
            models.Index(
                fields=["state", "next_attempt_at"],
                name="idx_fire_drills_due",
                condition=Q(state__in=["queued", "running"]),
            ),
            models.Index(fields=["number", "-created_at"], name="idx_fire_drills_number"),
        ]

    def __str__(self) -> str:
        return self.get_verdict_display() or self.get_state_display()
