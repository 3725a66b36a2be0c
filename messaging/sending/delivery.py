"""How a message goes out: claimed, tried, settled by its outcome (contract, section 6). The only way out.

A try is never repeated blindly: where Twilio may have the text and we do not know, the row is ``unknown``
until a receipt that carries our id, or Twilio's own list, says which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from messaging.channels import Channel, address
from messaging.fates.reconciliation import resolve
from messaging.manners import consent, lifetimes, rehearsal
from messaging.models import Message
from messaging.outbox import MOST_HINTS_A_SECOND, SMS_QUEUE, SMS_WORK
from messaging.providers.answers import Answer, Content, TryOutcome
from messaging.providers.twilio import client as twilio
from messaging.senders import account_at
from messaging.sending import circuit, gates, pauses, tries, whatsapp
from messaging.sending.first_tries import tell_of_first_try
from messaging.sending.waits import RETRY_WAITS, retry_wait
from messaging.states import MessageState
from messaging.words.whatsapp_words import OWN_WORDS, words_now
from monitoring import metrics
from monitoring.breaker import Decision
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind, move

logger = structlog.get_logger(__name__)

# A try that never reached Twilio costs no attempt; this is how long to leave it alone.
UNREACHABLE_WAIT = timedelta(seconds=10)
LATE_FROM = (MessageState.UNKNOWN, MessageState.QUEUED)
CALLBACK_OVERRIDES = "#rc=3&rp=all"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the claim's transaction found: the account to send from, the try's row, until when Twilio may send, the
    clinic's number for texts, and what WhatsApp is to say in place of the message's own words; ``decision`` is the
    breaker's leave to try, which wants to know how it went."""

    account: twilio.Account
    try_id: UUID
    good_until: datetime
    text_sender: str = ""
    content: Content | None = None
    decision: Decision | None = None


def prepare_all(messages: list[Message]) -> list[Prepared | Settlement]:
    """Checks what only the moment of sending can tell, and writes the tries down before the requests leave; of texts of
    one clinic. A Settlement for one of which nothing is to be sent at all.
    """
    now = timezone.now()
    timely = [message for message in messages if message.expires_at > now]
    begun = dict(zip(timely, tries.begin(timely), strict=True)) if timely else {}
    found: list[Prepared | Settlement] = []
    taken_back: dict[UUID, Message] = {}
    for message in messages:
        if message not in begun:
            found.append(Settlement(MessageState.EXPIRED, error=gates.too_late(message), uses_attempt=False))
            continue
        # What was let through has its first try by now; the others' rows only say so until they are taken back.
        undecided = [other.pk for other in timely if other.first_attempted_at is None]
        one = _prepared(message, begun[message], now, undecided)
        if isinstance(one, Settlement) and (try_id := begun[message].id) is not None:
            taken_back[try_id] = message
        found.append(one)
    tries.forget(taken_back)
    return found


def _prepared(
    message: Message, begun: tries.Begun, now: datetime, undecided: gates.Undecided
) -> Prepared | Settlement:
    if begun.opted_out:
        return Settlement(MessageState.SUPPRESSED, error="The person opted out.", uses_attempt=False)
    if begun.id is None:
        return pauses.held(message, begun.paused)
    by_whatsapp = message.channel == Channel.WHATSAPP
    words = words_now(message, begun.clinic, now) if by_whatsapp else OWN_WORDS
    if words is None:
        return whatsapp.instead(message, begun.text_sender)
    held_back = gates.held_by_gate(message, begun.clinic, now, undecided)
    if held_back is not None:
        return held_back
    if message.first_attempted_at is None:
        metrics.observe_commit_to_request((now - message.created_at).total_seconds())
        message.first_attempted_at = now
        tell_of_first_try(message, now)
    good_until = lifetimes.good_until(message, begun.clinic, now)
    return Prepared(account_at(begun.clinic), begun.id, good_until, begun.text_sender, words.content)


def deliver(message: Message, prepared: Prepared | Settlement) -> Settlement:
    """One try at sending a claimed message, outside any transaction."""
    if isinstance(prepared, Settlement):
        return prepared
    answer = twilio.send(
        prepared.account,
        sender=message.sender,
        recipient=address(message.channel, rehearsal.destination(message.recipient)),
        body=message.body,
        status_callback=status_callback_url(message.pk),
        validity=prepared.good_until - timezone.now(),
        content=prepared.content,
    )
    circuit.tell(message, prepared.decision, answer)
    metrics.count_attempt(answer.outcome.value)
    tried = Tried(message, prepared.try_id, answer)
    refused = circuit.refused_probe(message, prepared.decision, answer, tried)
    return refused or settlement_of(message, answer, tried, prepared.text_sender)


def status_callback_url(message_id: UUID) -> str:
    """Where Twilio reports on this message: our id in the address settles tries whose answer was lost."""
    return f"{settings.BACKEND_URL}/api/webhooks/twilio/sms-status/{message_id}{CALLBACK_OVERRIDES}"


@dataclass(frozen=True, slots=True)
class Tried:
    """A try and its answer. Called, or written with others, it completes the try's row, also when its claim was lost
    meanwhile; a carrier's opt-out enters the ledger, and a fault of the whole account holds the clinic's other texts
    back."""

    message: Message
    try_id: UUID
    answer: Answer

    def __call__(self) -> None:
        record_try(self.message, self.try_id, self.answer)

    @staticmethod
    def write_all(tried: Sequence[Tried]) -> None:
        tries.end([(one.try_id, one.answer) for one in tried])
        for one in tried:
            if one.answer.outcome is not TryOutcome.ACCEPTED:
                _heed(one.message, one.answer)


def record_try(message: Message, try_id: UUID, answer: Answer) -> None:
    """One try, by itself."""
    Tried.write_all([Tried(message, try_id, answer)])


def _heed(message: Message, answer: Answer) -> None:
    if not whatsapp.note_fault(message, answer.error_code):
        pauses.pause_for(message.org_id, answer)
    if answer.outcome is TryOutcome.OPTED_OUT:
        consent.record_carrier_block(message)


def settle_late(message: Message, settlement: Settlement) -> None:
    """Twilio took the text, and the lease had run out: what waits to be found out, or sent again, or was given up in
    doubt, is known now.

    Not for a SID that the row had before: that try was judged, and a person wants another one.
    """
    if settlement.state != MessageState.SENT:
        return
    others = Message.objects.exclude(provider_sid=settlement.columns["provider_sid"])
    unsettled = Q(state__in=LATE_FROM) | Q(state=MessageState.DEAD_LETTER, in_doubt_since__isnull=False)
    if not others.filter(unsettled, pk=message.pk).select_for_update().exists():
        return
    known = replace(settlement, record=None, uses_attempt=False)
    try:
        with transaction.atomic():
            move(Message, message.org_id, message.pk, known, sources=(*LATE_FROM, MessageState.DEAD_LETTER))
    except IntegrityError:
        # A text of the very same words was taken for this one. They have changed places: this one is not out yet.
        logger.warning("sid_held_by_its_twin", id=str(message.pk))


def settlement_of(
    message: Message, answer: Answer, record: Callable[[], None] | None = None, text_sender: str = ""
) -> Settlement:
    """The state that one try's answer leads to; ``text_sender`` is the clinic's number for what goes on by SMS."""
    now = timezone.now()
    tries_left = message.attempts < len(RETRY_WAITS)
    by_text = whatsapp.after_answer(message, answer, tries_left=tries_left, text_sender=text_sender)
    if by_text is not None:
        return replace(by_text, record=record)
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


_asking = circuit.asking(prepare_all)

SMS_DELIVERY = WorkKind(
    name=SMS_WORK,
    model=Message,
    prepare=lambda message: _asking([message])[0],
    perform=circuit.answering(deliver),
    resolve=resolve,
    overtaken=settle_late,
    let_go=circuit.let_go,
    lease=timedelta(seconds=settings.MESSAGE_LEASE_SECONDS),
    queue=SMS_QUEUE,
    order=("priority", "next_attempt_at"),
    lane="priority",
    prepare_all=_asking,
    gives_way=0.7,
    threads=4,
    most_hints_a_second=MOST_HINTS_A_SECOND,
)
