"""When and how much a clinic texts."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from voxanne.tenancy.owned import Owned


class MessagingPolicy(Owned):
    """How a clinic's texts behave: when they wait for the morning, and how many may go out. No row, or a blank field:
    nothing is held back. Read through messaging/manners/policy.py."""

    quiet_from = models.TimeField(
        "quiet from",
        null=True,
        blank=True,
        help_text="From this time of the recipient's day, reminders and texts to many wait. What was just asked for"
        " goes out at any hour. Blank: never.",
    )
    quiet_until = models.TimeField(
        "quiet until", null=True, blank=True, help_text="They go out from this time on."
    )
    monthly_segments = models.PositiveIntegerField(
        "monthly budget",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Segments a calendar month, which is what carriers charge for: 160 plain characters are one."
        " Blank: no limit.",
    )
    messages_a_minute = models.PositiveIntegerField(
        "texts a minute",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Blank: no limit.",
    )
    answers_help = models.BooleanField(
        "answer HELP ourselves",
        default=False,
        help_text="Twilio answers HELP by itself. Switch on only where that is switched off at Twilio, or patients are"
        " answered twice.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "messaging_policies"
        verbose_name = "texting rules"
        verbose_name_plural = "texting rules"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org"], name="one_policy_a_clinic"),
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_until=None)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False) & ~Q(quiet_from=F("quiet_until")),
                name="quiet_hours_begin_and_end",
            ),
        ]

    def __str__(self) -> str:
        return "Texting rules"
