"""The fates of a message, and which may follow which (contract, section 6)."""

from __future__ import annotations

from django.db import models

from voxanne.durable.lifecycle import Lifecycle


class MessageState(models.TextChoices):
    """Each with the word that staff read for it."""

    QUEUED = "queued", "Waiting"
    SENDING = "sending", "Being sent"
    UNKNOWN = "unknown", "Fate unknown"
    SENT = "sent", "Sent"
    DELIVERED = "delivered", "Delivered"
    DEAD_LETTER = "dead_letter", "Not delivered"
    SUPPRESSED = "suppressed", "Not sent"
    EXPIRED = "expired", "Too late"
    CANCELED = "canceled", "Withdrawn"


class MessageKind(models.TextChoices):
    CONFIRMATION = "confirmation", "Confirmation"
    RESCHEDULED = "rescheduled", "New time"
    CANCELLED = "cancelled", "Cancellation"
    REMINDER = "reminder", "Reminder"
    MISSED_CALL = "missed_call", "Missed call"
    MISSED_CALL_AFTER_HOURS = "missed_call_after_hours", "Missed call, after hours"
    REPLY = "reply", "Reply"  # by staff, in their own words
    AUTO_REPLY = "auto_reply", "Automatic reply, closed"


class TaskKind(models.TextChoices):
    """What somebody at the desk is told of."""

    MISSED_CALL = "missed_call", "Missed call"
    CALLER_MESSAGE = "caller_message", "Message from a caller"
    TEXT = "text", "Text from a patient"
    OPTED_OUT_WITH_VISIT = "opted_out_with_visit", "Opted out with a visit ahead"
    TEXT_BUDGET = "text_budget", "Budget of texts"


class ConsentSource(models.TextChoices):
    """How a person came to be somebody whom the clinic texts."""

    PHONE_CALL = "phone_call", "Booked by phone"
    API = "api", "Booked through the API"
    STAFF = "staff", "Said so to staff"
    PATIENT_PAGE = "patient_page", "Patient page"
    INBOUND_TEXT = "inbound_text", "Texted the clinic"


# From these a person may put a message back in the queue.
REDRIVABLE = (MessageState.DEAD_LETTER,)
# Nothing more happens to these by themselves.
FINAL = (MessageState.DELIVERED, MessageState.SUPPRESSED, MessageState.EXPIRED, MessageState.CANCELED)

LIFECYCLE = Lifecycle(
    waiting=MessageState.QUEUED,
    claimed=MessageState.SENDING,
    lost=MessageState.UNKNOWN,
    dead=MessageState.DEAD_LETTER,
    transitions={
        MessageState.QUEUED: frozenset(
            {
                MessageState.SENDING,
                MessageState.EXPIRED,
                MessageState.SUPPRESSED,
                MessageState.CANCELED,
                # A receipt may overtake everything we know: the create answer was lost and the row was queued again.
                MessageState.SENT,
                MessageState.DELIVERED,
                MessageState.DEAD_LETTER,
            }
        ),
        MessageState.SENDING: frozenset(
            {
                MessageState.SENT,
                MessageState.DELIVERED,
                MessageState.UNKNOWN,
                MessageState.QUEUED,
                MessageState.DEAD_LETTER,
                MessageState.SUPPRESSED,
                MessageState.EXPIRED,
                MessageState.CANCELED,
            }
        ),
        MessageState.UNKNOWN: frozenset(
            {
                MessageState.UNKNOWN,
                MessageState.SENT,
                MessageState.DELIVERED,
                MessageState.QUEUED,
                MessageState.DEAD_LETTER,
                MessageState.SUPPRESSED,
                MessageState.EXPIRED,
            }
        ),
        MessageState.SENT: frozenset(
            {
                MessageState.DELIVERED,
                MessageState.DEAD_LETTER,
                MessageState.SUPPRESSED,
                # Reported undelivered for a reason that passes: it is sent once more.
                # WhatsApp reported that it could not be delivered there: it goes by text.
                MessageState.QUEUED,
            }
        ),
        MessageState.DEAD_LETTER: frozenset(
            # Given up in doubt, and then somebody knows that it was sent.
            {MessageState.QUEUED, MessageState.CANCELED, MessageState.DELIVERED, MessageState.SENT}
        ),
        MessageState.DELIVERED: frozenset(),
        MessageState.SUPPRESSED: frozenset(),
        MessageState.EXPIRED: frozenset({MessageState.SENT, MessageState.DELIVERED}),
        MessageState.CANCELED: frozenset({MessageState.SENT, MessageState.DELIVERED}),
    },
    stamps={
        MessageState.UNKNOWN: ("unknown_since",),
        MessageState.DEAD_LETTER: ("dead_lettered_at",),
    },
    # Empty lists count for one uncertainty: the next one starts from none. Who gives a text up in doubt says so anew.
    clears={
        MessageState.UNKNOWN: ("first_empty_list_at",),
        MessageState.QUEUED: ("unknown_since", "first_empty_list_at", "dead_lettered_at", "in_doubt_since"),
        MessageState.DEAD_LETTER: ("in_doubt_since",),
    },
)
