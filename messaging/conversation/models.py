"""How far a clinic is with each phone that texts it, and what it chose about answering."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Greatest

from voxanne.tenancy.owned import Owned

LONGEST_PAUSE_HOURS = 168


class Conversation(Owned):
    """One phone at one clinic, from its first text, or from our first by hand. The texts themselves stay where they
    are; this says which of them still ask something of somebody. Written by ``messaging/conversation/book.py``."""

    number = models.CharField(max_length=40, help_text="The other side, E.164 where it is a phone.")
    newest_at = models.DateTimeField(help_text="When either side wrote last, by hand.")
    waiting_since = models.DateTimeField(
        null=True, blank=True, help_text="The oldest text that nobody has answered."
    )
    unread = models.PositiveIntegerField(default=0, help_text="Texts that nobody has looked at.")
    # When a machine answered last, while the clinic was closed and to HELP.
    auto_replied_at = models.DateTimeField(null=True, blank=True)
    help_answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "conversations"
        ordering = ("-newest_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "number"], name="one_conversation_a_number"),
        ]
        indexes: ClassVar = [
            # Unanswered ones first, the longest waiting of them on top: NULL comes last by itself.
            models.Index(fields=["org", "waiting_since", "-newest_at"], name="idx_conversations_list"),
            models.Index(fields=["org"], name="idx_conversations_unread", condition=Q(unread__gt=0)),
            models.Index(
                "org", Greatest("auto_replied_at", "help_answered_at"), name="idx_conversations_automatic"
            ),
        ]

    def __str__(self) -> str:
        return "Conversation"


class ReplySettings(Owned):
    """What a clinic chose about answering texts; one that chose nothing has no row, and the defaults."""

    auto_reply = models.BooleanField(
        "answer by itself while closed",
        default=False,
        help_text="Whoever texts outside opening hours is told so. The words are under Message wording.",
    )
    auto_reply_hours = models.PositiveSmallIntegerField(
        "at most once a person in so many hours",
        default=12,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_PAUSE_HOURS)],
    )
    segment_price = models.DecimalField(
        "what one segment costs",
        max_digits=7,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Such as 0.0079. Whoever writes a text sees what it will cost; blank, only how many segments.",
    )
    currency = models.CharField(
        max_length=3,
        blank=True,
        default="",
        validators=[RegexValidator(r"^[A-Z]{3}$", "Three capital letters, such as USD or GBP.")],
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "reply_settings"
        verbose_name_plural = "reply settings"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org"], name="one_reply_settings_a_clinic"),
        ]

    def __str__(self) -> str:
        return "Answers by itself while closed" if self.auto_reply else "Answers nothing by itself"
