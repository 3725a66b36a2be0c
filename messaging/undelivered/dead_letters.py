"""Dead letters: listed, put back in the queue, or given up. The only door, for staff pages and operations alike."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from messaging.models import Message
from messaging.outbox import wake
from messaging.sending.priorities import BEHIND, as_it_was
from messaging.states import MessageState
from messaging.undelivered import trail
from voxanne.durable import work
from voxanne.durable.settlement import Settlement
from voxanne.statements import Statement
from voxanne.tenancy.models import User
from voxanne.tenancy.scope import org_scope, scope_at_hand

# The number at the provider is kept: it tells the old try from the new one when an answer is lost.
FRESH = {
    "error_code": None, "dead_lettered_at": None, "unknown_since": None, "first_empty_list_at": None, "sent_at": None,
    "receipt_asked_at": None,
}  # fmt: skip

# Work that wore out its workers is given up without a moment of its own.
GAVE_UP_AT = Coalesce("dead_lettered_at", "updated_at")


OF_MESSAGE = Statement("SELECT org_id FROM clinic_of_message(%s::uuid)")


class Redriven(StrEnum):
    """What came of asking to redrive. ``IN_DOUBT``: nobody knows whether it arrived, so that a person has to decide
    (messaging/fates/deciding.py)."""

    DONE = "done"
    UNKNOWN = "unknown"
    NOT_DEAD = "not_dead"
    TOO_LATE = "too_late"
    IN_DOUBT = "in_doubt"


def get_dead_letter_sms(limit: int = 100) -> list[Message]:
    """The newest dead letters first; of every clinic, or within a scope of the clinics in it."""
    with scope_at_hand("list dead letters for operations"):
        dead = Message.objects.filter(state=MessageState.DEAD_LETTER)
        return list(dead.order_by(GAVE_UP_AT.desc())[:limit])


def redrive(message_id: UUID, reason: str = "", *, actor: User | None = None) -> Redriven:
    """Puts one dead letter back in the queue and says so in the audit trail, in the name of ``actor`` (None:
    operations). Asked twice at once, one of the two does it. A text about what is over, or was called off,
    would only expire."""
    org_id = _clinic_of(message_id)
    if org_id is None:
        return Redriven.UNKNOWN
    with org_scope(org_id):
        message = Message.objects.filter(pk=message_id).first()
        if message is None:
            return Redriven.UNKNOWN
        if message.state != MessageState.DEAD_LETTER:
            return Redriven.NOT_DEAD
        if is_in_doubt(message):
            return Redriven.IN_DOUBT
        if message.expires_at <= timezone.now():
            return Redriven.TOO_LATE
        if not work.redrive(Message, org_id, message_id, {**FRESH, "priority": as_it_was(message)}):
            return Redriven.NOT_DEAD
        trail.record(message, "message.redrive", reason, actor)
        wake(org_id, message_id)
    return Redriven.DONE


def discard(message: Message, *, reason: str, actor: User | None) -> bool:
    """Gives one dead letter up. True when this call did it; False when it was not dead any more."""
    given_up = Settlement(MessageState.CANCELED, error=message.last_error, uses_attempt=False)
    with org_scope(message.org_id):
        if not work.move(Message, message.org_id, message.pk, given_up, sources=(MessageState.DEAD_LETTER,)):
            return False
        trail.record(message, "message.discard", reason, actor)
    return True


def redrive_many(org_id: UUID, message_ids: Sequence[UUID], *, reason: str, actor_id: int | None) -> int:
    """``redrive`` for many at once, of one clinic: how many this call put back. They wait behind what is asked for
    now (``priorities.BEHIND``), and no worker is woken for each: sweepers find them. Those of which nobody knows
    whether they arrived are left alone. Inside the clinic's scope."""
    fresh = work.afresh(Message, {**FRESH, "priority": BEHIND})
    still_useful = Q(expires_at__gt=timezone.now()) & Q(in_doubt_since=None)
    moved = work.move_many(
        Message, org_id, message_ids, fresh, source=MessageState.DEAD_LETTER, only=still_useful
    )
    trail.record_many(org_id, moved, "message.redrive", reason, actor_id)
    return len(moved)


def in_doubt_among(org_id: UUID, message_ids: Sequence[UUID]) -> int:
    """How many of these ``redrive_many`` leaves to a person, who decides about each. Inside the clinic's scope."""
    return Message.objects.filter(in_doubt(), org_id=org_id, pk__in=message_ids).count()


def is_in_doubt(message: Message) -> bool:
    """Whether it was given up without anybody knowing if it is on its phone."""
    return message.state == MessageState.DEAD_LETTER and message.in_doubt_since is not None


def in_doubt() -> Q:
    """The same of rows."""
    return Q(state=MessageState.DEAD_LETTER, in_doubt_since__isnull=False)


def discard_many(org_id: UUID, message_ids: Sequence[UUID], *, reason: str, actor_id: int | None) -> int:
    """``discard`` for many at once, of one clinic: how many this call gave up. Inside the clinic's scope."""
    given_up = Settlement(MessageState.CANCELED, uses_attempt=False, columns={"last_error": F("last_error")})
    moved = work.move_many(Message, org_id, message_ids, given_up, source=MessageState.DEAD_LETTER)
    trail.record_many(org_id, moved, "message.discard", reason, actor_id)
    return len(moved)


def _clinic_of(message_id: UUID) -> UUID | None:
    """Whose message it is; asked before any scope is open."""
    row = OF_MESSAGE.row([message_id])
    return row[0] if row else None
