"""Texts and the breaker: it is asked before each try and told how the try went (contract, section 6).

It is asked in the claim's transaction, before anything of a try is written down: where the circuit is open, the text
waits in the queue as if nothing had been tried. What else is due of that clinic is put off with it, in one statement,
so that a long queue does not ask again text by text. A leave to probe that comes to nothing (another gate holds the
text, the lease ran out, our own code failed) is given back; one that is lost with its worker, or with a commit that
failed, runs out by itself after ``circuits.PROBE_SECONDS``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.utils import timezone

from messaging.channels import Channel
from messaging.models import Message
from messaging.providers.answers import Answer, TryOutcome
from messaging.states import MessageState
from monitoring import breaker
from monitoring.breaker import Decision, Service
from monitoring.circuits import COOL_DOWN_SECONDS
from voxanne.durable.settlement import Settlement
from voxanne.statements import Statement

FAILING = "Twilio has just been failing; the text waits and is tried again by itself."
TOO_LATE = "Its time had passed before it could be sent: Twilio was failing."
# After a cool-down the waiting texts do not all come in the same instant, and none waits long for it.
LEAST_SPREAD, MOST_SPREAD = 1.0, 5.0
# A clinic's queue is put off once in this many seconds by one process, however many of its texts are refused.
PUT_OFF_EVERY_SECONDS = 1.0
MOST_PUT_OFF = 20_000

# Rows that somebody else has in hand are left to him: waiting for each other, two of these could wait for ever.
PUT_OFF = Statement("""
WITH due AS MATERIALIZED (
    SELECT id FROM sms_delivery_log
    WHERE org_id = %(org)s AND state = 'queued' AND next_attempt_at <= %(now)s AND expires_at > %(latest)s
      AND channel = %(channel)s
    LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
UPDATE sms_delivery_log AS text SET last_error = %(said)s, updated_at = now(),
       next_attempt_at = %(earliest)s + random() * %(spread)s * interval '1 second'
FROM due WHERE text.id = due.id
""")

_put_off_at: dict[tuple[UUID, Service], float] = {}


SERVICES = {Channel.SMS.value: Service.TWILIO_SMS, Channel.WHATSAPP.value: Service.TWILIO_WHATSAPP}
CHANNELS = {service: channel for channel, service in SERVICES.items()}


def service_of(message: Message) -> Service:
    """The outside service that a message goes through."""
    return SERVICES[message.channel]


def asking(prepare_all: Callable[[list[Message]], list[Any]]) -> Callable[[list[Message]], list[Any]]:
    """``prepare_all`` for those of one clinic's texts whose circuit lets them through: what it returns for one carries
    its ``decision``."""

    def asked(messages: list[Message]) -> list[Any]:
        now = timezone.now()
        decisions = _decisions(messages, now)
        refused = {pk: found for pk, found in decisions.items() if not found.allowed}
        leaves = {pk: found for pk, found in decisions.items() if found.allowed}
        let_through = [message for message in messages if message.pk not in refused]
        try:
            prepared = prepare_all(let_through) if let_through else []
        except BaseException:
            for decision in leaves.values():
                breaker.abandon(decision)
            raise
        found = {
            message.pk: _with_leave(one, leaves.get(message.pk))
            for message, one in zip(let_through, prepared, strict=True)
        }
        return [
            found[message.pk] if message.pk in found else put_back(message, refused[message.pk], now)
            for message in messages
        ]

    return asked


def _decisions(messages: list[Message], now: datetime) -> dict[UUID, Decision]:
    """The breaker's word on each text whose time is not over. While a service is simply well, or refuses, one question
    is enough for all; one that may be failing is asked text by text."""
    found: dict[UUID, Decision] = {}
    known: dict[Service, Decision] = {}
    for message in messages:
        if message.expires_at <= now:
            continue
        service = service_of(message)
        decision = known.get(service) or breaker.decide(service, message.org_id)
        if not decision.doubtful:
            known[service] = decision
        found[message.pk] = decision
    return found


def _with_leave(prepared: Any, decision: Decision | None) -> Any:
    if decision is None:
        return prepared
    if isinstance(prepared, Settlement):
        breaker.abandon(decision)
        return prepared
    return replace(prepared, decision=decision)


def answering(deliver: Callable[[Message, Any], Settlement]) -> Callable[[Message, Any], Settlement]:
    """``deliver``, which tells by ``tell`` how its try went; what it raises tells nothing of the service."""

    def answered(message: Message, prepared: Any) -> Settlement:
        try:
            return deliver(message, prepared)
        except BaseException:
            let_go(message, prepared)
            raise

    return answered


def tell(message: Message, decision: Decision | None, answer: Answer) -> None:
    """How the try went. Time-outs, broken and refused connections, 429 and 5xx count; any other answer shows that the
    service lives. A message that fails over and over counts once."""
    if decision is None:
        return
    if answer.outage:
        breaker.record_failure(decision, subject=str(message.pk))
    elif answer.http_status is not None:
        breaker.record_success(decision)
    else:
        breaker.abandon(decision)


def refused_probe(
    message: Message, decision: Decision | None, answer: Answer, record: Callable[[], None]
) -> Settlement | None:
    """How a text goes back whose try only found out that the service still fails: as one that an open circuit refuses,
    without an attempt. A long outage would else use up, probe by probe, the few texts of a small clinic. None where the
    try was none of these."""
    if decision is None or not decision.probes or not answer.outage:
        return None
    if answer.outcome is not TryOutcome.REFUSED_FOR_NOW:
        return None
    wait = timedelta(seconds=max(COOL_DOWN_SECONDS, answer.retry_after or 0) + random.uniform(0, MOST_SPREAD))  # noqa: S311
    if timezone.now() + wait >= message.expires_at:
        return Settlement(MessageState.EXPIRED, error=TOO_LATE, uses_attempt=False, record=record)
    return Settlement(MessageState.QUEUED, error=FAILING, wait=wait, uses_attempt=False, record=record)


def let_go(message: Message, prepared: Any) -> None:
    """The try that was prepared is not made by this worker, or told nothing."""
    decision = getattr(prepared, "decision", None)
    if decision is not None:
        breaker.abandon(decision)


def put_back(message: Message, decision: Decision, now: datetime) -> Settlement:
    """How a text that the circuit refuses is put back: as if it had not been taken, until the circuit may be asked
    again; expired where that would be too late."""
    earliest = now + timedelta(seconds=decision.retry_after)
    if earliest >= message.expires_at:
        return Settlement(MessageState.EXPIRED, error=TOO_LATE, uses_attempt=False)
    spread = min(max(decision.retry_after, LEAST_SPREAD), MOST_SPREAD)
    # A text that is still in time at the earliest moment is not made late by the spread.
    wait = decision.retry_after + random.uniform(0, spread) * (  # noqa: S311  (spreads load, hides nothing)
        earliest + timedelta(seconds=spread) < message.expires_at
    )
    rest = partial(_put_off_the_rest, message.org_id, decision, earliest, spread)
    return Settlement(
        MessageState.QUEUED, error=FAILING, wait=timedelta(seconds=wait), uses_attempt=False, record=rest
    )


def _put_off_the_rest(org_id: UUID, decision: Decision, earliest: datetime, spread: float) -> None:
    """Whatever else of the clinic is due would only be refused as well. Inside the clinic's scope."""
    if not _may_put_off(org_id, decision.service):
        return
    latest = earliest + timedelta(seconds=spread + 1)
    PUT_OFF.run(
        {
            "org": org_id, "said": FAILING, "now": timezone.now(), "earliest": earliest, "latest": latest,
            "spread": spread, "channel": CHANNELS[decision.service], "most": MOST_PUT_OFF,
        }
    )  # fmt: skip


def _may_put_off(org_id: UUID, service: Service) -> bool:
    now = time.monotonic()
    if now - _put_off_at.get((org_id, service), -PUT_OFF_EVERY_SECONDS) < PUT_OFF_EVERY_SECONDS:
        return False
    _put_off_at[org_id, service] = now
    return True
