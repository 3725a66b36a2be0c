"""Texts that people send: kept once each, and a wish not to be texted is honoured at once.

Sources: Twilio's incoming message webhook (MessageSid names a text for good) and its default opt-out words;
``OptOutType`` comes with Advanced Opt-Out and is trusted before the words themselves. Twilio answers a bare STOP, START
or HELP itself, so nothing is said twice; a wish written otherwise ("opt out", "Stop!!") is honoured all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from messaging import channels
from messaging.channels import Channel
from messaging.contacts import note_consent, upsert_contact
from messaging.conversation import auto_replies, book
from messaging.manners import consent, keyword_replies, rehearsal
from messaging.manners.keywords import HELP, HELP_WORDS, START, START_WORDS, STOP, STOP_WORDS
from messaging.manners.opted_out import OptedOut, tell_of_opt_out
from messaging.models import Contact, InboundMessage
from messaging.sending import whatsapp
from messaging.staff_tasks import tell_of_text
from messaging.states import ConsentSource
from voxanne.statements import Statement
from voxanne.tenancy.plan_cache import ClinicKey
from voxanne.tenancy.scope import org_scope

# To somebody who takes texts this is an answer to a question, and for a person to read.
ALSO_AN_ANSWER = "YES"
LONGEST_BODY = 5000
OF_SENDER = Statement("SELECT org_id, plan_version FROM clinic_of_sender(%s::text)")


@dataclass(frozen=True, slots=True)
class Received:
    """One text as Twilio reports it; numbers are E.164, whatever the channel."""

    sid: str
    sender: str
    recipient: str
    body: str
    opt_out_type: str = ""
    service: str = ""
    channel: str = Channel.SMS.value
    profile_name: str = ""
    button: str = ""
    media: tuple[dict[str, str], ...] = ()


def clinic_texted_at(number: str) -> ClinicKey | None:
    """The active clinic that texts from this address (``whatsapp:`` before the number where it is that); no scope
    needed, its id is all that is told. None where two do: a text must not reach the wrong one."""
    rows = OF_SENDER.rows([number])
    return ClinicKey(*rows[0]) if len(rows) == 1 else None


def keyword_of(received: Received) -> str:
    """STOP, START, HELP or blank. A text is a keyword only when it is nothing but the word; how it is written does not
    matter where somebody wants no texts, or wants them again."""
    if received.opt_out_type in (STOP, START, HELP):
        return received.opt_out_type
    word = word_of(received)
    for keyword, words in ((STOP, STOP_WORDS), (START, START_WORDS)):
        if word in words:
            return keyword
    # What Twilio does not know for HELP it does not answer: then a person does.
    return HELP if received.body.strip().upper() in HELP_WORDS else ""


def word_of(received: Received) -> str:
    """The text in capitals, nothing but its letters and digits."""
    return "".join(letter for letter in received.body.upper() if letter.isalnum())


def take_in(org_id: UUID, received: Received, arrived_at: datetime | None = None) -> bool:
    """Keeps the text and, for STOP and START, a line in the ledger; False when it was kept before. ``arrived_at``: when
    Twilio told us of it, which may be long before it is worked off; now, if not given."""
    arrived_at = arrived_at or timezone.now()
    with org_scope(org_id):
        received = replace(received, sender=rehearsal.person_behind(org_id, received.sender))
        keyword = _keyword_meant(org_id, received)
        contact = _contact_of(org_id, received, agrees=_takes_whatsapp(org_id, received, keyword, arrived_at))
        text, made = InboundMessage.objects.get_or_create(
            org_id=org_id,
            provider_sid=received.sid,
            defaults={
                "contact": contact,
                "sender": received.sender,
                "recipient": received.recipient,
                "body": received.body[:LONGEST_BODY],
                "keyword": keyword,
                "channel": received.channel,
                "profile_name": received.profile_name,
                "button": received.button,
                "media": list(received.media),
                "received_at": arrived_at,
            },
        )
        if not made:
            return False
        conversation = book.text_came(org_id, received.sender, text.created_at, wants_a_person=not keyword)
        _heed(org_id, received, text, conversation)
    return True


def _contact_of(org_id: UUID, received: Received, *, agrees: bool) -> Contact | None:
    """The person who wrote. Who writes by WhatsApp becomes a contact, nameless at first (what they call themselves
    there proves nothing), and is answered there from now on."""
    of_number = Contact.objects.filter(org_id=org_id, phone=received.sender)
    if agrees:
        whatsapp.prefer(org_id, upsert_contact(org_id, phone=received.sender), "wrote by WhatsApp")
    return of_number.first()


def _takes_whatsapp(org_id: UUID, received: Received, keyword: str, arrived_at: datetime) -> bool:
    """Whether who wrote agrees to WhatsApp by it: not by another word than START after a STOP there."""
    if received.channel != Channel.WHATSAPP or keyword == STOP:
        return False
    wish = consent.newest_wish(org_id, sender=_texted(org_id, received), recipient=received.sender)
    if wish is None or not wish.opted_out:
        return True
    return keyword == START and wish.at < arrived_at


def _keyword_meant(org_id: UUID, received: Received) -> str:
    keyword = keyword_of(received)
    if keyword != START or word_of(received) != ALSO_AN_ANSWER:
        return keyword
    texted = _texted(org_id, received)
    return keyword if consent.has_opted_out(org_id, sender=texted, recipient=received.sender) else ""


def _heed(org_id: UUID, received: Received, text: InboundMessage, conversation: UUID) -> None:
    """Does what the text asks for."""
    match text.keyword:
        case "STOP":
            _record(org_id, received, text, opted_out=True)
            # Who stops WhatsApp still gets texts.
            if received.channel == Channel.WHATSAPP:
                _end_whatsapp(org_id, received)
            else:
                tell_of_opt_out(
                    OptedOut(org_id, received.sender, key=f"text:{received.sid}", word=word_of(received))
                )
        case "START":
            _record(org_id, received, text, opted_out=False)
            if not consent.has_opted_out(org_id, sender=_texted(org_id, received), recipient=received.sender):
                note_consent(org_id, received.sender, ConsentSource.INBOUND_TEXT, anew=True)
        case "HELP":
            keyword_replies.answer_help(
                org_id, received.sid, received.sender, said_by_twilio=received.opt_out_type
            )
        case _:
            note_consent(org_id, received.sender, ConsentSource.INBOUND_TEXT)
            if not _tell_staff(org_id, received, text.contact, conversation):
                auto_replies.reply_while_closed(text)


def _record(org_id: UUID, received: Received, text: InboundMessage, *, opted_out: bool) -> None:
    texted = _texted(org_id, received)
    for name in consent.names_of(org_id, texted) if opted_out else {texted}:
        consent.record(
            org_id,
            sender=name,
            recipient=received.sender,
            opted_out=opted_out,
            source=consent.KEYWORD,
            at=text.received_at,
        )


def _end_whatsapp(org_id: UUID, received: Received) -> None:
    if consent.has_opted_out(org_id, sender=_texted(org_id, received), recipient=received.sender):
        whatsapp.stop_preferring(org_id, received.sender)


def _texted(org_id: UUID, received: Received) -> str:
    """Under which name the ledger keeps what was written to."""
    if received.channel != Channel.SMS:
        return channels.address(received.channel, received.recipient)
    return consent.name_of_sender(org_id, number=received.recipient, service=received.service)


def _tell_staff(org_id: UUID, received: Received, contact: Contact | None, conversation: UUID) -> bool:
    """A person is to read it: at once where it begins like a wish not to be texted; only a bare word makes it one.
    Says whether it does."""
    by = "By WhatsApp: " if received.channel == Channel.WHATSAPP else ""
    first_word = received.body.upper().partition(" ")[0].strip(".,!")
    urgent = first_word in STOP_WORDS
    tell_of_text(
        org_id,
        text=f"{by}{received.body[:LONGEST_BODY] or 'A picture or file, without words.'}",
        dedupe_key=book.TEXT_TASK.format(received.sid),
        urgent=urgent,
        from_number=received.sender,
        contact_id=contact.pk if contact else None,
        about=f"conversation:{conversation}",
    )
    return urgent
