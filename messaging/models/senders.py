"""From where a clinic texts."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from voxanne.encryption import EncryptedTextField
from voxanne.tenancy.owned import Owned


class SenderAccount(Owned):
    """The number a clinic texts from, and its own Twilio account where it has one (else the platform's)."""

    number = models.CharField(max_length=20, help_text="E.164; what the patient sees.")
    account_sid = models.CharField(max_length=34, blank=True, default="")
    auth_token = EncryptedTextField(blank=True, default="")
    api_key = models.CharField(max_length=34, blank=True, default="")
    api_secret = EncryptedTextField(blank=True, default="")
    messaging_service_sid = models.CharField(max_length=34, blank=True, default="")
    segments_per_second = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="What Twilio granted this number, such as 4 for a registered campaign. Leave empty if you do not"
        " know: the kind of number then decides.",
    )
    # Set by messaging/sending/pauses.py alone: with a reason, the clinic's texts are held back.
    paused_reason = models.CharField(max_length=200, blank=True, default="")
    paused_at = models.DateTimeField(null=True, blank=True)
    whatsapp_number = models.CharField(
        "WhatsApp number",
        max_length=20,
        blank=True,
        default="",
        db_default="",
        help_text="E.164; may be the same.",
    )
    whatsapp_on = models.BooleanField(
        "Use WhatsApp",
        default=False,
        db_default=False,
        help_text="For patients who want it. Keep health details out: Meta signs no agreement about them.",
    )
    # Set by messaging/sending/whatsapp.py alone: with a reason, everything goes by text.
    whatsapp_paused_reason = models.CharField(
        "WhatsApp paused because", max_length=200, blank=True, default="", db_default=""
    )

    class Meta:
        db_table = "sender_accounts"
        permissions: ClassVar = [("pause_senderaccount", "Can pause and resume sending")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org"], name="one_sender_a_clinic"),
            models.UniqueConstraint(fields=["number"], name="a_sender_belongs_to_one_clinic"),
            models.UniqueConstraint(
                fields=["whatsapp_number"],
                condition=~Q(whatsapp_number=""),
                name="a_whatsapp_sender_belongs_to_one_clinic",
            ),
            models.UniqueConstraint(
                fields=["messaging_service_sid"],
                condition=~Q(messaging_service_sid=""),
                name="a_messaging_service_belongs_to_one_clinic",
            ),
            models.CheckConstraint(
                condition=Q(whatsapp_on=False) | ~Q(whatsapp_number=""), name="whatsapp_needs_a_number"
            ),
        ]

    def __str__(self) -> str:
        return "Sender"
