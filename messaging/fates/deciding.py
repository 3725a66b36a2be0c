"""A text of unknown fate, decided by a person who has looked: counted as sent, or sent again.

The only door for both. What Twilio says later still counts: a receipt settles the text whatever was decided.
"""

from __future__ import annotations

from enum import StrEnum

from django.db.models import Q
from django.utils import timezone

from messaging.models import Message
from messaging.outbox import wake
from messaging.providers.twilio.outcomes import BAD_ENDS
from messaging.sending.priorities import as_it_was
from messaging.states import MessageState
from messaging.undelivered import trail
from messaging.undelivered.dead_letters import is_in_doubt
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import move
from voxanne.tenancy.models import User
from voxanne.tenancy.scope import org_scope


class Decided(StrEnum):
    """What came of a decision: ``KNOWN`` where the text's fate was known meanwhile."""

    DONE = "done"
    KNOWN = "known"
    TOO_LATE = "too_late"


def is_open(message: Message) -> bool:
    """Whether nobody knows if this text is on its phone: it is being looked up, or was given up unproven."""
    return message.state == MessageState.UNKNOWN or is_in_doubt(message)


def is_counted(message: Message) -> bool:
    """Whether it is sent by a person's word: the row holds no number of Twilio's, or that of an earlier try which ended
    badly."""
    return message.state == MessageState.SENT and (
        not message.provider_sid or message.provider_status in BAD_ENDS
    )


def counted() -> Q:
    """The same of rows."""
    return Q(state=MessageState.SENT) & (Q(provider_sid="") | Q(provider_status__in=BAD_ENDS))


def mark_sent(message: Message, *, reason: str, actor: User | None) -> Decided:
    """Counts the text as sent. Somebody saw it at Twilio, or the patient has it."""
    columns = {"sent_at": message.sent_at or message.first_attempted_at or timezone.now()}
    sent = Settlement(MessageState.SENT, uses_attempt=False, columns=columns)
    return _decide(message, sent, "message.mark_sent", reason, actor)


def send_again(message: Message, *, reason: str, actor: User | None) -> Decided:
    """Sends the text again, though the first one may have left: the person was told that it may come twice."""
    if message.expires_at <= timezone.now():
        return Decided.TOO_LATE
    fresh = {
        "attempts": 0,
        "lost_leases": 0,
        "error_code": None,
        "sent_at": None,
        "receipt_asked_at": None,
        "priority": as_it_was(message),
    }
    queued = Settlement(MessageState.QUEUED, uses_attempt=False, columns=fresh)
    again = queued.also(lambda: wake(message.org_id, message.pk))
    return _decide(message, again, "message.send_again", reason, actor)


def _decide(message: Message, settlement: Settlement, act: str, reason: str, actor: User | None) -> Decided:
    """Does it once, whoever else decides or learns of it at the same moment."""
    if not is_open(message):
        return Decided.KNOWN
    with org_scope(message.org_id):
        if not move(Message, message.org_id, message.pk, settlement, sources=(MessageState(message.state),)):
            return Decided.KNOWN
        trail.record(message, act, reason, actor)
    return Decided.DONE
