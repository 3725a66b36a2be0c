"""A call, and what it is told to do."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from telephony.call_commands.states import COMMAND_LIFECYCLE, CommandState
from voxanne.durable.models import DurableWork
from voxanne.encryption import EncryptedTextField
from voxanne.tenancy.owned import Owned


class Call(Owned):
    """One call, from the first ring to its report. Its status only moves forward."""

    class EndedGroup(models.TextChoices):
        """Why a call ended, in the few kinds that somebody acts on differently."""

        NONE = "", "Not told"
        CALLER = "caller", "The caller hung up"
        ASSISTANT = "assistant", "The assistant ended it"
        TRANSFERRED = "transferred", "Put through"
        TRANSFER_FAILED = "transfer_failed", "Nobody took the transfer"
        SILENCE = "silence", "Nobody spoke"
        TIME_LIMIT = "time_limit", "Its time was up"
        VOICEMAIL = "voicemail", "A machine answered"
        NEVER_WORKED = "never_worked", "It never worked"
        VAPI_FAULT = "vapi_fault", "A fault at Vapi"
        PROVIDER_FAULT = "provider_fault", "A fault of a third party"
        OTHER = "other", "Another reason"

    class Outcome(models.TextChoices):
        NONE = "", "Not known yet"
        BOOKED = "booked", "Booked a visit"
        TRANSFERRED = "transferred", "Put through"
        TOOLS_ONLY = "asked", "Asked something"
        TALKED = "talked", "Talked only"
        NOTHING = "nothing", "Nothing was said"
        FAILED = "failed", "The call failed"

    class Learnt(models.TextChoices):
        """How its report came: by itself, or because we asked for it."""

        NONE = "", "Not yet"
        TOLD = "told", "Told"
        ASKED = "asked", "Asked for"

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
    # Other statements enter calls by their first columns alone: each of these has its default in the database.
    ended_group = models.CharField(
        max_length=20, choices=EndedGroup.choices, blank=True, default="", db_default=""
    )
    outcome = models.CharField(max_length=20, choices=Outcome.choices, blank=True, default="", db_default="")
    sentiment = models.CharField(max_length=20, blank=True, default="", db_default="")
    cost = models.DecimalField(max_digits=10, decimal_places=4, null=True, blank=True)
    duration_seconds = models.PositiveIntegerField(null=True, blank=True)
    tools_used = ArrayField(models.CharField(max_length=60), default=list, db_default=[], blank=True)
    appointment = models.ForeignKey(
        "bookings.Appointment",
        null=True,
        blank=True,
        db_index=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    recording_url = EncryptedTextField(blank=True, default="", db_default="", editable=False)
    report_learnt = models.CharField(
        max_length=10, choices=Learnt.choices, blank=True, default="", db_default=""
    )
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
            models.Index(fields=["ended_at"], name="idx_calls_ended_at", condition=Q(ended_at__isnull=False)),
            models.Index(
                fields=["appointment"],
                name="idx_calls_appointment",
                condition=Q(appointment__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.get_status_display()


class CallEvent(Owned):
    """One thing that happened in a call, at the time the provider gives. What is said while it is being said
    (``final`` False) is kept only as long as the call lasts."""

    class Kind(models.TextChoices):
        INCOMING = "incoming", "Came in"
        STATUS = "status", "Status"
        TRANSCRIPT = "transcript", "Said"
        TRANSFER = "transfer", "Put through"
        HANG = "hang", "Kept waiting"
        REPORT = "report", "Report"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="events")
    event_id = models.CharField(max_length=200, help_text="That of the webhook it came by.")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    at = models.DateTimeField()
    role = models.CharField(max_length=20, blank=True, default="")
    text = models.TextField(blank=True, default="")
    final = models.BooleanField(default=True)

    class Meta:
        db_table = "call_events"
        ordering = ("at",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "event_id"], name="one_row_a_call_event")
        ]
        indexes: ClassVar = [models.Index(fields=["call", "at"], name="idx_call_events_call")]

    def __str__(self) -> str:
        return self.get_kind_display()


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
