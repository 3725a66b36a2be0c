"""A call, and what it is told to do."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from telephony.states import COMMAND_LIFECYCLE, CommandState
from voxanne.durable.models import DurableWork
from voxanne.encryption import EncryptedTextField
from voxanne.tenancy.owned import Owned


class Call(Owned):
    """One call, from the first ring to its report. Its status only moves forward."""

    class Status(models.TextChoices):
        RINGING = "ringing", "Ringing"
        IN_PROGRESS = "in_progress", "In progress"
        FORWARDING = "forwarding", "Being put through"
        ENDED = "ended", "Ended"

    vapi_call_id = models.CharField(max_length=64)
    twilio_call_sid = models.CharField(max_length=40, blank=True, default="")
    from_number = models.CharField(max_length=40, blank=True, default="")
    to_number = models.CharField(max_length=20, blank=True, default="")
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.RINGING)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_reason = models.CharField(max_length=120, blank=True, default="")
    summary = models.TextField(blank=True, default="")
    transcript = models.TextField(blank=True, default="")
    transfer_department = models.CharField(max_length=20, blank=True, default="")
    transfer_summary = models.TextField(blank=True, default="")
    control_url = EncryptedTextField(blank=True, default="", editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "calls"
        ordering = ("-created_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "vapi_call_id"], name="idx_call_logs_org_vapi_call_id")
        ]
        indexes: ClassVar = [
            models.Index(fields=["org", "-created_at"], name="idx_calls_org_created_at"),
            models.Index(
                fields=["twilio_call_sid"], name="idx_calls_twilio_call_sid", condition=~Q(twilio_call_sid="")
            ),
        ]

    def __str__(self) -> str:
        return self.get_status_display()


class CallCommand(DurableWork):
    """What a call is told to do after the agent's answer: be put through, or end."""

    lifecycle = COMMAND_LIFECYCLE

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="commands")
    state = models.CharField(max_length=20, choices=CommandState.choices, default=CommandState.QUEUED)
    body = models.JSONField()

    class Meta:
        db_table = "call_commands"
        ordering = ("-created_at",)
        indexes: ClassVar = [
            models.Index(
                fields=["state", "next_attempt_at"],
                name="idx_call_commands_due",
                condition=Q(state__in=["queued", "sending"]),
            ),
            models.Index(fields=["org", "call"], name="idx_call_commands_call"),
        ]

    def __str__(self) -> str:
        return f"{self.body.get('type', 'command')} ({self.get_state_display()})"
