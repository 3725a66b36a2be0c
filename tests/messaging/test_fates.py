"""Whatever happens, in whatever order: a text is on the phone at most once unless a person sent it again, and
each ends in exactly one fate."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
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
from tests.clinics import Clinic
from tests.messaging.pretend_twilio import PretendTwilio, Taken
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

PHONE = "+14155550142"
WORDS = st.sampled_from(["See you at nine.", "See you at nine.", "See you at ten."])
# What Twilio and our own code may do with a try; the likely mishaps more often than the rare ones.
ANSWERS = st.sampled_from(
    ["accepted"] * 4 + ["lost after"] * 3 + ["lost before"] * 2
    + ["never connected", "refused for now", "refused for good", "raised before", "raised after"]
)  # fmt: skip
WAITS = st.sampled_from([0, 17, 31, 61, 61, 125])
INDEX = st.integers(0, 9)
SETTLED = {
    MessageState.SENT, MessageState.DELIVERED, MessageState.DEAD_LETTER, MessageState.SUPPRESSED,
    MessageState.EXPIRED, MessageState.CANCELED,
}  # fmt: skip
GOT_OUT = (MessageState.SENT, MessageState.DELIVERED)
MOST_TEXTS = 3


class Fates(RuleBasedStateMachine):
    """Texts to one person, some in the same words, through every mishap we know of."""

    clinic: ClassVar[Clinic]
    keeps_bodies: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.twilio = PretendTwilio(keeps_bodies=self.keeps_bodies)
        self.patch.setattr(twilio, "send", self.twilio.send)
        self.patch.setattr(twilio, "sent_to", self.twilio.sent_to)
        self.savepoint = transaction.savepoint()
        self.clock = time_machine.travel(timezone.now() + timedelta(seconds=1))
        self.traveller = self.clock.start()
        self.redriven: Counter[UUID] = Counter()
        self.written: dict[UUID, str] = {}

    def teardown(self) -> None:
        try:
            self.come_to_rest()
            self.all_is_told()
        finally:
            self.clock.stop()
            transaction.savepoint_rollback(self.savepoint)
            self.patch.undo()

    # What people and programs do

    @initialize(words=WORDS)
    def write_the_first(self, words: str) -> None:
        self.write(words)

    @precondition(lambda self: len(self.written) < MOST_TEXTS)
    @rule(words=WORDS)
    def write(self, words: str) -> None:
        with org_scope(self.clinic.id):
            written = outbox.enqueue(
                org_id=self.clinic.id,
                kind=MessageKind.CONFIRMATION,
                recipient=PHONE,
                body=words,
                dedupe_key=f"text-{len(self.written)}",
                about=f"appointment:{len(self.written)}",
                expires_at=timezone.now() + timedelta(days=30),
            )
        assert written.message_id is not None
        self.written[written.message_id] = words

    @rule(how=ANSWERS, arrives=st.booleans(), wait=WAITS)
    def work_off(self, how: str, arrives: bool, wait: int) -> None:
        self.traveller.shift(wait)
        self.twilio.how, self.twilio.arrives = how, arrives
        claimed = work.claim_next(SMS_DELIVERY)
        if claimed is not None:
            work.perform(SMS_DELIVERY, claimed)

    @rule(arrives=st.booleans(), answered=st.booleans(), sweeps=st.integers(0, 3), index=INDEX, wait=WAITS)
    def work_off_slowly(self, arrives: bool, answered: bool, sweeps: int, index: int, wait: int) -> None:
        """The answer is on its way for so long that the lease runs out, and others take the row over."""

        def meanwhile() -> None:
            self.twilio.meanwhile = None
            self.traveller.shift(31)
            for _ in range(sweeps):
                self.sweep(lists=True, wait=61)
            self.work_off("accepted", arrives, wait=0)
            self.receive(index, index)
            self.twilio.how = "accepted" if answered else "lost after"

        self.twilio.meanwhile = meanwhile
        self.work_off("accepted", arrives, wait)
        self.twilio.meanwhile = None

    @rule(sent=st.booleans(), arrives=st.booleans(), wait=WAITS)
    def die_at_work(self, sent: bool, arrives: bool, wait: int) -> None:
        self.traveller.shift(wait)
        claimed = work.claim_next(SMS_DELIVERY)
        if claimed is not None and sent:
            self.twilio.how, self.twilio.arrives = "accepted", arrives
            SMS_DELIVERY.perform(claimed.row, claimed.prepared)

    @rule(lists=st.sampled_from([True, True, True, False]), wait=WAITS)
    def sweep(self, lists: bool, wait: int) -> None:
        self.traveller.shift(wait)
        self.twilio.lists = lists
        work.release_lost(SMS_DELIVERY)
        work.resolve_due(SMS_DELIVERY)

    @precondition(lambda self: self.twilio.taken)
    @rule(index=INDEX, step=st.integers(0, 2))
    def receive(self, index: int, step: int) -> None:
        """A receipt, in any order and as often as it pleases."""
        if self.twilio.taken:
            self.tell(self.twilio.taken[index % len(self.twilio.taken)], step % 3)

    def tell(self, text: Taken, step: int) -> None:
        status = text.path[step]
        text.status = text.path[max(step, text.path.index(text.status) if text.status in text.path else 0)]
        code = 30003 if status == "undelivered" else None
        apply_receipt(self.clinic.id, text.message_id, Receipt(text.sid, status, code))

    @precondition(lambda self: MessageState.DEAD_LETTER in self.states().values())
    @rule(index=INDEX)
    def redrive(self, index: int) -> None:
        dead = [pk for pk, state in self.states().items() if state == MessageState.DEAD_LETTER]
        pk = dead[index % len(dead)]
        assert work.redrive(Message, self.clinic.id, pk)
        self.redriven[pk] += 1

    @precondition(lambda self: len(self.written) == MOST_TEXTS)
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
        """Equal texts to one person are interchangeable, so they are counted together. A text of which Twilio said
        that it did not arrive, for a reason that passes, is on no phone: another one may follow it."""
        allowed = Counter(text.body for text in self.twilio.taken if text.status == "undelivered")
        for pk, said in self.written.items():
            allowed[said] += 1 + self.redriven[pk]
        taken = Counter(text.body for text in self.twilio.taken)
        assert all(taken[said] <= allowed[said] for said in taken), (taken, allowed)

    @invariant()
    def every_text_has_a_known_state(self) -> None:
        assert set(self.states()) == set(self.written)
        assert set(self.states().values()) <= set(MessageState.values)

    def come_to_rest(self) -> None:
        """Twilio is well again, every receipt arrives, and the sweepers go on."""
        for _ in range(60):
            for text in self.twilio.taken:
                self.tell(text, 2)
            if set(self.states().values()) <= SETTLED:
                break
            self.sweep(lists=True, wait=600)
            for _ in self.written:
                self.work_off("accepted", arrives=True, wait=0)

    def all_is_told(self) -> None:
        states = self.states()
        assert set(states.values()) <= SETTLED, states
        got_out = Counter(self.written[pk] for pk, state in states.items() if state in GOT_OUT)
        taken = Counter(text.body for text in self.twilio.taken)
        assert all(got_out[said] <= taken[said] for said in got_out), "a text that is nowhere counts as sent"
        arrived = Counter(text.body for text in self.twilio.taken if text.arrives)
        told = Counter(self.written[pk] for pk, state in states.items() if state == MessageState.DELIVERED)
        assert all(told[said] <= arrived[said] for said in told), "a text that nobody has counts as delivered"
        self.nothing_is_on_a_phone_twice_unasked()


@pytest.mark.parametrize("keeps_bodies", [True, False], ids=["bodies listed", "bodies hidden"])
def test_no_text_is_doubled_or_lost_whatever_happens(elm: Clinic, keeps_bodies: bool) -> None:
    Fates.clinic, Fates.keeps_bodies = elm, keeps_bodies
    run_state_machine_as_test(
        Fates,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            # Shrinking such a run takes minutes; its steps are printed as they were.
            phases=[Phase.generate],
        ),
    )
