"""Where a clinic is reached: its numbers, its voice agent, its credentials, and whom callers are put through to."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

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
    ring_seconds = models.PositiveSmallIntegerField(
        default=18,
        validators=[MinValueValidator(5), MaxValueValidator(60)],
        help_text="How long a line rings.",
    )
    voicemail_seconds = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(120)],
        help_text="A call shorter than this went to the line's voicemail and counts as missed; 0: off.",
    )
    whisper = models.BooleanField(
        default=False, help_text="Whoever picks up presses 1 to take the call, so that no voicemail does."
    )
    assistant_address = models.CharField(
        max_length=120, blank=True, default="", help_text="Vapi's number (E.164), or a SIP address: sip:…"
    )
    vapi_phone_number_id = models.CharField(max_length=64, null=True, blank=True, unique=True)

    class Meta:
        db_table = "phone_numbers"
        permissions: ClassVar = [("drill_phonenumber", "Can ask for a fire drill of a number")]
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
    vapi_credential_id = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="Its id at Vapi, from the dashboard. Blank: Vapi is given the secret as a header to send.",
    )

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
