from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from bookings.models import Appointment, Closure, Provider, ProviderService, Service
from tests.clinics import Clinic
from tests.telephony.vapi_client import VapiCaller
from voxanne.tenancy.scope import org_scope

TOOL = "checkAvailability"


def ask(call: VapiCaller, day: date | str, **more: Any) -> dict[str, Any]:
    return call.use(TOOL, date=day if isinstance(day, str) else day.isoformat(), **more)


def next_saturday(clinic: Clinic) -> date:
    day = clinic.next_weekday()
    return day + timedelta(days=5 - day.weekday())


def today(clinic: Clinic) -> date:
    return timezone.now().astimezone(clinic.org.zone).date()


def fill(call: VapiCaller, day: date, provider: str) -> None:
    """Books the provider's whole day."""
    for start in ("09:00", "13:00"):
        booked = call.use(
            "bookClinicAppointment",
            appointmentDate=day.isoformat(),
            appointmentTime=start,
            patientName="Dana Ruiz",
            provider=provider,
            duration=240,
        )
        assert booked["ok"]


def is_refused(answer: dict[str, Any], code: str) -> bool:
    return not answer["ok"] and answer["code"] == code and bool(answer["say"])


def test_a_free_day_is_spread_over_at_most_six_times(call: VapiCaller) -> None:
    day = call.clinic.next_weekday()
    found = ask(call, day)
    assert found["ok"]
    assert found["date"] == day.isoformat()
    assert len(found["slots"]) == 6
    assert found["slotCount"] == 31
    assert found["slots"][0] == "09:00"
    assert found["slots"][-1] == "16:30"
    assert all(int(slot[3:]) % 15 == 0 for slot in found["slots"])
    assert "alternatives" not in found


@pytest.mark.parametrize(
    ("part", "first", "last"),
    [
        ("morning", "09:00", "11:45"),
        ("MORNING", "09:00", "11:45"),
        ("afternoon", "12:00", "16:30"),
    ],
)
def test_a_part_of_the_day_bounds_the_times(call: VapiCaller, part: str, first: str, last: str) -> None:
    slots = ask(call, call.clinic.next_weekday(), partOfDay=part)["slots"]
    assert (slots[0], slots[-1]) == (first, last)


def test_an_evening_that_is_never_free_is_answered_with_other_times(call: VapiCaller) -> None:
    day = call.clinic.next_weekday()
    found = ask(call, day, partOfDay="evening")
    assert (found["slots"], found["slotCount"]) == ([], 0)
    assert found["say"].startswith("There is nothing free in the evening on ")
    assert found["alternatives"][0]["date"] == day.isoformat()


def test_a_full_morning_is_answered_with_other_mornings(call: VapiCaller) -> None:
    day = call.clinic.next_weekday()
    for provider in ("provider-0", "provider-1"):
        fill(call, day, provider)
    found = ask(call, day, partOfDay="morning")
    assert found["alternatives"][0]["date"] == call.clinic.next_weekday(1).isoformat()
    assert all(slot < "12:00" for offered in found["alternatives"] for slot in offered["slots"])


@pytest.mark.parametrize("asked", ["noon", "", None])
def test_a_part_of_the_day_that_is_none_leaves_the_whole_day(call: VapiCaller, asked: str | None) -> None:
    assert ask(call, call.clinic.next_weekday(), partOfDay=asked)["slotCount"] == 31


@pytest.mark.parametrize("write", [str.upper, str.lower, str.title, str])
def test_a_provider_is_known_by_id_slug_and_name_in_any_case(call: VapiCaller, write: Any) -> None:
    day, (lee, berg) = call.clinic.next_weekday(), call.clinic.providers
    fill(call, day, lee.slug)
    for asked in (str(lee.pk), lee.slug, lee.name):
        assert ask(call, day, provider=write(asked))["slotCount"] == 0
    for asked in (str(berg.pk), berg.slug, berg.name):
        assert ask(call, day, provider=write(asked))["slotCount"] == 31


@pytest.mark.parametrize("asked", ["consultation", "CONSULTATION", "Consultation", " consultation ", "id"])
def test_a_service_is_known_by_id_slug_and_name_in_any_case(call: VapiCaller, asked: str) -> None:
    wanted = str(call.clinic.service.pk).upper() if asked == "id" else asked
    assert ask(call, call.clinic.next_weekday(), serviceType=wanted)["slotCount"] == 31


def test_a_busy_provider_leaves_the_other_ones_times(call: VapiCaller) -> None:
    day = call.clinic.next_weekday()
    fill(call, day, "provider-0")
    assert ask(call, day)["slotCount"] == 31


def test_a_full_day_is_answered_with_the_nearest_days(call: VapiCaller) -> None:
    day = call.clinic.next_weekday()
    for provider in ("provider-0", "provider-1"):
        fill(call, day, provider)
    found = ask(call, day)
    assert found["ok"]
    assert (found["slots"], found["slotCount"]) == ([], 0)
    assert found["alternatives"][0] == {
        "date": call.clinic.next_weekday(1).isoformat(),
        "slots": ["09:00", "12:45", "16:30"],
    }
    assert len(found["alternatives"]) == 3


def test_a_closed_day_is_answered_with_the_nearest_days(call: VapiCaller) -> None:
    saturday = next_saturday(call.clinic)
    found = ask(call, saturday)
    assert (found["ok"], found["slots"]) == (True, [])
    assert found["alternatives"][0]["date"] == (saturday + timedelta(days=2)).isoformat()


def test_a_closure_takes_the_whole_day(call: VapiCaller) -> None:
    day, zone = call.clinic.next_weekday(), call.clinic.org.zone
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    with org_scope(call.clinic.id):
        Closure.objects.create(org=call.clinic.org, starts_at=midnight, ends_at=midnight + timedelta(days=1))
    assert ask(call, day)["slotCount"] == 0


def test_the_past_is_refused_with_what_is_free_now(call: VapiCaller) -> None:
    answer = ask(call, today(call.clinic) - timedelta(days=1))
    assert is_refused(answer, "in_the_past")
    assert answer["alternatives"]


def test_the_horizon_is_the_last_day(call: VapiCaller) -> None:
    horizon = today(call.clinic) + timedelta(days=call.clinic.service.horizon_days)
    assert ask(call, horizon)["ok"]
    assert is_refused(ask(call, horizon + timedelta(days=1)), "too_far_ahead")


def test_minimum_notice_keeps_near_days_out(call: VapiCaller) -> None:
    with org_scope(call.clinic.id):
        Service.objects.update(minimum_notice=60 * 24 * 14)
    assert ask(call, call.clinic.next_weekday())["slotCount"] == 0
    assert ask(call, call.clinic.next_weekday(10))["slotCount"] == 31


@pytest.mark.parametrize(
    "day",
    [
        "2027-02-30", "2027-13-01", "2027-00-10", "2027-01-00", "2027-1-1", "27-01-01", "20270101", "2027/01/01",
        "01-01-2027", "tomorrow", "", " ", "2027-01-01T10:00", "2027-W01-1", "٢٠٢٧-٠١-٠١", "-001-01-01",
        "0000-00-00", "0000-01-01", "10000-01-01", "2027-01-01\x00\x00x", "2027‐01‐01",
    ],
)  # fmt: skip
def test_a_date_that_does_not_exist_is_refused(call: VapiCaller, day: str) -> None:
    assert is_refused(ask(call, day), "invalid_date")


@pytest.mark.parametrize("day", [None, True, 1.5, [], ["2027-01-04"], {}, {"day": "2027-01-04"}])
def test_a_date_of_another_kind_is_refused(call: VapiCaller, day: Any) -> None:
    assert not call.use(TOOL, date=day)["ok"]


@pytest.mark.parametrize("day", ["0001-01-01", "0001-01-02", "1582-10-10", "1969-12-31"])
def test_the_distant_past_is_the_past(call: VapiCaller, day: str) -> None:
    assert is_refused(ask(call, day), "in_the_past")


@pytest.mark.parametrize("day", ["9999-12-31", "9999-01-01", "2400-02-29"])
def test_the_distant_future_is_too_far(call: VapiCaller, day: str) -> None:
    assert is_refused(ask(call, day), "too_far_ahead")


@pytest.mark.parametrize(
    "name", ["surgery", "💉", "consultation; DROP TABLE services", "x" * 10_000, "\x00", "7"]
)
def test_an_unknown_service_is_refused(call: VapiCaller, name: str) -> None:
    if name == "\x00":
        assert ask(call, call.clinic.next_weekday(), serviceType=name)["ok"]
    else:
        assert is_refused(ask(call, call.clinic.next_weekday(), serviceType=name), "unknown_service")


@pytest.mark.parametrize("name", ["Dr. Nobody", "dr", "🩺", "%", "x" * 10_000])
def test_an_unknown_provider_is_refused(call: VapiCaller, name: str) -> None:
    assert is_refused(ask(call, call.clinic.next_weekday(), provider=name), "unknown_provider")


def test_another_clinics_provider_is_unknown_here(call: VapiCaller, oak: Clinic) -> None:
    answer = ask(call, call.clinic.next_weekday(), provider=str(oak.providers[0].pk))
    assert is_refused(answer, "unknown_provider")
    assert is_refused(
        ask(call, call.clinic.next_weekday(), serviceType=str(oak.service.pk)), "unknown_service"
    )


def test_a_provider_who_does_not_do_the_service_is_refused(call: VapiCaller) -> None:
    with org_scope(call.clinic.id):
        ProviderService.objects.filter(provider=call.clinic.providers[0]).delete()
    assert is_refused(ask(call, call.clinic.next_weekday(), provider="provider-0"), "unknown_provider")


def test_a_provider_who_left_is_unknown_at_once(call: VapiCaller) -> None:
    assert ask(call, call.clinic.next_weekday(), provider="provider-0")["ok"]
    with org_scope(call.clinic.id):
        Provider.objects.filter(slug="provider-0").update(active=False)
    assert is_refused(ask(call, call.clinic.next_weekday(), provider="provider-0"), "unknown_provider")


def test_asking_books_nothing(call: VapiCaller) -> None:
    ask(call, call.clinic.next_weekday())
    with org_scope(call.clinic.id):
        assert not Appointment.objects.exists()


def test_another_clinics_visits_take_no_time_here(call: VapiCaller, oak: Clinic) -> None:
    fill(VapiCaller(oak, caller="+447700900142"), oak.next_weekday(), "provider-0")
    assert ask(call, oak.next_weekday(), provider="provider-0")["slotCount"] == 31


def test_what_is_said_reads_like_speech(call: VapiCaller) -> None:
    day = today(call.clinic)
    for answer in (ask(call, day), ask(call, day - timedelta(days=1)), ask(call, next_saturday(call.clinic))):
        assert " on today" not in answer["say"].lower()
        assert " on tomorrow" not in answer["say"].lower()
        assert answer["say"].endswith("?")
