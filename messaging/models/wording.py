"""A clinic's own words, and templates approved for WhatsApp."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from messaging.states import MessageKind
from voxanne.tenancy.owned import Owned


class MessageTemplate(Owned):
    """A clinic's own wording for one kind of message; {clinic}, {date}, {time} and {link} are filled in."""

    kind = models.CharField(max_length=30, choices=MessageKind.choices)
    body = models.TextField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "message_templates"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "kind"], name="one_template_a_kind"),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()


class WhatsAppTemplate(Owned):
    """What WhatsApp approved for one kind of message: said where free words may not be."""

    kind = models.CharField(max_length=30, choices=MessageKind.choices)
    content_sid = models.CharField(
        "Content SID", max_length=34, help_text="HX and 32 characters, on Twilio's page of it."
    )
    variables = ArrayField(
        models.CharField(max_length=20),
        default=list,
        blank=True,
        help_text="What fills {{1}}, {{2}} and so on, with commas between: clinic, date, time, code, link.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "whatsapp_templates"
        verbose_name = "WhatsApp template"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "kind"], name="one_whatsapp_template_a_kind"),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()
