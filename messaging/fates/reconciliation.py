"""What became of a text whose answer was lost: asked of the provider's list, never guessed (contract, section 6).

The list does not always show our words: a trial account puts a line of its own before them, and an account that
keeps no message bodies shows none. So a text in it is judged by how strong the likeness is:

1. the same words, with or without the trial account's line: ours. Of equal texts to one person the oldest is taken;
   which of them is whose does not matter, as long as there is one for each that a person counted as sent, too.
2. no words, made about when we tried: one that nobody else holds *may* be ours. It may also be another text's to the
   same phone whose answer was lost at about the same time. Where there is such a text without words for each try that
   misses one, the first is the first one's, and so on: all are found. Where there are fewer, somebody's text is
   missing and nobody can tell whose: then nothing is sent again by itself. A receipt, which carries our id, may still
   tell; after ``LONGEST_DOUBT`` a person is asked to look. Tries count whatever was decided about their message since:
   a person's word that one was sent, or is to be sent again, does not say which text in the list it is.
3. other words, which no text of ours to that phone has, within a minute of a try of ours: *may* be ours, for whoever
   stands between may alter words. It may also be the clinic's own from elsewhere, by the same number. Nothing is sent
   again by itself; a receipt may tell, or a person is asked, as above.
4. other words at another time or of another text of ours, a SID that is another row's, or no words and another time:
   not ours. By WhatsApp other words count as none: they may be an approved template's.

A list is empty when it shows nothing of the first three kinds. Even empty lists are believed so often only: after
as many tries as any text has, a person is asked before it is sent once more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from messaging.channels import Channel, address
from messaging.fates.deciding import counted
from messaging.fates.receipts import Receipt, settlement_of
from messaging.manners import rehearsal
from messaging.models import Message
from messaging.providers.answers import Listed, ListingFailed
from messaging.providers.twilio import client as twilio
from messaging.senders import account_of_clinic
from messaging.sending import tries
from messaging.sending.waits import RETRY_WAITS
from messaging.states import MessageState
from monitoring.breaker import CircuitOpen, Service, guarded
from voxanne.durable.settlement import Settlement
from voxanne.encryption import UnreadableCredential
from voxanne.tenancy.scope import org_scope

LISTING_WAIT = timedelta(seconds=15)
UNREADABLE_WAIT = timedelta(minutes=1)
# Source: Twilio's pages on trial accounts; it is part of the body from then on.
TRIAL_LINE = "Sent from your Twilio trial account -"
# A body that is not kept is blank, or a mark such as **REDACTED** or XXXX stands in its place.
WITHOUT_WORDS = re.compile(r"[\W_xX]*(?:redacted)?[\W_xX]*", re.IGNORECASE)
# Clocks differ, and Twilio may take up a request whose answer we no longer wait for.
MADE_ABOUT_THEN = timedelta(minutes=5)
LONGEST_DOUBT = timedelta(minutes=15)
# Closer than for texts without words: other words are most often another text's.
MADE_WITH_THE_TRY = timedelta(minutes=1)
# So many of our texts to the phone are asked for their words, the last to change first.
MOST_COMPARED = 500
MOST_TRIES = len(RETRY_WAITS) + 1
# A try that began so long before the message cannot be mistaken for one of its own, however wrong a clock was.
LONG_BEFORE = timedelta(days=1)
# A text whose time is over is looked for this long altogether before a person is asked.
LONGEST_LOOK = timedelta(hours=1)
JUST_FAILED = "it has just been failing"
NO_CREDENTIAL = "the clinic's credential cannot be read: operations has to add the key it was written with"
UNPROVED = (
    "Its time passed and Twilio could not be asked whether it was sent. Look at Twilio's log; if it is not there, tell"
    " the patient in another way."
)
IN_DOUBT = (
    "Twilio has a text to this number that may be this one, without its words. Look at Twilio's log before it is"
    " sent again."
)
IN_SAME_WORDS = (
    "Twilio has a text of the same words to this number, but a person counted it as another one's. Look at Twilio's log"
    " before it is sent again."
)
IN_OTHER_WORDS = (
    "Twilio has a text to this number that may be this one, in other words. Look at Twilio's log before it is sent"
    " again."
)
NO_TRIES_LEFT = (
    "It was tried as often as any text, and the last answer was lost. Twilio's list does not show it, but it may have"
    " arrived: look at Twilio's log, or ask the patient, before it is sent again."
)


@dataclass(frozen=True, slots=True)
class Found:
    """The text at Twilio that is the message's, if any; ``in_doubt`` says why where there is one that may be another's;
    ``sure`` where it is this message's beyond doubt, and no other text of it may be out there."""

    text: Listed | None
    in_doubt: str = ""
    sure: bool = False


def resolve(message: Message) -> Settlement:
    """Asks Twilio what it has for an ``unknown`` message. Found: what the list says of it. Two empty lists at
    least ``MESSAGE_RECONCILE_GAP`` seconds apart: queued again, expired when its time has passed, or left to a person
    when that has been so too often."""
    try:
        found = _find_at_twilio(message)
    except UnreadableCredential:
        return _not_asked(message, UNREADABLE_WAIT, NO_CREDENTIAL)
    except CircuitOpen as closed:
        return _not_asked(message, max(LISTING_WAIT, timedelta(seconds=closed.retry_after)), JUST_FAILED)
    except ListingFailed as error:
        return _not_asked(message, LISTING_WAIT, str(error))
    if found.in_doubt:
        return _in_doubt(message, found.in_doubt, timezone.now())
    if found.text is None:
        return _after_empty_list(message, timezone.now())
    word = Receipt(found.text.sid, found.text.status, found.text.error_code)
    settlement = settlement_of(message, word, sure=found.sure)
    # The SID first: what else is written down of the try looks for it by its SID.
    noted = replace(settlement, record=partial(tries.note_sid, message, found.text.sid))
    return noted if settlement.record is None else noted.also(settlement.record)


def _not_asked(message: Message, wait: timedelta, why: str) -> Settlement:
    """It is asked again, for as long as the text is good for something; then a person is asked."""
    now = timezone.now()
    looked_for = now - (message.unknown_since or message.created_at)
    if now >= message.expires_at and looked_for >= LONGEST_LOOK:
        return _given_up_in_doubt(UNPROVED, now)
    said = f"Twilio could not be asked yet ({why}); it is asked again."
    return Settlement(MessageState.UNKNOWN, wait=wait, uses_attempt=False, error=said)


def _in_doubt(message: Message, why: str, now: datetime) -> Settlement:
    """Waits for a receipt to tell, for so long; then a person is asked."""
    if now - (message.unknown_since or message.created_at) < LONGEST_DOUBT:
        return Settlement(MessageState.UNKNOWN, wait=LISTING_WAIT, uses_attempt=False, error=why)
    return _given_up_in_doubt(why, now)


def _given_up_in_doubt(why: str, now: datetime) -> Settlement:
    """A person decides about it (deciding.py); no other way leads it back into the queue."""
    columns = {"in_doubt_since": now}
    return Settlement(MessageState.DEAD_LETTER, uses_attempt=False, error=why, columns=columns)


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
        return _absent(message, Settlement(MessageState.EXPIRED, uses_attempt=False, error=said))
    if message.attempts >= MOST_TRIES:
        return _given_up_in_doubt(NO_TRIES_LEFT, now)
    said = "Twilio does not have it; it is sent again."
    return _absent(message, Settlement(MessageState.QUEUED, uses_attempt=False, error=said))


def _absent(message: Message, settlement: Settlement) -> Settlement:
    """The tries that both lists would have shown: one that somebody began meanwhile is not among them."""
    assert message.first_empty_list_at is not None
    return settlement.also(partial(tries.note_absent, message, message.first_empty_list_at))


def _find_at_twilio(message: Message) -> Found:
    """The text at Twilio that is this message and no other message's. Raises ListingFailed."""
    account = account_of_clinic(message.org_id)
    with guarded(Service.TWILIO_API, message.org_id, str(message.pk), is_listing_outage):
        listed = twilio.sent_to(
            account,
            recipient=address(message.channel, rehearsal.destination(message.recipient)),
            sender=message.sender,
            since=twilio.earliest_listing(_first_tried(message)),
        )
    with org_scope(message.org_id):
        taken = tries.taken_sids(item.sid for item in listed)
        # Twilio's times have whole seconds; within one, its list still has the newest first.
        free = sorted((item for item in reversed(listed) if item.sid not in taken), key=_made_at)
        same = [item for item in free if _has_words_of(item, message)]
        if same and len(same) <= _counted_without_a_sid(message):
            return Found(None, in_doubt=IN_SAME_WORDS)
        if same:
            return Found(same[0], sure=tries.is_only_one_out(message))
        found = _among_those_without_words(message, [item for item in free if _may_hide_words(item, message)])
        if found.text is None and not found.in_doubt and _may_be_altered(message, free):
            return Found(None, in_doubt=IN_OTHER_WORDS)
        return found


def is_listing_outage(error: Exception) -> bool:
    """Whether Twilio itself failed to say what it has."""
    return isinstance(error, ListingFailed) and error.outage


def _first_tried(message: Message) -> datetime:
    """When it may first have left. A moment that lies ahead was written down while our clock was wrong."""
    at = message.first_attempted_at
    return message.created_at if at is None or at > timezone.now() else at


def _made_at(item: Listed) -> datetime:
    return item.created_at or timezone.now()


def _has_words_of(item: Listed, message: Message) -> bool:
    ours = message.body.split()
    return item.body.split() in (ours, TRIAL_LINE.split() + ours)


def _shows_no_words(item: Listed) -> bool:
    return WITHOUT_WORDS.fullmatch(item.body) is not None


def _may_hide_words(item: Listed, message: Message) -> bool:
    """By WhatsApp a text may have gone out in a template's words, which we do not know."""
    return message.channel == Channel.WHATSAPP or _shows_no_words(item)


def _may_be_altered(message: Message, free: list[Listed]) -> bool:
    """Rule 3 of this module; ``free`` are nobody's. Inside the clinic's scope."""
    worded = [item for item in free if not _may_hide_words(item, message)]
    tried_at = tries.moments_of_lost(message) if worded else []
    near = [item for item in worded if any(_made_with(item, at) for at in tried_at)]
    if not near:
        return False
    texts = _texts_to_the_phone(message).exclude(pk=message.pk)
    ours = list(texts.order_by("-updated_at")[:MOST_COMPARED])
    return any(not any(_has_words_of(item, one) for one in ours) for item in near)


def _made_with(item: Listed, then: datetime) -> bool:
    return any(abs(at - then) <= MADE_WITH_THE_TRY for at in _moments(item))


def _texts_to_the_phone(message: Message) -> QuerySet[Message]:
    """The clinic's texts that Twilio lists with the message."""
    rows = Message.objects.filter(org_id=message.org_id, sender=message.sender)
    return rows if rehearsal.is_on() else rows.filter(recipient=message.recipient)


def _among_those_without_words(message: Message, wordless: list[Listed]) -> Found:
    """Rule 2 of this module; ``wordless`` are nobody's, the oldest first. Inside the clinic's scope."""
    if not wordless:
        return Found(None)
    lost = tries.missing(_texts_to_the_phone(message), message.created_at - LONG_BEFORE)
    own = [at for owner, at in lost if owner == message.pk]
    tried_at = own[-1] if own else message.first_attempted_at or message.created_at
    possible = [item for item in wordless if _made_about(item, tried_at)]
    if not possible:
        return Found(None)
    if any(not _made_about_by_both(item, tried_at) for item in possible):
        return Found(None, in_doubt=IN_DOUBT)
    rivals = [owner for owner, at in lost if any(_made_about(item, at) for item in possible)]
    if len(possible) < len(rivals):
        return Found(None, in_doubt=IN_DOUBT)
    mine = possible[rivals.index(message.pk) if message.pk in rivals else 0]
    alone = rivals == [message.pk] and len(possible) == 1
    return Found(mine, sure=alone and tries.is_only_one_out(message))


def _counted_without_a_sid(message: Message) -> int:
    """How many tries a list of now may show of other texts with the same words that a person counted as sent: nothing
    there says which they are."""
    theirs = _texts_to_the_phone(message).filter(counted(), body=message.body)
    return len(tries.missing(theirs, twilio.earliest_listing(_first_tried(message))))


def _made_about(item: Listed, then: datetime) -> bool:
    """By Twilio's clock, or by ours where they differ."""
    return any(abs(at - then) <= MADE_ABOUT_THEN for at in _moments(item))


def _made_about_by_both(item: Listed, then: datetime) -> bool:
    """Where one clock says so and the other does not, one of them was wrong, and nobody knows which."""
    return all(abs(at - then) <= MADE_ABOUT_THEN for at in _moments(item))


def _moments(item: Listed) -> tuple[datetime, datetime]:
    return _made_at(item), item.ours_at or _made_at(item)
