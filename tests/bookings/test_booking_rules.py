"""What may be booked: lengths, providers, hours, closures, notice, horizon, and the days the clocks change."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from bookings.models import WorkingHours
from bookings.states import AppointmentSource, AppointmentStatus
from tests.bookings.clinic_day import DAY, NOW, PHONE, ClinicDay
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

FIRST, SECOND = "provider-0", "provider-1"
OTHER_PHONE = "+14155550143"


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
