"""The outbox: the only way a message comes to be. The row is written in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from messaging.segments import measure, plain
from messaging.states import MessageKind, MessageState
from voxanne.durable.hints import hint_on_commit
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id

SMS_WORK = "sms-delivery"
SMS_QUEUE = "sms"
# A text about something that begins at once is still worth sending for this long.
SHORTEST_LIFE = timedelta(minutes=10)

# One statement decides everything: no sender, no row; a number of ours, of whichever clinic, no row (two machines would
# answer each other); opted out, a suppressed row; said before, no second row; a paused sender, a row that is held back
# (messaging/pauses.py).
ENQUEUE = Statement("""
INSERT INTO sms_delivery_log
    (id, org_id, contact_id, kind, state, priority, dedupe_key, about, recipient, sender, body, encoding, segments,
     expires_at, attempts, next_attempt_at, last_error, provider_sid, provider_status, created_at, updated_at)
SELECT %(id)s, sender.org_id, %(contact)s::uuid, %(kind)s,
       CASE WHEN coalesce((SELECT o.opted_out FROM opt_outs o
                           WHERE o.org_id = sender.org_id AND o.recipient = %(recipient)s
                             AND o.sender IN (sender.number, sender.messaging_service_sid)
                           ORDER BY o.created_at DESC LIMIT 1), false)
            THEN 'suppressed' ELSE 'queued' END,
       %(priority)s, %(dedupe_key)s, %(about)s, %(recipient)s, sender.number, %(body)s, %(encoding)s, %(segments)s,
       %(expires_at)s, 0,
       CASE WHEN sender.paused_reason = '' THEN coalesce(%(not_before)s::timestamptz, now()) ELSE %(expires_at)s END,
       CASE WHEN sender.paused_reason = '' THEN ''
            ELSE 'Held: sending is paused for this clinic. ' || sender.paused_reason END,
       '', '', now(), now()
FROM sender_accounts sender
WHERE sender.org_id = %(org)s AND NOT is_patient_number(%(recipient)s)
ON CONFLICT (org_id, dedupe_key) DO NOTHING
RETURNING state
""")


@dataclass(frozen=True, slots=True)
class Enqueued:
    """``status`` is queued, suppressed (opted out) or skipped (no sender, a number of ours, or said
    before)."""

    status: str
    message_id: UUID | None


def enqueue(
    *,
    org_id: UUID,
    kind: MessageKind,
    recipient: str,
    body: str,
    dedupe_key: str,
    expires_at: datetime,
    contact_id: UUID | None = None,
    about: str = "",
    priority: int = 0,
    not_before: datetime | None = None,
) -> Enqueued:
    """Writes one text to ``recipient`` (E.164) into the outbox; a worker is woken when the caller commits.

    The same ``dedupe_key`` at the same clinic never makes a second row.
    """
    text = plain(body)
    size = measure(text)
    message_id = new_id()
    values = {
        "id": message_id, "org": org_id, "contact": contact_id, "kind": kind.value, "priority": priority,
        "dedupe_key": dedupe_key, "about": about, "recipient": recipient, "body": text, "encoding": size.encoding,
        "segments": size.segments, "expires_at": expires_at, "not_before": not_before,
    }  # fmt: skip
    row = ENQUEUE.row(values)
    if row is None:
        return Enqueued("skipped", None)
    if row[0] == MessageState.QUEUED and not_before is None:
        hint_on_commit(SMS_WORK, SMS_QUEUE, org_id, message_id)
    return Enqueued(row[0], message_id)


def cancel_about(org_id: UUID, about: str) -> int:
    """Withdraws what is still queued about this subject; returns how many. Inside the clinic's scope.

    What is on its way, or may be, is left to its fate but not sent again: its time is over.
    """
    from messaging.models import Message

    now = timezone.now()
    said_about = Message.objects.filter(org_id=org_id, about=about)
    withdrawn = said_about.filter(state=MessageState.QUEUED).update(
        state=MessageState.CANCELED, updated_at=now
    )
    under_way = said_about.filter(state__in=(MessageState.SENDING, MessageState.UNKNOWN), expires_at__gt=now)
    under_way.update(expires_at=now)
    return withdrawn
