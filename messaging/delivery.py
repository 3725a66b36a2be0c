"""How a message goes out: claimed, tried, settled by its outcome (contract, section 6). The only way out.

A try is never repeated blindly: where Twilio may have the text and we do not know, the row is ``unknown``
until a receipt that carries our id, or Twilio's own list, says which.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from messaging import consent, gates, pauses, tries
from messaging.first_tries import tell_of_first_try
from messaging.models import Message
from messaging.outbox import SMS_QUEUE, SMS_WORK
from messaging.providers.answers import Answer, TryOutcome
from messaging.providers.twilio import client as twilio
from messaging.reconciliation import resolve
from messaging.senders import account_at
from messaging.states import MessageState
from monitoring import metrics
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind, move

logger = structlog.get_logger(__name__)

RETRY_WAITS = (1, 2, 4, 8, 16)
JITTER = 0.2
# A try that never reached Twilio costs no attempt; this is how long to leave it alone.
UNREACHABLE_WAIT = timedelta(seconds=10)
LATE_FROM = (MessageState.UNKNOWN, MessageState.QUEUED)
TIME_PASSED = "Its time had passed."
CALLBACK_OVERRIDES = "#rc=3&rp=all"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the claim's transaction found: the account to send from, and the try's row."""

    account: twilio.Account
    try_id: UUID


def prepare(message: Message) -> Prepared | Settlement:
    """Checks what only the moment of sending can tell, and writes the try down before the request leaves.

    A Settlement when nothing is to be sent at all.
    """
    now = timezone.now()
    if message.expires_at <= now:
        return Settlement(MessageState.EXPIRED, error=TIME_PASSED, uses_attempt=False)
    begun = tries.begin(message)
    if begun.opted_out:
        return Settlement(MessageState.SUPPRESSED, error="The person opted out.", uses_attempt=False)
    if begun.id is None:
        return pauses.held(message, begun.paused)
    held_back = gates.held_by_gate(message, begun.clinic, now)
    if held_back is not None:
        tries.forget(message, begun.id)
        return held_back
    if message.first_attempted_at is None:
        metrics.observe_commit_to_request((now - message.created_at).total_seconds())
        message.first_attempted_at = now
        tell_of_first_try(message, now)
    return Prepared(account_at(begun.clinic), begun.id)


def deliver(message: Message, prepared: Prepared | Settlement) -> Settlement:
    """One try at sending a claimed message, outside any transaction."""
    if isinstance(prepared, Settlement):
        return prepared
    answer = twilio.send(
        prepared.account,
        sender=message.sender,
        recipient=settings.SMS_REDIRECT_TO or message.recipient,
        body=message.body,
        status_callback=status_callback_url(message.pk),
        validity=message.expires_at - timezone.now(),
    )
    metrics.count_attempt(answer.outcome.value)
    return settlement_of(message, answer, partial(record_try, message, prepared.try_id, answer))


def status_callback_url(message_id: UUID) -> str:
    """Where Twilio reports on this message: our id in the address settles tries whose answer was lost."""
    return f"{settings.BACKEND_URL}/api/webhooks/twilio/sms-status/{message_id}{CALLBACK_OVERRIDES}"


def record_try(message: Message, try_id: UUID, answer: Answer) -> None:
    """Completes the try's row, also when its claim was lost meanwhile; a carrier's opt-out enters the ledger, and a
    fault of the whole account holds the clinic's other texts back."""
    tries.end(try_id, answer, message.body)
    pauses.pause_for(message.org_id, answer)
    if answer.outcome is TryOutcome.OPTED_OUT:
        consent.record_carrier_block(message)


def settle_late(message: Message, settlement: Settlement) -> None:
    """Twilio took the text, and the lease had run out: what waits to be found out, or sent again, is known now.

    Not for a SID that the row had before: that try was judged, and a person wants another one.
    """
    if settlement.state != MessageState.SENT:
        return
    others = Message.objects.exclude(provider_sid=settlement.columns["provider_sid"])
    if not others.filter(pk=message.pk, state__in=LATE_FROM).select_for_update().exists():
        return
    known = replace(settlement, record=None, uses_attempt=False)
    try:
        with transaction.atomic():
            move(Message, message.org_id, message.pk, known, sources=LATE_FROM)
    except IntegrityError:
        # A text of the very same words was taken for this one. They have changed places: this one is not out yet.
        logger.warning("sid_held_by_its_twin", id=str(message.pk))


def settlement_of(message: Message, answer: Answer, record: Callable[[], None] | None = None) -> Settlement:
    """The state that one try's answer leads to."""
    now = timezone.now()
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
            return Settlement(MessageState.UNKNOWN, error=answer.error, record=record)
        case TryOutcome.NEVER_CONNECTED:
            again = Settlement(MessageState.QUEUED, wait=UNREACHABLE_WAIT, uses_attempt=False)
        case TryOutcome.REFUSED_FOR_NOW if message.attempts < len(RETRY_WAITS):
            again = Settlement(MessageState.QUEUED, wait=retry_wait(message.attempts, answer.retry_after))
        case TryOutcome.OPTED_OUT:
            return _given_up(MessageState.SUPPRESSED, answer, record)
        case _:
            return _given_up(MessageState.DEAD_LETTER, answer, record)
    if now + again.wait >= message.expires_at:
        again = replace(again, state=MessageState.EXPIRED, wait=timedelta(0))
    return replace(again, error=answer.error, record=record)


def _given_up(state: MessageState, answer: Answer, record: Callable[[], None] | None) -> Settlement:
    return Settlement(state, error=answer.error, columns={"error_code": answer.error_code}, record=record)


def retry_wait(attempts: int, retry_after: float | None) -> timedelta:
    """1, 2, 4, 8, 16 s, each up to a fifth longer; never sooner than the provider asked for."""
    seconds = RETRY_WAITS[attempts] * (1 + random.uniform(0, JITTER))  # noqa: S311  (spreads load, hides nothing)
    return timedelta(seconds=max(seconds, retry_after or 0))


SMS_DELIVERY = WorkKind(
    name=SMS_WORK,
    model=Message,
    prepare=prepare,
    perform=deliver,
    resolve=resolve,
    overtaken=settle_late,
    lease=timedelta(seconds=settings.MESSAGE_LEASE_SECONDS),
    queue=SMS_QUEUE,
    order=("priority", "next_attempt_at"),
    gives_way=0.7,
)
