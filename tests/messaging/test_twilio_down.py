"""Twilio is away for ten minutes: what waits, waits without using itself up, and goes out once when it is back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.utils import timezone

from messaging import outbox
from messaging.models import Message
from messaging.providers.answers import TryOutcome
from messaging.providers.twilio import client as twilio
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageKind, MessageState
from monitoring import breaker
from monitoring.circuits_in_memory import CircuitsInMemory
from tests.clinics import Clinic
from tests.messaging.pretend_twilio import Exchange, serving
from voxanne.durable import hints, resolving, work
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

TEXTS, TEXTS_A_ROUND, SOON_OVER = 15, 1, 3
ROUND_SECONDS, ROUNDS, ROUNDS_AFTER = 30, 20, 12
SENT = {MessageState.SENT, MessageState.DELIVERED}


class Outage:
    """A clinic that writes texts, workers, and the clock between them."""

    def __init__(
        self, clinic: Clinic, exchange: Exchange, settings: Any, clock: time_machine.Traveller
    ) -> None:
        self.clinic, self.exchange, self.settings, self.clock = clinic, exchange, settings, clock
        self.numbers = count()
        self.be("well")

    def be(self, how: str) -> None:
        """``well``, ``out of reach``, or what every request is answered with."""
        exchange = self.exchange
        self.settings.TWILIO_API_BASE_URL = exchange.deaf_url if how == "out of reach" else exchange.url
        exchange.twilio.always = "" if how in ("well", "out of reach") else how
        exchange.twilio.lists = how == "well"

    def write(self, *, life: timedelta = timedelta(days=1)) -> None:
        number = next(self.numbers)
        with org_scope(self.clinic.id):
            outbox.enqueue(
                org_id=self.clinic.id, kind=MessageKind.CONFIRMATION, recipient=f"+1415552{number:04d}",
                body="See you at nine.", dedupe_key=f"text-{number}", expires_at=timezone.now() + life,
            )  # fmt: skip

    def rounds(self, number: int, *, new: int = 0) -> None:
        """In each, workers go over what is due, and sweepers over what nobody knows."""
        for _ in range(number):
            for _ in range(new):
                self.write()
            self.clock.shift(ROUND_SECONDS)
            work.release_lost(SMS_DELIVERY)
            self.work_off_what_is_due()
            resolving.resolve_due(SMS_DELIVERY, seconds=600)

    def work_off_what_is_due(self) -> None:
        while (claimed := work.claim_next(SMS_DELIVERY)) is not None:
            work.perform(SMS_DELIVERY, claimed)

    def messages(self) -> list[Message]:
        with org_scope(self.clinic.id):
            return list(Message.objects.all())

    def states(self) -> Counter[str]:
        return Counter(message.state for message in self.messages())

    def copies(self) -> list[int]:
        """For each text: how often Twilio took it."""
        taken = Counter(text.message_id for text in self.exchange.twilio.taken)
        return sorted(taken[message.pk] for message in self.messages())


@pytest.fixture
def outage(elm: Clinic, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outage]:
    monkeypatch.setattr(hints, "offer", lambda hint: None)
    # Redis goes by a clock of its own, these by the travelled one.
    monkeypatch.setattr(breaker, "shared", CircuitsInMemory())
    with serving() as exchange, time_machine.travel(timezone.now() + timedelta(seconds=1)) as clock:
        yield Outage(elm, exchange, settings, clock)


def ten_minutes(outage: Outage, how: str) -> None:
    """Texts wait and new ones come, some of them of no use by the end; then Twilio is well again."""
    for _ in range(TEXTS):
        outage.write()
    for _ in range(SOON_OVER):
        outage.write(life=timedelta(minutes=4))
    outage.be(how)
    outage.rounds(ROUNDS, new=TEXTS_A_ROUND)
    outage.be("well")
    outage.rounds(ROUNDS_AFTER)


@pytest.mark.parametrize(
    "how",
    [
        "out of reach",
        "no words before",
        "faulty",
        "busy",
    ],
    ids=["refuses connections", "503 without Twilio's words", "500 in Twilio's words", "429"],
)
def test_nothing_is_lost_or_given_up_for_it(outage: Outage, how: str) -> None:
    ten_minutes(outage, how)
    states, sent = outage.states(), TEXTS + ROUNDS * TEXTS_A_ROUND
    assert states == {MessageState.SENT: sent, MessageState.EXPIRED: SOON_OVER}
    assert outage.copies() == [0] * SOON_OVER + [1] * sent


@pytest.mark.parametrize("how", ["faulty", "busy"])
def test_a_small_clinics_few_texts_are_not_used_up_by_finding_out(outage: Outage, how: str) -> None:
    """Three texts are the fewest that open a circuit; each probe of it is one of them."""
    for _ in range(3):
        outage.write()
    outage.be(how)
    outage.rounds(ROUNDS)
    outage.be("well")
    outage.rounds(ROUNDS_AFTER)
    assert outage.states() == {MessageState.SENT: 3}
    assert outage.copies() == [1, 1, 1]


def test_what_was_out_of_reach_used_no_try(outage: Outage) -> None:
    ten_minutes(outage, "out of reach")
    assert {message.attempts for message in outage.messages() if message.state in SENT} == {1}


def test_where_not_being_reached_counts_as_a_refusal_texts_are_given_up(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    send = twilio.send

    def refused(*args: Any, **more: Any) -> Any:
        answer = send(*args, **more)
        never = answer.outcome is TryOutcome.NEVER_CONNECTED
        return replace(answer, outcome=TryOutcome.REFUSED_FOR_NOW) if never else answer

    monkeypatch.setattr(twilio, "send", refused)
    monkeypatch.setattr(breaker, "decide", allowed)
    ten_minutes(outage, "out of reach")
    assert outage.states()[MessageState.DEAD_LETTER] >= TEXTS


def allowed(service: breaker.Service, org_id: UUID | None) -> breaker.Decision:
    return breaker.Decision(service, org_id, allowed=True, retry_after=0.0, token="", doubtful=False)
