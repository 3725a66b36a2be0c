"""The machine behind ``test_fates``: texts to one person through every mishap we know of, over the real doors, a real
PostgreSQL that commits, the real client and a Twilio on a real socket. Hypothesis chooses what happens, and when.

**Doubled** is a text of which more copies may lie on the phone than there are messages and people who redrove one
*after* it may have gone. A copy that Twilio reported undelivered does not count. Equal texts to one person are counted
together: Twilio's list cannot tell them apart, and neither can their reader.

**Lost** is a text without a fate once the world is well again and time has moved on, or one whose fate nothing
accounts for: too late before its time, sent though Twilio never had it, given up without a reason.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from messaging import inbound, outbox
from messaging.fates import deciding
from messaging.fates.deciding import Decided
from messaging.fates.receipts import Receipt, apply_receipt
from messaging.manners import consent
from messaging.models import DeliveryAttempt, InboundMessage, Message, OptOut, StaffTask
from messaging.sending import delivery, pauses, tries
from messaging.sending.delivery import SMS_DELIVERY, Prepared
from messaging.states import MessageKind, MessageState
from messaging.undelivered import dead_letters
from monitoring import breaker
from monitoring.circuits_in_memory import CircuitsInMemory
from tests.clinics import Clinic
from tests.messaging.mishaps import ANSWERS, NEVER_LEFT, Killed, a_fault_of_ours, die_after_sending
from tests.messaging.pretend_twilio import OPTED_OUT_LATER, Exchange, PretendTwilio, Taken
from voxanne.durable import hints, resolving, work
from voxanne.durable.work import Claimed, WorkKind
from voxanne.tenancy.scope import org_scope

PHONE = "+14155550142"
WORDS = st.sampled_from(["See you at nine.", "See you at nine.", "See you at ten.", "See you at eleven."])
ENDS = st.sampled_from([None, None, None, 30003, 30005, OPTED_OUT_LATER])
WAITS = st.sampled_from([0, 0, 3, 17, 31, 61, 61, 125])
LIVES = st.sampled_from([40, 400] + [30 * 86_400] * 4)
INDEX = st.integers(0, 9)
SETTLED = {
    MessageState.SENT, MessageState.DELIVERED, MessageState.DEAD_LETTER, MessageState.SUPPRESSED,
    MessageState.EXPIRED, MessageState.CANCELED,
}  # fmt: skip
GOT_OUT = (MessageState.SENT, MessageState.DELIVERED)
MOST_TEXTS = 3


class Doubled(AssertionError):
    """A text lies on a phone once more than anybody wanted."""


class Lost(AssertionError):
    """A text has no fate, or one that nothing accounts for."""


class Fates(RuleBasedStateMachine):
    """One clinic's texts to one person."""

    clinic: ClassVar[Clinic]
    exchange: ClassVar[Exchange]
    keeps_bodies: ClassVar[bool] = True
    kind: ClassVar[WorkKind[Message]] = SMS_DELIVERY
    minds_its_lease: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.forget_everything()
        self.twilio = self.exchange.twilio = PretendTwilio(keeps_bodies=self.keeps_bodies)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(settings, "TWILIO_API_BASE_URL", self.exchange.url)
        self.patch.setattr(hints, "offer", lambda hint: None)
        # Circuits that go by the travelled clock; Redis goes by its own.
        self.patch.setattr(breaker, "shared", CircuitsInMemory())
        self.clock = time_machine.travel(timezone.now() + timedelta(seconds=1))
        self.traveller = self.clock.start()
        self.written: dict[UUID, str] = {}
        self.given_back: set[UUID] = set()
        self.counted: set[UUID] = set()
        self.redriven: Counter[str] = Counter()
        self.seen_at_redrive: dict[UUID, int] = {}
        self.without_request: Counter[UUID] = Counter()
        self.stalled: list[Claimed[Message]] = []

    def teardown(self) -> None:
        try:
            self.come_to_rest()
            self.all_is_told()
        finally:
            self.clock.stop()
            self.patch.undo()

    def forget_everything(self) -> None:
        with org_scope(self.clinic.id):
            for model in (DeliveryAttempt, Message, OptOut, InboundMessage, StaffTask):
                model.objects.filter(org_id=self.clinic.id).delete()
        pauses.resume(self.clinic.id)

    # What is written, and by whom it is sent

    @initialize(words=WORDS, life=LIVES)
    def write_the_first(self, words: str, life: int) -> None:
        self.write(words, life)

    @precondition(lambda self: len(self.written) < MOST_TEXTS)
    @rule(words=WORDS, life=LIVES)
    def write(self, words: str, life: int) -> None:
        number = len(self.written)
        with org_scope(self.clinic.id):
            written = outbox.enqueue(
                org_id=self.clinic.id, kind=MessageKind.CONFIRMATION, recipient=PHONE, body=words,
                dedupe_key=f"text-{number}", about=f"appointment:{number}",
                expires_at=timezone.now() + timedelta(seconds=life),
            )  # fmt: skip
        assert written.message_id is not None
        self.written[written.message_id] = words

    @rule(how=ANSWERS, fails_with=ENDS, wait=WAITS)
    def work_off(self, how: str, fails_with: int | None, wait: int) -> None:
        claimed = self.claim(wait)
        if claimed is not None:
            self.perform(claimed, how, fails_with)

    @rule(
        how=ANSWERS,
        fails_with=ENDS,
        takes=st.integers(0, 45),
        sweeps=st.integers(0, 3),
        index=INDEX,
        wait=WAITS,
    )
    def work_off_slowly(
        self, how: str, fails_with: int | None, takes: int, sweeps: int, index: int, wait: int
    ) -> None:
        """Receipts come before the answer, and the lease may run out on the way, so that others take the row over."""

        def meanwhile() -> None:
            self.shift(takes)
            for _ in range(sweeps):
                self.sweep(lists=True, wait=61)
            self.work_off("accepted", fails_with, wait=0)
            self.receive(index, index)

        claimed = self.claim(wait)
        if claimed is not None:
            self.twilio.meanwhile = meanwhile
            self.perform(claimed, how, fails_with)
            self.twilio.meanwhile = None

    @rule(how=ANSWERS, fails_with=ENDS, still=st.integers(0, 90), sweeps=st.integers(0, 3), wait=WAITS)
    def freeze(self, how: str, fails_with: int | None, still: int, sweeps: int, wait: int) -> None:
        """A worker stands still between its claim and its request, as a paused machine does, and goes on after others
        may have taken the row over."""
        claimed = self.claim(wait)
        if claimed is not None:
            self.stalled.append(claimed)
            self.shift(still)
            for _ in range(sweeps):
                self.sweep(lists=True, wait=61)
            self.work_off("accepted", None, wait=0)
            self.stalled.remove(claimed)
            self.perform(claimed, how, fails_with)

    @precondition(lambda self: len(self.stalled) < 2)
    @rule(wait=WAITS)
    def stand_still(self, wait: int) -> None:
        """A worker claims a text and goes no further for now."""
        claimed = self.claim(wait)
        if claimed is not None:
            self.stalled.append(claimed)

    @precondition(lambda self: self.stalled)
    @rule(how=ANSWERS, fails_with=ENDS, wait=WAITS)
    def go_on(self, how: str, fails_with: int | None, wait: int) -> None:
        self.shift(wait)
        self.perform(self.stalled.pop(0), how, fails_with)

    @precondition(lambda self: self.stalled)
    @rule(sent=st.booleans(), fails_with=ENDS)
    def kill(self, sent: bool, fails_with: int | None) -> None:
        """A worker dies with its claim: before its request left, or with the answer under way."""
        claimed = self.stalled.pop()
        if sent:
            with suppress(Killed):
                self.perform(claimed, "killed", fails_with)
        else:
            self.nothing_left_for(claimed)

    def claim(self, wait: int) -> Claimed[Message] | None:
        self.shift(wait)
        silenced = self.has_opted_out()
        claimed = work.claim_next(self.kind)
        if claimed is not None and silenced:
            assert not isinstance(claimed.prepared, Prepared), "a text is about to leave for who opted out"
        return claimed

    def perform(self, claimed: Claimed[Message], how: str, fails_with: int | None) -> None:
        """One try by a worker that does what it should, in a world where it goes like ``how``."""
        if not self.minds_its_lease:
            claimed.row.claimed_until = timezone.now() + timedelta(days=1)
        reached = self.twilio.reached[claimed.row.pk]
        self.twilio.how, self.twilio.fails_with = how, fails_with
        with pytest.MonkeyPatch.context() as patch:
            if how == "never connected":
                patch.setattr(settings, "TWILIO_API_BASE_URL", self.exchange.deaf_url)
            if how == "raised before":
                patch.setattr(delivery, "status_callback_url", a_fault_of_ours)
            if how == "raised after":
                patch.setattr(delivery, "settlement_of", a_fault_of_ours)
            kind = replace(self.kind, perform=die_after_sending) if how == "killed" else self.kind
            settlement = work.perform(kind, claimed)
        if settlement is None or how in NEVER_LEFT:
            assert self.twilio.reached[claimed.row.pk] == reached, "something left that could not"
            self.nothing_left_for(claimed)

    def nothing_left_for(self, claimed: Claimed[Message]) -> None:
        if isinstance(claimed.prepared, Prepared):
            self.without_request[claimed.row.pk] += 1

    # What happens around them

    def shift(self, seconds: int) -> None:
        self.traveller.shift(seconds)
        self.twilio.take_up_late_ones()

    @rule(lists=st.sampled_from([True, True, True, False]), wait=WAITS, again=st.integers(0, 1))
    def sweep(self, lists: bool, wait: int, again: int = 0) -> None:
        """Sweepers come every few seconds."""
        self.twilio.lists = lists
        for pause in [wait, 5][: again + 1]:
            self.shift(pause)
            work.release_lost(self.kind)
            resolving.resolve_due(self.kind)

    @precondition(lambda self: self.twilio.taken)
    @rule(index=INDEX, step=st.integers(0, 2))
    def receive(self, index: int, step: int) -> None:
        """A receipt, in any order and as often as it pleases."""
        if self.twilio.taken:
            self.tell(self.twilio.taken[index % len(self.twilio.taken)], step % 3)

    def tell(self, text: Taken, step: int) -> None:
        status = text.advance(step)
        code = text.fails_with if status == "undelivered" else None
        apply_receipt(self.clinic.id, text.message_id, Receipt(text.sid, status, code))

    @precondition(lambda self: MessageState.DEAD_LETTER in self.states().values())
    @rule(index=INDEX)
    def redrive(self, index: int) -> None:
        """Staff send a dead letter again. It may then lie on the phone once more, if it may have gone before."""
        message = self.one_dead(index)
        may_have_gone = self.may_have_gone(message)
        if dead_letters.redrive(message.pk, "They rang.") is dead_letters.Redriven.DONE and may_have_gone:
            self.redriven[message.body] += 1
            self.seen_at_redrive[message.pk] = len(self.copies_of(message))

    @precondition(lambda self: MessageState.DEAD_LETTER in self.states().values())
    @rule(index=INDEX)
    def discard(self, index: int) -> None:
        message = self.one_dead(index)
        assert dead_letters.discard(message, reason="They rang.", actor=None)
        self.given_back.add(message.pk)

    @precondition(lambda self: self.open_ones())
    @rule(index=INDEX)
    def count_as_sent(self, index: int) -> None:
        """A person who sees a text in Twilio's log that no other message holds counts it as sent."""
        message = self.one_open(index)
        with org_scope(self.clinic.id):
            held = tries.taken_sids(text.sid for text in self.twilio.taken)
        free = [text for text in self.twilio.taken if text.may_be_on_a_phone and text.sid not in held]
        seen = any(text.message_id == message.pk for text in free)
        if seen and deciding.mark_sent(message, reason="It is there.", actor=None) is Decided.DONE:
            self.counted.add(message.pk)

    @precondition(lambda self: self.open_ones())
    @rule(index=INDEX)
    def send_again(self, index: int) -> None:
        """A person sends it again, knowing that it may come twice."""
        message = self.one_open(index)
        if deciding.send_again(message, reason="They rang.", actor=None) is Decided.DONE:
            self.counted.discard(message.pk)
            self.redriven[message.body] += 1
            self.seen_at_redrive[message.pk] = len(self.copies_of(message))

    @precondition(lambda self: len(self.written) == MOST_TEXTS)
    @rule(index=INDEX)
    def withdraw(self, index: int) -> None:
        with org_scope(self.clinic.id):
            outbox.cancel_about(self.clinic.id, f"appointment:{index}")
            about = Message.objects.filter(about=f"appointment:{index}")
            self.given_back.update(about.values_list("pk", flat=True))

    @rule(word=st.sampled_from(["STOP", "START", "START"]))
    def hear(self, word: str) -> None:
        sid = f"SM-in-{timezone.now().timestamp()}"
        inbound.take_in(self.clinic.id, inbound.Received(sid, PHONE, self.clinic.number, word))
        assert self.has_opted_out() == (word == "STOP")

    @rule()
    def resume(self) -> None:
        pauses.resume(self.clinic.id)

    # What must hold

    @invariant()
    def every_step_leaves_all_well(self) -> None:
        if self.twilio.mishap is not None:
            raise self.twilio.mishap
        with org_scope(self.clinic.id):
            states = dict(Message.objects.values_list("pk", "state"))
            rows = Counter(DeliveryAttempt.objects.order_by().values_list("message_id", flat=True))
        self.nothing_is_on_a_phone_twice_unasked()
        self.every_text_has_a_known_state(states)
        self.every_request_has_its_row_and_every_row_its_request(rows)

    def nothing_is_on_a_phone_twice_unasked(self) -> None:
        copies = Counter(text.body for text in self.twilio.taken if text.may_be_on_a_phone)
        wanted = Counter(self.written.values()) + self.redriven
        if not copies <= wanted:
            raise Doubled(f"on the phone {dict(copies)}, wanted {dict(wanted)}")

    def every_text_has_a_known_state(self, states: dict[UUID, str]) -> None:
        if set(states) != set(self.written) or not set(states.values()) <= set(MessageState.values):
            raise Lost(f"{states}")

    def every_request_has_its_row_and_every_row_its_request(self, rows: Counter[UUID]) -> None:
        waiting = Counter(one.row.pk for one in self.stalled if isinstance(one.prepared, Prepared))
        assert rows == self.twilio.reached + self.without_request + waiting

    def come_to_rest(self) -> None:
        """Everybody who stood still is killed. Twilio is well again, the sender is let go, receipts arrive."""
        while self.stalled:
            self.kill(sent=False, fails_with=None)
        pauses.resume(self.clinic.id)
        for _ in range(60):
            for text in self.twilio.taken:
                self.tell(text, 2)
            if set(self.states().values()) <= SETTLED:
                break
            self.sweep(lists=True, wait=600)
            for _ in self.written:
                self.work_off("accepted", None, wait=0)

    def all_is_told(self) -> None:
        """One fate each, which the world accounts for."""
        self.every_step_leaves_all_well()
        for message in self.messages():
            if message.state not in SETTLED:
                raise Lost(f"still {message.state}: {message.last_error}")
            if not self.accounts_for(message):
                raise Lost(f"{message.state} without a cause: {message.last_error!r}")
        self.who_got_one_has_one()

    def accounts_for(self, message: Message) -> bool:
        match message.state:
            case MessageState.EXPIRED:
                return bool(message.last_error) and message.expires_at <= timezone.now()
            case MessageState.SUPPRESSED:
                return self.opted_out_once()
            case MessageState.CANCELED:
                return message.pk in self.given_back and bool(message.last_error)
            case MessageState.DEAD_LETTER:
                return bool(message.last_error)
        return bool(message.provider_sid) or (
            message.pk in self.counted and message.state == MessageState.SENT
        )

    def who_got_one_has_one(self) -> None:
        """What counts as sent, Twilio has, and what counts as delivered arrived; and the other way round, what lies on
        a phone is what counts as delivered, but for what a person sent on top of it."""
        said = {state: Counter[str]() for state in GOT_OUT}
        for pk, state in self.states().items():
            if state in GOT_OUT:
                said[MessageState(state)][self.written[pk]] += 1
        sent, delivered = said.values()
        taken = Counter(text.body for text in self.twilio.taken)
        arrived = Counter(text.body for text in self.twilio.taken if not text.fails_with)
        if not sent + delivered <= taken or not delivered <= arrived:
            raise Lost(f"{said} of {taken}, {arrived} arrived")
        for message in self.messages():
            if message.state == MessageState.SENT:
                self.did_not_all_fail(message)
        if not arrived <= delivered + self.redriven:
            raise Doubled(f"on the phone {dict(arrived)}, delivered {delivered}, redriven {self.redriven}")

    def did_not_all_fail(self, message: Message) -> None:
        """What stands as sent is not a text of which Twilio said that it never arrived."""
        copies = self.copies_of(message)
        if copies and all(text.fails_with for text in copies):
            raise Lost(f"stands as sent, and each copy failed: {copies}")

    # What is known

    def messages(self) -> list[Message]:
        with org_scope(self.clinic.id):
            return list(Message.objects.all())

    def states(self) -> dict[UUID, str]:
        with org_scope(self.clinic.id):
            return dict(Message.objects.values_list("pk", "state"))

    def one_dead(self, index: int) -> Message:
        dead = sorted(
            (one for one in self.messages() if one.state == MessageState.DEAD_LETTER),
            key=lambda one: one.about,
        )
        return dead[index % len(dead)]

    def open_ones(self) -> list[Message]:
        return sorted((one for one in self.messages() if deciding.is_open(one)), key=lambda one: one.about)

    def one_open(self, index: int) -> Message:
        found = self.open_ones()
        return found[index % len(found)]

    def copies_of(self, message: Message) -> list[Taken]:
        known = [*self.twilio.taken, *self.twilio.late]
        return [one for one in known if message.pk == one.message_id or message.provider_sid == one.sid]

    def may_have_gone(self, message: Message) -> bool:
        """Since a person last sent it again."""
        new = self.copies_of(message)[self.seen_at_redrive.get(message.pk, 0) :]
        return any(text.may_be_on_a_phone for text in new)

    def has_opted_out(self) -> bool:
        with org_scope(self.clinic.id):
            return consent.has_opted_out(self.clinic.id, sender=self.clinic.number, recipient=PHONE)

    def opted_out_once(self) -> bool:
        with org_scope(self.clinic.id):
            return OptOut.objects.filter(opted_out=True).exists()
