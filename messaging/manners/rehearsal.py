"""A rehearsal: with ``SMS_REDIRECT_TO`` every text of this environment goes to that one phone, whatever its channel.

Only the address of the envelope changes. Whether a text may go out at all, and how long it is of use, is judged by the
person it is for; its words are theirs to the letter, so its length, its price and its likeness in Twilio's list are
too. For whom it was stands in the admin.

What that phone answers is taken as from the person whom the clinic's newest text there was for, so a conversation can
be rehearsed. What Twilio says of that phone (an opt-out) is written down of no patient.
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from messaging.models import Message

# Between a channel's name and the number: "whatsapp:+14155550142".
CHANNEL_ENDS = ":"


def is_on() -> bool:
    return bool(settings.SMS_REDIRECT_TO)


def destination(recipient: str) -> str:
    """Where a text for ``recipient`` goes, on the same channel; that person's own address unless it is rehearsed."""
    if not is_on():
        return recipient
    channel, ends, _ = recipient.rpartition(CHANNEL_ENDS)
    return f"{channel}{ends}{settings.SMS_REDIRECT_TO}"


def person_behind(org_id: UUID, sender: str) -> str:
    """Who is meant by a text from ``sender``; inside the clinic's scope."""
    if not is_on() or sender.rpartition(CHANNEL_ENDS)[2] != settings.SMS_REDIRECT_TO:
        return sender
    tried = Message.objects.filter(org_id=org_id, first_attempted_at__isnull=False)
    newest = tried.order_by("-first_attempted_at").values_list("recipient", flat=True).first()
    return newest or sender
