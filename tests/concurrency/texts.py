"""Texts in the outbox, committed, for workers to race for."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from messaging import outbox
from messaging.models import Message
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageKind
from tests.clinics import Clinic
from voxanne.durable import work
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope


def write_text(clinic: Clinic, serial: int = 0) -> UUID:
    with org_scope(clinic.id):
        written = outbox.enqueue(
            org_id=clinic.id,
            kind=MessageKind.CONFIRMATION,
            recipient=f"+1415555{serial:04d}",
            body=f"Text {serial}",
            dedupe_key=f"text-{serial}",
            expires_at=timezone.now() + timedelta(hours=1),
        )
    assert written.message_id is not None
    return written.message_id


def claimed_text(clinic: Clinic, serial: int = 0) -> Message:
    """A text that one worker holds."""
    claimed = work.claim(SMS_DELIVERY, clinic.id, write_text(clinic, serial))
    assert claimed is not None
    return claimed.row


def as_it_stands(clinic: Clinic, pk: UUID) -> Message:
    with org_scope(clinic.id):
        found: Message = Message.objects.get(pk=pk)
    return found


def lose_the_lease(message: Message) -> None:
    """The worker is late: its lease has run out, and the sweeper says so."""
    assert work.release_lost(SMS_DELIVERY, now=timezone.now() + SMS_DELIVERY.lease * 2) > 0


def back_in_the_queue(message: Message) -> None:
    """Reconciled: the provider does not have it."""
    moved = work.move(
        Message, message.org_id, message.pk, Settlement(Message.lifecycle.waiting, uses_attempt=False)
    )
    assert moved
