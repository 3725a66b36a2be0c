"""A visit that is moved: the old and the new are linked, or nothing has changed."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Any

import pytest

from bookings.booking import Booked, BookingRefused, NewTime, cancel, latest, reschedule
from bookings.models import Appointment, CalendarPush, ProviderService
from bookings.states import AppointmentSource, AppointmentStatus, PushState
from messaging.models import Message
from messaging.states import MessageKind, MessageState
from tests.bookings.clinic_day import DAY, PHONE, ClinicDay
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

FIRST, SECOND = "provider-0", "provider-1"


def move(day: ClinicDay, booked: Booked, at: str, on: date = DAY, **more: Any) -> Booked:
    to = NewTime(on, time.fromisoformat(at), AppointmentSource.VOICE, **more)
    with org_scope(day.clinic.id):
        return reschedule(day.clinic.plan(), day.visit(booked), to, day.now)


def refusal(day: ClinicDay, booked: Booked, at: str, on: date = DAY) -> BookingRefused:
    """How the move is refused; the old visit and what was to be said of it stand as they were."""
    before = state(day)
    with pytest.raises(BookingRefused) as refused:
        move(day, booked, at, on)
    assert state(day) == before
    return refused.value


def state(day: ClinicDay) -> tuple[list[Any], list[Any], list[Any]]:
    with org_scope(day.clinic.id):
        return (
            list(Appointment.objects.order_by("pk").values_list("pk", "status", "starts_at", "updated_at")),
            list(Message.objects.order_by("pk").values_list("pk", "state")),
            list(CalendarPush.objects.order_by("pk").values_list("pk", "state")),
        )


def texts(day: ClinicDay) -> dict[str, str]:
    with org_scope(day.clinic.id):
        return {text.kind: text.state for text in Message.objects.all()}


def test_a_moved_visit_is_a_new_one_linked_to_the_old(day: ClinicDay) -> None:
    booked = day.book("10:00", provider=SECOND, length=timedelta(minutes=45))
    moved = move(day, booked, "14:30")
    old, new = day.visit(booked), day.visit(moved)
    assert (old.status, new.status) == (AppointmentStatus.CANCELLED, AppointmentStatus.CONFIRMED)
    assert new.rescheduled_from_id == old.pk
    assert new.starts_at == day.at("14:30")
    assert new.ends_at - new.starts_at == timedelta(minutes=45)
    kept = ("provider_id", "service_id", "contact_id", "patient_name", "confirmation_code")
    assert all(getattr(new, column) == getattr(old, column) for column in kept)
    assert not moved.already_booked


def test_the_patient_gets_one_text_and_the_old_ones_are_withdrawn(day: ClinicDay) -> None:
    booked = day.book()
    moved = move(day, booked, "14:30")
    assert moved.sms_status == "queued"
    assert texts(day) == {
        MessageKind.CONFIRMATION: MessageState.CANCELED,
        MessageKind.RESCHEDULED: MessageState.QUEUED,
    }
    with org_scope(day.clinic.id):
        text = Message.objects.get(kind=MessageKind.RESCHEDULED)
    assert text.recipient == PHONE
    assert "your visit is now on Wednesday 12 May 2055 at 2:30 PM" in text.body
    assert moved.confirmation_code in text.body


def test_both_calendar_events_follow(day: ClinicDay) -> None:
    day.connect()
    booked = day.book(provider=FIRST)
    with org_scope(day.clinic.id):
        CalendarPush.objects.update(state=PushState.DONE)
    moved = move(day, booked, "14:30")
    with org_scope(day.clinic.id):
        pushes = dict(CalendarPush.objects.values_list("appointment_id", "state"))
    assert pushes == {booked.appointment_id: PushState.QUEUED, moved.appointment_id: PushState.QUEUED}


def test_the_old_time_is_free_at_once_and_the_new_one_is_taken(alone: ClinicDay) -> None:
    booked = alone.book("10:00")
    move(alone, booked, "14:30")
    free = alone.free()
    assert "10:00" in free
    assert "14:30" not in free


@pytest.mark.parametrize("at", ["10:15", "09:45", "10:05"])
def test_a_visit_may_move_to_a_time_that_overlaps_its_own(alone: ClinicDay, at: str) -> None:
    moved = move(alone, alone.book("10:00"), at)
    assert alone.visit(moved).starts_at == alone.at(at)


def test_a_taken_time_leaves_the_old_visit_as_it_was(alone: ClinicDay) -> None:
    alone.connect()
    booked = alone.book("10:00")
    alone.book("14:30", phone="+14155550143")
    refused = refusal(alone, booked, "14:30")
    assert refused.code == "slot_unavailable"
    assert refused.alternatives[0].day == DAY


@pytest.mark.parametrize(
    ("at", "on", "code"),
    [
        ("07:00", DAY, "outside_hours"),
        ("10:03", DAY, "invalid_time"),
        ("10:00", date(2055, 5, 1), "in_the_past"),
        ("10:00", date(2057, 5, 12), "too_far_ahead"),
    ],
)
def test_the_clinics_rules_hold_for_the_new_time(day: ClinicDay, at: str, on: date, code: str) -> None:
    assert refusal(day, day.book(), at, on).code == code


def test_the_same_wish_again_gives_the_first_answer(day: ClinicDay) -> None:
    booked = day.book()
    moved = move(day, booked, "14:30")
    for known in (booked, moved):
        again = move(day, known, "14:30")
        assert again.already_booked
        assert (again.appointment_id, again.confirmation_code) == (
            moved.appointment_id,
            moved.confirmation_code,
        )
    assert len(texts(day)) == 2


def test_moving_to_where_it_is_changes_nothing(day: ClinicDay) -> None:
    booked = day.book("10:00")
    before = state(day)
    assert move(day, booked, "10:00").already_booked
    assert state(day) == before


def test_a_visit_moved_again_is_found_by_its_first_id(day: ClinicDay) -> None:
    booked = day.book("10:00")
    move(day, booked, "11:00")
    last = move(day, booked, "12:00")
    with org_scope(day.clinic.id):
        assert latest(day.visit(booked)).pk == last.appointment_id
        assert Appointment.objects.filter(status=AppointmentStatus.CONFIRMED).count() == 1


def test_a_visit_that_was_cancelled_cannot_be_moved(day: ClinicDay) -> None:
    booked = day.book()
    with org_scope(day.clinic.id):
        cancel(day.clinic.plan(), day.visit(booked), reason="ill")
    assert refusal(day, booked, "14:30").code == "unknown_visit"


def test_a_visit_that_is_over_cannot_be_moved(day: ClinicDay) -> None:
    booked = day.book("10:00")
    day.now = day.at("10:30")
    assert refusal(day, booked, "14:30").code == "unknown_visit"


def test_who_has_another_visit_at_that_time_is_not_booked_twice(alone: ClinicDay) -> None:
    booked = alone.book("10:00")
    alone.book("14:30")
    assert refusal(alone, booked, "14:30").code == "slot_unavailable"


def test_where_the_provider_does_this_no_more_anybody_will_do(day: ClinicDay) -> None:
    booked = day.book(provider=FIRST)
    with org_scope(day.clinic.id):
        ProviderService.objects.filter(provider=day.provider(0)).delete()
    assert move(day, booked, "14:30").provider_id == day.provider(1).pk


def test_what_staff_noted_moves_with_the_visit(day: ClinicDay) -> None:
    booked = day.book()
    with org_scope(day.clinic.id):
        Appointment.objects.update(notes="Comes with a wheelchair.")
    assert day.visit(move(day, booked, "14:30")).notes == "Comes with a wheelchair."


def test_another_clinics_visit_cannot_be_moved(day: ClinicDay, oak: Clinic) -> None:
    visit = day.visit(day.book())
    before = state(day)
    to = NewTime(DAY, time(14), AppointmentSource.VOICE)
    with org_scope(oak.id), pytest.raises(Exception, match="matching query does not exist"):
        reschedule(oak.plan(), visit, to, day.now)
    assert state(day) == before
