"""Whether a clinic keeps its calls' recordings, and the recordings it keeps."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from telephony.models.calls import Call
from telephony.recordings.states import RECORDING_LIFECYCLE, RecordingState
from voxanne.durable.models import DurableWork
from voxanne.encryption import EncryptedTextField
from voxanne.tenancy.owned import Owned

DEFAULT_DAYS = 30
LONGEST_DAYS = 3650


class CallSettings(Owned):
    """What a clinic chose about its calls; one that chose nothing has no row, and the defaults."""

    record_calls = models.BooleanField(
        "keep recordings",
        default=False,
        help_text="Callers must be told where the law asks for it; the assistant's greeting is the place.",
    )
    recording_days = models.PositiveSmallIntegerField(
        "days kept",
        default=DEFAULT_DAYS,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_DAYS)],
        help_text="After so many days a recording is deleted for good.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "call_settings"
        verbose_name_plural = "call settings"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org"], name="one_call_settings_a_clinic"),
        ]

    def __str__(self) -> str:
        return "Recordings are kept" if self.record_calls else "No recordings are kept"


class Recording(DurableWork):
    """One call's recording: fetched from where Vapi keeps it, kept as long as the clinic chose."""

    lifecycle = RECORDING_LIFECYCLE

    # A call goes only after its recording's file.
    call = models.ForeignKey(Call, on_delete=models.PROTECT, related_name="recordings")
    state = models.CharField(max_length=20, choices=RecordingState.choices, default=RecordingState.QUEUED)
    # An address that opens the recording is as good as the recording.
    source_url = EncryptedTextField(blank=True, default="", editable=False)
    storage_name = models.CharField(max_length=200, blank=True, default="", editable=False)
    size = models.PositiveBigIntegerField(null=True, blank=True, help_text="Bytes.")
    content_type = models.CharField(max_length=40, blank=True, default="")
    sha256 = models.CharField(max_length=64, blank=True, default="")
    stored_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "recordings"
        ordering = ("-created_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "call"], name="one_recording_a_call"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["state", "next_attempt_at"],
                name="idx_recordings_due",
                condition=Q(state__in=["queued", "fetching"]),
            ),
            models.Index(
                fields=["id"],
                name="idx_recordings_to_clean_up",
                condition=Q(state__in=["stored", "dead"]) | (Q(state="deleted") & ~Q(storage_name="")),
            ),
            models.Index(fields=["org", "-created_at"], name="idx_recordings_org_created_at"),
        ]

    def __str__(self) -> str:
        return f"Recording ({self.get_state_display()})"
