"""Calls that Twilio brings us: followed from the first ring until it is settled whether anybody took them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from messaging.models import Message
from telephony.models.numbers import PhoneNumber
from voxanne.tenancy.owned import Owned


class ActiveCall(Owned):
    """One incoming call. It is settled once, by whichever path sees its outcome first; then it is ``processed``."""

    class Stage(models.TextChoices):
        CLINIC = "clinic", "The clinic's line"
        ASSISTANT = "assistant", "The assistant"

    class Whisper(models.TextChoices):
        ASKED = "asked", "Asked"
        ACCEPTED = "accepted", "Accepted"
        REFUSED = "refused", "Refused"

    class Outcome(models.TextChoices):
        MISSED = "missed", "Missed"
        ANSWERED = "answered", "Answered"
        GONE = "gone", "Unknown to Twilio"
        GIVEN_UP = "given_up", "Never told"

    class Path(models.TextChoices):
        FAST = "fast", "Twilio's word"
        FALLBACK = "fallback", "Looked up"

    class Text(models.TextChoices):
        """What became of the text that a missed caller gets."""

        QUEUED = "queued", "Written"
        SUPPRESSED = "suppressed", "Opted out"
        WITHHELD = "withheld", "No number to text"
        LANDLINE = "landline", "A landline"
        OUR_NUMBER = "our_number", "A number of ours"
        GOT_THROUGH = "got_through", "Got through meanwhile"
        BOOKED = "booked", "Booked meanwhile"
        COOL_DOWN = "cool_down", "Texted a moment ago"
        NO_SENDER = "no_sender", "The clinic has no sender"

    call_sid = models.CharField(max_length=40)
    number = models.ForeignKey(PhoneNumber, null=True, on_delete=models.SET_NULL, related_name="active_calls")
    from_number = models.CharField(max_length=40, blank=True, default="")
    to_number = models.CharField(max_length=20)
    mode = models.CharField(max_length=30, choices=PhoneNumber.Mode.choices)
    stage = models.CharField(max_length=10, choices=Stage.choices)
    whisper = models.CharField(max_length=10, choices=Whisper.choices, blank=True, default="")
    dial_call_sid = models.CharField(max_length=40, blank=True, default="")
    dialled_at = models.DateTimeField()
    dial_ended_at = models.DateTimeField(null=True, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)
    processed = models.BooleanField(default=False)
    processed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True, default="")
    settled_by = models.CharField(max_length=10, choices=Path.choices, blank=True, default="")
    text = models.CharField(max_length=12, choices=Text.choices, blank=True, default="")
    message = models.ForeignKey(
        Message, null=True, blank=True, on_delete=models.SET_NULL, related_name="missed_calls"
    )
    text_requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "active_calls"
        ordering = ("-created_at",)
        constraints: ClassVar = [models.UniqueConstraint(fields=["call_sid"], name="one_row_a_call_sid")]
        indexes: ClassVar = [
            models.Index(fields=["org", "-created_at"], name="idx_active_calls_org"),
            models.Index(
                fields=["created_at"], name="idx_active_calls_unsettled", condition=Q(processed=False)
            ),
            models.Index(
                fields=["processed_at"], name="idx_active_calls_settled", condition=Q(processed=True)
            ),
            models.Index(fields=["org", "from_number", "-created_at"], name="idx_active_calls_caller"),
            models.Index(fields=["message"], name="idx_active_calls_message"),
            models.Index(fields=["number"], name="idx_active_calls_number"),
        ]

    def __str__(self) -> str:
        return self.get_outcome_display() or "Under way"


class TextBack(Owned):
    """When a caller was last texted for a call to one number: within half an hour there is no second text."""

    number = models.CharField(max_length=20)
    caller = models.CharField(max_length=20)
    texted_at = models.DateTimeField()

    class Meta:
        db_table = "text_backs"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "number", "caller"], name="one_text_back_a_caller"),
        ]
        indexes: ClassVar = [models.Index(fields=["texted_at"], name="idx_text_backs_texted_at")]

    def __str__(self) -> str:
        return "Text back"
