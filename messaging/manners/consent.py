"""Who asked not to be texted: an append-only ledger, asked when a text is written and again as it is sent.

A line is of one sender of the clinic's and one person. The sender is what the person texted, or what Twilio says is
blocked: the clinic's number, or its messaging service. Since both stand for the clinic, the newest line under either
decides, by when it was said and not by when we came to it, and of two at one moment the one that asks for silence; a
clinic that changes its number takes its lines along (``carry_over``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from messaging.channels import WHATSAPP_PREFIX, Channel, address, parted
from messaging.manners import rehearsal
from messaging.manners.opted_out import OptedOut, tell_of_opt_out
from messaging.models import Contact, Message, OptOut, SenderAccount
from voxanne.statements import Statement

# Where a line comes from.
KEYWORD, CARRIER, STAFF, CARRIED_OVER = "keyword", "carrier", "staff", "carried over"
# Only the person themselves can lift such a block at Twilio, by texting START.
HELD_AT_TWILIO = (KEYWORD, CARRIER)

NEWEST = Statement("""
SELECT x.opted_out, x.source, x.created_at FROM opt_outs x
WHERE x.org_id = %(org)s AND x.recipient = %(recipient)s
  AND (x.sender = %(sender)s
       OR NOT starts_with(%(sender)s, 'whatsapp:')
          AND x.sender IN (SELECT unnest(ARRAY[s.number, s.messaging_service_sid]::text[])
                           FROM sender_accounts s WHERE s.org_id = %(org)s))
ORDER BY x.created_at DESC, x.opted_out DESC LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person last said of texts: ``source`` is one of the ledger's, ``at`` when."""

    opted_out: bool
    source: str
    at: datetime


def newest_wish(org_id: UUID, *, sender: str, recipient: str) -> Wish | None:
    """What the ledger has of this person and ``sender``, or the clinic's sender of today. Inside its scope."""
    row = NEWEST.row({"org": org_id, "sender": sender, "recipient": recipient})
    return Wish(*row) if row else None


def has_opted_out(org_id: UUID, *, sender: str, recipient: str) -> bool:
    """The newest line for this pair decides. Inside the clinic's scope."""
    wish = newest_wish(org_id, sender=sender, recipient=recipient)
    return wish is not None and wish.opted_out


def record(
    org_id: UUID, *, sender: str, recipient: str, opted_out: bool, source: str, at: datetime | None = None
) -> None:
    """Adds a line to the ledger, of what was said ``at`` (now, if not given). Inside the clinic's scope."""
    OptOut.objects.create(
        org_id=org_id,
        sender=sender,
        recipient=recipient,
        opted_out=opted_out,
        source=source,
        created_at=at or timezone.now(),
    )


def record_carrier_block(message: Message) -> None:
    """The provider or carrier says that this person takes no texts from this sender, as of when this text was sent: we
    may be told late, and a START since then stands. While texts are rehearsed it speaks of the phone that they went to,
    and of no patient."""
    org_id, sender, blocked = message.org_id, message.sender, rehearsal.destination(message.recipient)
    record(org_id, sender=sender, recipient=blocked, opted_out=True, source=CARRIER, at=message.sent_at)
    is_patients = blocked == message.recipient and message.channel == Channel.SMS
    if is_patients and has_opted_out(org_id, sender=sender, recipient=blocked):
        tell_of_opt_out(OptedOut(message.org_id, message.recipient, key=f"message:{message.pk}"))


def record_by_staff(contact: Contact, *, opted_out: bool) -> Wish | None:
    """What a person said to somebody at the desk. Returns what the ledger had before; inside the clinic's scope.

    Raises LookupError where the contact has no number, or the clinic no sender.
    """
    sender = sender_of(contact.org_id)
    if not contact.phone or sender is None:
        raise LookupError("There is nobody to text, or no number to text from.")
    before = newest_wish(contact.org_id, sender=sender, recipient=contact.phone)
    record(contact.org_id, sender=sender, recipient=contact.phone, opted_out=opted_out, source=STAFF)
    return before


def sender_of(org_id: UUID) -> str | None:
    """The number a clinic texts from. Inside its scope."""
    return SenderAccount.objects.filter(org_id=org_id).values_list("number", flat=True).first()


def name_of_sender(org_id: UUID, *, number: str, service: str) -> str:
    """Under which name the ledger keeps what was texted to ``number``: the clinic's own number, or its messaging
    service where the text came in on another number of that. Inside the clinic's scope."""
    own = SenderAccount.objects.filter(org_id=org_id, messaging_service_sid=service).exclude(number=number)
    return service if service and own.exists() else number


def carry_over(org_id: UUID, *, old: Iterable[str], new: str) -> int:
    """The clinic's sender is called ``new`` from now on: who opted out under the ``old`` names has opted out of it too.
    Returns how many. What they said to the new one since stands. Inside the clinic's scope."""
    names = {name for name in old if name and name != new}
    if not names:
        return 0
    lines = OptOut.objects.filter(org_id=org_id, sender__in={*names, new})
    newest = lines.order_by("recipient", "-created_at", "-opted_out").distinct("recipient")
    out = [line.recipient for line in newest if line.opted_out and line.sender != new]
    for recipient in out:
        record(org_id, sender=new, recipient=recipient, opted_out=True, source=CARRIED_OVER)
    return len(out)


def carry_over_whatsapp(org_id: UUID, number: str) -> int:
    """The same for WhatsApp, where ``number`` is the clinic's now: of all numbers that it ever had there, since it may
    have been without one for a while."""
    there = OptOut.objects.filter(org_id=org_id, sender__startswith=WHATSAPP_PREFIX)
    old = there.order_by().values_list("sender", flat=True).distinct()
    return carry_over(org_id, old=list(old), new=address(Channel.WHATSAPP, number))


def names_of(org_id: UUID, texted: str) -> set[str]:
    """Under which names a wish for silence is kept that was sent to ``texted``: that one, and where the clinic changed
    its number meanwhile, today's. Inside the clinic's scope."""
    sender = SenderAccount.objects.filter(org_id=org_id).first()
    if sender is None:
        return {texted}
    if parted(texted)[0] == Channel.WHATSAPP:
        today = address(Channel.WHATSAPP, sender.whatsapp_number) if sender.whatsapp_number else texted
        return {texted, today}
    return {texted} if texted in (sender.number, sender.messaging_service_sid) else {texted, sender.number}
