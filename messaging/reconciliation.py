"""What became of a text whose answer was lost: asked of the provider's list, never guessed (contract, section 6)."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.utils import timezone

from messaging import tries
from messaging.models import Message
from messaging.providers.answers import Listed, ListingFailed
from messaging.providers.twilio import client as twilio
from messaging.receipts import Receipt, settlement_of
from messaging.senders import account_of_clinic
from messaging.states import MessageState
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope

LISTING_WAIT = timedelta(seconds=15)


def resolve(message: Message) -> Settlement:
    """Asks Twilio what it has for an ``unknown`` message. Found: what the list says of it. Two empty lists at
    least ``MESSAGE_RECONCILE_GAP`` seconds apart: queued again, or expired when its time has passed."""
    try:
        found = _find_at_twilio(message)
    except ListingFailed as error:
        said = f"Twilio could not be asked yet ({error}); it is asked again."
        return Settlement(MessageState.UNKNOWN, wait=LISTING_WAIT, uses_attempt=False, error=said)
    if found is None:
        return _after_empty_list(message, timezone.now())
    settlement = settlement_of(message, Receipt(found.sid, found.status, found.error_code))
    return settlement.also(partial(tries.note_sid, message, found.sid))


def _after_empty_list(message: Message, now: datetime) -> Settlement:
    gap = timedelta(seconds=settings.MESSAGE_RECONCILE_GAP)
    first = message.first_empty_list_at
    if first is None or now - first < gap:
        wait = gap if first is None else first + gap - now
        columns = {"first_empty_list_at": first or now}
        return Settlement(
            MessageState.UNKNOWN, wait=wait, uses_attempt=False, columns=columns, error=message.last_error
        )
    if now >= message.expires_at:
        said = "Its time passed while its fate was unknown; Twilio does not have it."
        return Settlement(MessageState.EXPIRED, uses_attempt=False, error=said)
    said = "Twilio does not have it; it is sent again."
    return Settlement(MessageState.QUEUED, uses_attempt=False, error=said)


def _find_at_twilio(message: Message) -> Listed | None:
    """The text at Twilio that is this message and no other message's. Raises ListingFailed."""
    listed = twilio.sent_to(
        account_of_clinic(message.org_id),
        recipient=settings.SMS_REDIRECT_TO or message.recipient,
        sender=message.sender,
        since=twilio.earliest_listing(message.first_attempted_at or message.created_at),
    )
    same = [item for item in listed if item.body.strip() == message.body.strip()]
    with org_scope(message.org_id):
        taken = tries.taken_sids(item.sid for item in same)
    free = [item for item in same if item.sid not in taken]
    # The oldest first: of two equal texts the one that was lost first is told apart from the later one.
    return min(free, key=lambda item: item.created_at or timezone.now(), default=None)
