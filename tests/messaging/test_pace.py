"""A sender's texts leave as fast as its number may send, and no faster; each at the place it was given."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.models import Message, SenderAccount
from messaging.sending import pace, pauses
from messaging.sending.delivery import SMS_DELIVERY
from messaging.sending.lines import BURST_SECONDS
from messaging.sending.pace import IN_LINE, granted_to
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.messaging.desk import Desk, later
from voxanne.durable import pump, work
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db
AT_ONCE = int(BURST_SECONDS) + 1


@pytest.mark.parametrize(
    ("sender", "per_second"),
    [
        ("+14155550100", 1),
        ("+16045550100", 1),
        ("+18005550100", 3),
        ("+18885550100", 3),
        ("+442079460000", 10),
        ("72345", 100),
        ("723456", 100),
        ("MG00000000000000000000000000000000", 10),
        ("ELMSTREET", 10),
        ("whatsapp:+14155550100", 80),
    ],
)
def test_the_kind_of_number_decides_how_fast_it_may_send(sender: str, per_second: float) -> None:
    assert granted_to(sender) == per_second


@pytest.fixture
def slow(desk: Desk) -> Desk:
    """A desk whose number sends one segment a second, as a US number does by itself."""
    set_pace(desk.clinic, None)
    return desk


def set_pace(clinic: Clinic, per_second: int | None) -> None:
    with org_scope(clinic.id):
        SenderAccount.objects.update(segments_per_second=per_second)


def written(desk: Desk, number: int, **more: Any) -> list[Message]:
    return [desk.write(f"Text {serial}", **more) for serial in range(number)]


def held(desk: Desk, number: int = 1, **more: Any) -> list[Message]:
    """Texts that stand in the line, behind those that went at once."""
    for message in written(desk, AT_ONCE):
        desk.send(message)
    waiting = written(desk, number, **more)
    for message in waiting:
        desk.send(message)
    return [desk.now(message) for message in waiting]


def test_a_text_that_comes_too_early_waits_for_its_place_without_an_attempt(slow: Desk) -> None:
    before = timezone.now()
    first, second, third = held(slow, 3)
    for row in (first, second, third):
        assert (row.state, row.attempts, row.last_error) == (MessageState.QUEUED, 0, IN_LINE)
        assert row.slot_at == row.next_attempt_at
        assert slow.tries(row) == []
        assert row.first_attempted_at is None
    places = [(row.next_attempt_at - before).total_seconds() for row in (first, second, third)]
    assert places == pytest.approx([1, 2, 3], abs=0.9)
    assert len(slow.phone()) == AT_ONCE


def test_at_its_place_it_goes_without_standing_in_line_again(slow: Desk) -> None:
    """Behind it stand a hundred more by now; its place is its own."""
    (row,) = held(slow)
    for message in written(slow, 100):
        slow.send(message)
    assert row.slot_at is not None
    with later((row.slot_at - timezone.now()).total_seconds() + 0.01):
        assert slow.send(row).state == MessageState.SENT


def test_places_that_lapsed_are_asked_for_anew(slow: Desk) -> None:
    """After an hour without workers all places lie in the past: taken together they would be a burst."""
    rows = held(slow, 12)
    with later(3600):
        states = [slow.send(row).state for row in rows]
    assert states.count(MessageState.SENT) in (AT_ONCE, AT_ONCE + 1)
    assert MessageState.QUEUED in states


def test_a_text_that_was_tried_at_its_place_goes_ahead_of_those_that_were_not(slow: Desk) -> None:
    """Behind it stand twenty by now."""
    (row,) = held(slow)
    for message in written(slow, 20):
        slow.send(message)
    assert row.slot_at is not None
    until = (row.slot_at - timezone.now()).total_seconds() + 0.01
    slow.sandbox.fault("rate_limited", count=1)
    with later(until):
        slow.send(row)
    assert slow.now(row).attempts == 1
    with later(until + 5):
        assert slow.send(row).state == MessageState.SENT


def too_late_for_a_place(desk: Desk) -> Message:
    """A text of twenty seconds behind some forty others."""
    for message in written(desk, 40):
        desk.send(message)
    message = desk.write("Of no use tomorrow.", expires_at=timezone.now() + timedelta(seconds=20))
    desk.send(message)
    return desk.now(message)


def test_a_text_whose_place_would_come_too_late_takes_none_and_waits_as_long_as_it_lives(slow: Desk) -> None:
    row = too_late_for_a_place(slow)
    assert (row.state, row.slot_at) == (MessageState.QUEUED, None)
    assert abs(row.next_attempt_at - row.expires_at) < timedelta(seconds=1)
    with later(22):
        slow.send(row)
    expired = slow.now(row)
    assert (expired.state, expired.attempts) == (MessageState.EXPIRED, 0)
    assert IN_LINE in expired.last_error


def test_a_pace_that_was_raised_lets_those_ask_again_that_had_no_place_in_time(slow: Desk) -> None:
    row = too_late_for_a_place(slow)
    set_pace(slow.clinic, 100)
    assert pace.line_up_anew(slow.clinic.id, slow.clinic.number) > 20
    assert slow.send(row).state == MessageState.SENT


def test_a_longer_text_takes_more_of_the_pace(slow: Desk) -> None:
    slow.send(slow.write("x" * 1000))
    behind = slow.write("Behind it.")
    slow.send(behind)
    wait = slow.now(behind).next_attempt_at - timezone.now()
    assert wait.total_seconds() == pytest.approx(7 - BURST_SECONDS, abs=0.9)


def test_a_clinics_own_figure_stands_over_the_kind_of_number(slow: Desk) -> None:
    set_pace(slow.clinic, 100)
    for message in written(slow, 50):
        assert slow.send(message).state == MessageState.SENT


def test_one_clinics_line_is_nobody_elses(slow: Desk, oak: Clinic) -> None:
    held(slow, 20)
    set_pace(oak, None)
    theirs = Desk(oak, slow.sandbox, slow.gate_port)
    assert theirs.send(theirs.write("From Oak Road.")).state == MessageState.SENT


def test_bulk_does_not_hold_up_what_was_asked_for_now(slow: Desk) -> None:
    for message in written(slow, 100, priority=2):
        slow.send(message)
    confirmation = slow.write("You are booked.")
    assert slow.send(confirmation).state == MessageState.SENT


def test_a_pace_that_was_raised_lets_those_in_line_ask_again_at_once(slow: Desk) -> None:
    rows = held(slow, 30)
    other = slow.write("For tomorrow.", not_before=timezone.now() + timedelta(days=0.5))
    set_pace(slow.clinic, 100)
    # The first of them may have come to their places meanwhile.
    assert pace.line_up_anew(slow.clinic.id, slow.clinic.number) > 20
    for row in rows:
        assert slow.send(row).state == MessageState.SENT
    assert slow.now(other).next_attempt_at > timezone.now() + timedelta(hours=11)


def test_texts_that_a_pause_let_go_stand_in_line_again(slow: Desk) -> None:
    """Resuming makes all that was held back due at once; the pace still holds."""
    held(slow, 5)
    pauses.pause(slow.clinic.id, "A fault.")
    late = written(slow, 20)
    pauses.resume(slow.clinic.id)
    states = [slow.send(message).state for message in late]
    assert states.count(MessageState.QUEUED) >= 19


def test_a_pumps_texts_are_paced_in_one_go(slow: Desk) -> None:
    for message in written(slow, AT_ONCE):
        slow.send(message)
    waiting = written(slow, 40, priority=0)
    assert pump.Pump(SMS_DELIVERY, 0.05).run() == 0
    rows = [slow.now(message) for message in waiting]
    moved = [row for row in rows if row.slot_at is not None]
    assert len(moved) >= pump.MOST_A_TURN
    assert {row.state for row in rows} == {MessageState.QUEUED}
    assert all(slow.tries(row) == [] for row in moved)
    places = sorted((row.next_attempt_at - timezone.now()).total_seconds() for row in moved)
    assert places[-1] - places[0] == pytest.approx(len(moved) - 1, abs=0.9)


def test_a_text_that_another_gate_holds_back_takes_no_place(
    slow: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pace is asked last."""
    from messaging.sending import gates

    assert gates.GATES[-1] is pace.paced


def test_a_worker_that_waited_for_a_place_may_be_killed_then(slow: Desk) -> None:
    """Nothing has left: the row is queued, not unknown, and nothing needs to be found out."""
    (row,) = held(slow)
    assert work.release_lost(SMS_DELIVERY, now=timezone.now() + timedelta(hours=1)) == 0
    assert slow.now(row).state == MessageState.QUEUED


def test_the_reason_names_nobody(slow: Desk) -> None:
    (row,) = held(slow)
    settlement = Settlement(row.state, error=row.last_error)
    assert "+1" not in settlement.error
