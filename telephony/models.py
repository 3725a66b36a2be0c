"""What comes in: numbers, assistants, credentials, calls, and what the agent's tools were asked."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from telephony.states import COMMAND_LIFECYCLE, CommandState
from voxanne.durable.models import DurableWork
from voxanne.encryption import EncryptedTextField
from voxanne.tenancy.owned import Owned


class PhoneNumber(Owned):
    """A number that patients dial. It belongs to one clinic, by constraint."""

    class Mode(models.TextChoices):
        FORWARD = "forward", "Ring the clinic, then text back"
        ASSISTANT = "assistant", "The assistant answers"
        FORWARD_THEN_ASSISTANT = "forward_then_assistant", "Ring the clinic, then the assistant"

    number = models.CharField(max_length=20, unique=True, help_text="E.164, such as +14155550100.")
    label = models.CharField(max_length=60, blank=True, default="")
    mode = models.CharField(max_length=30, choices=Mode.choices, default=Mode.ASSISTANT)
    forward_to = models.CharField(
        max_length=20, blank=True, default="", help_text="The clinic's own line, E.164."
    )
    vapi_phone_number_id = models.CharField(max_length=64, null=True, blank=True, unique=True)

    class Meta:
        db_table = "phone_numbers"
        indexes: ClassVar = [models.Index(fields=["org"], name="idx_phone_numbers_org")]

    def __str__(self) -> str:
        return self.label or "Number"


class Assistant(Owned):
    """A clinic's voice agent at Vapi."""

    vapi_assistant_id = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=40)

    class Meta:
        db_table = "assistants"
        indexes: ClassVar = [models.Index(fields=["org"], name="idx_assistants_org")]

    def __str__(self) -> str:
        return self.name


class VapiCredential(Owned):
    """A secret that Vapi presents for this clinic. Two may be live while one is being replaced."""

    label = models.CharField(max_length=40, default="current")
    digest = models.CharField(
        max_length=64, unique=True, editable=False, help_text="SHA-256 of the secret, hex."
    )
    secret = EncryptedTextField(help_text="Kept to check HMAC signatures; never shown again.")
    active = models.BooleanField(default=True)

    class Meta:
        db_table = "vapi_credentials"
        indexes: ClassVar = [models.Index(fields=["org"], name="idx_vapi_credentials_org")]

    def __str__(self) -> str:
        return self.label


class TransferDestination(Owned):
    """Where a caller is put through to for a department, and when somebody answers there."""

    class Department(models.TextChoices):
        GENERAL = "general", "General"
        BILLING = "billing", "Billing"
        MEDICAL = "medical", "Medical"

    department = models.CharField(max_length=20, choices=Department.choices)
    number = models.CharField(max_length=20, help_text="E.164; never one of our own numbers.")
    weekdays = ArrayField(
        models.PositiveSmallIntegerField(), default=list, help_text="0 is Monday; empty: never."
    )
    opens = models.TimeField()
    closes = models.TimeField(help_text="00:00 means midnight at the end of the day.")

    class Meta:
        db_table = "transfer_destinations"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "department"], name="one_destination_a_department")
        ]

    def __str__(self) -> str:
        return self.get_department_display()


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


class ToolInvocation(Owned):
    """The claim of one tool call, and its stored answer: a repeat gets the same answer and no second effect."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="tool_invocations")
    tool_call_id = models.CharField(max_length=120)
    tool = models.CharField(max_length=60)
    answer = models.JSONField(null=True, blank=True)
    outcome = models.CharField(max_length=40, blank=True, default="")

    class Meta:
        db_table = "tool_invocations"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "call", "tool_call_id"], name="one_answer_a_tool_call")
        ]

    def __str__(self) -> str:
        return self.tool


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
