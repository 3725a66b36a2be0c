"""Whom a clinic texts with, and who asked not to be texted."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from messaging.channels import Channel
from voxanne.tenancy.owned import Owned


class Contact(Owned):
    """A phone number (or an e-mail address) that a clinic knows, and the people behind it."""

    phone = models.CharField(max_length=20, null=True, blank=True, help_text="E.164, such as +14155550142.")
    email = models.EmailField(blank=True, default="")
    name = models.CharField(max_length=120, blank=True, default="")
    names = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    language = models.CharField(max_length=10, blank=True, default="en")
    consent_source = models.CharField(max_length=40, blank=True, default="")
    consent_at = models.DateTimeField(null=True, blank=True)
    # Blank until the person writes by WhatsApp or says which they want; text is what everybody gets.
    preferred_channel = models.CharField(
        max_length=10,
        choices=Channel.choices,
        blank=True,
        default="",
        db_default="",
        help_text="Texts, unless they want WhatsApp.",
    )
    whatsapp_consent_source = models.CharField(
        "WhatsApp consent source", max_length=40, blank=True, default="", db_default=""
    )
    whatsapp_consent_at = models.DateTimeField("WhatsApp consent at", null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "contacts"
        ordering = ("name",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "phone"], name="one_contact_a_phone"),
            models.UniqueConstraint(
                fields=["org", "email"], condition=Q(phone__isnull=True), name="one_contact_an_email"
            ),
            models.CheckConstraint(
                condition=Q(phone__isnull=False) | ~Q(email=""), name="contact_can_be_reached"
            ),
        ]

    def __str__(self) -> str:
        return self.name or "Contact"


class OptOut(Owned):
    """One line of the ledger of people who asked not to be texted; the newest line for a pair decides."""

    sender = models.CharField(max_length=40, help_text="Our number or messaging service.")
    recipient = models.CharField(max_length=20)
    opted_out = models.BooleanField(default=True, help_text="False where the person asked for texts again.")
    source = models.CharField(max_length=40, help_text="keyword, carrier (21610) or staff.")
    # When it was said: a text that waited to be worked off does not count as later for it.
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        db_table = "opt_outs"
        ordering = ("-created_at",)
        permissions: ClassVar = [("record_optout", "Can record what a person said about texts")]
        indexes: ClassVar = [
            models.Index(fields=["org", "recipient", "sender", "-created_at"], name="idx_opt_outs_pair")
        ]

    def __str__(self) -> str:
        return "opted out" if self.opted_out else "opted in"
