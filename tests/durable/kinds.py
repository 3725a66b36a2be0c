"""Kinds of work for the tests of the mechanism, over the product's own tables: texts, whose repetition is not
harmless, and calendar pushes, whose repetition is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import time_machine
from django.utils import timezone

from bookings.models import CalendarPush
from bookings.states import PushState
from messaging import outbox
from messaging.models import Message
from messaging.states import MessageKind, MessageState
from tests.clinics import Clinic
from tests.tenancy.rows import make_row
from voxanne.durable import work
from voxanne.durable.models import DurableWork
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import Claimed, WorkKind
from voxanne.tenancy.scope import org_scope

Row = TypeVar("Row", bound=DurableWork)
LEASE = timedelta(seconds=30)
SENT = Settlement(MessageState.SENT)
DONE = Settlement(PushState.DONE)


def sending(*_: Any) -> Settlement:
    return SENT


def pushing(*_: Any) -> Settlement:
    return DONE


def nothing(_: Any) -> None:
    """Nothing has to be known beforehand."""


def texting(perform: Callable[[Message, Any], Settlement] = sending, **more: Any) -> WorkKind[Message]:
    given = {"prepare": nothing, **more}
    return WorkKind("test-text", Message, perform=perform, lease=LEASE, queue="sms", **given)


def writing(
    perform: Callable[[CalendarPush, Any], Settlement] = pushing, **more: Any
) -> WorkKind[CalendarPush]:
    given = {"prepare": nothing, **more}
    return WorkKind("test-push", CalendarPush, perform=perform, lease=LEASE, queue="calendar", **given)


def text(clinic: Clinic, serial: int = 0) -> Message:
    """A text that waits in the outbox."""
    with org_scope(clinic.id):
        written = outbox.enqueue(
            org_id=clinic.id,
            kind=MessageKind.CONFIRMATION,
            recipient=f"+1415555{serial:04d}",
            body=f"Text {serial}",
            dedupe_key=f"text-{serial}",
            expires_at=timezone.now() + timedelta(days=1),
        )
        assert written.message_id is not None
        found: Message = Message.objects.get(pk=written.message_id)
    return found


def push(clinic: Clinic) -> CalendarPush:
    """A calendar push that waits."""
    with org_scope(clinic.id):
        made: CalendarPush = make_row(CalendarPush, clinic.org, state=PushState.QUEUED)
    return made


def fresh(row: Row) -> Row:
    """The row as it stands now."""
    with org_scope(row.org_id):
        found: Row = type(row).objects.get(pk=row.pk)
    return found


def taken(kind: WorkKind[Row]) -> Claimed[Row]:
    claimed = work.claim_next(kind)
    assert claimed is not None
    return claimed


def later(wait: timedelta | float) -> time_machine.travel:
    """The clock that much further on, for the length of a block."""
    ahead = wait if isinstance(wait, timedelta) else timedelta(seconds=wait)
    return time_machine.travel(timezone.now() + ahead)
