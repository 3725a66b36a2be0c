"""How far the clinic is with each phone: the only writer of ``conversations``. Inside the clinic's scope.

The row is locked before anything is counted, and a text and its count are written in one transaction; so no text is
taken for answered, or for read, that came in while somebody was writing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from messaging.conversation.models import Conversation
from messaging.models import InboundMessage, StaffTask
from messaging.staff_tasks import acknowledge
from messaging.states import TaskKind
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.models import AuditEntry, User

TEXT_TASK = "text:{}"
ANSWERED, NEEDS_NO_ANSWER = "Answered by text.", "Needs no answer."

CAME = Statement("""
INSERT INTO conversations AS known (id, org_id, number, newest_at, waiting_since, unread, created_at)
VALUES (%(id)s, %(org)s, %(number)s, %(at)s, CASE WHEN %(waits)s THEN %(at)s::timestamptz END, %(unread)s, now())
ON CONFLICT (org_id, number) DO UPDATE SET
    newest_at = greatest(known.newest_at, excluded.newest_at),
    waiting_since = coalesce(known.waiting_since, excluded.waiting_since),
    unread = known.unread + excluded.unread
RETURNING id
""")
# One of several at once takes the turn; the others find it taken.
TAKE_TURN = """
UPDATE conversations SET {turn} = %(now)s
WHERE org_id = %(org)s AND number = %(number)s AND ({turn} IS NULL OR {turn} <= %(now)s - %(pause)s::interval)
"""
TAKE_TURN_CLOSED = Statement(TAKE_TURN.format(turn="auto_replied_at"))
TAKE_TURN_HELP = Statement(TAKE_TURN.format(turn="help_answered_at"))
# Whoever counts sees the turns that were taken before, since those are committed: two statements, the lock first.
ONE_AT_A_TIME = Statement(
    "SELECT pg_advisory_xact_lock(hashtextextended('automatic answers ' || %(org)s::text, 0))"
)
TURNS_TAKEN = Statement("""
SELECT count(*) FILTER (WHERE auto_replied_at > %(since)s) + count(*) FILTER (WHERE help_answered_at > %(since)s)
FROM conversations WHERE org_id = %(org)s AND greatest(auto_replied_at, help_answered_at) > %(since)s
""")
# Of both kinds, by one clinic: more than its patients ask for in an hour, and little to whoever makes numbers up.
MOST_TURNS_AN_HOUR = 30


def text_came(org_id: UUID, number: str, at: datetime, *, wants_a_person: bool) -> UUID:
    """A text came in from ``number``; it waits for an answer where it ``wants_a_person``. Returns the conversation."""
    unread = 1 if wants_a_person else 0
    values = {"id": new_id(), "org": org_id, "number": number, "at": at, "waits": wants_a_person}
    row = CAME.row({**values, "unread": unread})
    assert row is not None
    conversation_id: UUID = row[0]
    return conversation_id


def begun(org_id: UUID, number: str) -> Conversation:
    """The conversation with ``number``, made where there is none, and locked."""
    values = {
        "id": new_id(),
        "org": org_id,
        "number": number,
        "at": timezone.now(),
        "waits": False,
        "unread": 0,
    }
    CAME.row(values)
    return Conversation.objects.select_for_update().get(org_id=org_id, number=number)


def answered(conversation: Conversation, until: datetime | None, who: User, note: str = ANSWERED) -> None:
    """Everything that came in up to ``until`` is answered: what came later goes on waiting. The tasks that those texts
    made are seen to, in the name of ``who``. The row is locked."""
    later = unseen_after(conversation, until)
    conversation.waiting_since = later.values_list("created_at", flat=True).first()
    conversation.unread = later.count()
    conversation.save(update_fields=["waiting_since", "unread"])
    for task in _tasks(conversation, until):
        if acknowledge(task, who.pk, note):
            subject = f"{StaffTask._meta.db_table}:{task.pk}"
            AuditEntry.objects.create(
                org_id=task.org_id, actor=who, action="staff_task.acknowledge", subject=subject, reason=note
            )


def seen(org_id: UUID, number: str, until: datetime | None) -> bool:
    """Somebody looked at the texts up to ``until``; True when some of them were new."""
    found = (
        Conversation.objects.select_for_update().filter(org_id=org_id, number=number, unread__gt=0).first()
    )
    if found is None:
        return False
    left = min(unseen_after(found, until).count(), found.unread)
    if left == found.unread:
        return False
    found.unread = left
    found.save(update_fields=["unread"])
    return True


def unseen_after(conversation: Conversation, until: datetime | None) -> Any:
    """The texts for a person that came in after ``until``, oldest first."""
    texts = InboundMessage.objects.filter(org_id=conversation.org_id, sender=conversation.number, keyword="")
    if until is not None:
        texts = texts.filter(created_at__gt=until)
    return texts.order_by("created_at")


def takes_turn(org_id: UUID, number: str, pause: timedelta, turn: Statement = TAKE_TURN_CLOSED) -> bool:
    """Whether an automatic answer to ``number`` may be written now: then none of its kind (``turn``) may for ``pause``,
    and to all numbers together only so many an hour."""
    now = timezone.now()
    ONE_AT_A_TIME.row({"org": org_id})
    taken = TURNS_TAKEN.row({"org": org_id, "since": now - timedelta(hours=1)})
    if taken is None or taken[0] >= MOST_TURNS_AN_HOUR:
        return False
    return turn.run({"org": org_id, "number": number, "now": now, "pause": pause}) == 1


def _tasks(conversation: Conversation, until: datetime | None) -> list[StaffTask]:
    """The open tasks that texts of this phone up to ``until`` made. One that tells of several has the newest's key."""
    tasks = list(
        StaffTask.objects.filter(
            org_id=conversation.org_id,
            kind=TaskKind.TEXT,
            acknowledged_at=None,
            from_number=conversation.number,
        )
    )
    later = set(unseen_after(conversation, until).values_list("provider_sid", flat=True)) if tasks else set()
    return [task for task in tasks if task.dedupe_key not in {TEXT_TASK.format(sid) for sid in later}]
