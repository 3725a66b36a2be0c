"""Texts whose answer was lost: looked up in Twilio's own list, never sent again blindly."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.fates import deciding
from messaging.fates.receipts import Receipt, apply_receipt
from messaging.fates.reconciliation import MOST_TRIES, NO_TRIES_LEFT
from messaging.models import Message
from messaging.outbox import cancel_about
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageState
from messaging.undelivered.redrive_chances import Chance, chance_of
from tests.messaging.desk import PATIENT, Desk, later
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

GAP = 60


def lost_after_it_was_taken(desk: Desk, body: str = "See you at nine.") -> Message:
    desk.sandbox.fault("accepted_then_lost", count=1)
    return desk.lose(desk.write(body))


def lost_before_it_was_taken(desk: Desk, body: str = "See you at nine.") -> Message:
    desk.sandbox.fault("connection_reset", count=1)
    return desk.lose(desk.write(body))


# What is lost


@pytest.mark.parametrize("kind", ["accepted_then_lost", "connection_reset", "server_error", "slow"])
def test_a_text_whose_answer_is_lost_is_unknown_and_not_sent_again(desk: Desk, kind: str) -> None:
    more: dict[str, Any] = {"delay_seconds": 1.5} if kind == "slow" else {}
    desk.sandbox.fault(kind, count=1, **more)
    message = desk.lose(desk.write())
    assert (message.state, message.attempts) == (MessageState.UNKNOWN, 1)
    assert message.unknown_since is not None
    assert "looked up at Twilio" in message.last_error or kind == "server_error"
    assert [one.outcome for one in desk.tries(message)] == ["lost"]
    with later(3600):
        assert work.claim_next(SMS_DELIVERY) is None


def test_a_worker_that_died_leaves_its_text_unknown(desk: Desk) -> None:
    message = desk.write()
    work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    with later(31):
        assert work.release_lost(SMS_DELIVERY) == 1
        assert desk.look_up() == 1
    assert desk.now(message).state == MessageState.UNKNOWN
    assert desk.now(message).first_empty_list_at is not None


# Found


def test_a_text_that_twilio_has_is_sent_and_stays_one_text(desk: Desk) -> None:
    message = lost_after_it_was_taken(desk)
    assert desk.look_up() == 1
    found = desk.now(message)
    assert found.state in (MessageState.SENT, MessageState.DELIVERED)
    assert found.provider_sid == desk.sids()[0]
    assert desk.phone() == [message.body]
    (one,) = desk.tries(message)
    assert (one.outcome, one.provider_sid) == ("lost", desk.sids()[0])


def test_what_the_list_says_of_the_text_is_taken_for_its_word(desk: Desk) -> None:
    message = lost_after_it_was_taken(desk)
    desk.sandbox.wait_for(lambda: desk.sandbox.texts(PATIENT)[0]["status"] == "delivered")
    desk.look_up()
    assert desk.now(message).state == MessageState.DELIVERED
    assert desk.now(message).delivered_at is not None


def test_a_text_that_the_list_says_did_not_arrive_is_a_dead_letter(desk: Desk) -> None:
    desk.sandbox.fault("undelivered", code=30005, match={"to": PATIENT})
    message = lost_after_it_was_taken(desk)
    desk.sandbox.wait_for(lambda: desk.sandbox.texts(PATIENT)[0]["status"] == "undelivered")
    desk.look_up()
    assert (desk.now(message).state, desk.now(message).error_code) == (MessageState.DEAD_LETTER, 30005)


def test_a_text_found_late_is_found_in_spite_of_newer_ones(desk: Desk) -> None:
    message = lost_after_it_was_taken(desk)
    for serial in range(5):
        desk.send(desk.write(f"Another, number {serial}."))
    desk.look_up()
    assert desk.now(message).provider_sid == desk.sids()[0]


def test_a_text_of_the_same_words_to_somebody_else_is_not_taken_for_it(desk: Desk) -> None:
    desk.send(desk.write(recipient="+14155550177"))
    message = lost_before_it_was_taken(desk)
    desk.look_up()
    assert desk.now(message).state == MessageState.UNKNOWN


def test_a_redirected_text_is_looked_for_where_it_was_sent(desk: Desk, settings: Any) -> None:
    settings.SMS_REDIRECT_TO = "+14155550199"
    message = lost_after_it_was_taken(desk)
    desk.look_up()
    assert desk.now(message).state in (MessageState.SENT, MessageState.DELIVERED)
    assert len(desk.phone("+14155550199")) == 1


# Not there


def test_two_empty_lists_a_minute_apart_put_a_text_back_in_the_queue(desk: Desk) -> None:
    message = lost_before_it_was_taken(desk)
    assert desk.look_up() == 1
    assert desk.now(message).state == MessageState.UNKNOWN
    assert desk.look_up() == 0, "it is not due again before the gap is over"
    with later(GAP - 1):
        assert desk.look_up() == 0
    with later(GAP + 1):
        assert desk.look_up() == 1
        row = desk.now(message)
        assert (row.state, row.first_empty_list_at, row.unknown_since) == (MessageState.QUEUED, None, None)
        desk.send(message)
    assert desk.now(message).state == MessageState.SENT
    assert desk.phone() == [message.body]
    assert [one.outcome for one in desk.tries(message)] == ["lost", "accepted"]


def test_a_second_list_that_comes_too_soon_does_not_count(desk: Desk) -> None:
    """Two sweepers may ask about one text, one right after the other."""
    message = lost_before_it_was_taken(desk)
    for _ in range(3):
        desk.look_up()
        with org_scope(desk.clinic.id):
            Message.objects.update(next_attempt_at=timezone.now())
    assert desk.now(message).state == MessageState.UNKNOWN


def test_a_text_that_turns_up_in_the_second_list_is_sent(desk: Desk) -> None:
    """Twilio may still be at work on a request whose answer we no longer wait for."""
    desk.sandbox.fault("slow_before", delay_seconds=2.0, count=1)
    message = desk.lose(desk.write())
    desk.look_up()
    assert desk.now(message).first_empty_list_at is not None
    desk.sandbox.wait_for(lambda: desk.phone())
    with later(GAP + 1):
        desk.look_up()
    assert desk.now(message).state in (MessageState.SENT, MessageState.DELIVERED)
    assert desk.phone() == [message.body]


def test_its_twins_text_is_not_taken_for_a_lost_one(desk: Desk) -> None:
    message = lost_before_it_was_taken(desk)
    twin = desk.write()
    desk.send(twin)
    desk.look_up()
    with later(GAP + 1):
        desk.look_up()
    assert desk.now(message).state == MessageState.QUEUED
    assert desk.now(twin).provider_sid == desk.sids()[0]


def test_an_empty_list_of_an_earlier_uncertainty_does_not_count(desk: Desk) -> None:
    message = lost_before_it_was_taken(desk)
    desk.look_up()
    assert desk.now(message).first_empty_list_at is not None
    # Word comes after all, a person sends it again, and the worker dies at that.
    apply_receipt(desk.clinic.id, message.pk, Receipt("SM" + "a" * 32, "undelivered", 30005))
    assert work.redrive(Message, desk.clinic.id, message.pk)
    with later(GAP * 5):
        work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    with later(GAP * 6):
        work.release_lost(SMS_DELIVERY)
        desk.look_up()
        assert desk.now(message).state == MessageState.UNKNOWN


def test_a_text_that_is_nowhere_and_too_late_expires(desk: Desk) -> None:
    message = lost_before_it_was_taken(desk)
    with org_scope(desk.clinic.id):
        Message.objects.update(expires_at=timezone.now() + timedelta(seconds=GAP))
    desk.look_up()
    with later(GAP + 1):
        desk.look_up()
    assert desk.now(message).state == MessageState.EXPIRED
    assert desk.phone() == []


def test_a_withdrawn_text_that_is_nowhere_is_not_sent_after_all(desk: Desk) -> None:
    desk.sandbox.fault("connection_reset", count=1)
    message = desk.lose(desk.write(about="appointment:1"))
    with org_scope(desk.clinic.id):
        cancel_about(desk.clinic.id, "appointment:1")
    desk.look_up()
    with later(GAP + 1):
        desk.look_up()
    assert desk.now(message).state == MessageState.EXPIRED


# The list itself fails


@pytest.mark.parametrize("kind", ["server_error", "connection_reset", "rate_limited", "slow"])
def test_a_list_that_fails_says_nothing_and_is_asked_for_again(desk: Desk, kind: str) -> None:
    message = lost_after_it_was_taken(desk)
    more: dict[str, Any] = {"delay_seconds": 1.5} if kind == "slow" else {}
    desk.sandbox.fault(kind, count=1, match={"method": "GET"}, **more)
    desk.look_up()
    row = desk.now(message)
    assert (row.state, row.first_empty_list_at, row.attempts) == (MessageState.UNKNOWN, None, 1)
    assert "asked again" in row.last_error
    assert desk.look_up() == 0
    with later(16):
        desk.look_up()
    assert desk.now(message).state in (MessageState.SENT, MessageState.DELIVERED)


def test_a_failed_list_between_two_empty_ones_changes_nothing(desk: Desk) -> None:
    message = lost_before_it_was_taken(desk)
    desk.look_up()
    with later(GAP + 1):
        desk.sandbox.fault("server_error", count=1, match={"method": "GET"})
        desk.look_up()
        assert desk.now(message).state == MessageState.UNKNOWN
    with later(GAP + 20):
        desk.look_up()
        assert desk.now(message).state == MessageState.QUEUED


def test_a_provider_that_cannot_be_reached_leaves_its_texts_unknown(desk: Desk) -> None:
    message = lost_before_it_was_taken(desk)
    desk.shut()
    for turn in range(4):
        with later(GAP * turn):
            desk.look_up()
    assert desk.now(message).state == MessageState.UNKNOWN
    desk.open()


# Equal texts to one person


def test_of_two_equal_lost_texts_each_finds_its_own(desk: Desk) -> None:
    first, second = lost_after_it_was_taken(desk), lost_after_it_was_taken(desk)
    assert desk.look_up() == 2
    found = {desk.now(first).provider_sid, desk.now(second).provider_sid}
    assert found == set(desk.sids())
    assert len(desk.phone()) == 2


def test_of_two_equal_texts_the_one_that_is_there_is_counted_once(desk: Desk) -> None:
    there, gone = lost_after_it_was_taken(desk), lost_before_it_was_taken(desk)
    desk.look_up()
    with later(GAP + 1):
        desk.look_up()
        while (claimed := work.claim_next(SMS_DELIVERY)) is not None:
            work.perform(SMS_DELIVERY, claimed)
    states = {desk.now(message).state for message in (there, gone)}
    assert states <= {MessageState.SENT, MessageState.DELIVERED}
    assert len(desk.phone()) == 2


def test_a_text_redriven_for_the_second_time_is_not_taken_for_its_first_try(desk: Desk) -> None:
    message = desk.write()
    for turn in range(2):
        with later(GAP * turn):
            desk.send(message)
        word = Receipt(desk.now(message).provider_sid, "undelivered", 30005)
        assert apply_receipt(desk.clinic.id, message.pk, word)
        assert work.redrive(Message, desk.clinic.id, message.pk)
    desk.sandbox.fault("connection_reset", count=1)
    with later(GAP * 3):
        desk.lose(message)
        desk.look_up()
    assert desk.now(message).state == MessageState.UNKNOWN, "both texts at Twilio are of tries judged before"
    with later(GAP * 5):
        desk.look_up()
        desk.send(message)
    assert desk.now(message).provider_sid == desk.sids()[2]


def test_a_text_that_took_its_twins_number_hears_its_twins_receipts(desk: Desk) -> None:
    """The list cannot tell two equal texts apart. Whoever holds the SID, there are as many texts as messages."""
    gone = lost_before_it_was_taken(desk)
    there = lost_after_it_was_taken(desk)
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=there.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    desk.look_up()
    sid = desk.sids()[0]
    assert desk.now(gone).provider_sid == sid
    # Its receipts name the other one in their address.
    assert apply_receipt(desk.clinic.id, there.pk, Receipt(sid, "delivered", None)) or (
        desk.now(gone).state == MessageState.DELIVERED
    )
    assert desk.now(gone).state == MessageState.DELIVERED
    assert desk.now(there).state == MessageState.UNKNOWN


# Answers that come after the lease


def late_worker(desk: Desk, message: Message, sid: str) -> None:
    """A worker whose try was taken, and whose lease runs out before it can say so."""
    from messaging.providers.answers import Answer, TryOutcome
    from messaging.sending.delivery import record_try, settlement_of

    claimed = work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    assert claimed is not None
    with later(31):
        assert work.release_lost(SMS_DELIVERY) == 1
    answer = Answer(TryOutcome.ACCEPTED, sid=sid, status="queued", http_status=201)
    settlement = settlement_of(
        claimed.row, answer, lambda: record_try(message, claimed.prepared.try_id, answer)
    )
    assert not work._settle(claimed.row, settlement, SMS_DELIVERY.overtaken)


def test_an_answer_that_comes_after_its_lease_settles_what_waits_to_be_found_out(desk: Desk) -> None:
    message = desk.write()
    late_worker(desk, message, "SM" + "b" * 32)
    row = desk.now(message)
    assert (row.state, row.provider_sid, row.attempts) == (MessageState.SENT, "SM" + "b" * 32, 1)
    assert [one.outcome for one in desk.tries(message)] == ["accepted"]


def test_a_late_answer_whose_number_another_text_took_leaves_its_own_to_be_found_out(desk: Desk) -> None:
    twin = desk.write()
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=twin.pk).update(state=MessageState.SENT, provider_sid="SM" + "c" * 32)
    message = desk.write()
    late_worker(desk, message, "SM" + "c" * 32)
    assert desk.now(message).state == MessageState.UNKNOWN
    assert desk.now(twin).state == MessageState.SENT


# Lost again and again


def lose_again_and_again(desk: Desk, message: Message, times: int) -> None:
    """So many lost tries, each looked up twice."""
    for turn in range(times):
        with later(2 * turn * (GAP + 1)):
            desk.sandbox.fault("connection_reset", count=1)
            desk.lose(message)
            desk.look_up()
        with later((2 * turn + 1) * (GAP + 1)):
            desk.look_up()


def test_after_as_many_lost_tries_as_any_text_has_a_person_is_asked(desk: Desk) -> None:
    message = desk.write()
    lose_again_and_again(desk, message, MOST_TRIES - 1)
    assert desk.now(message).state == MessageState.QUEUED
    with later(4 * GAP * MOST_TRIES):
        lose_again_and_again(desk, message, 1)
    row = desk.now(message)
    assert (row.state, row.last_error, row.attempts) == (MessageState.DEAD_LETTER, NO_TRIES_LEFT, MOST_TRIES)
    assert row.in_doubt_since is not None
    assert deciding.is_open(row)
    assert chance_of(row, timezone.now()) is Chance.UNSURE
    assert [one.outcome for one in desk.tries(message)] == ["lost"] * MOST_TRIES


def test_a_person_who_wants_it_sent_again_gives_it_new_tries(desk: Desk) -> None:
    message = desk.write()
    lose_again_and_again(desk, message, MOST_TRIES)
    with later(8 * GAP * MOST_TRIES):
        decided = deciding.send_again(desk.now(message), reason="Not in the log.", actor=None)
        assert decided is deciding.Decided.DONE
        lose_again_and_again(desk, message, 1)
    assert desk.now(message).state == MessageState.QUEUED, "it was lost once since"


@pytest.mark.parametrize(("before", "state"), [(4, MessageState.QUEUED), (5, MessageState.DEAD_LETTER)])
def test_a_text_whose_sixth_try_was_lost_is_not_tried_a_seventh_time(
    desk: Desk, before: int, state: MessageState
) -> None:
    message = desk.write()
    with org_scope(desk.clinic.id):
        Message.objects.update(attempts=before)
    lose_again_and_again(desk, message, 1)
    assert desk.now(message).state == state
