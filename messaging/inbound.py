"""Texts that people send: kept once each, and a wish not to be texted is honoured at once.

Sources: Twilio's incoming message webhook (MessageSid names a text for good) and its default opt-out words;
``OptOutType`` comes with Advanced Opt-Out and is trusted before the words themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from messaging import consent
from messaging.conversation import auto_replies, book
from messaging.keywords import HELP, HELP_WORDS, START, START_WORDS, STOP, STOP_WORDS
from messaging.models import Contact, InboundMessage
from messaging.staff_tasks import tell_staff
from messaging.states import TaskKind
from voxanne.statements import Statement
from voxanne.tenancy.plan_cache import ClinicKey
from voxanne.tenancy.scope import org_scope

LONGEST_BODY = 5000
OF_SENDER = Statement("SELECT org_id, plan_version FROM clinic_of_sender(%s::text)")


@dataclass(frozen=True, slots=True)
class Received:
    """One text as Twilio reports it; numbers are E.164."""

    sid: str
    sender: str
    recipient: str
    body: str
    opt_out_type: str = ""
    media: tuple[dict[str, str], ...] = ()


def clinic_texted_at(number: str) -> ClinicKey | None:
    """The active clinic that texts from this number; no scope needed, its id is all that is told."""
    row = OF_SENDER.row([number])
    return ClinicKey(*row) if row else None


def keyword_of(received: Received) -> str:
    """STOP, START, HELP or blank. A text is a keyword only when it is nothing but the word."""
    if received.opt_out_type in (STOP, START, HELP):
        return received.opt_out_type
    word = received.body.strip().upper().rstrip(".!")
    for keyword, words in ((STOP, STOP_WORDS), (START, START_WORDS), (HELP, HELP_WORDS)):
        if word in words:
            return keyword
    return ""


def take_in(org_id: UUID, received: Received) -> bool:
    """Keeps the text and, for STOP and START, a line in the ledger; False when it was kept before."""
    keyword = keyword_of(received)
    with org_scope(org_id):
        contact = Contact.objects.filter(org_id=org_id, phone=received.sender).first()
        text, made = InboundMessage.objects.get_or_create(
            org_id=org_id,
            provider_sid=received.sid,
            defaults={
                "contact": contact,
                "sender": received.sender,
                "recipient": received.recipient,
                "body": received.body[:LONGEST_BODY],
                "keyword": keyword,
                "media": list(received.media),
            },
        )
        if not made:
            return False
        conversation = book.text_came(org_id, received.sender, text.created_at, wants_a_person=not keyword)
        if keyword in (STOP, START):
            consent.record(
                org_id,
                sender=received.recipient,
                recipient=received.sender,
                opted_out=keyword == STOP,
                source="keyword",
            )
        if not keyword and not _tell_staff(org_id, received, contact, conversation):
            auto_replies.reply_while_closed(text)
    return True


def _tell_staff(org_id: UUID, received: Received, contact: Contact | None, conversation: UUID) -> bool:
    """A person is to read it: at once where it begins like a wish not to be texted; only a bare word makes it one.
    Says whether it does."""
    first_word = received.body.upper().partition(" ")[0].strip(".,!")
    urgent = first_word in STOP_WORDS
    tell_staff(
        org_id,
        kind=TaskKind.TEXT,
        text=received.body[:LONGEST_BODY] or "A picture or file, without words.",
        dedupe_key=book.TEXT_TASK.format(received.sid),
        urgent=urgent,
        from_number=received.sender,
        contact_id=contact.pk if contact else None,
        about=f"conversation:{conversation}",
    )
    return urgent
