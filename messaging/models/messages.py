"""Texts that go out, and their tries."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast

from messaging.channels import Channel
from messaging.models.people import Contact
from messaging.states import LIFECYCLE, MessageKind, MessageState
from voxanne.durable.models import DurableWork
from voxanne.indexes import NamedIndex
from voxanne.tenancy.owned import Owned


class Message(DurableWork):
    """One text to one person. The row is the queue; its fate is exactly one of ``MessageState``."""

    lifecycle = LIFECYCLE

    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="messages", db_index=False
    )
    kind = models.CharField(max_length=30, choices=MessageKind.choices)
    state = models.CharField(max_length=20, choices=MessageState.choices, default=MessageState.QUEUED)
    priority = models.PositiveSmallIntegerField(
        default=0, help_text="0 asked for now, 1 time-bound, 2 bulk, 3 asked for and put back with many."
    )
    dedupe_key = models.CharField(max_length=120, help_text="Unique per clinic: what must not be said twice.")
    about = models.CharField(
        max_length=80, blank=True, default="", help_text="What it is about, such as appointment:<id>."
    )
    # It may change once, from WhatsApp to text (messaging/sending/whatsapp.py), never back.
    channel = models.CharField(
        max_length=10, choices=Channel.choices, default=Channel.SMS, db_default=Channel.SMS
    )
    recipient = models.CharField(max_length=20)
    sender = models.CharField(
        max_length=40, blank=True, default="", help_text="Ours, as the provider knows it on the channel."
    )
    body = models.TextField()
    # What an approved template's places are filled with; only of what goes by WhatsApp.
    template_values = models.JSONField(null=True, blank=True)
    encoding = models.CharField(max_length=5, default="GSM-7")
    segments = models.PositiveSmallIntegerField(default=1)
    expires_at = models.DateTimeField()

    provider_sid = models.CharField(max_length=40, blank=True, default="")
    provider_status = models.CharField(max_length=30, blank=True, default="")
    error_code = models.PositiveIntegerField(null=True, blank=True)
    first_attempted_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    dead_lettered_at = models.DateTimeField(null=True, blank=True)
    unknown_since = models.DateTimeField(null=True, blank=True)
    in_doubt_since = models.DateTimeField(
        null=True, blank=True, help_text="Since then nobody knows whether one of its tries is on its phone."
    )
    first_empty_list_at = models.DateTimeField(null=True, blank=True)
    slot_at = models.DateTimeField(
        null=True, blank=True, help_text="Its place in the sender's pace, as long as it waits for that."
    )
    # When Twilio was last asked what became of it, no receipt having come (messaging/fates/silent.py).
    receipt_asked_at = models.DateTimeField(null=True, blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )

    class Meta:
        db_table = "sms_delivery_log"
        ordering = ("-created_at",)
        permissions: ClassVar = [
            ("redrive_message", "Can redrive a dead letter"),
            ("discard_message", "Can discard a dead letter"),
            ("decide_message", "Can decide about a text of unknown fate"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "dedupe_key"], name="one_message_a_dedupe_key"),
            models.UniqueConstraint(
                fields=["org", "provider_sid"], condition=~Q(provider_sid=""), name="one_message_a_sid"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["org", "-created_at"], name="idx_sms_delivery_log_org_id"),
            models.Index(
                fields=["state", "priority", "next_attempt_at"],
                name="idx_sms_delivery_log_status",
                condition=Q(state__in=["queued", "sending", "unknown"]),
            ),
            # From clinic to clinic within a priority: voxanne/durable/turns.py, and why it is an integer there.
            models.Index(
                Cast("priority", models.IntegerField()),
                "org",
                "next_attempt_at",
                name="idx_sms_delivery_log_turns",
                condition=Q(state="queued"),
            ),
            NamedIndex(fields=["-created_at"], name="idx_sms_delivery_log_created_at"),
            models.Index(
                fields=["-dead_lettered_at"],
                name="idx_sms_delivery_log_failures",
                condition=Q(state="dead_letter"),
            ),
            models.Index(fields=["org", "about"], name="idx_sms_delivery_log_about", condition=~Q(about="")),
            models.Index(fields=["contact"], name="idx_sms_delivery_log_contact"),
            models.Index(fields=["org", "recipient"], name="idx_sms_delivery_log_recipient"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.get_state_display()})"


class DeliveryAttempt(Owned):
    """One try at sending a message: written before the request leaves, completed by its outcome."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="tries")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=30, blank=True, default="")
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    error_code = models.PositiveIntegerField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    provider_sid = models.CharField(max_length=40, blank=True, default="")
    found_absent_at = models.DateTimeField(
        null=True, blank=True, help_text="When the provider's list had shown twice that it took no such text."
    )
    channel = models.CharField(
        max_length=10, choices=Channel.choices, default=Channel.SMS, db_default=Channel.SMS
    )
    # Made by messaging/sending/provider_copies.py: no words of the text, numbers masked. They go when the try goes.
    request = models.JSONField(null=True, blank=True)
    answer = models.JSONField(null=True, blank=True)

    class Meta:
        db_table = "delivery_attempts"
        ordering = ("started_at",)
        indexes: ClassVar = [models.Index(fields=["org", "message"], name="idx_delivery_attempts_message")]

    def __str__(self) -> str:
        return self.outcome or "under way"


class DeadLetter(Message):
    """A message as the people see it who look after those that were given up: a page of its own, no table."""

    class Meta:
        proxy = True
        verbose_name = "undelivered text"
