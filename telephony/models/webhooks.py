"""What providers told us: each webhook once, until it is worked off and its time is over."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from telephony.webhooks.states import WEBHOOK_LIFECYCLE, WebhookState
from voxanne.durable.models import DurableWork
from voxanne.indexes import NamedIndex


class WebhookDelivery(DurableWork):
    """One webhook, stored before it is acknowledged. ``event_id`` is made of stable fields only, so a repetition
    finds this row and changes nothing.

    ``payload`` is redacted, compressed and encrypted (``telephony/webhooks/payloads.py``), and blanked a day after the
    work is done. ``provider_call_id`` is the provider's own name of the call, where the webhook speaks of one.
    """

    lifecycle = WEBHOOK_LIFECYCLE

    class Provider(models.TextChoices):
        VAPI = "vapi", "Vapi"
        TWILIO = "twilio", "Twilio"
        GOOGLE = "google", "Google"

    class Origin(models.TextChoices):
        TOLD = "told", "The provider told us"
        ASKED = "asked", "We asked the provider"

    class Outcome(models.TextChoices):
        NONE = "", "None yet"
        HANDLED = "handled", "Handled"
        IGNORED = "ignored", "Nothing to do"

    provider = models.CharField(max_length=10, choices=Provider.choices)
    event_id = models.CharField(max_length=200)
    event_type = models.CharField(max_length=80)
    provider_call_id = models.CharField(max_length=64, blank=True, default="")
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.TOLD)
    state = models.CharField(max_length=20, choices=WebhookState.choices, default=WebhookState.PENDING)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True, default=Outcome.NONE)
    payload = models.BinaryField(default=b"", blank=True, editable=False)
    completed_at = models.DateTimeField(null=True, blank=True)
    replays = models.PositiveSmallIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "webhook_delivery_log"
        ordering = ("-created_at",)
        verbose_name_plural = "webhook deliveries"
        permissions: ClassVar = [("replay_webhookdelivery", "Can replay a webhook")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "provider", "event_id"], name="processed_webhook_events")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["state", "next_attempt_at"],
                name="idx_webhook_delivery_status",
                condition=Q(state__in=["pending", "processing"]),
            ),
            NamedIndex(fields=["-created_at"], name="idx_webhook_delivery_created_at"),
            models.Index(fields=["org", "-created_at"], name="idx_webhook_delivery_org"),
            models.Index(
                fields=["-updated_at"],
                name="idx_webhook_delivery_failures",
                condition=Q(state="dead_letter"),
            ),
            models.Index(
                fields=["completed_at"],
                name="idx_webhook_delivery_payloads",
                condition=Q(state="completed") & ~Q(payload=b""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} ({self.get_state_display()})"
