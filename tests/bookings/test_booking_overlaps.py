"""Who has a time, and who is refused: visits, buffers, calendars, staff who overlap on purpose, and the same wish."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from bookings.booking import cancel
from bookings.models import Appointment
from bookings.states import AppointmentSource, AppointmentStatus
from messaging.models import Contact
from tests.bookings.clinic_day import DAY, ClinicDay
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

FIRST, SECOND = "provider-0", "provider-1"
OTHER_PHONE = "+14155550143"


# Who has the time already


@pytest.mark.parametrize(
    ("at", "granted"),
    [("09:30", True), ("09:35", False), ("10:00", False), ("10:25", False), ("10:30", True)],
)
def test_a_providers_visits_never_overlap(alone: ClinicDay, at: str, granted: bool) -> None:
    alone.book("10:00")
    if granted:
        alone.book(at, phone=OTHER_PHONE)
    else:
        refusal = alone.refusal(at, phone=OTHER_PHONE)
        assert refusal.code == "slot_unavailable"
        assert refusal.alternatives[0].day == DAY


@pytest.mark.parametrize(
    ("at", "granted"),
    [
        ("09:00", True),
        ("09:05", False),
        ("09:30", False),
        ("10:30", False),
        ("10:55", False),
        ("11:00", True),
    ],
)
def test_buffers_keep_visits_apart_on_both_sides(alone: ClinicDay, at: str, granted: bool) -> None:
    """Ten minutes before and twenty after each: two visits leave thirty between them."""
    alone.service(buffer_before=10, buffer_after=20)
    visit = alone.visit(alone.book("10:00"))
    assert (visit.blocked_from, visit.blocked_until) == (alone.at("09:50"), alone.at("10:50"))
    if granted:
        alone.book(at, phone=OTHER_PHONE)
    else:
        assert alone.refused(at, phone=OTHER_PHONE) == "slot_unavailable"


def test_buffers_may_reach_out_of_the_hours(alone: ClinicDay) -> None:
    alone.service(buffer_before=30, buffer_after=30)
    alone.book("09:00")
    alone.book("16:30", phone=OTHER_PHONE)


@pytest.mark.parametrize(
    ("at", "granted"),
    [("12:30", True), ("12:35", False), ("13:00", False), ("13:55", False), ("14:00", True)],
)
def test_what_the_providers_own_calendar_says_is_taken(alone: ClinicDay, at: str, granted: bool) -> None:
    alone.block("13:00", "14:00")
    if granted:
        alone.book(at)
    else:
        assert alone.refused(at) == "slot_unavailable"


def test_a_block_takes_one_providers_time_alone(day: ClinicDay) -> None:
    day.block("09:00", "17:00", index=0)
    assert day.book().provider_id == day.provider(1).pk
    assert day.refused(provider=FIRST, phone=OTHER_PHONE) == "slot_unavailable"


def test_a_cancelled_visits_time_is_free_at_once(alone: ClinicDay) -> None:
    booked = alone.book()
    with org_scope(alone.clinic.id):
        assert cancel(alone.clinic.plan(), alone.visit(booked), reason="asked to")
    again = alone.book(phone=OTHER_PHONE)
    assert again.appointment_id != booked.appointment_id
    assert not again.already_booked


@pytest.mark.parametrize("status", [AppointmentStatus.COMPLETED, AppointmentStatus.NO_SHOW])
def test_a_visit_that_is_over_holds_no_time(alone: ClinicDay, status: AppointmentStatus) -> None:
    booked = alone.book()
    with org_scope(alone.clinic.id):
        Appointment.objects.filter(pk=booked.appointment_id).update(status=status)
    assert not alone.book(phone=OTHER_PHONE).already_booked


def test_a_held_visit_holds_its_time(alone: ClinicDay) -> None:
    booked = alone.book()
    with org_scope(alone.clinic.id):
        Appointment.objects.filter(pk=booked.appointment_id).update(status=AppointmentStatus.HELD)
    assert alone.refused(phone=OTHER_PHONE) == "slot_unavailable"


# Staff who know what they do


def staff(day: ClinicDay, **more: Any) -> Any:
    return day.book(source=AppointmentSource.STAFF, overlaps_knowingly=True, **more)


def test_staff_may_overlap_knowingly(alone: ClinicDay) -> None:
    alone.book("10:00")
    alone.block("11:00", "12:00")
    assert alone.visit(staff(alone, at="10:15", phone=OTHER_PHONE)).overlaps_knowingly
    staff(alone, at="11:15", phone="+14155550144")


def test_staff_who_do_not_say_so_are_refused_like_anybody(alone: ClinicDay) -> None:
    alone.book("10:00")
    assert alone.refused("10:15", source=AppointmentSource.STAFF, phone=OTHER_PHONE) == "slot_unavailable"


def test_callers_are_refused_over_what_staff_placed_knowingly(alone: ClinicDay) -> None:
    staff(alone, at="10:00")
    for at in ("09:35", "10:00", "10:25"):
        assert alone.refused(at, phone=OTHER_PHONE) == "slot_unavailable"
    alone.book("10:30", phone=OTHER_PHONE)
    alone.book("09:30", phone="+14155550144")


def test_staff_are_held_to_hours_and_dates_even_so(alone: ClinicDay) -> None:
    assert alone.refused("20:00", source=AppointmentSource.STAFF, overlaps_knowingly=True) == "outside_hours"


def test_the_database_itself_refuses_an_overlap_that_got_past_the_door(alone: ClinicDay) -> None:
    visit = alone.visit(alone.book())
    visit.pk = new_id()
    visit._state.adding = True
    with org_scope(alone.clinic.id), pytest.raises(IntegrityError, match="no_overlap"), transaction.atomic():
        visit.save(force_insert=True)


# The same wish


@pytest.mark.parametrize("provider", [None, FIRST])
def test_the_same_wish_again_gives_the_first_booking(day: ClinicDay, provider: str | None) -> None:
    first = day.book(provider=provider)
    written = day.written()
    again = day.book(provider=provider)
    assert again.already_booked
    assert (again.appointment_id, again.confirmation_code) == (first.appointment_id, first.confirmation_code)
    assert again.sms_status == "skipped"
    assert day.written() == written


def test_the_same_wish_with_its_provider_named_is_still_the_same(day: ClinicDay) -> None:
    first = day.book()
    assert day.book(provider=FIRST).appointment_id == first.appointment_id
    other = day.book(provider=SECOND)
    assert not other.already_booked, "another provider was asked for by name"


def test_the_same_wish_without_the_provider_it_named_is_still_the_same(day: ClinicDay) -> None:
    first = day.book(provider=SECOND)
    again = day.book()
    assert again.already_booked
    assert again.appointment_id == first.appointment_id


def test_a_wish_is_the_same_however_the_name_is_written(day: ClinicDay) -> None:
    first = day.book(patient_name="Dana Ruiz")
    for name in ("dana ruiz", "Dana", "DANA R.", ""):
        assert day.book(patient_name=name).appointment_id == first.appointment_id


def test_two_children_of_one_parent_may_come_at_the_same_time(day: ClinicDay) -> None:
    ana, ben = day.book(patient_name="Ana Ruiz"), day.book(patient_name="Ben Ruiz")
    assert ana.appointment_id != ben.appointment_id
    assert {ana.provider_id, ben.provider_id} == {day.provider(0).pk, day.provider(1).pk}
    assert day.visit(ana).contact_id == day.visit(ben).contact_id
    with org_scope(day.clinic.id):
        assert Contact.objects.get().names == ["Ana Ruiz", "Ben Ruiz"]


def test_a_cancelled_wish_may_be_wished_again(day: ClinicDay) -> None:
    first = day.book()
    with org_scope(day.clinic.id):
        cancel(day.clinic.plan(), day.visit(first), reason="")
    again = day.book()
    assert not again.already_booked
    assert again.appointment_id != first.appointment_id


def test_somebody_elses_wish_is_not_the_same(day: ClinicDay) -> None:
    assert not [day.book(), day.book(phone=OTHER_PHONE)][1].already_booked
