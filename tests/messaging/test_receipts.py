"""Twilio's later word on a text: forward only, in any order, and only about the try it speaks of."""

from __future__ import annotations

from itertools import permutations

import pytest

from messaging.fates.receipts import Receipt, apply_receipt
from messaging.models import Message
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.messaging.desk import PATIENT, Desk
from tests.sandbox.running import RunningSandbox
from voxanne.durable import work
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

FIRST, SECOND, THIRD = ("SM" + letter * 32 for letter in "abc")


@pytest.fixture
def desk(elm: Clinic) -> Desk:
    """Nothing is sent here, so no Twilio is needed."""
    return Desk(elm, RunningSandbox.__new__(RunningSandbox), 0)


def word(desk: Desk, message: Message, status: str, sid: str = FIRST, code: int | None = None) -> bool:
    return apply_receipt(desk.clinic.id, message.pk, Receipt(sid, status, code))


def put(desk: Desk, message: Message, state: str, **columns: object) -> Message:
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=message.pk).update(state=state, **columns)
    return desk.now(message)


def sent(desk: Desk, sid: str = FIRST) -> Message:
    return put(desk, desk.write(), MessageState.SENT, provider_sid=sid, provider_status="queued")


def tried(desk: Desk, message: Message, sid: str) -> Message:
    """One more try that Twilio took under ``sid``."""
    claimed = work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    assert claimed is not None
    settlement = Settlement(MessageState.SENT, columns={"provider_sid": sid, "provider_status": "queued"})
    assert work.settle(claimed.row, settlement)
    with org_scope(desk.clinic.id):
        message.tries.filter(pk=claimed.prepared.try_id).update(provider_sid=sid, outcome="accepted")
    return desk.now(message)


# Forward only


@pytest.mark.parametrize("order", list(permutations(["sending", "sent", "delivered"])))
def test_receipts_in_any_order_end_delivered(desk: Desk, order: tuple[str, ...]) -> None:
    message = sent(desk)
    for status in order:
        word(desk, message, status)
    row = desk.now(message)
    assert (row.state, row.provider_status) == (MessageState.DELIVERED, "delivered")
    assert row.delivered_at is not None


def test_the_same_word_twice_says_nothing_new(desk: Desk) -> None:
    message = sent(desk)
    assert word(desk, message, "delivered")
    before = desk.now(message)
    assert not word(desk, message, "delivered")
    assert desk.now(message).updated_at == before.updated_at


def test_a_status_on_the_way_is_kept_without_a_change_of_state(desk: Desk) -> None:
    message = sent(desk)
    assert not word(desk, message, "sending")
    assert (desk.now(message).state, desk.now(message).provider_status) == (MessageState.SENT, "sending")


def test_a_delivered_text_may_be_read_but_not_undelivered(desk: Desk) -> None:
    message = sent(desk)
    word(desk, message, "delivered")
    for status in ("undelivered", "failed", "sent"):
        assert not word(desk, message, status, code=30005)
    assert desk.now(message).state == MessageState.DELIVERED
    word(desk, message, "read")
    assert (desk.now(message).state, desk.now(message).provider_status) == (MessageState.DELIVERED, "read")


@pytest.mark.parametrize("status", ["undelivered", "failed", "canceled"])
def test_a_text_that_did_not_arrive_is_a_dead_letter_with_its_reason(desk: Desk, status: str) -> None:
    message = sent(desk)
    assert word(desk, message, status, code=30005)
    dead = desk.now(message)
    assert (dead.state, dead.error_code) == (MessageState.DEAD_LETTER, 30005)
    assert "no longer in use" in dead.last_error
    assert dead.dead_lettered_at is not None
    assert dead.attempts == 0, "a receipt is no try of ours"


def test_a_block_reported_later_suppresses_the_text_and_enters_the_ledger(desk: Desk) -> None:
    message = sent(desk)
    assert word(desk, message, "undelivered", code=30004)
    assert not word(desk, message, "undelivered", code=30004)
    assert desk.now(message).state == MessageState.SUPPRESSED
    assert desk.ledger() == [(desk.clinic.number, PATIENT, True, "carrier")]


@pytest.mark.parametrize("state", ["dead_letter", "expired", "canceled"])
@pytest.mark.parametrize("held", ["", FIRST, SECOND], ids=["no SID", "this SID", "another SID"])
def test_a_block_enters_the_ledger_whatever_became_of_the_text(desk: Desk, state: str, held: str) -> None:
    message = put(desk, desk.write(), state, provider_sid=held)
    for _ in range(2):
        assert not word(desk, message, "undelivered", code=30004)
    assert desk.now(message).state == state
    assert (desk.clinic.number, PATIENT, True, "carrier") in desk.ledger()
    if held == FIRST:
        assert len(desk.ledger()) == 1, "said twice, it is one wish"


@pytest.mark.parametrize("state", ["dead_letter", "expired", "canceled"])
def test_a_block_of_a_try_is_one_line(desk: Desk, state: str) -> None:
    message = put(desk, tried(desk, desk.write(), ""), state)
    for _ in range(2):
        word(desk, message, "undelivered", code=30004)
    assert len(desk.ledger()) == 1


@pytest.mark.parametrize("status", ["", "no-such-status", "accepted"])
def test_an_unknown_word_still_proves_that_twilio_has_the_text(desk: Desk, status: str) -> None:
    message = put(desk, desk.write(), MessageState.UNKNOWN)
    assert word(desk, message, status)
    assert desk.now(message).state == MessageState.SENT


def test_a_receipt_without_a_number_says_nothing(desk: Desk) -> None:
    message = put(desk, desk.write(), MessageState.UNKNOWN)
    assert not word(desk, message, "delivered", sid="")
    assert desk.now(message).state == MessageState.UNKNOWN


# It overtakes what we know


@pytest.mark.parametrize("state", [MessageState.QUEUED, MessageState.SENDING, MessageState.UNKNOWN])
@pytest.mark.parametrize(
    ("status", "ends"),
    [
        ("queued", MessageState.SENT),
        ("sent", MessageState.SENT),
        ("delivered", MessageState.DELIVERED),
        ("undelivered", MessageState.DEAD_LETTER),
    ],
)
def test_a_receipt_settles_a_text_whose_answer_never_came(
    desk: Desk, state: MessageState, status: str, ends: MessageState
) -> None:
    message = put(desk, desk.write(), state)
    assert word(desk, message, status, code=30005 if status == "undelivered" else None)
    row = desk.now(message)
    assert (row.state, row.provider_sid) == (ends, FIRST)
    assert row.sent_at is not None


@pytest.mark.parametrize("state", [MessageState.EXPIRED, MessageState.CANCELED])
def test_a_text_that_got_out_after_all_is_told_as_it_is(desk: Desk, state: MessageState) -> None:
    message = put(desk, desk.write(), state)
    assert word(desk, message, "delivered")
    assert desk.now(message).state == MessageState.DELIVERED


def test_a_worker_still_sending_keeps_quiet_when_the_receipt_came_first(desk: Desk) -> None:
    message = desk.write()
    claimed = work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    assert claimed is not None
    assert word(desk, message, "delivered")
    assert not work.settle(claimed.row, Settlement(MessageState.SENT, columns={"provider_sid": FIRST}))
    assert desk.now(message).state == MessageState.DELIVERED


def test_the_number_that_came_to_light_is_kept_with_the_try(desk: Desk) -> None:
    message = desk.write()
    work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    put(desk, message, MessageState.UNKNOWN)
    word(desk, message, "sent")
    assert [(one.provider_sid, bool(one.finished_at)) for one in desk.tries(message)] == [(FIRST, True)]


# Several tries


def redriven(desk: Desk) -> Message:
    """A text whose first try was undelivered, and which a person put back in the queue."""
    message = tried(desk, desk.write(), FIRST)
    assert word(desk, message, "undelivered", code=30005)
    assert work.redrive(Message, desk.clinic.id, message.pk)
    return desk.now(message)


@pytest.mark.parametrize("status", ["sending", "sent", "undelivered"])
def test_late_word_of_a_try_that_was_judged_leaves_a_redriven_text_in_the_queue(
    desk: Desk, status: str
) -> None:
    message = redriven(desk)
    assert not word(desk, message, status, code=30005)
    assert desk.now(message).state == MessageState.QUEUED


@pytest.mark.parametrize("status", ["sent", "undelivered"])
def test_late_word_of_an_earlier_try_does_not_end_a_later_one(desk: Desk, status: str) -> None:
    message = tried(desk, redriven(desk), SECOND)
    assert not word(desk, message, status, code=30005)
    assert (desk.now(message).state, desk.now(message).provider_sid) == (MessageState.SENT, SECOND)


def test_late_word_of_an_earlier_try_leaves_a_text_redriven_twice_in_the_queue(desk: Desk) -> None:
    message = tried(desk, redriven(desk), SECOND)
    assert word(desk, message, "undelivered", SECOND, code=30005)
    assert work.redrive(Message, desk.clinic.id, message.pk)
    for status in ("sending", "sent", "undelivered"):
        assert not word(desk, message, status, FIRST, code=30005)
    assert desk.now(message).state == MessageState.QUEUED


def test_an_earlier_try_that_arrived_after_all_ends_the_matter(desk: Desk) -> None:
    message = tried(desk, redriven(desk), SECOND)
    assert word(desk, message, "undelivered", SECOND, code=30005)
    assert word(desk, message, "delivered", FIRST)
    assert desk.now(message).state == MessageState.DELIVERED


def test_word_of_a_lost_try_does_not_end_the_one_that_was_taken(desk: Desk) -> None:
    """It was lost, looked for in vain and sent again; now the first one surfaces."""
    message = tried(desk, desk.write(), SECOND)
    for status in ("sent", "undelivered"):
        assert not word(desk, message, status, THIRD, code=30005)
    assert (desk.now(message).state, desk.now(message).provider_sid) == (MessageState.SENT, SECOND)
    assert word(desk, message, "delivered", THIRD)
    assert desk.now(message).state == MessageState.DELIVERED


def test_word_of_a_lost_try_keeps_a_text_from_being_sent_once_more(desk: Desk) -> None:
    message = redriven(desk)
    assert word(desk, message, "sent", SECOND)
    assert desk.now(message).state == MessageState.SENT


# Whose word


def test_a_receipt_says_nothing_about_another_clinics_text(desk: Desk, oak: Clinic) -> None:
    message = sent(desk)
    assert not apply_receipt(oak.id, message.pk, Receipt(FIRST, "delivered", None))
    assert desk.now(message).state == MessageState.SENT


def test_two_clinics_may_hold_one_number_each_of_their_own_provider(desk: Desk, oak: Clinic) -> None:
    ours = sent(desk)
    theirs = Desk(oak, desk.sandbox, 0)
    message = sent(theirs)
    assert apply_receipt(oak.id, message.pk, Receipt(FIRST, "delivered", None))
    assert desk.now(ours).state == MessageState.SENT


def test_the_text_that_holds_the_number_is_the_one_spoken_of(desk: Desk) -> None:
    holder, named = sent(desk), put(desk, desk.write(), MessageState.UNKNOWN)
    assert word(desk, named, "delivered")
    assert desk.now(holder).state == MessageState.DELIVERED
    assert desk.now(named).state == MessageState.UNKNOWN
