"""How a message goes out: claimed, tried, settled by its outcome (contract, section 6). The only way out.

A try is never repeated blindly: where Twilio may have the text and we do not know, the row is ``unknown``
until a receipt that carries our id, or Twilio's own list, says which.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from messaging import consent
from messaging.models import DeliveryAttempt, Message, SenderAccount
from messaging.outbox import SMS_QUEUE, SMS_WORK
from messaging.providers.answers import Answer, ListingFailed, TryOutcome
from messaging.providers.twilio import client as twilio
from messaging.senders import account_of, account_of_clinic
from messaging.states import MessageState
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind
from voxanne.tenancy.scope import org_scope

RETRY_WAITS = (1, 2, 4, 8, 16)
JITTER = 0.2
# A try that never reached Twilio costs no attempt; this is how long to leave it alone.
UNREACHABLE_WAIT = timedelta(seconds=10)
LISTING_WAIT = timedelta(seconds=15)
CALLBACK_OVERRIDES = "#rc=3&rp=all"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the claim's transaction found: whether to send at all, from which account, and the try's row."""

    refusal: Settlement | None
    account: twilio.Account | None = None
    attempt_id: UUID | None = None


def prepare(message: Message) -> Prepared:
    """Checks what only the moment of sending can tell, and writes the try down before the request leaves."""
    now = timezone.now()
    if message.expires_at <= now:
        return Prepared(Settlement(MessageState.EXPIRED, error="Its time had passed.", uses_attempt=False))
    if consent.has_opted_out(message.org_id, sender=message.sender, recipient=message.recipient):
        return Prepared(
            Settlement(MessageState.SUPPRESSED, error="The person opted out.", uses_attempt=False)
        )
    sender = SenderAccount.objects.filter(org_id=message.org_id).first()
    attempt = DeliveryAttempt.objects.create(org_id=message.org_id, message=message, started_at=now)
    if message.first_attempted_at is None:
        message.first_attempted_at = now
        message.save(update_fields=["first_attempted_at"])
    return Prepared(None, account_of(sender), attempt.pk)


def deliver(message: Message, prepared: Prepared) -> Settlement:
    """One try at sending a claimed message, outside any transaction."""
    if prepared.refusal is not None or prepared.account is None:
        return prepared.refusal or Settlement(MessageState.DEAD_LETTER, error="The clinic has no sender.")
    answer = twilio.send(
        prepared.account,
        sender=message.sender,
        recipient=settings.SMS_REDIRECT_TO or message.recipient,
        body=message.body,
        status_callback=status_callback_url(message.pk),
        validity=message.expires_at - timezone.now(),
    )
    return settlement_of(message, answer, partial(record_try, message, prepared.attempt_id, answer))


def status_callback_url(message_id: UUID) -> str:
    """Where Twilio reports on this message: our id in the address settles tries whose answer was lost."""
    return f"{settings.BACKEND_URL}/api/webhooks/twilio/sms-status/{message_id}{CALLBACK_OVERRIDES}"


def record_try(message: Message, attempt_id: UUID | None, answer: Answer) -> None:
    """Completes the try's row; a carrier's opt-out also enters the ledger."""
    DeliveryAttempt.objects.filter(pk=attempt_id).update(
        finished_at=timezone.now(),
        outcome=answer.outcome.value,
        http_status=answer.http_status,
        error_code=answer.error_code,
        error=answer.error,
        provider_sid=answer.sid,
    )
    if answer.outcome == TryOutcome.OPTED_OUT:
        consent.record(
            message.org_id,
            sender=message.sender,
            recipient=message.recipient,
            opted_out=True,
            source="carrier",
        )


def settlement_of(message: Message, answer: Answer, record: Any = None) -> Settlement:
    """The state that one try's answer leads to."""
    now = timezone.now()
    common: dict[str, Any] = {"error": answer.error, "record": record}
    match answer.outcome:
        case TryOutcome.ACCEPTED:
            columns = {
                "provider_sid": answer.sid,
                "provider_status": answer.status,
                "sent_at": now,
                "error_code": None,
            }
            return Settlement(MessageState.SENT, columns=columns, record=record)
        case TryOutcome.LOST:
            return Settlement(
                MessageState.UNKNOWN, columns={"unknown_since": now, "first_empty_list_at": None}, **common
            )
        case TryOutcome.NEVER_CONNECTED:
            return _wait_or_expire(message, UNREACHABLE_WAIT, uses_attempt=False, **common)
        case TryOutcome.OPTED_OUT:
            return Settlement(MessageState.SUPPRESSED, columns={"error_code": answer.error_code}, **common)
        case TryOutcome.REFUSED_FOR_NOW if message.attempts < len(RETRY_WAITS):
            return _wait_or_expire(
                message, retry_wait(message.attempts, answer.retry_after), uses_attempt=True, **common
            )
        case _:
            columns = {"dead_lettered_at": now, "error_code": answer.error_code}
            return Settlement(MessageState.DEAD_LETTER, columns=columns, **common)


def retry_wait(attempts: int, retry_after: float | None) -> timedelta:
    """1, 2, 4, 8, 16 s, each up to a fifth longer; never sooner than the provider asked for."""
    seconds = RETRY_WAITS[attempts] * (1 + random.uniform(0, JITTER))  # noqa: S311  (spreads load, hides nothing)
    return timedelta(seconds=max(seconds, retry_after or 0))


def _wait_or_expire(
    message: Message, wait: timedelta, *, uses_attempt: bool, error: str, record: Any
) -> Settlement:
    if timezone.now() + wait >= message.expires_at:
        return Settlement(MessageState.EXPIRED, error=error or "Its time had passed.", record=record)
    return Settlement(MessageState.QUEUED, wait=wait, uses_attempt=uses_attempt, error=error, record=record)


def resolve(message: Message) -> Settlement:
    """Asks Twilio what it has for an ``unknown`` message. Found: sent. Two empty lists at least
    ``MESSAGE_RECONCILE_GAP`` seconds apart: queued again, or expired when its time has passed."""
    try:
        sid_and_status = _find_at_twilio(message)
    except ListingFailed as error:
        return Settlement(
            MessageState.UNKNOWN, wait=LISTING_WAIT, uses_attempt=False, error=f"Not listed yet: {error}"
        )
    now = timezone.now()
    if sid_and_status is not None:
        columns = {"provider_sid": sid_and_status[0], "provider_status": sid_and_status[1], "sent_at": now}
        return Settlement(MessageState.SENT, uses_attempt=False, columns=columns)
    return _after_empty_list(message, now)


def _after_empty_list(message: Message, now: datetime) -> Settlement:
    gap = timedelta(seconds=settings.MESSAGE_RECONCILE_GAP)
    first = message.first_empty_list_at
    if first is None or now - first < gap:
        wait = gap if first is None else first + gap - now
        columns = {"first_empty_list_at": first or now}
        return Settlement(
            MessageState.UNKNOWN, wait=wait, uses_attempt=False, columns=columns, error=message.last_error
        )
    if now >= message.expires_at:
        return Settlement(
            MessageState.EXPIRED, uses_attempt=False, error="Its time passed while its fate was unknown."
        )
    return Settlement(
        MessageState.QUEUED,
        uses_attempt=False,
        error="Twilio does not have it.",
        columns={"first_empty_list_at": None},
    )


def _find_at_twilio(message: Message) -> tuple[str, str] | None:
    since = twilio.earliest_listing(message.first_attempted_at or message.created_at)
    recipient = settings.SMS_REDIRECT_TO or message.recipient
    listed = twilio.sent_to(
        account_of_clinic(message.org_id), recipient=recipient, sender=message.sender, since=since
    )
    same = [item for item in listed if item.body == message.body]
    with org_scope(message.org_id):
        taken = set(
            Message.objects.filter(provider_sid__in=[item.sid for item in same]).values_list(
                "provider_sid", flat=True
            )
        )
    free = [item for item in same if item.sid not in taken]
    # The oldest first: of two equal texts the one that was lost first is told apart from the later one.
    return (free[-1].sid, free[-1].status) if free else None


SMS_DELIVERY = WorkKind(
    name=SMS_WORK,
    model=Message,
    prepare=prepare,
    perform=deliver,
    resolve=resolve,
    lease=timedelta(seconds=settings.MESSAGE_LEASE_SECONDS),
    queue=SMS_QUEUE,
    order=("priority", "next_attempt_at"),
)
