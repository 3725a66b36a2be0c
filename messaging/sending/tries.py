"""The tries at sending a message: one row each, written before the request leaves. Inside the clinic's scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from messaging.models import DeliveryAttempt, Message
from messaging.providers.answers import Answer, TryOutcome
from messaging.sending.provider_copies import copy_of_answer, copy_of_later_word, copy_of_request
from voxanne.durable.work import STOPPED
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.plan_cache import ClinicKey

# One round trip for all that only the moment of sending can tell, and for what it leaves behind; of one clinic's texts.
BEGIN = Statement(
    """
WITH clinic AS (
    SELECT o.plan_version,
           coalesce(s.paused_reason, '') AS paused, s.number, s.messaging_service_sid
    FROM organizations o LEFT JOIN sender_accounts s ON s.org_id = %(org)s WHERE o.id = %(org)s
), wanted AS (
    SELECT given.*,
           coalesce((SELECT x.opted_out FROM opt_outs x
                     WHERE x.org_id = %(org)s AND x.recipient = given.recipient
                       AND (x.sender = given.sender
                            OR given.channel = 'sms' AND x.sender IN (clinic.number, clinic.messaging_service_sid))
                     ORDER BY x.created_at DESC, x.opted_out DESC LIMIT 1), false) AS opted_out
    FROM clinic, unnest(%(ids)s::uuid[], %(messages)s::uuid[], %(recipients)s::text[], %(senders)s::text[],
                        %(channels)s::text[], %(requests)s::text[])
         AS given (id, message, recipient, sender, channel, request)
), stopped AS (
    UPDATE delivery_attempts SET finished_at = %(now)s, outcome = 'lost', error = %(stopped)s
    WHERE org_id = %(org)s AND message_id = ANY(%(messages)s::uuid[]) AND finished_at IS NULL
), begun AS (
    INSERT INTO delivery_attempts
        (id, org_id, message_id, channel, started_at, outcome, error, provider_sid, request, created_at)
    SELECT wanted.id, %(org)s, wanted.message, wanted.channel, %(now)s, '', '', '', wanted.request::jsonb, %(now)s
    FROM wanted, clinic
    WHERE NOT wanted.opted_out AND clinic.paused = ''
    RETURNING id, message_id
), first AS (
    UPDATE sms_delivery_log SET first_attempted_at = %(now)s
    WHERE org_id = %(org)s AND id = ANY(ARRAY(SELECT message_id FROM begun)) AND first_attempted_at IS NULL
)
SELECT wanted.message, clinic.plan_version, wanted.opted_out, clinic.paused, begun.id, coalesce(clinic.number, '')
FROM clinic, wanted LEFT JOIN begun ON begun.id = wanted.id
""",
    binary=True,
)
END = Statement("""
UPDATE delivery_attempts SET finished_at = %(now)s, outcome = given.outcome, http_status = given.http_status,
       error_code = given.error_code, error = given.error,
       provider_sid = coalesce(nullif(given.sid, ''), provider_sid), answer = given.answer::jsonb
FROM unnest(%(ids)s::uuid[], %(outcomes)s::text[], %(http_statuses)s::smallint[], %(error_codes)s::integer[],
            %(errors)s::text[], %(sids)s::text[], %(answers)s::text[])
     AS given (id, outcome, http_status, error_code, error, sid, answer)
WHERE delivery_attempts.id = given.id
""")

LATER = Statement("""
UPDATE delivery_attempts SET answer = coalesce(answer, '{}'::jsonb) || %(later)s::jsonb
WHERE org_id = %(org)s AND message_id = %(message)s AND provider_sid = %(sid)s
""")


# Tries that may have left a text at Twilio of which we do not know the SID.
_OUT = Q(provider_sid="", outcome__in=("", TryOutcome.LOST.value))


@dataclass(frozen=True, slots=True)
class Begun:
    """A try's row, and the clinic at the version of its plan. ``id`` is None, and nothing was written, where the text
    may not go out: the person opted out (the newest line of the ledger decides), or ``paused`` says why none does.
    ``text_sender``: the clinic's number for texts, blank where it has none."""

    id: UUID | None
    clinic: ClinicKey
    opted_out: bool
    paused: str
    text_sender: str


def begin(messages: Sequence[Message]) -> list[Begun]:
    """Writes a new try down for each text of one clinic, if one may be made; one that never ended belonged to a worker
    that stopped."""
    org_id = messages[0].org_id
    values = {
        "org": org_id, "now": timezone.now(), "stopped": STOPPED, "ids": [new_id() for _ in messages],
        "messages": [message.pk for message in messages], "senders": [message.sender for message in messages],
        "channels": [message.channel for message in messages],
        "recipients": [message.recipient for message in messages],
        "requests": [copy_of_request(message) for message in messages],
    }  # fmt: skip
    begun = {
        message_id: Begun(try_id, ClinicKey(org_id, plan_version), opted_out, paused, text_sender)
        for message_id, plan_version, opted_out, paused, try_id, text_sender in BEGIN.rows(values)
    }
    return [begun[message.pk] for message in messages]


def forget(tried: Mapping[UUID, Message]) -> None:
    """Takes back tries that were not made after all, each with its text, in the transaction that began them."""
    if not tried:
        return
    DeliveryAttempt.objects.filter(pk__in=tried).delete()
    first = [message.pk for message in tried.values() if message.first_attempted_at is None]
    if first:
        Message.objects.filter(pk__in=first).update(first_attempted_at=None)


def end(ended: Sequence[tuple[UUID, Answer]]) -> None:
    """Completes tries with what came of each. A SID that a receipt told meanwhile stays, when the answer was lost."""
    answers = [answer for _, answer in ended]
    END.run(
        {
            "now": timezone.now(), "ids": [try_id for try_id, _ in ended],
            "outcomes": [answer.outcome.value for answer in answers],
            "http_statuses": [answer.http_status for answer in answers],
            "error_codes": [answer.error_code for answer in answers],
            "errors": [answer.error for answer in answers], "sids": [answer.sid for answer in answers],
            "answers": [copy_of_answer(answer) for answer in answers],
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


def note_absent(message: Message, begun_before: datetime) -> None:
    """Keeps with the tries that began before then, and of which we know no SID, that the list at Twilio shows none of
    them."""
    unproved = _out(message).filter(found_absent_at=None, started_at__lte=begun_before)
    unproved.update(found_absent_at=timezone.now())


def missing(texts: QuerySet[Message], since: datetime) -> list[tuple[UUID, datetime]]:
    """Of these messages each try since then that may have left a text at Twilio which no row holds: whose it was, and
    when it began; the earliest first."""
    may_be_there = _OUT & Q(found_absent_at=None, started_at__gte=since, message__in=texts)
    rows = DeliveryAttempt.objects.filter(may_be_there).order_by("started_at")
    return list(rows.values_list("message_id", "started_at"))


def note_fate(message: Message, sid: str, code: int | None, reason: str) -> None:
    """Keeps with the try that Twilio took under this SID what became of it later: the next one has its own fate."""
    message.tries.filter(provider_sid=sid).update(error_code=code, error=reason)


def is_only_one_out(message: Message) -> bool:
    """Whether just one try may have left a text at Twilio of which we do not know the SID: then word of such a text is
    word of that try."""
    return _out(message).count() == 1


def moments_of_lost(message: Message) -> list[datetime]:
    """When each try began that may have left such a text."""
    return list(_out(message).values_list("started_at", flat=True))


def _out(message: Message) -> QuerySet[DeliveryAttempt]:
    return DeliveryAttempt.objects.filter(_OUT, message=message)


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
