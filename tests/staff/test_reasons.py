"""What a receptionist reads about a text that has not arrived."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from messaging.admin.reasons import COUNTED, HELD_UP, OF_STATE, reason
from messaging.models import Message
from messaging.states import MessageState


def waiting(due_in: timedelta, last_error: str = "") -> Message:
    return Message(state=MessageState.QUEUED, next_attempt_at=timezone.now() + due_in, last_error=last_error)


def test_a_text_that_is_not_due_yet_waits_for_its_time() -> None:
    assert reason(waiting(timedelta(minutes=5))) == OF_STATE[MessageState.QUEUED]


def test_a_text_that_is_long_due_says_that_the_background_work_is_behind() -> None:
    assert reason(waiting(-timedelta(minutes=1))) == HELD_UP
    assert reason(waiting(-timedelta(minutes=1), "Twilio was busy.")) == HELD_UP


def test_a_text_that_is_tried_again_says_why() -> None:
    assert reason(waiting(timedelta(seconds=4), "Twilio was busy.")) == "Twilio was busy."


def test_a_text_that_a_person_counted_as_sent_is_not_the_carriers_word() -> None:
    counted = Message(state=MessageState.SENT, sent_at=timezone.now())
    assert reason(counted) == COUNTED
    counted.provider_sid = "SM" + "a" * 32
    assert reason(counted) == OF_STATE[MessageState.SENT]
