"""A text that Twilio took and could not deliver: sent once more where that helps and can double nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging import outbox
from messaging.fates.deciding import Decided, mark_sent
from messaging.fates.receipts import Receipt, apply_receipt
from messaging.fates.resending import HOUR, MINUTE, wait_before_resend
from messaging.models import Message
from messaging.providers.answers import TryOutcome
from messaging.providers.twilio.codes import CODES
from messaging.providers.twilio.outcomes import outcome_of_receipt
from messaging.sending.delivery import SMS_DELIVERY
from messaging.sending.waits import JITTER, RETRY_WAITS
from messaging.states import MessageState
from messaging.undelivered import dead_letters
from tests.messaging.desk import Desk, later
from tests.messaging.test_receipts import FIRST, SECOND, THIRD, put, tried, word
from tests.messaging.test_texts_without_words import account
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

PASSING = [
    code for code in CODES if outcome_of_receipt("undelivered", code).outcome is TryOutcome.REFUSED_FOR_NOW
]
LASTING = [code for code in CODES if code not in PASSING]


@pytest.fixture
def told(desk: Desk) -> Message:
    """A text that Twilio took under FIRST, after one attempt."""
    return tried(desk, desk.write(), FIRST)


# Which, and when


@pytest.mark.parametrize("code", PASSING)
def test_a_reason_that_passes_puts_the_text_back_in_the_queue(desk: Desk, told: Message, code: int) -> None:
    assert word(desk, told, "undelivered", code=code)
    row = desk.now(told)
    assert (row.state, row.attempts, row.error_code) == (MessageState.QUEUED, 1, code)
    assert row.next_attempt_at > timezone.now()
    assert row.last_error.endswith("It is sent again by itself.")
    assert desk.tries(told)[0].error_code == code, "the try keeps what became of it"


@pytest.mark.parametrize("code", [*LASTING, 39999, None])
def test_any_other_reason_never_does(desk: Desk, told: Message, code: int | None) -> None:
    assert word(desk, told, "undelivered", code=code)
    assert desk.now(told).state in (MessageState.DEAD_LETTER, MessageState.SUPPRESSED)


def wait(code: int, attempts: int, at: datetime | None = None) -> float | None:
    message = Message(state=MessageState.SENT, attempts=attempts)
    found = wait_before_resend(message, "undelivered", code, at or timezone.now())
    return None if found is None else found.total_seconds()


@pytest.mark.parametrize(
    ("code", "waits"),
    [
        (30017, RETRY_WAITS),
        (30001, RETRY_WAITS),
        (30003, (30 * MINUTE, 2 * HOUR)),
        (30008, (MINUTE,)),
        (30610, (HOUR, 2 * HOUR, 4 * HOUR, 4 * HOUR, 4 * HOUR)),
    ],
)
def test_each_reason_has_its_waits_and_then_the_text_is_given_up(code: int, waits: tuple[int, ...]) -> None:
    for attempts, base in enumerate(waits, start=1):
        found = wait(code, attempts)
        assert found is not None
        assert base <= found <= base * (1 + JITTER)
    assert wait(code, len(waits) + 1) is None


@pytest.mark.parametrize("code", PASSING)
def test_no_text_is_tried_for_ever(code: int) -> None:
    assert wait(code, 6) is None


def test_a_daily_limit_ends_at_midnight_pacific_time() -> None:
    noon = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)
    found = wait(30023, 1, noon)
    assert found is not None
    assert 12 * HOUR < found < 12 * HOUR + 2 * MINUTE
    assert wait(30027, 3, noon) is None


@pytest.mark.parametrize(
    "state", [MessageState.DEAD_LETTER, MessageState.CANCELED, MessageState.EXPIRED, MessageState.QUEUED]
)
def test_what_was_given_up_is_a_persons_to_decide(state: MessageState) -> None:
    assert wait_before_resend(Message(state=state, attempts=1), "undelivered", 30017, timezone.now()) is None


# Sent again


def test_it_arrives_at_the_second_try(desk: Desk) -> None:
    desk.sandbox.fault("undelivered", code=30017, count=1)
    message = desk.write()
    desk.send(message)
    word(desk, message, "undelivered", desk.now(message).provider_sid, code=30017)
    with later(5):
        desk.send(message)
    row = desk.now(message)
    assert (row.state, row.attempts, row.provider_sid) == (MessageState.SENT, 2, desk.sids()[1])
    assert row.error_code is None
    assert word(desk, message, "delivered", row.provider_sid)
    assert desk.now(message).state == MessageState.DELIVERED


def resent(desk: Desk, told: Message) -> Message:
    """The same, sent once more under SECOND."""
    assert word(desk, told, "undelivered", code=30017)
    with later(5):
        return tried(desk, told, SECOND)


@pytest.mark.parametrize("status", ["queued", "sent", "undelivered", "failed"])
def test_late_word_of_the_old_try_says_nothing_of_the_new(desk: Desk, told: Message, status: str) -> None:
    message = resent(desk, told)
    assert not word(desk, message, status, FIRST, code=30017)
    row = desk.now(message)
    assert (row.state, row.provider_sid, row.attempts) == (MessageState.SENT, SECOND, 2)


def test_the_same_word_twice_counts_once(desk: Desk, told: Message) -> None:
    assert word(desk, told, "undelivered", code=30017)
    before = desk.now(told)
    assert not word(desk, told, "undelivered", code=30017)
    assert not word(desk, told, "failed", code=30005)
    assert desk.now(told).next_attempt_at == before.next_attempt_at


def test_a_text_that_arrived_after_all_is_not_sent_again(desk: Desk, told: Message) -> None:
    assert word(desk, told, "undelivered", code=30017)
    assert word(desk, told, "delivered")
    assert desk.now(told).state == MessageState.DELIVERED
    with later(60):
        assert work.claim(SMS_DELIVERY, desk.clinic.id, told.pk) is None


def test_the_new_trys_lost_answer_is_not_taken_for_the_old_text(desk: Desk) -> None:
    message = desk.write()
    desk.send(message)
    word(desk, message, "undelivered", desk.now(message).provider_sid, code=30017)
    desk.sandbox.fault("connection_reset", count=1)
    with later(5):
        desk.lose(message)
        desk.look_up()
    assert desk.now(message).state == MessageState.UNKNOWN


def test_without_time_left_it_is_a_dead_letter_that_says_so(desk: Desk, told: Message) -> None:
    put(desk, told, MessageState.SENT, expires_at=timezone.now() + timedelta(minutes=10))
    assert word(desk, told, "undelivered", code=30003)
    assert desk.now(told).state == MessageState.DEAD_LETTER
    assert desk.now(told).last_error.endswith("There was no time left to send it again.")


def test_a_withdrawn_text_that_did_not_arrive_is_not_sent_again(desk: Desk) -> None:
    message = tried(desk, desk.write(about="appointment:7"), FIRST)
    with org_scope(desk.clinic.id):
        outbox.cancel_about(desk.clinic.id, "appointment:7")
    assert word(desk, message, "undelivered", code=30017)
    assert desk.now(message).state == MessageState.DEAD_LETTER


# Before the answer to the request


def test_a_receipt_that_overtakes_the_answer_counts_the_try(desk: Desk) -> None:
    message = desk.write()
    claimed = work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    assert claimed is not None
    assert word(desk, message, "undelivered", code=30017)
    row = desk.now(message)
    assert (row.state, row.attempts, row.provider_sid) == (MessageState.QUEUED, 1, FIRST)


@pytest.mark.parametrize("answer", ["accepted", "lost"])
def test_the_overtaken_answer_then_changes_nothing(desk: Desk, answer: str, monkeypatch: Any) -> None:
    from messaging.providers.answers import Answer

    answers = {
        "accepted": Answer(TryOutcome.ACCEPTED, sid=FIRST, status="queued", http_status=201),
        "lost": Answer(TryOutcome.LOST),
    }
    message = desk.write()

    def send(*_: Any, **__: Any) -> Answer:
        assert word(desk, message, "undelivered", code=30017)
        return answers[answer]

    monkeypatch.setattr("messaging.sending.delivery.twilio.send", send)
    claimed = work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    assert claimed is not None
    work.perform(SMS_DELIVERY, claimed)
    row = desk.now(message)
    assert (row.state, row.attempts) == (MessageState.QUEUED, 1)
    assert desk.tries(message)[0].provider_sid == FIRST, "a late answer takes no SID away"


@pytest.fixture
def lost_twice(desk: Desk) -> Message:
    """Of its two tries nobody knows what became."""
    message = desk.write()
    for turn in range(2):
        with later(60 * turn):
            claimed = work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
            assert claimed is not None
            put(desk, message, MessageState.QUEUED, claim_token=None, claimed_until=None)
    put(desk, message, MessageState.UNKNOWN)
    return message


@pytest.mark.parametrize("first", ["", "sent"])
@pytest.mark.parametrize("code", [30017, 30002])
def test_word_of_one_of_two_lost_tries_leads_to_no_third(
    desk: Desk, lost_twice: Message, first: str, code: int
) -> None:
    """The other one may lie on the phone: nobody sends it again but a person who was told so."""
    if first:
        assert word(desk, lost_twice, first, THIRD)
    assert word(desk, lost_twice, "undelivered", THIRD, code=code)
    row = desk.now(lost_twice)
    assert (row.state, dead_letters.is_in_doubt(row)) == (MessageState.DEAD_LETTER, True)
    assert dead_letters.redrive(row.pk, "Mended.") is dead_letters.Redriven.IN_DOUBT
    with org_scope(desk.clinic.id):
        assert dead_letters.redrive_many(desk.clinic.id, [row.pk], reason="Mended.", actor_id=None) == 0


def test_counted_as_sent_word_of_one_lost_try_leads_to_no_third(desk: Desk, lost_twice: Message) -> None:
    """Whichever of the two the person saw, the other one may lie on the phone."""
    assert mark_sent(desk.now(lost_twice), reason="One is in the log.", actor=None) is Decided.DONE
    word(desk, lost_twice, "sent", THIRD)
    assert word(desk, lost_twice, "undelivered", THIRD, code=30017)
    assert dead_letters.is_in_doubt(desk.now(lost_twice))


def test_given_up_in_doubt_word_of_the_second_lost_try_is_heard_after_the_firsts(
    desk: Desk, lost_twice: Message
) -> None:
    put(desk, lost_twice, MessageState.DEAD_LETTER, in_doubt_since=timezone.now())
    word(desk, lost_twice, "undelivered", FIRST, code=30005)
    assert dead_letters.is_in_doubt(desk.now(lost_twice))
    assert word(desk, lost_twice, "sent", SECOND)
    assert desk.now(lost_twice).state == MessageState.SENT


def test_given_up_in_doubt_word_of_one_lost_try_leaves_the_doubt(desk: Desk, lost_twice: Message) -> None:
    put(desk, lost_twice, MessageState.DEAD_LETTER, in_doubt_since=timezone.now())
    assert word(desk, lost_twice, "sent", THIRD)
    assert word(desk, lost_twice, "undelivered", THIRD, code=30017)
    assert dead_letters.is_in_doubt(desk.now(lost_twice))


def test_word_of_the_only_lost_try_ends_the_doubt(desk: Desk) -> None:
    message = desk.write()
    work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    put(desk, message, MessageState.DEAD_LETTER, in_doubt_since=timezone.now(), last_error="Nobody knows.")
    assert word(desk, message, "undelivered", FIRST, code=30005)
    row = desk.now(message)
    assert (row.state, row.error_code, row.provider_sid) == (MessageState.DEAD_LETTER, 30005, FIRST)
    assert not dead_letters.is_in_doubt(row)
    assert "no longer in use" in row.last_error


def test_a_worker_that_comes_back_late_ends_the_doubt(desk: Desk) -> None:
    message = desk.write()
    claimed = work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    assert claimed is not None
    put(desk, message, MessageState.DEAD_LETTER, in_doubt_since=timezone.now(), claim_token=None)
    work.perform(SMS_DELIVERY, claimed)
    assert desk.now(message).state in (MessageState.SENT, MessageState.DELIVERED)


def test_word_of_the_only_lost_try_leads_to_another(desk: Desk) -> None:
    message = desk.write()
    work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    put(desk, message, MessageState.UNKNOWN, attempts=1)
    assert apply_receipt(desk.clinic.id, message.pk, Receipt(FIRST, "failed", 30017))
    row = desk.now(message)
    assert (row.state, row.attempts) == (MessageState.QUEUED, 1)


# By the list


def test_a_lost_text_that_the_list_says_did_not_arrive_is_sent_again(desk: Desk) -> None:
    desk.sandbox.fault("undelivered", code=30017, count=1)
    desk.sandbox.fault("accepted_then_lost", count=1)
    message = desk.lose(desk.write())
    desk.sandbox.wait_for(lambda: desk.sandbox.texts(message.recipient)[0]["status"] == "undelivered")
    desk.look_up()
    row = desk.now(message)
    assert (row.state, row.error_code, row.provider_sid) == (MessageState.QUEUED, 30017, desk.sids()[0])
    assert desk.tries(message)[0].error_code == 30017
    with later(5):
        desk.send(message)
    assert desk.now(message).provider_sid == desk.sids()[1]


def lost_without_words(desk: Desk, number: int) -> list[Message]:
    """So many texts that Twilio took and could not deliver, at an account that keeps no words."""
    account(desk, keeps_no_bodies=True)
    desk.sandbox.fault("undelivered", code=30017, count=number)
    desk.sandbox.fault("accepted_then_lost", count=number)
    texts = [desk.lose(desk.write(f"Number {serial}.")) for serial in range(number)]
    desk.sandbox.wait_for(
        lambda: {text["status"] for text in desk.sandbox.texts(texts[0].recipient)} == {"undelivered"}
    )
    desk.look_up()
    return [desk.now(text) for text in texts]


def test_a_text_without_words_that_can_only_be_this_one_is_sent_again(desk: Desk) -> None:
    assert [text.state for text in lost_without_words(desk, 1)] == [MessageState.QUEUED]


def test_of_several_without_words_nobody_knows_whose_did_not_arrive(desk: Desk) -> None:
    states = [text.state for text in lost_without_words(desk, 2)]
    assert states[0] == MessageState.DEAD_LETTER, "the other's may be the one that did not arrive"
