"""The outbox: the only way a message comes to be. The row is written in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from messaging import channels
from messaging.channels import window_since
from messaging.states import MessageKind, MessageState
from messaging.words.segments import measure, plain
from voxanne.durable.hints import hint_on_commit
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id

SMS_WORK = "sms-delivery"
SMS_QUEUE = "sms"
# Of one clinic, by one process: more than that at once is a crowd, which takes turns with other clinics.
MOST_HINTS_A_SECOND = 20
# A text about something that begins at once is still worth sending for this long.
SHORTEST_LIFE = timedelta(minutes=10)
WITHDRAWN = "Withdrawn before it was sent: what it was about no longer stands."

# One statement decides everything: no sender, no row; a number of ours, of whichever clinic, no row (two machines would
# answer each other); opted out, a suppressed row; said before, no second row; a paused sender, a row that is held back
# (messaging/sending/pauses.py). ``sender`` is ours on the channel that the person gets it by (messaging/channels.py).
ENQUEUE = Statement(f"""
INSERT INTO sms_delivery_log
    (id, org_id, contact_id, kind, state, priority, dedupe_key, about, recipient, sender, channel, body,
     template_values, encoding, segments, expires_at, attempts, next_attempt_at, last_error, provider_sid,
     provider_status, created_at, updated_at)
SELECT %(id)s, sender.org_id, %(contact)s::uuid, %(kind)s,
       CASE WHEN coalesce((SELECT o.opted_out FROM opt_outs o
                           WHERE o.org_id = sender.org_id AND o.recipient = %(recipient)s
                             AND o.sender IN (sender.number, sender.messaging_service_sid)
                           ORDER BY o.created_at DESC, o.opted_out DESC LIMIT 1), false)
            THEN 'suppressed' ELSE 'queued' END,
       %(priority)s, %(dedupe_key)s, %(about)s, %(recipient)s, sender.number, sender.channel, %(body)s,
       CASE sender.channel WHEN 'whatsapp' THEN %(template_values)s::jsonb END,
       %(encoding)s, CASE sender.channel WHEN 'whatsapp' THEN 0 ELSE %(segments)s END, %(expires_at)s, 0,
       CASE WHEN sender.paused_reason = '' THEN coalesce(%(not_before)s::timestamptz, now()) ELSE %(expires_at)s END,
       CASE WHEN sender.paused_reason = '' THEN ''
            ELSE 'Held: sending is paused for this clinic. ' || sender.paused_reason END,
       '', '', now(), now()
FROM ({channels.SENDER}) sender
WHERE NOT is_patient_number(%(recipient)s)
ON CONFLICT (org_id, dedupe_key) DO NOTHING
RETURNING state
""")  # noqa: S608  (the text of a statement of ours)

# One statement over all that may still go out: a row that changes its state meanwhile is seen in the new one, and
# between two statements it would slip through. A row that is looked up stays as it was: it is not settled by this.
WITHDRAW = Statement("""
UPDATE sms_delivery_log AS text SET
    state = CASE WHEN state = 'queued' THEN 'canceled' ELSE state END,
    last_error = CASE WHEN state = 'queued' THEN %(withdrawn)s::text ELSE last_error END,
    updated_at = CASE WHEN state = 'queued' THEN %(now)s::timestamptz ELSE updated_at END,
    expires_at = CASE WHEN state = 'queued' THEN expires_at ELSE least(expires_at, %(now)s::timestamptz) END
WHERE org_id = %(org)s AND about = %(about)s::text AND about <> ''
  AND state IN ('queued', 'sending', 'unknown', 'sent', 'dead_letter')
RETURNING text.state
""")


WAY = Statement(f"SELECT way.channel, way.number FROM ({channels.SENDER}) way")  # noqa: S608


@dataclass(frozen=True, slots=True)
class Way:
    """How a text would go: ``channel``, and ``sender``, ours as Twilio knows it there."""

    channel: str
    sender: str


def way_to(org_id: UUID, recipient: str, kind: MessageKind) -> Way | None:
    """By which way a text in the clinic's own words would go to ``recipient`` (E.164) now; None without a sender.
    Inside the clinic's scope."""
    values = {
        "org": org_id,
        "recipient": recipient,
        "kind": kind.value,
        "window_since": window_since(timezone.now()),
        "template_values": None,
    }
    row = WAY.row(values)
    return None if row is None else Way(*row)


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
    template_values: Mapping[str, str] | None = None,
) -> Enqueued:
    """Writes one text to ``recipient`` (E.164) into the outbox; a worker is woken when the caller commits, save for
    what can wait (``priority`` above 0).

    The same ``dedupe_key`` at the same clinic never makes a second row. With ``template_values``, what ``body`` was
    made of, it can also go by WhatsApp where only an approved template may.
    """
    text = plain(body)
    size = measure(text)
    message_id = new_id()
    values = {
        "id": message_id, "org": org_id, "contact": contact_id, "kind": kind.value, "priority": priority,
        "dedupe_key": dedupe_key, "about": about, "recipient": recipient, "body": text, "encoding": size.encoding,
        "segments": size.segments, "expires_at": expires_at, "not_before": not_before,
        "template_values": None if template_values is None else json.dumps(dict(template_values)),
        "window_since": window_since(timezone.now()),
    }  # fmt: skip
    row = ENQUEUE.row(values)
    if row is None:
        return Enqueued("skipped", None)
    # What can wait is found by the next sweep, for one clinic's thousands would stand before another's confirmation.
    if row[0] == MessageState.QUEUED and not_before is None and priority == 0:
        wake(org_id, message_id)
    return Enqueued(row[0], message_id)


def wake(org_id: UUID, message_id: UUID, countdown: float = 0.0) -> None:
    """Wakes a worker for a queued text, ``countdown`` seconds after the current transaction commits; where a clinic's
    texts come in crowds, the drainers that serve the clinics in turn."""
    hint_on_commit(SMS_WORK, SMS_QUEUE, org_id, message_id, countdown, most_a_second=MOST_HINTS_A_SECOND)


def cancel_about(org_id: UUID, about: str) -> int:
    """Withdraws what is still queued about this subject; returns how many. Inside the clinic's scope.

    What is on its way, or may be, is left to its fate but not sent again, also if it is reported undelivered: its time
    is over. So is that of what died: nobody can put it back.
    """
    values = {"org": org_id, "about": about, "now": timezone.now(), "withdrawn": WITHDRAWN}
    return sum(state == MessageState.CANCELED for (state,) in WITHDRAW.rows(values))
