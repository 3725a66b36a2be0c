"""The single door to the clinic's day: who gets a time, who is refused and why, and what follows from it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from bookings.booking import REFUSALS, cancel
from bookings.models import Appointment, CalendarPush, WorkingHours
from bookings.states import AppointmentSource, AppointmentStatus, PushState
from messaging.models import Contact, Message
from messaging.states import MessageKind, MessageState
from tests.bookings.clinic_day import DAY, NOW, PHONE, ClinicDay
from tests.clinics import Clinic
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

FIRST, SECOND = "provider-0", "provider-1"
OTHER_PHONE = "+14155550143"


@pytest.fixture
def day(elm: Clinic) -> ClinicDay:
    return ClinicDay(elm)


@pytest.fixture
def alone(day: ClinicDay) -> ClinicDay:
    """Only one provider sees patients."""
    with org_scope(day.clinic.id):
        second = day.provider(1)
        second.active = False
        second.save(update_fields=["active"])
    return day


def texts(day: ClinicDay) -> list[Message]:
    with org_scope(day.clinic.id):
        return list(Message.objects.order_by("created_at", "kind"))


# What a booking is


def test_a_booking_holds_the_local_time_as_an_instant(day: ClinicDay) -> None:
    visit = day.visit(day.book("10:30"))
    assert visit.starts_at == day.at("10:30")
    assert visit.ends_at == day.at("11:00")
    assert (visit.status, visit.source) == (AppointmentStatus.CONFIRMED, AppointmentSource.VOICE)
    assert visit.contact.phone == PHONE
    assert len(visit.confirmation_code) == 6


def test_without_a_provider_named_everybody_who_is_free_is_asked_in_order(day: ClinicDay) -> None:
    one, two = day.book(), day.book(phone=OTHER_PHONE)
    assert [one.provider_id, two.provider_id] == [day.provider(0).pk, day.provider(1).pk]
    assert day.refused(phone="+14155550144") == "slot_unavailable"


@pytest.mark.parametrize(
    "asked", ["provider-1", "PROVIDER-1", "Dr. Tom Berg", "dr tom berg", "Berg", "Tom", "Dr Berg"]
)
def test_a_provider_is_found_by_slug_or_name(day: ClinicDay, asked: str) -> None:
    assert day.book(provider=asked).provider_id == day.provider(1).pk


def test_a_provider_and_a_service_are_found_by_their_ids(day: ClinicDay) -> None:
    named: dict[str, Any] = {
        "provider": str(day.provider(1).pk),
        "service": str(day.clinic.service.pk).upper(),
    }
    assert day.book(**named).provider_id == day.provider(1).pk


@pytest.mark.parametrize("asked", ["Dr.", "nobody", "Dr. Tom Lee", "x" * 100])
def test_a_provider_who_is_not_here_or_not_clear_is_refused(day: ClinicDay, asked: str) -> None:
    assert day.refused(provider=asked) == "unknown_provider"


def test_a_provider_who_does_not_do_the_service_is_refused(day: ClinicDay) -> None:
    with org_scope(day.clinic.id):
        day.provider(1).offers.all().delete()
    assert day.refused(provider=SECOND) == "unknown_provider"


def test_another_clinics_provider_and_service_are_unknown(day: ClinicDay, oak: Clinic) -> None:
    assert day.refused(provider=str(oak.providers[0].pk)) == "unknown_provider"
    assert day.refused(service=str(oak.service.pk)) == "unknown_service"


@pytest.mark.parametrize(
    ("minutes", "granted"), [(5, True), (30, True), (240, True), (4, False), (241, False)]
)
def test_the_length_may_be_chosen_where_the_service_allows_it(
    day: ClinicDay, minutes: int, granted: bool
) -> None:
    length = timedelta(minutes=minutes)
    if granted:
        visit = day.visit(day.book(length=length))
        assert visit.ends_at - visit.starts_at == length
    else:
        assert day.refused(length=length) == "invalid_duration"


def test_a_service_of_one_length_takes_no_other(day: ClinicDay) -> None:
    day.service(shortest_minutes=None, longest_minutes=None)
    assert day.refused(length=timedelta(minutes=45)) == "invalid_duration"
    assert day.book(length=timedelta(minutes=30)).sms_status == "queued"


# Hours and bounds


@pytest.mark.parametrize(
    ("at", "refused"),
    [
        ("08:55", "outside_hours"),
        ("09:00", None),
        ("10:05", None),
        ("16:30", None),
        ("16:35", "outside_hours"),
        ("17:00", "outside_hours"),
        ("10:01", "invalid_time"),
        ("10:07", "invalid_time"),
    ],
)
def test_a_visit_lies_within_the_hours_on_a_five_minute_mark(
    day: ClinicDay, at: str, refused: str | None
) -> None:
    if refused is None:
        assert day.visit(day.book(at)).starts_at == day.at(at)
    else:
        assert day.refused(at) == refused


def test_a_closed_day_offers_the_next_open_ones(day: ClinicDay) -> None:
    refusal = day.refusal(day=date(2055, 5, 15))
    assert refusal.code == "outside_hours"
    assert [offered.day for offered in refusal.alternatives] == [date(2055, 5, each) for each in (17, 18, 19)]
    assert all(offered.starts for offered in refusal.alternatives)


def test_a_break_is_closed(alone: ClinicDay) -> None:
    with org_scope(alone.clinic.id):
        WorkingHours.objects.filter(weekday=DAY.weekday()).update(closes=time(12))
        WorkingHours.objects.create(
            org=alone.clinic.org,
            provider=alone.provider(),
            weekday=DAY.weekday(),
            opens=time(13),
            closes=time(17),
        )
    for at in ("11:45", "12:00", "12:45"):
        assert alone.refused(at) == "outside_hours"
    for at in ("11:30", "13:00"):
        alone.book(at, phone=PHONE if at == "11:30" else OTHER_PHONE)


@pytest.mark.parametrize(
    ("at", "granted"),
    [("10:30", True), ("10:35", False), ("11:00", False), ("11:30", False), ("12:00", True)],
)
def test_a_closure_of_the_clinic_is_closed_for_everybody(day: ClinicDay, at: str, granted: bool) -> None:
    day.close("11:00", "12:00")
    assert granted == (at in day.free())
    if granted:
        day.book(at)
    else:
        assert day.refused(at) == "outside_hours"


def test_a_closure_of_one_provider_leaves_the_others_open(day: ClinicDay) -> None:
    day.close("09:00", "17:00", provider=day.provider(0))
    assert day.refused(provider=FIRST) == "outside_hours"
    assert day.book().provider_id == day.provider(1).pk


def test_the_past_is_refused_to_the_minute(day: ClinicDay) -> None:
    day.now = day.at("10:00")
    assert day.refused("09:55") == "in_the_past"
    assert day.book("10:00").starts_at == day.now


def test_a_service_may_need_notice(day: ClinicDay) -> None:
    day.service(minimum_notice=24 * 60)
    day.now = day.at("10:00") - timedelta(hours=24)
    refusal = day.refusal("09:45")
    assert refusal.code == "too_soon"
    assert refusal.alternatives[0].starts[0] == day.at("10:00")
    assert day.book("10:00").starts_at == day.at("10:00")


def test_a_service_may_be_booked_so_far_ahead_and_no_further(day: ClinicDay) -> None:
    day.service(horizon_days=9)
    assert (NOW.date() + timedelta(days=9)) == DAY
    assert day.refused(day=DAY + timedelta(days=1)) == "too_far_ahead"
    assert day.book().starts_at == day.at("10:00")


@pytest.mark.parametrize("far", [date(9999, 12, 31), date(9999, 12, 30), date(3000, 2, 28)])
def test_absurdly_far_days_are_refused_and_not_computed(day: ClinicDay, far: date) -> None:
    assert day.refused(day=far) in ("too_far_ahead", "invalid_time")


@pytest.mark.parametrize("early", [date(1, 1, 1), date(1, 1, 2), date(1970, 1, 1)])
def test_absurdly_early_days_are_refused_too(day: ClinicDay, early: date) -> None:
    assert day.refused(day=early) in ("in_the_past", "invalid_time")


# The days the clocks change

SPRING, AUTUMN = date(2055, 3, 14), date(2055, 11, 7)


@pytest.fixture
def night_clinic(day: ClinicDay) -> ClinicDay:
    """Open around the clock on Sundays."""
    with org_scope(day.clinic.id):
        for provider in day.clinic.providers:
            WorkingHours.objects.create(
                org=day.clinic.org, provider=provider, weekday=6, opens=time(0), closes=time(0)
            )
    return day


def test_a_time_that_the_spring_change_leaps_over_does_not_exist(night_clinic: ClinicDay) -> None:
    night_clinic.now = datetime.fromisoformat("2055-03-10T12:00:00+00:00")
    assert night_clinic.refused("02:30", day=SPRING) == "invalid_time"
    assert night_clinic.refused("02:00", day=SPRING) == "invalid_time"
    assert night_clinic.book("03:00", day=SPRING).starts_at.isoformat() == "2055-03-14T07:00:00+00:00"
    assert "02:30" not in night_clinic.free(SPRING)


def test_a_visit_across_the_spring_change_has_its_whole_length(night_clinic: ClinicDay) -> None:
    night_clinic.now = datetime.fromisoformat("2055-03-10T12:00:00+00:00")
    visit = night_clinic.visit(night_clinic.book("01:45", day=SPRING))
    assert visit.ends_at - visit.starts_at == timedelta(minutes=30)
    assert f"{visit.ends_at.astimezone(night_clinic.clinic.org.zone):%H:%M}" == "03:15"


def test_a_time_that_comes_twice_in_autumn_is_its_first_coming(night_clinic: ClinicDay) -> None:
    night_clinic.now = datetime.fromisoformat("2055-11-01T12:00:00+00:00")
    assert night_clinic.book("01:30", day=AUTUMN).starts_at.isoformat() == "2055-11-07T05:30:00+00:00"


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


# What follows from a booking


def test_a_booking_writes_its_text_and_its_calendar_event_with_it(day: ClinicDay) -> None:
    day.connect()
    booked = day.book()
    assert day.written() == (1, 1, 1)
    (text,) = texts(day)
    assert (text.kind, text.recipient, text.state) == (MessageKind.CONFIRMATION, PHONE, MessageState.QUEUED)
    assert text.expires_at == booked.starts_at
    assert "Wednesday 12 May 2055 at 10:00 AM" in text.body
    assert "Consultation" not in text.body
    assert "Dana" not in text.body


def test_a_booking_that_is_rolled_back_leaves_nothing(day: ClinicDay) -> None:
    day.connect()
    with org_scope(day.clinic.id):
        savepoint = transaction.savepoint()
        day.book()
        transaction.savepoint_rollback(savepoint)
    assert day.written() == (0, 0, 0)


def test_a_visit_that_begins_at_once_is_still_confirmed_by_text(day: ClinicDay) -> None:
    day.now = day.at("10:00")
    day.book("10:00")
    (text,) = texts(day)
    assert text.expires_at >= text.created_at + timedelta(minutes=9)


def test_who_gives_only_an_email_address_gets_no_text(day: ClinicDay) -> None:
    booked = day.book(phone=None, email="Dana@Example.com")
    assert booked.sms_status == "skipped"
    assert day.written() == (1, 0, 0)
    assert day.visit(booked).contact.email == "dana@example.com"
    again = day.book(phone=None, email="dana@example.com ")
    assert again.already_booked


def test_without_phone_and_email_there_is_nobody_to_book_for(day: ClinicDay) -> None:
    with pytest.raises(ValueError, match="phone number or an e-mail address"):
        day.book(phone=None)
    assert day.written() == (0, 0, 0)


def test_a_caller_adds_to_what_is_known_of_a_number_but_rewrites_nothing(day: ClinicDay) -> None:
    day.book("10:00", patient_name="Dana Ruiz", email="dana@example.com")
    day.book("11:00", patient_name="Somebody Else", email="else@example.com")
    with org_scope(day.clinic.id):
        contact = Contact.objects.get()
    assert (contact.name, contact.email) == ("Dana Ruiz", "dana@example.com")
    assert contact.names == ["Dana Ruiz", "Somebody Else"]


def test_every_refusal_has_a_sentence_to_say() -> None:
    assert all(sentence[0].isupper() and sentence[-1] in ".?" for sentence in REFUSALS.values())


# Cancelling


def test_cancelling_withdraws_what_waits_and_tells_the_patient(day: ClinicDay) -> None:
    day.connect()
    booked = day.book()
    with org_scope(day.clinic.id):
        CalendarPush.objects.update(state=PushState.DONE)
        assert cancel(day.clinic.plan(), day.visit(booked), reason="ill")
    visit = day.visit(booked)
    assert (visit.status, visit.cancel_reason) == (AppointmentStatus.CANCELLED, "ill")
    told = {text.kind: text.state for text in texts(day)}
    assert told == {
        MessageKind.CONFIRMATION: MessageState.CANCELED,
        MessageKind.CANCELLED: MessageState.QUEUED,
    }
    with org_scope(day.clinic.id):
        assert CalendarPush.objects.get().state == PushState.QUEUED


def test_a_visit_is_cancelled_once(day: ClinicDay) -> None:
    booked = day.book()
    with org_scope(day.clinic.id):
        assert cancel(day.clinic.plan(), day.visit(booked), reason="first")
        assert not cancel(day.clinic.plan(), day.visit(booked), reason="second")
    assert day.visit(booked).cancel_reason == "first"
    assert len(texts(day)) == 2


def test_a_patient_need_not_be_told(day: ClinicDay) -> None:
    booked = day.book()
    with org_scope(day.clinic.id):
        cancel(day.clinic.plan(), day.visit(booked), reason="", tell_patient=False)
    assert [text.kind for text in texts(day)] == [MessageKind.CONFIRMATION]


def test_another_clinics_visit_cannot_be_cancelled(day: ClinicDay, oak: Clinic) -> None:
    booked = day.book()
    visit = day.visit(booked)
    with org_scope(oak.id):
        assert not cancel(oak.plan(), visit, reason="not ours")
    assert day.visit(booked).status == AppointmentStatus.CONFIRMED
