"""What staff answer, in their own words: the only way such a text comes to be. Refused with a sentence for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from messaging.conversation import book
from messaging.conversation.phones import E164
from messaging.manners import consent
from messaging.models import Contact, Message, SenderAccount
from messaging.outbox import enqueue, way_to
from messaging.states import MessageKind, MessageState
from messaging.words.segments import plain
from messaging.words.wording import invites_silence
from voxanne.tenancy.models import AuditEntry, User
from voxanne.tenancy.scope import org_scope

# Twilio's own limit (error 21617).
LONGEST = 1600
# An answer that could not leave for so long would only puzzle; whoever wrote it sees that it did not.
USEFUL_FOR = timedelta(hours=4)
KEY_OF_STAFF = "reply:"

EMPTY = "Write something first."
TOO_LONG = f"That is too long for one text: {LONGEST:,} characters at most. Send it as two."
NO_NUMBER = "This sender is no phone, so nothing can be sent back to it."
NO_SENDER = "This clinic has no number to text from yet. A manager enters one under Sender."
PAUSED = "Sending is paused for this clinic. {} A manager can resume it under Sender."
OPTED_OUT = (
    "This person asked not to be texted. Ring them instead. If they text START, they can be texted again."
)
OUR_OWN = "That is a number of a clinic here, and texts to it would come straight back."
STOP_WORD = (
    "A patient who answers with CANCEL, END, QUIT or the like gets no texts from the clinic any more. Do not write such"
    " a word in capitals, nor ask for it as an answer."
)
NOTHING_SENT = "Nothing was sent. "
ANSWERED_MEANWHILE = (
    "Nothing was sent yet: {} answered meanwhile. Read it, then press Send again if you want to."
)
KEY_USED = "Nothing was sent yet: this page had sent another text before. Press Send once more."


class ReplyRefused(Exception):
    """Nothing was sent; the message says why, and what to do, to whoever wrote the text."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The text, and whether it was sent by an earlier press of the same button."""

    message_id: UUID
    again: bool


def words_of(typed: str) -> str:
    """What is sent of what was typed: browsers end lines their own way, and word processors' typography is dear."""
    return plain(typed.replace("\r\n", "\n").replace("\r", "\n").strip())


def why_nothing_can_be_sent(org_id: UUID, number: str) -> str:
    """A sentence for whoever would write; blank where they may. Inside the clinic's scope."""
    if E164.fullmatch(number) is None:
        return NO_NUMBER
    sender = SenderAccount.objects.filter(org_id=org_id).first()
    if sender is None:
        return NO_SENDER
    if sender.paused_reason:
        return PAUSED.format(_sentence(sender.paused_reason))
    way = way_to(org_id, number, MessageKind.REPLY)
    opted_out = way is not None and consent.has_opted_out(org_id, sender=way.sender, recipient=number)
    return OPTED_OUT if opted_out else ""


def reply(
    org_id: UUID,
    *,
    number: str,
    typed: str,
    key: UUID,
    until: datetime | None,
    answer_shown: UUID | None,
    author: User,
) -> Sent:
    """Sends ``typed`` to ``number`` and takes what came in up to ``until`` for answered. The same ``key`` never sends
    twice, and nobody answers past a colleague: ``answer_shown`` is the newest answer of staff that the page showed.
    Raises ReplyRefused, and then nothing has changed."""
    body = words_of(typed)
    _check(body)
    with org_scope(org_id):
        conversation = book.begun(org_id, number)
        earlier = _sent_before(org_id, key, number, body)
        if earlier is not None:
            return earlier
        refusal = why_nothing_can_be_sent(org_id, number)
        if refusal:
            raise ReplyRefused(NOTHING_SENT + refusal)
        newest = newest_answer(org_id, number)
        if newest is not None and newest.pk != answer_shown:
            raise ReplyRefused(ANSWERED_MEANWHILE.format(_name_of(newest.author)))
        message_id = _enqueue(org_id, number, body, key)
        Message.objects.filter(pk=message_id).update(author=author)
        conversation.newest_at = timezone.now()
        conversation.save(update_fields=["newest_at"])
        book.answered(conversation, until, author)
        subject = f"{Message._meta.db_table}:{message_id}"
        AuditEntry.objects.create(org_id=org_id, actor=author, action="conversation.reply", subject=subject)
    return Sent(message_id, again=False)


def newest_answer(org_id: UUID, number: str) -> Message | None:
    """What staff answered last. Inside the clinic's scope."""
    answers = Message.objects.filter(
        org_id=org_id, recipient=number, kind=MessageKind.REPLY, dedupe_key__startswith=KEY_OF_STAFF
    )
    return answers.select_related("author").order_by("-created_at", "-pk").first()


def is_by_staff(message: Message) -> bool:
    """Whether somebody wrote it, also where they have no account any more: an answer of ours to HELP is of this kind
    too."""
    return message.kind == MessageKind.REPLY and message.dedupe_key.startswith(KEY_OF_STAFF)


def _name_of(author: User | None) -> str:
    return (author.get_full_name() or author.username) if author else "A colleague"


def _check(body: str) -> None:
    if not body:
        raise ReplyRefused(EMPTY)
    if len(body) > LONGEST:
        raise ReplyRefused(TOO_LONG)
    if invites_silence(body):
        raise ReplyRefused(NOTHING_SENT + STOP_WORD)


def _sent_before(org_id: UUID, key: UUID, number: str, body: str) -> Sent | None:
    """The text that this key sent. Raises ReplyRefused where it sent another one: a page shown again by "Back"."""
    earlier = Message.objects.filter(org_id=org_id, dedupe_key=_dedupe_key(key)).first()
    if earlier is None:
        return None
    if (earlier.recipient, earlier.body) != (number, body):
        raise ReplyRefused(KEY_USED)
    return Sent(earlier.pk, again=True)


def _enqueue(org_id: UUID, number: str, body: str, key: UUID) -> UUID:
    contact = Contact.objects.filter(org_id=org_id, phone=number).values_list("pk", flat=True).first()
    written = enqueue(
        org_id=org_id,
        kind=MessageKind.REPLY,
        recipient=number,
        body=body,
        dedupe_key=_dedupe_key(key),
        expires_at=timezone.now() + USEFUL_FOR,
        contact_id=contact,
    )
    if written.message_id is None:
        # The sender was there a moment ago: what the outbox skips then is a number of ours, or the same key.
        earlier = _sent_before(org_id, key, number, body)
        raise ReplyRefused(NOTHING_SENT + OUR_OWN if earlier is None else KEY_USED)
    if written.status != MessageState.QUEUED:
        raise ReplyRefused(NOTHING_SENT + OPTED_OUT)
    return written.message_id


def _dedupe_key(key: UUID) -> str:
    return f"{KEY_OF_STAFF}{key}"


def _sentence(reason: str) -> str:
    return reason if reason.endswith((".", "!", "?")) else f"{reason}."
