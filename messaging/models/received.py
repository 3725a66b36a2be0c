"""Texts that people send."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from messaging.channels import Channel
from messaging.models.people import Contact
from voxanne.tenancy.owned import Owned


class InboundMessage(Owned):
    """A text that somebody sent to a clinic's number."""

    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="inbound_messages"
    )
    provider_sid = models.CharField(max_length=40)
    sender = models.CharField(max_length=20)
    recipient = models.CharField(max_length=20)
    body = models.TextField(blank=True, default="")
    keyword = models.CharField(
        max_length=10, blank=True, default="", help_text="STOP, START or HELP, if it was one."
    )
    channel = models.CharField(
        max_length=10, choices=Channel.choices, default=Channel.SMS, db_default=Channel.SMS
    )
    profile_name = models.CharField(
        max_length=120, blank=True, default="", db_default="", help_text="What they call themselves there."
    )
    button = models.CharField(
        max_length=256, blank=True, default="", db_default="", help_text="The button they pressed, if one."
    )
    # ``created_at`` is when it could first be read here.
    received_at = models.DateTimeField(
        "came in", null=True, blank=True, help_text="When Twilio told us of it."
    )
    media = models.JSONField(default=list, blank=True, help_text="Links to pictures and files at Twilio.")

    class Meta:
        db_table = "inbound_messages"
        ordering = ("-created_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "provider_sid"], name="one_row_a_received_text"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["org", "sender", "-created_at"], name="idx_inbound_messages_sender")
        ]

    def __str__(self) -> str:
        return self.keyword or "Text"
