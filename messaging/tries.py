"""The tries at sending a message: one row each, written before the request leaves. Inside the clinic's scope."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from messaging.models import DeliveryAttempt, Message
from messaging.provider_copies import copy_of_answer, copy_of_later_word, copy_of_request
from messaging.providers.answers import Answer, TryOutcome
from voxanne.durable.work import STOPPED
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.plan_cache import ClinicKey

# One round trip for all that only the moment of sending can tell, and for what it leaves behind.
BEGIN = Statement("""
WITH clinic AS (
    SELECT o.plan_version,
           coalesce((SELECT x.opted_out FROM opt_outs x
                     WHERE x.org_id = %(org)s AND x.recipient = %(recipient)s AND x.sender = %(sender)s
                     ORDER BY x.created_at DESC LIMIT 1), false) AS opted_out,
           coalesce((SELECT s.paused_reason FROM sender_accounts s WHERE s.org_id = %(org)s), '') AS paused
    FROM organizations o WHERE o.id = %(org)s
), stopped AS (
    UPDATE delivery_attempts SET finished_at = %(now)s, outcome = 'lost', error = %(stopped)s
    WHERE org_id = %(org)s AND message_id = %(message)s AND finished_at IS NULL
), begun AS (
    INSERT INTO delivery_attempts
        (id, org_id, message_id, started_at, outcome, error, provider_sid, request, created_at)
    SELECT %(id)s, %(org)s, %(message)s, %(now)s, '', '', '', %(request)s::jsonb, %(now)s
    FROM clinic WHERE NOT opted_out AND paused = ''
    RETURNING id
), first AS (
    UPDATE sms_delivery_log SET first_attempted_at = %(now)s
    WHERE org_id = %(org)s AND id = %(message)s AND first_attempted_at IS NULL AND EXISTS (SELECT FROM begun)
)
SELECT plan_version, opted_out, paused, (SELECT id FROM begun) FROM clinic
""")
END = Statement("""
UPDATE delivery_attempts SET finished_at = %(now)s, outcome = %(outcome)s, http_status = %(http_status)s,
       error_code = %(error_code)s, error = %(error)s, provider_sid = %(sid)s,
       answer = %(answer)s::jsonb
WHERE id = %(id)s
""")

LATER = Statement("""
UPDATE delivery_attempts SET answer = coalesce(answer, '{}'::jsonb) || %(later)s::jsonb
WHERE org_id = %(org)s AND message_id = %(message)s AND provider_sid = %(sid)s
""")


@dataclass(frozen=True, slots=True)
class Begun:
    """A try's row, and the clinic at the version of its plan. ``id`` is None, and nothing was written, where the text
    may not go out: the person opted out (the newest line of the ledger decides), or ``paused`` says why none does."""

    id: UUID | None
    clinic: ClinicKey
    opted_out: bool
    paused: str


def begin(message: Message) -> Begun:
    """Writes a new try down, if one may be made; one that never ended belonged to a worker that stopped."""
    values = {
        "id": new_id(), "message": message.pk, "org": message.org_id, "recipient": message.recipient,
        "sender": message.sender, "now": timezone.now(), "stopped": STOPPED, "request": copy_of_request(message),
    }  # fmt: skip
    row = BEGIN.row(values)
    assert row is not None
    plan_version, opted_out, paused, try_id = row
    return Begun(try_id, ClinicKey(message.org_id, plan_version), opted_out, paused)


def forget(message: Message, try_id: UUID) -> None:
    """Takes back a try that was not made after all, in the transaction that began it."""
    DeliveryAttempt.objects.filter(pk=try_id).delete()
    if message.first_attempted_at is None:
        Message.objects.filter(pk=message.pk).update(first_attempted_at=None)


def end(try_id: UUID, answer: Answer, said_to_patient: str = "") -> None:
    """Completes a try with what came of it; the words ``said_to_patient`` are kept out of the copy of the answer."""
    END.run(
        {
            "id": try_id, "now": timezone.now(), "outcome": answer.outcome.value, "http_status": answer.http_status,
            "error_code": answer.error_code, "error": answer.error, "sid": answer.sid,
            "answer": copy_of_answer(answer, said_to_patient),
        }
    )  # fmt: skip


def is_known(message: Message, sid: str) -> bool:
    """Whether this SID is the message's, or that of one of its tries."""
    return message.provider_sid == sid or message.tries.filter(provider_sid=sid).exists()


def note_sid(message: Message, sid: str) -> None:
    """Gives the SID that came to light later to the newest try that has none."""
    _end_open(message)
    newest = message.tries.filter(provider_sid="").order_by("-started_at").first()
    if newest is not None:
        newest.provider_sid = sid
        newest.save(update_fields=["provider_sid"])


def note_bad_end(message: Message, sid: str, status: str, code: int | None) -> None:
    """Adds what a later word of the provider's said to the copy of its answer, on the try whose SID it is."""
    LATER.run(
        {"org": message.org_id, "message": message.pk, "sid": sid, "later": copy_of_later_word(status, code)}
    )


def taken_sids(sids: Iterable[str]) -> set[str]:
    """Those of ``sids`` that belong to a message or a try we know of."""
    wanted = Q(provider_sid__in=[sid for sid in sids if sid])
    of_messages = Message.objects.filter(wanted).values_list("provider_sid", flat=True)
    return {*of_messages, *DeliveryAttempt.objects.filter(wanted).values_list("provider_sid", flat=True)}


def _end_open(message: Message) -> None:
    """A try that is still under way may complete its row itself: what it says then is the last word."""
    message.tries.filter(finished_at__isnull=True).update(
        finished_at=timezone.now(), outcome=TryOutcome.LOST.value, error=STOPPED
    )
