"""Visits that are moved at the same instant: one gets the time, the others keep theirs, nobody waits in a ring."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import time
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError

from bookings import entering, moving
from bookings.booking import (
    Booked,
    BookingRefused,
    NewTime,
    Wish,
    book,
    cancel,
    reschedule,
    until_code_is_free,
)
from bookings.models import Appointment
from bookings.spoken import new_confirmation_code
from bookings.states import LIVE_STATES, AppointmentSource, AppointmentStatus
from messaging.models import Message
from messaging.states import MessageKind
from telephony.tools.runner import run_tool_call
from telephony.vapi.payload import ToolCall
from tests.clinics import Clinic
from tests.concurrency.conftest import Without
from tests.concurrency.racing import race
from tests.concurrency.test_tool_call_races import distinct, facts
from tests.guards import NO_OVERLAP
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

MOVERS = 8
COPIES = 8
NOON = time(12)


def visit(clinic: Clinic, caller: int, at: time, provider: str = "provider-0") -> Appointment:
    wish = Wish(
        day=clinic.next_weekday(), at=at, source=AppointmentSource.VOICE, patient_name=f"Patient {caller}",
        phone=f"+1415555{caller:04d}", provider=provider,
    )  # fmt: skip
    with org_scope(clinic.id):
        booked = book(clinic.plan(), wish)
        return Appointment.objects.select_related("contact").get(pk=booked.appointment_id)


def move(clinic: Clinic, which: Appointment, at: time) -> Booked:
    to = NewTime(clinic.next_weekday(), at, AppointmentSource.VOICE)
    with org_scope(clinic.id):
        return reschedule(clinic.plan(), which, to)


def live(clinic: Clinic) -> list[Appointment]:
    with org_scope(clinic.id):
        return list(Appointment.objects.filter(status__in=LIVE_STATES).order_by("starts_at"))


def texts(clinic: Clinic, kind: MessageKind) -> int:
    with org_scope(clinic.id):
        return Message.objects.filter(kind=kind).count()


def half_hours(clinic: Clinic) -> list[Appointment]:
    """One visit each half-hour from nine o'clock on; noon stays free for them to fight over."""
    starts = [
        time(9, 0),
        time(9, 30),
        time(10, 0),
        time(10, 30),
        time(13, 0),
        time(13, 30),
        time(14, 0),
        time(14, 30),
    ]
    return [visit(clinic, caller, at) for caller, at in enumerate(starts[:MOVERS])]


def overlaps(clinic: Clinic) -> int:
    """How many pairs of live visits of one provider overlap."""
    visits = live(clinic)
    return sum(
        first.provider_id == second.provider_id and first.blocked_until > second.blocked_from
        for first, second in pairwise(visits)
    )


def test_one_of_many_who_move_to_a_time_gets_it_and_the_others_keep_theirs(clinic: Clinic) -> None:
    visits = half_hours(clinic)
    moved, refused = race([partial(move, clinic, each, NOON) for each in visits], BookingRefused)
    assert (len(moved), len(refused)) == (1, MOVERS - 1)
    assert {refusal.code for refusal in refused if isinstance(refusal, BookingRefused)} == {
        "slot_unavailable"
    }
    kept = {each.pk for each in live(clinic)} - {moved[0].appointment_id}
    assert len(kept) == MOVERS - 1
    assert kept < {each.pk for each in visits}
    assert overlaps(clinic) == 0
    assert texts(clinic, MessageKind.RESCHEDULED) == 1


def test_without_the_constraint_several_move_to_one_time(
    clinic: Clinic, without: Without, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_one_mover_at_a_time", lambda *_: None)
    visits = half_hours(clinic)
    with without(NO_OVERLAP):
        moved, _ = race([partial(move, clinic, each, NOON) for each in visits], BookingRefused)
        assert len(moved) > 1
        assert overlaps(clinic) > 0


def test_those_who_book_and_those_who_move_to_a_time_share_it_never(clinic: Clinic) -> None:
    visits = half_hours(clinic)
    movers: list[Callable[[], Any]] = [partial(move, clinic, each, NOON) for each in visits[:4]]
    bookers: list[Callable[[], Any]] = [partial(visit, clinic, 100 + number, NOON) for number in range(4)]
    done, refused = race(movers + bookers, BookingRefused)
    assert (len(done), len(refused)) == (1, 7)
    assert overlaps(clinic) == 0


def test_one_move_asked_for_several_times_at_once_is_one_move_and_one_text(clinic: Clinic) -> None:
    which = visit(clinic, 1, time(10))
    moved, refused = race([partial(move, clinic, which, NOON)] * COPIES, BookingRefused)
    assert refused == []
    assert len({each.appointment_id for each in moved}) == 1
    assert [each.already_booked for each in moved].count(False) == 1
    assert texts(clinic, MessageKind.RESCHEDULED) == 1


def test_twins_of_a_move_are_refused_where_they_do_not_wait_for_each_other(
    clinic: Clinic, without_row_locks: None
) -> None:
    which = visit(clinic, 1, time(10))
    _, refused = race([partial(move, clinic, which, NOON)] * COPIES, BookingRefused)
    assert refused


def test_copies_of_the_tool_call_are_one_move_and_one_answer(clinic: Clinic) -> None:
    which = visit(clinic, 142, time(10))
    arguments = {
        "newDate": clinic.next_weekday().isoformat(),
        "newTime": "12:00",
        "confirmationCode": which.confirmation_code,
    }
    tool_call = ToolCall("tool-call-1", "rescheduleAppointment", arguments)
    answers, _ = race([partial(run_tool_call, clinic.plan().key, facts(clinic), tool_call)] * COPIES)
    assert answers[0]["result"]["ok"]
    assert distinct(answers) == 1
    assert (len(live(clinic)), texts(clinic, MessageKind.RESCHEDULED)) == (1, 1)


# Two who want each other's time


def both_give_up_before_either_enters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds each mover, once it has given up its old time, until the other has too (or cannot)."""
    meeting = threading.Barrier(2)
    really_enter = entering.enter

    def enter(*given: Any, **more: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(0.3)
        return really_enter(*given, **more)

    monkeypatch.setattr(moving, "enter", enter)


def swap(clinic: Clinic) -> list[Callable[[], Booked]]:
    ten, eleven = visit(clinic, 1, time(10)), visit(clinic, 2, time(11))
    return [partial(move, clinic, ten, time(11)), partial(move, clinic, eleven, time(10))]


def test_two_who_want_each_others_time_never_wait_in_a_ring(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_give_up_before_either_enters(monkeypatch)
    _, refused = race(swap(clinic), BookingRefused)
    assert len(refused) == 2
    assert len(live(clinic)) == 2


def test_two_who_want_each_others_time_deadlock_where_both_move_at_once(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_give_up_before_either_enters(monkeypatch)
    monkeypatch.setattr(moving, "_one_mover_at_a_time", lambda *_: None)
    with pytest.raises(OperationalError, match="deadlock detected"):
        race(swap(clinic), BookingRefused)


# A visit that is moved and cancelled at once


def test_a_visit_that_is_moved_and_cancelled_at_once_is_one_or_the_other(clinic: Clinic) -> None:
    for round_ in range(6):
        which = visit(clinic, round_, time(9 + round_))
        plan = clinic.plan()

        def call_off(which: Appointment = which, plan: Any = plan) -> bool:
            with org_scope(clinic.id):
                return cancel(plan, which, reason="The patient asked.")

        contenders: list[Callable[[], Any]] = [call_off, partial(move, clinic, which, time(16))]
        done, _ = race(contenders, BookingRefused)
        with org_scope(clinic.id):
            old = Appointment.objects.get(pk=which.pk)
            moved = Appointment.objects.filter(rescheduled_from=old).first()
        assert old.status == AppointmentStatus.CANCELLED
        assert (moved is None) == (True in done), "called off or moved, not both"
        if moved is not None:
            with org_scope(clinic.id):
                assert cancel(plan, moved, reason="The next round needs its time.", tell_patient=False)


# Codes


@pytest.fixture
def one_code_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """All bookings draw the same code the first time, and others when they draw again."""
    drawn: dict[int, int] = {}

    def draw() -> str:
        me = threading.get_ident()
        drawn[me] = drawn.get(me, 0) + 1
        return "BCGHJK" if drawn[me] == 1 else new_confirmation_code()

    monkeypatch.setattr(entering, "new_confirmation_code", draw)


def bookings_at_once(clinic: Clinic) -> list[Callable[[], Appointment]]:
    return [partial(visit, clinic, caller, time(9 + caller)) for caller in range(4)]


@pytest.mark.usefixtures("one_code_at_first")
def test_bookings_that_draw_one_code_at_once_get_one_each(clinic: Clinic) -> None:
    """None sees the others' rows when it chooses; the key lets one of them through, the others draw again."""
    made, _ = race([partial(until_code_is_free, booking) for booking in bookings_at_once(clinic)])
    assert len({each.confirmation_code for each in made}) == len(made) == 4


@pytest.mark.usefixtures("one_code_at_first")
def test_bookings_that_draw_one_code_at_once_fail_where_none_draws_again(clinic: Clinic) -> None:
    with pytest.raises(IntegrityError, match="one_live_code_a_clinic"):
        race(bookings_at_once(clinic))
