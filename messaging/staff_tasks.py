"""What the people at a clinic's desk are told of: the only way such a row comes to be, and how one is taken on."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from messaging.models import StaffTask
from messaging.states import TaskKind
from monitoring.retention import remove
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id

LONGEST_TEXT = 2000
KEPT = timedelta(days=90)

TELL = Statement("""
INSERT INTO staff_tasks
    (id, org_id, kind, urgency, text, from_number, callback_number, call_id, contact_id, about, dedupe_key, note,
     created_at)
VALUES (%(id)s, %(org)s, %(kind)s, %(urgency)s, %(text)s, %(from_number)s, %(callback_number)s, %(call)s::uuid,
        %(contact)s::uuid, %(about)s, %(dedupe_key)s, '', now())
ON CONFLICT (org_id, dedupe_key) DO NOTHING
RETURNING id
""")
# One open task a conversation: somebody who texts on and on does not bury the others.
TELL_OF_ONE_MORE = Statement("""
UPDATE staff_tasks t SET
    texts = t.texts + 1,
    urgency = CASE WHEN %(urgent)s THEN 'urgent' ELSE t.urgency END,
    text = left((t.texts + 1)::text || ' texts'
                || CASE WHEN %(urgent)s OR t.urgency = 'urgent' THEN ', one of them urgent' ELSE '' END
                || '. The newest: ' || %(text)s::text, %(longest)s),
    dedupe_key = %(dedupe_key)s,
    contact_id = coalesce(t.contact_id, %(contact)s::uuid)
WHERE t.acknowledged_at IS NULL
  AND t.id = (SELECT o.id FROM staff_tasks o
              WHERE o.org_id = %(org)s AND o.kind = %(kind)s AND o.about = %(about)s AND o.acknowledged_at IS NULL
              ORDER BY o.created_at DESC LIMIT 1)
RETURNING t.id
""")


def tell_of_text(
    org_id: UUID,
    *,
    text: str,
    dedupe_key: str,
    urgent: bool,
    from_number: str,
    contact_id: UUID | None,
    about: str,
) -> None:
    """A text of the conversation ``about`` is for a person to read. While a task of it is open, that one tells of it:
    how many they are and the newest words; the others stand in the thread. In the caller's transaction, which holds
    the conversation's row, inside the clinic's scope."""
    values = {
        "org": org_id, "kind": TaskKind.TEXT.value, "about": about, "urgent": urgent, "text": text,
        "longest": LONGEST_TEXT, "dedupe_key": dedupe_key, "contact": contact_id,
    }  # fmt: skip
    if TELL_OF_ONE_MORE.row(values) is None:
        tell_staff(
            org_id, kind=TaskKind.TEXT, text=text, dedupe_key=dedupe_key, urgent=urgent, from_number=from_number,
            contact_id=contact_id, about=about,
        )  # fmt: skip


def tell_staff(
    org_id: UUID,
    *,
    kind: TaskKind,
    text: str,
    dedupe_key: str,
    urgent: bool = False,
    from_number: str = "",
    callback_number: str = "",
    call_id: UUID | None = None,
    contact_id: UUID | None = None,
    about: str = "",
) -> UUID | None:
    """Writes one task for the clinic's staff in the caller's transaction, inside the clinic's scope.

    Returns its id; None when the same ``dedupe_key`` was told before.
    """
    urgency = StaffTask.Urgency.URGENT if urgent else StaffTask.Urgency.NORMAL
    values = {
        "id": new_id(), "org": org_id, "kind": kind.value, "urgency": urgency.value, "text": text[:LONGEST_TEXT],
        "from_number": from_number[:40], "callback_number": callback_number[:40], "call": call_id,
        "contact": contact_id, "about": about, "dedupe_key": dedupe_key,
    }  # fmt: skip
    row = TELL.row(values)
    return row[0] if row else None


def acknowledge(task: StaffTask, person_id: int | None, note: str = "") -> bool:
    """Marks the task as known to a person. True when this call did it: pressing twice does it once."""
    still_open = StaffTask.objects.filter(pk=task.pk, acknowledged_at=None)
    changed = still_open.update(acknowledged_at=timezone.now(), acknowledged_by_id=person_id, note=note[:200])
    return changed == 1


def forget_what_was_seen_to() -> int:
    """Removes tasks that a person acknowledged long ago; returns how many. An open one is never removed."""
    return remove(_seen_to_long_ago, "remove old staff tasks")


def _seen_to_long_ago() -> QuerySet[StaffTask]:
    return StaffTask.objects.filter(acknowledged_at__lt=timezone.now() - KEPT).order_by("created_at")
