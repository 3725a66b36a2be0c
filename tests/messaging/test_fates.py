"""Whatever happens, in whatever order: a text is on the phone at most once unless a person sent it again, and
each ends in exactly one fate."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from messaging import outbox
from messaging.delivery import SMS_DELIVERY
from messaging.models import Message
from messaging.providers.twilio import client as twilio
from messaging.receipts import Receipt, apply_receipt
from messaging.states import MessageKind, MessageState
from tests.clinics import Clinic, make_clinic
from tests.messaging.pretend_twilio import PretendTwilio, Taken
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db

PHONES = ("+14155550142", "+14155550143")
WORDS = ("See you at nine.", "See you at ten.")
ANSWERS = (
    "accepted", "never connected", "refused for now", "refused for good", "lost before", "lost after",
    "raised before", "raised after",
)  # fmt: skip
SETTLED = (*[MessageState.SENT, MessageState.DELIVERED, MessageState.DEAD_LETTER, MessageState.SUPPRESSED],
           MessageState.EXPIRED, MessageState.CANCELED)  # fmt: skip
GOT_OUT = (MessageState.SENT, MessageState.DELIVERED)

_machines = count(1)


class Fates(RuleBasedStateMachine):
    """Texts of one clinic, some of the same words to the same person, through every mishap we know of."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.twilio = PretendTwilio()
        self.patch.setattr(twilio, "send", self.twilio.send)
        self.patch.setattr(twilio, "sent_to", self.twilio.sent_to)
        self.savepoint = transaction.savepoint()
        self.clock = time_machine.travel(timezone.now() + timedelta(seconds=1))
        self.traveller = self.clock.start()
        self.redriven: Counter[UUID] = Counter()
        self.written: dict[UUID, tuple[str, str]] = {}
        with platform_scope("test data"):
            self.clinic: Clinic = make_clinic(f"fates-{next(_machines)}")

    def teardown(self) -> None:
        try:
            self.come_to_rest()
            self.all_is_told()
        finally:
            self.clock.stop()
            transaction.savepoint_rollback(self.savepoint)
            self.patch.undo()

    # What people and programs do

    @initialize(phone=st.sampled_from(PHONES), words=st.sampled_from(WORDS))
    def write_the_first(self, phone: str, words: str) -> None:
        self.write(phone, words)

    @precondition(lambda self: len(self.written) < 5)
    @rule(phone=st.sampled_from(PHONES), words=st.sampled_from(WORDS))
    def write(self, phone: str, words: str) -> None:
        with org_scope(self.clinic.id):
            written = outbox.enqueue(
                org_id=self.clinic.id,
                kind=MessageKind.CONFIRMATION,
                recipient=phone,
                body=words,
                dedupe_key=f"text-{len(self.written)}",
                about=f"appointment:{len(self.written)}",
                expires_at=timezone.now() + timedelta(days=30),
            )
        assert written.message_id is not None
        self.written[written.message_id] = (phone, words)

    @rule(how=st.sampled_from(ANSWERS), arrives=st.booleans())
    def work_off(self, how: str, arrives: bool) -> None:
        self.twilio.how, self.twilio.arrives = how, arrives
        claimed = work.claim_next(SMS_DELIVERY)
        if claimed is not None:
            work.perform(SMS_DELIVERY, claimed)

    @rule(arrives=st.booleans(), sweeps=st.integers(0, 3), answered=st.booleans(), index=st.integers(0, 9))
    def work_off_slowly(self, arrives: bool, sweeps: int, answered: bool, index: int) -> None:
        """The answer is on its way for so long that the lease runs out, and others take the row over."""

        def meanwhile() -> None:
            self.twilio.meanwhile = None
            self.pass_time(31)
            for _ in range(sweeps):
                self.sweep(lists=True)
                self.pass_time(61)
            self.work_off("accepted", arrives)
            self.receive(index, index)
            self.twilio.how = "accepted" if answered else "lost after"

        self.twilio.meanwhile = meanwhile
        self.work_off("accepted", arrives)
        self.twilio.meanwhile = None

    @rule(sent=st.booleans(), arrives=st.booleans())
    def die_at_work(self, sent: bool, arrives: bool) -> None:
        claimed = work.claim_next(SMS_DELIVERY)
        if claimed is not None and sent:
            self.twilio.how, self.twilio.arrives = "accepted", arrives
            SMS_DELIVERY.perform(claimed.row, claimed.prepared)

    @rule(lists=st.booleans())
    def sweep(self, lists: bool) -> None:
        self.twilio.lists = lists
        work.release_lost(SMS_DELIVERY)
        work.resolve_due(SMS_DELIVERY)

    @rule(seconds=st.sampled_from([1, 16, 31, 61, 125]))
    def pass_time(self, seconds: int) -> None:
        self.traveller.shift(seconds)

    @precondition(lambda self: self.twilio.taken)
    @rule(index=st.integers(0, 9), step=st.integers(0, 2))
    def receive(self, index: int, step: int) -> None:
        """A receipt, in any order and as often as it pleases."""
        if self.twilio.taken:
            self.tell(self.twilio.taken[index % len(self.twilio.taken)], step % 3)

    def tell(self, text: Taken, step: int) -> None:
        status = text.path[step]
        text.status = text.path[max(step, text.path.index(text.status) if text.status in text.path else 0)]
        code = 30003 if status == "undelivered" else None
        apply_receipt(self.clinic.id, text.message_id, Receipt(text.sid, status, code))

    @rule(index=st.integers(0, 9))
    def redrive(self, index: int) -> None:
        dead = [pk for pk, state in self.states().items() if state == MessageState.DEAD_LETTER]
        if dead:
            pk = dead[index % len(dead)]
            assert work.redrive(Message, self.clinic.id, pk)
            self.redriven[pk] += 1

    @rule(index=st.integers(0, 9))
    def withdraw(self, index: int) -> None:
        with org_scope(self.clinic.id):
            outbox.cancel_about(self.clinic.id, f"appointment:{index}")

    # What must hold

    def states(self) -> dict[UUID, str]:
        with org_scope(self.clinic.id):
            return dict(Message.objects.values_list("pk", "state"))

    @invariant()
    def nothing_is_on_a_phone_twice_unasked(self) -> None:
        """Equal texts to one person are interchangeable, so they are counted together."""
        allowed: Counter[tuple[str, str]] = Counter()
        for pk, said in self.written.items():
            allowed[said] += 1 + self.redriven[pk]
        taken = Counter((text.recipient, text.body) for text in self.twilio.taken)
        assert all(taken[said] <= allowed[said] for said in taken), (taken, allowed)

    @invariant()
    def every_text_has_a_known_state(self) -> None:
        assert set(self.states()) == set(self.written)
        assert set(self.states().values()) <= set(MessageState.values)

    def come_to_rest(self) -> None:
        """Twilio is well again, every receipt arrives, and the sweepers go on."""
        for _ in range(60):
            if set(self.states().values()) <= set(SETTLED):
                break
            self.sweep(lists=True)
            for _ in self.written:
                self.work_off("accepted", arrives=True)
            self.pass_time(65)
        for text in self.twilio.taken:
            self.tell(text, 2)

    def all_is_told(self) -> None:
        states = self.states()
        assert set(states.values()) <= set(SETTLED), states
        got_out = Counter(self.written[pk] for pk, state in states.items() if state in GOT_OUT)
        taken = Counter((text.recipient, text.body) for text in self.twilio.taken)
        assert all(got_out[said] <= taken[said] for said in got_out), "a text that is nowhere counts as sent"
        arrived = Counter((text.recipient, text.body) for text in self.twilio.taken if text.arrives)
        told = Counter(self.written[pk] for pk, state in states.items() if state == MessageState.DELIVERED)
        assert all(told[said] <= arrived[said] for said in told), "a text that nobody has counts as delivered"
        self.nothing_is_on_a_phone_twice_unasked()


def test_no_text_is_doubled_or_lost_whatever_happens(db: Any) -> None:
    run_state_machine_as_test(
        Fates,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
