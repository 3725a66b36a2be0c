"""A text that had its place in its sender's line and could not go then goes ahead of those that had none, in time."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from messaging.models import Message
from messaging.sending import pace
from messaging.sending.circuit import PUT_OFF
from messaging.sending.lines import BURST_SECONDS
from messaging.states import MessageState
from tests.messaging.desk import Desk
from tests.messaging.test_batches_at_gates import NOON, of_pace, states, take_turns, written
from tests.messaging.test_budget import limit
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db
BULK = 2


@pytest.fixture
def slow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose number sends one segment a second, its lines by the test's clock."""
    of_pace(desk, monkeypatch, 1)
    return desk


def at(seconds: float) -> time_machine.travel:
    return time_machine.travel(NOON + timedelta(seconds=seconds), tick=False)


def due_by(desk: Desk, seconds: float) -> list[Message]:
    with org_scope(desk.clinic.id):
        waiting = Message.objects.filter(state=MessageState.QUEUED)
        return list(waiting.filter(next_attempt_at__lte=NOON + timedelta(seconds=seconds)))


def test_a_text_that_twilio_was_too_busy_for_is_tried_again_ahead_of_the_whole_line(slow: Desk) -> None:
    """The line behind it is longer than it lives."""
    slow.sandbox.fault("rate_limited", count=1)
    with at(0):
        (first,) = written(slow, 1, expires_at=NOON + timedelta(seconds=60), priority=1)
        slow.send(first)
        assert slow.now(first).attempts == 1
        written(slow, 100, priority=1)
        take_turns(slow, lane=1)
    with at(30):
        assert slow.send(first).state == MessageState.SENT


def test_after_workers_were_away_what_was_due_goes_before_the_rest_of_the_line(slow: Desk) -> None:
    with at(0):
        written(slow, 300, priority=BULK)
        take_turns(slow, lane=BULK)
        went_at_noon = states(slow)[MessageState.SENT]
    missed = due_by(slow, 180)
    assert len(missed) > 140
    with at(180):
        take_turns(slow, lane=BULK)
        went = states(slow)[MessageState.SENT] - went_at_noon
    held_longest = pace.PLACE_HOLDS.total_seconds()
    assert went < held_longest, "they do not all go at once"
    places = [
        slow.now(text).next_attempt_at for text in missed if slow.now(text).state == MessageState.QUEUED
    ]
    # Of the pace, four fifths; asked for at the end of the line, the first would be five minutes off.
    assert min(places) < NOON + timedelta(seconds=185)
    assert max(places) < NOON + timedelta(seconds=180 + len(places) / 0.8)


def test_those_that_catch_up_go_in_their_lane_and_push_nobody_back(slow: Desk) -> None:
    with at(0):
        written(slow, 150, priority=BULK)
        take_turns(slow, lane=BULK)
    with at(120):
        take_turns(slow, lane=BULK)
        (booked,) = written(slow, 1)
        assert slow.send(booked).state == MessageState.SENT
        (newest,) = written(slow, 1, priority=BULK)
        slow.send(newest)
        end_of_line = NOON + timedelta(seconds=150 / 0.8 - BURST_SECONDS)
        assert abs(slow.now(newest).next_attempt_at - end_of_line) < timedelta(seconds=2)


def test_what_the_breaker_put_off_goes_before_the_rest_of_the_line(slow: Desk) -> None:
    with at(0):
        written(slow, 100, priority=1)
        take_turns(slow, lane=1)
    (first, *_) = sorted(due_by(slow, 10), key=lambda text: text.next_attempt_at)
    with at(10):
        now = NOON + timedelta(seconds=10)
        with org_scope(slow.clinic.id):
            PUT_OFF.run(
                {
                    "org": slow.clinic.id, "said": "Failing.", "now": now, "spread": 1, "channel": "sms", "most": 100,
                    "earliest": now + timedelta(seconds=80), "latest": now + timedelta(seconds=90),
                }
            )  # fmt: skip
        assert slow.now(first).next_attempt_at > now + timedelta(seconds=79)
    with at(92):
        assert slow.send(first).state == MessageState.SENT


def test_a_text_for_which_the_minute_has_no_time_waits_as_long_as_it_lives(desk: Desk) -> None:
    """The rule may be changed until then."""
    limit(desk.clinic, messages_a_minute=1)
    with at(0):
        first, second = written(desk, 2, expires_at=NOON + timedelta(seconds=30))
        take_turns(desk)
        held = {first.pk: desk.now(first), second.pk: desk.now(second)}
        assert sorted(text.state for text in held.values()) == [MessageState.QUEUED, MessageState.SENT]
    with at(31):
        take_turns(desk)
    expired = [desk.now(text) for text in (first, second) if desk.now(text).state == MessageState.EXPIRED]
    assert len(expired) == 1
    assert "no more texts a minute" in expired[0].last_error
