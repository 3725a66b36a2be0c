"""``/a/<token>.ics``: RFC 5545, as calendars read it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from bookings.models import Appointment
from bookings.patient_page.calendar_file import calendar_file, escaped, folded
from bookings.patient_page.visit import PatientVisit, Standing
from bookings.patient_token import token_for
from tests.bookings.clinic_day import ClinicDay
from tests.bookings.test_patient_page import call_off, move
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.scope import org_scope

MADE = datetime(2055, 5, 3, 12, tzinfo=UTC)


def a_visit(**changes: Any) -> PatientVisit:
    starts = datetime(2055, 5, 12, 14, tzinfo=UTC)
    given_: dict[str, Any] = {
        "clinic": "Elm Street Clinic", "country": "US", "zone": ZoneInfo("America/New_York"),
        "provider": "Dr. Amara Lee", "line": "+14155550100", "starts_at": starts,
        "ends_at": starts + timedelta(minutes=30), "standing": Standing.BOOKED, "was_moved": False, "made_at": MADE,
        "changed_at": MADE, "first_id": new_id(), "first_made_at": MADE, **changes,
    }  # fmt: skip
    return PatientVisit(**given_)


def read(body: bytes) -> dict[str, str]:
    """The properties of the one event, unfolded; the form of the lines is checked on the way."""
    assert body.endswith(b"\r\n")
    lines = body.split(b"\r\n")[:-1]
    assert all(b"\n" not in line and b"\r" not in line and 0 < len(line) <= 75 for line in lines)
    for line in lines:
        line.decode("utf-8")
    text = body.replace(b"\r\n ", b"").decode()
    properties = [line.partition(":") for line in text.split("\r\n") if line]
    names = [name for name, _, _ in properties]
    assert names[:2] == ["BEGIN", "VERSION"]
    assert (names.count("BEGIN"), names.count("END"), names.count("UID")) == (2, 2, 1)
    return {name: value for name, _, value in properties}


def test_the_file_says_what_the_page_says() -> None:
    visit = a_visit()
    event = read(calendar_file(visit, datetime(2055, 5, 4, 9, 30, 1, tzinfo=UTC)))
    assert event["VERSION"] == "2.0"
    assert event["METHOD"] == "PUBLISH"
    assert event["UID"] == f"{visit.first_id}@voxanne"
    assert event["DTSTAMP"] == "20550504T093001Z"
    assert (event["DTSTART"], event["DTEND"]) == ("20550512T140000Z", "20550512T143000Z")
    assert event["SUMMARY"] == "Visit at Elm Street Clinic"
    assert event["DESCRIPTION"] == "With Dr. Amara Lee.\\nTo change it\\, call +1 415-555-0100."
    assert (event["STATUS"], event["TRANSP"], event["CLASS"]) == ("CONFIRMED", "OPAQUE", "PRIVATE")
    assert event["SEQUENCE"] == "0"


def test_a_cancelled_visit_is_cancelled_in_the_calendar_too() -> None:
    event = read(calendar_file(a_visit(standing=Standing.CANCELLED), MADE))
    assert (event["STATUS"], event["TRANSP"]) == ("CANCELLED", "TRANSPARENT")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a,b;c\\d", "a\\,b\\;c\\\\d"),
        ("one\ntwo\r\nthree", "one\\ntwo\\nthree"),
        ("bell\x07 and NUL\x00", "bell and NUL"),
        ("BEGIN:VEVENT", "BEGIN:VEVENT"),
        ("\r\nATTENDEE:mailto:x", "\\nATTENDEE:mailto:x"),
    ],
)
def test_what_means_something_in_the_file_is_escaped(text: str, written: str) -> None:
    assert escaped(text) == written


def test_a_long_line_is_folded_and_no_character_is_cut() -> None:
    lines = list(folded("SUMMARY:" + "Ärztehaus 🦷 " * 30))
    assert all(len(line) <= 75 for line in lines)
    assert all(line.startswith(b" ") for line in lines[1:])
    assert (
        b"".join([lines[0], *(line[1:] for line in lines[1:])]).decode() == "SUMMARY:" + "Ärztehaus 🦷 " * 30
    )
    assert max(len(line) for line in lines) > 71, "folded no sooner than it must be"


@given(clinic=st.text(max_size=120), provider=st.text(max_size=120))
def test_whatever_the_names_the_file_can_be_read(clinic: str, provider: str) -> None:
    event = read(calendar_file(a_visit(clinic=clinic, provider=provider), MADE))
    assert event["STATUS"] == "CONFIRMED"


# Over HTTP


def fetch(booked: Any) -> dict[str, str]:
    answer = Client().get(f"/a/{token_for(booked.appointment_id, 1)}.ics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8; method=PUBLISH"
    assert answer.headers["Content-Disposition"] == 'inline; filename="visit.ics"'
    return read(answer.content)


@pytest.mark.django_db
def test_a_moved_visit_stays_one_event_and_counts_up(day: ClinicDay) -> None:
    booked = day.book("10:00")
    before = fetch(booked)
    earlier = day.visit(booked).created_at - timedelta(hours=1)
    with org_scope(day.clinic.id):
        Appointment.objects.update(created_at=earlier, updated_at=earlier)
    moved = move(day, booked, "14:30")
    after = fetch(moved)
    assert after["UID"] == before["UID"] == f"{booked.appointment_id}@voxanne"
    assert int(after["SEQUENCE"]) > int(before["SEQUENCE"])
    assert after["DTSTART"] == f"{moved.starts_at:%Y%m%dT%H%M%SZ}"
    assert fetch(booked) | {"DTSTAMP": ""} == after | {"DTSTAMP": ""}, "the old link tells of the same event"


@pytest.mark.django_db
def test_a_cancelled_visits_file_says_so(day: ClinicDay) -> None:
    booked = day.book()
    call_off(day, booked)
    assert fetch(booked)["STATUS"] == "CANCELLED"
