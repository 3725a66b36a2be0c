"""What is offered can be booked, and what can be booked is offered: whatever takes the provider's time."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bookings.availability import DAYS_OFFERED, SLOTS_A_DAY_OFFERED, Question, alternatives, free_on
from bookings.booking import BookingRefused, book
from bookings.models import BusyBlock, Closure, Provider, ProviderService, Service, WorkingHours
from bookings.slots import PartOfDay
from bookings.states import AppointmentSource
from tests.bookings.clinic_day import DAY, NOW, PHONE, ClinicDay
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

WHOLE_DAY = [f"{hour:02d}:{minute:02d}" for hour in range(9, 17) for minute in (0, 15, 30, 45)][:31]


def test_an_empty_day_is_free_on_every_quarter_of_an_hour(day: ClinicDay) -> None:
    assert day.free() == WHOLE_DAY
    assert day.free(length=240)[-1] == "13:00"


def test_a_time_is_offered_once_however_many_are_free(day: ClinicDay) -> None:
    assert len(day.free()) == len(set(day.free()))


def test_a_time_is_offered_as_long_as_one_provider_is_free(day: ClinicDay) -> None:
    day.book("10:00")
    assert day.free() == WHOLE_DAY
    assert "10:00" not in day.free(provider="provider-0")
    day.book("10:00", phone="+14155550143")
    assert "10:00" not in day.free()


def test_a_part_of_the_day_may_be_asked_for(day: ClinicDay) -> None:
    with org_scope(day.clinic.id):
        question = day.question()
        parts = {
            part: free_on(
                Question(question.plan, question.service, None, question.length, NOW, part), DAY
            ).starts
            for part in PartOfDay
        }
    assert sum(len(starts) for starts in parts.values()) == len(WHOLE_DAY)
    assert parts[PartOfDay.EVENING] == []


def test_days_beyond_the_horizon_and_before_today_offer_nothing(day: ClinicDay) -> None:
    day.service(horizon_days=9)
    assert day.free(DAY)
    assert day.free(DAY + timedelta(days=1)) == []
    assert day.free(date(2055, 4, 30)) == []


def test_alternatives_are_the_nearest_days_each_with_a_few_times(day: ClinicDay) -> None:
    day.close("00:00", "23:45")
    with org_scope(day.clinic.id):
        offered = alternatives(day.question(), DAY)
    assert [each.day for each in offered] == [date(2055, 5, 13), date(2055, 5, 14), date(2055, 5, 17)]
    assert len(offered) == DAYS_OFFERED
    assert all(len(each.starts) == SLOTS_A_DAY_OFFERED for each in offered)


def test_alternatives_never_lie_in_the_past(day: ClinicDay) -> None:
    with org_scope(day.clinic.id):
        offered = alternatives(day.question(), date(2055, 1, 1))
    assert offered[0].day >= NOW.date()
    assert all(start >= NOW for each in offered for start in each.starts)


def test_a_clinic_that_is_never_open_offers_nothing_and_says_so(day: ClinicDay) -> None:
    with org_scope(day.clinic.id):
        WorkingHours.objects.all().delete()
    assert day.free() == []
    refusal = day.refusal()
    assert (refusal.code, refusal.alternatives) == ("outside_hours", [])


def test_a_service_that_nobody_does_is_never_free(day: ClinicDay) -> None:
    with org_scope(day.clinic.id):
        ProviderService.objects.all().delete()
    assert day.free() == []
    assert day.refused() == "outside_hours"


def test_three_weeks_of_alternatives_cost_one_query(day: ClinicDay) -> None:
    with org_scope(day.clinic.id), transaction.atomic():
        question = day.question()
        with CaptureQueriesContext(connection) as asked:
            alternatives(question, DAY)
    assert len(asked) <= 1


def test_another_clinics_visits_take_nobodys_time_here(day: ClinicDay, oak: Clinic) -> None:
    ClinicDay(oak).book("10:00")
    assert day.free() == WHOLE_DAY


# What is offered and what is granted agree

minutes = st.integers(0, 17 * 12).map(lambda step: 6 * 60 + 5 * step)  # from 06:00 to 23:00
stretches = st.tuples(minutes, st.integers(1, 36)).map(
    lambda both: (both[0], min(both[0] + 5 * both[1], 23 * 60 + 55))
)
HOURS = (("07:00", "12:00"), ("13:00", "18:00"), ("09:00", "17:00"), ("15:00", "00:00"), ("08:05", "10:50"))
windows = st.lists(st.sampled_from(HOURS), min_size=1, max_size=2, unique=True)


def clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


@pytest.fixture
def bare(day: ClinicDay) -> ClinicDay:
    """A clinic of one provider whose hours are still to be written."""
    with org_scope(day.clinic.id):
        Provider.objects.exclude(pk=day.provider().pk).update(active=False)
        WorkingHours.objects.all().delete()
    return day


@given(
    hours=windows, closed=st.lists(stretches, max_size=2), blocked=st.lists(stretches, max_size=3),
    visits=st.lists(st.tuples(minutes, st.sampled_from([5, 20, 30, 60]), st.booleans()), max_size=4),
    before=st.sampled_from([0, 5, 20]), after=st.sampled_from([0, 10, 25]), notice=st.sampled_from([0, 60, 600]),
    length=st.sampled_from([5, 15, 30, 50, 120]),
)  # fmt: skip
@settings(
    max_examples=12, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_exactly_what_is_offered_can_be_booked(
    bare: ClinicDay,
    hours: Any,
    closed: Any,
    blocked: Any,
    visits: Any,
    before: int,
    after: int,
    notice: int,
    length: int,
) -> None:
    with org_scope(bare.clinic.id):
        savepoint = transaction.savepoint()
        for opens, closes in hours:
            WorkingHours.objects.create(
                org=bare.clinic.org, provider=bare.provider(), weekday=DAY.weekday(),
                opens=time.fromisoformat(opens), closes=time.fromisoformat(closes),
            )  # fmt: skip
        bare.now = bare.at("06:00")
        place(bare, closed, blocked, visits)
        Service.objects.update(buffer_before=before, buffer_after=after, minimum_notice=notice)
        offered = bare.free(length=length)
        granted = [at for at in map(clock, range(0, 24 * 60, 15)) if can_be_booked(bare, at, length)]
        transaction.savepoint_rollback(savepoint)
    assert offered == granted


def place(day: ClinicDay, closed: Any, blocked: Any, visits: Any) -> None:
    """What takes the provider's time already; visits that would not fit are left out."""
    for start, end in closed:
        Closure.objects.create(org=day.clinic.org, starts_at=day.at(clock(start)), ends_at=day.at(clock(end)))
    for serial, (start, end) in enumerate(blocked):
        BusyBlock.objects.create(
            org=day.clinic.org, provider=day.provider(), external_id=f"block-{serial}",
            starts_at=day.at(clock(start)), ends_at=day.at(clock(end)),
        )  # fmt: skip
    for serial, (start, length, knowingly) in enumerate(visits):
        wish = day.wish(
            clock(start), phone=f"+1415555{serial:04d}", length=timedelta(minutes=length),
            source=AppointmentSource.STAFF, overlaps_knowingly=knowingly,
        )  # fmt: skip
        try:
            with transaction.atomic():
                book(day.clinic.plan(), wish, day.now)
        except BookingRefused:
            continue


def can_be_booked(day: ClinicDay, at: str, length: int) -> bool:
    savepoint = transaction.savepoint()
    try:
        booked = book(day.clinic.plan(), day.wish(at, phone=PHONE, length=timedelta(minutes=length)), day.now)
        return not booked.already_booked
    except BookingRefused:
        return False
    finally:
        transaction.savepoint_rollback(savepoint)
