"""Texts whose last receipt never came: asked about once a day, for some days, and then left as they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.admin.reasons import NEVER_TOLD, reason
from messaging.fates import silent
from messaging.fates.silent import ASKED_FOR, Asked, ask_for_receipts, never_told
from messaging.models import Message, SenderAccount
from messaging.states import MessageState
from messaging.undelivered.dead_letters import Redriven, redrive, redrive_many
from tests.clinics import Clinic
from tests.messaging.desk import PATIENT, Desk, later
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silent, "MOST_A_SECOND", 1000.0)


def sent(desk: Desk, hours_ago: float = 3, ends: str = "", **fault: Any) -> Message:
    """A text whose receipts never reached us, and which Twilio has brought to its end."""
    if ends:
        desk.sandbox.fault(ends, count=1, **fault)
    message = desk.write()
    desk.send(message)
    age(desk, message, hours_ago)
    final = ends or "delivered"
    if final in ("delivered", "undelivered"):
        desk.sandbox.wait_for(lambda: {text["status"] for text in desk.sandbox.texts(PATIENT)} == {final})
    return desk.now(message)


def age(desk: Desk, message: Message, hours: float) -> None:
    then = timezone.now() - timedelta(hours=hours)
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=message.pk).update(first_attempted_at=then, sent_at=then)


def test_a_text_that_arrived_is_delivered_after_all(desk: Desk) -> None:
    message = sent(desk)
    assert ask_for_receipts() == Asked(asked=1, learnt=1)
    assert desk.now(message).state == MessageState.DELIVERED


def test_a_text_that_did_not_arrive_goes_where_its_code_says(desk: Desk) -> None:
    message = sent(desk, ends="undelivered", code=30005)
    assert ask_for_receipts().learnt == 1
    assert (desk.now(message).state, desk.now(message).error_code) == (MessageState.DEAD_LETTER, 30005)


def test_a_reason_that_passes_sends_it_again(desk: Desk) -> None:
    message = sent(desk, ends="undelivered", code=30017)
    ask_for_receipts()
    assert desk.now(message).state == MessageState.QUEUED


def test_a_text_of_which_twilio_knows_no_more_stays_sent_and_is_asked_about_tomorrow(desk: Desk) -> None:
    message = sent(desk, ends="stays_sent")
    assert ask_for_receipts() == Asked(asked=1)
    assert desk.now(message).state == MessageState.SENT
    assert ask_for_receipts() == Asked(), "not twice a day"
    with org_scope(desk.clinic.id):
        yesterday = timezone.now() - timedelta(hours=24)
        Message.objects.filter(pk=message.pk).update(receipt_asked_at=yesterday)
    assert ask_for_receipts() == Asked(asked=1)


def test_a_receipt_is_given_its_time(desk: Desk) -> None:
    sent(desk, hours_ago=1)
    assert ask_for_receipts() == Asked()


def test_after_some_days_of_silence_it_is_counted_and_left_alone(desk: Desk) -> None:
    message = sent(desk, hours_ago=ASKED_FOR.total_seconds() / 3600 + 1)
    assert ask_for_receipts() == Asked()
    assert never_told() == {(): 1.0}
    assert desk.now(message).state == MessageState.SENT
    assert reason(desk.now(message)) == NEVER_TOLD


def test_a_text_that_twilio_has_forgotten_stays_sent(desk: Desk) -> None:
    message = sent(desk)
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=message.pk).update(provider_sid="SM" + "f" * 32)
    assert ask_for_receipts() == Asked(asked=1)
    assert desk.now(message).state == MessageState.SENT


def test_no_more_are_asked_about_than_a_run_may(desk: Desk) -> None:
    for _ in range(3):
        sent(desk, ends="stays_sent")
    assert ask_for_receipts(most=2).asked == 2
    assert ask_for_receipts().asked == 1


def test_an_account_that_cannot_be_asked_rests_and_the_others_are_asked(
    desk: Desk, oak: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        sent(desk, hours_ago=5)
    theirs = Desk(oak, desk.sandbox, desk.gate_port)
    message = sent(theirs, hours_ago=4)
    with org_scope(desk.clinic.id):
        SenderAccount.objects.update(account_sid="AC" + "9" * 32)
    desk.sandbox.fault("refused_permanent", code=20003, status=401, match={"path": "AC" + "9" * 32})
    asked = desk.lists_asked_for()
    assert ask_for_receipts() == Asked(asked=1, learnt=1, not_asked=3)
    assert desk.lists_asked_for() - asked == 2
    assert theirs.now(message).state == MessageState.DELIVERED


def test_it_rests_after_each(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[int] = []
    for _ in range(2):
        sent(desk, ends="stays_sent")
    monkeypatch.setattr(silent, "_rest", lambda: rests.append(desk.lists_asked_for()))
    ask_for_receipts()
    assert rests == [1, 2]


@pytest.mark.parametrize("many", [False, True])
def test_a_text_that_was_put_back_days_later_is_asked_about_too(desk: Desk, many: bool) -> None:
    desk.sandbox.fault("stays_sent", count=2)
    text = desk.write(expires_at=timezone.now() + timedelta(days=20))
    desk.send(text)
    with org_scope(desk.clinic.id):
        four_days_ago = timezone.now() - timedelta(days=4)
        Message.objects.update(
            first_attempted_at=four_days_ago, sent_at=four_days_ago, state="dead_letter", error_code=30003
        )
        if many:
            redrive_many(desk.clinic.id, [text.pk], reason="Mended.", actor_id=None)
    assert many or redrive(text.pk, "Mended.") is Redriven.DONE
    assert desk.now(text).sent_at is None
    desk.send(text)
    with later(3 * 3600):
        assert ask_for_receipts() == Asked(asked=1)
        assert reason(desk.now(text)) != NEVER_TOLD
        assert never_told() == {(): 0.0}
    with later(ASKED_FOR.total_seconds() + 3600):
        assert ask_for_receipts() == Asked()
        assert never_told() == {(): 1.0}
