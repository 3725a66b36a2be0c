"""The answer that a clinic gives by itself to texts outside its opening hours, if it wants to: one a person in so many
hours.

Never to STOP, START or HELP (the carrier answers those), never to who opted out, and never to a machine: not to
numbers of ours (the outbox holds that), nor to what no person texts from. Another's auto-reply gets one of ours at
most, so two machines cannot keep each other awake. What else bounds a machine's answers stands in
messaging/manners/automatic.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from messaging.conversation import book
from messaging.conversation.models import ReplySettings
from messaging.conversation.opening import is_closed
from messaging.manners import automatic, consent
from messaging.models import InboundMessage
from messaging.outbox import enqueue, way_to
from messaging.states import MessageKind
from messaging.words.wording import words_for
from voxanne.tenancy.models import Organization
from voxanne.tenancy.plan_cache import ClinicKey

# Later than this, to be told that the clinic is closed only puzzles.
USEFUL_FOR = timedelta(hours=1)


def reply_while_closed(text: InboundMessage) -> bool:
    """Writes the answer to ``text``, which is no keyword, where one is wanted. Inside the clinic's scope, in the
    transaction that takes the text in. True when it was written."""
    now = timezone.now()
    wanted = ReplySettings.objects.filter(org_id=text.org_id, auto_reply=True).first()
    if wanted is None:
        return False
    clinic = Organization.objects.get(pk=text.org_id)
    if not _may_be_told(clinic, text, now):
        return False
    if not book.takes_turn(text.org_id, text.sender, timedelta(hours=wanted.auto_reply_hours)):
        return False
    key = ClinicKey(clinic.pk, clinic.plan_version)
    written = enqueue(
        org_id=clinic.pk,
        kind=MessageKind.AUTO_REPLY,
        recipient=text.sender,
        body=words_for(key, MessageKind.AUTO_REPLY, {"clinic": clinic.name}),
        dedupe_key=automatic.CLOSED_KEY.format(text.provider_sid),
        expires_at=now + USEFUL_FOR,
        contact_id=text.contact_id,
        priority=automatic.LAST_IN_LINE,
    )
    return written.message_id is not None


def _may_be_told(clinic: Organization, text: InboundMessage, now: datetime) -> bool:
    if not is_closed(text.org_id, now) or not automatic.may_be_answered(clinic, text.sender):
        return False
    way = way_to(text.org_id, text.sender, MessageKind.AUTO_REPLY)
    return way is not None and not consent.has_opted_out(
        text.org_id, sender=way.sender, recipient=text.sender
    )
