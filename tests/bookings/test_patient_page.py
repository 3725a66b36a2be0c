"""``/a/<token>``: what a patient sees of one visit, and what nobody sees."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from bookings.booking import Booked, NewTime, cancel, reschedule
from bookings.models import Appointment
from bookings.patient_token import revoke_links, token_for
from bookings.states import AppointmentSource, AppointmentStatus
from messaging.models import Message
from telephony.models import PhoneNumber
from tests.bookings.clinic_day import DAY, ClinicDay
from voxanne.tenancy.scope import org_scope, platform_scope

CLIENT = Client(raise_request_exception=False)
NOT_FOUND = "This link does not open a visit"


def token(booked: Booked, version: int = 1) -> str:
    return token_for(booked.appointment_id, version)


def get(which: str, suffix: str = "") -> Any:
    return CLIENT.get(f"/a/{which}{suffix}")


def shown(booked: Booked) -> str:
    answer = get(token(booked))
    assert answer.status_code == 200
    return words(answer)


def words(answer: Any) -> str:
    """What a person reads on the page, in one line."""

    class Words(HTMLParser):
        text = ""
        hidden = False

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.hidden = tag in ("style", "title")

        def handle_endtag(self, tag: str) -> None:
            self.hidden = False

        def handle_data(self, data: str) -> None:
            self.text += "" if self.hidden else data

    reader = Words()
    reader.feed(answer.content.decode())
    return " ".join(reader.text.split())


def move(day: ClinicDay, booked: Booked, at: str) -> Booked:
    with org_scope(day.clinic.id):
        to = NewTime(DAY, time.fromisoformat(at), AppointmentSource.STAFF)
        return reschedule(day.clinic.plan(), day.visit(booked), to, day.now)


def call_off(day: ClinicDay, booked: Booked) -> None:
    with org_scope(day.clinic.id):
        cancel(day.clinic.plan(), day.visit(booked), reason="A very private reason")


pytestmark = pytest.mark.django_db


# What is seen


def test_the_page_names_clinic_day_time_and_provider(day: ClinicDay) -> None:
    page = shown(day.book(provider="provider-0"))
    for words_of_it in (
        "Elm Street",
        "Wednesday 12 May 2055",
        "10:00 AM",
        "New York time",
        "Dr. Amara Lee",
        "Booked",
    ):
        assert words_of_it in page


def test_the_page_names_neither_service_nor_reason_nor_patient(day: ClinicDay) -> None:
    booked = day.book()
    call_off(day, booked)
    with org_scope(day.clinic.id):
        Appointment.objects.update(notes="A very private note")
    for which in (token(booked), f"{token(booked)}.ics"):
        page = get(which).content.decode()
        for private in ("Consultation", "private", "Dana", "Ruiz", "4155550142", "A very"):
            assert private not in page


def test_the_link_in_the_text_opens_the_page(day: ClinicDay, settings: Any) -> None:
    booked = day.book()
    with org_scope(day.clinic.id):
        body = Message.objects.get().body
    links = re.findall(rf"{re.escape(settings.BACKEND_URL)}(/a/\S+)", body)
    assert links == [f"/a/{token(booked)}"]
    assert CLIENT.get(links[0]).status_code == 200


def test_the_page_names_the_number_patients_dial(day: ClinicDay) -> None:
    booked = day.book()
    with org_scope(day.clinic.id):
        PhoneNumber.objects.update(number="+14155550100")
    answer = get(token(booked))
    assert "Call +1 415-555-0100" in words(answer)
    assert 'href="tel:+14155550100"' in answer.content.decode()


def test_without_a_line_the_page_names_the_number_that_texts(day: ClinicDay) -> None:
    booked = day.book()
    with org_scope(day.clinic.id):
        PhoneNumber.objects.all().delete()
    assert f'href="tel:{day.clinic.number}"' in get(token(booked)).content.decode()


def test_a_cancelled_visit_is_shown_as_cancelled(day: ClinicDay) -> None:
    booked = day.book()
    call_off(day, booked)
    page = shown(booked)
    assert "Your visit is cancelled" in page
    assert "Booked" not in page


def test_an_old_link_shows_where_the_visit_was_moved(day: ClinicDay) -> None:
    booked = day.book("10:00")
    moved = move(day, move(day, booked, "11:30"), "14:30")
    for link in (booked, moved):
        page = shown(link)
        assert "2:30 PM" in page
        assert "10:00 AM" not in page
        assert ("It was moved" in page) == (link is booked)


@pytest.mark.parametrize(
    "status", [AppointmentStatus.COMPLETED, AppointmentStatus.NO_SHOW, AppointmentStatus.CONFIRMED]
)
def test_a_visit_that_is_over_offers_no_calendar(day: ClinicDay, status: AppointmentStatus) -> None:
    booked = day.book()
    past = timezone.now() - timedelta(days=2)
    end = past + timedelta(minutes=30)
    with org_scope(day.clinic.id):
        Appointment.objects.update(
            status=status, starts_at=past, ends_at=end, blocked_from=past, blocked_until=end
        )
    page = shown(booked)
    assert "Your visit is over" in page
    assert "calendar" not in page


def test_names_are_text_and_nothing_more(day: ClinicDay) -> None:
    booked = day.book(provider="provider-0")
    with platform_scope("test"):
        day.clinic.org.name = "<script>alert(1)</script>"
        day.clinic.org.save(update_fields=["name"])
    page = get(token(booked)).content.decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


# What nobody sees


def test_unknown_forged_and_revoked_links_are_one_and_the_same_page(day: ClinicDay) -> None:
    booked = day.book()
    good = token(booked)
    with org_scope(day.clinic.id):
        revoke_links(day.visit(booked))
    answers = [
        get(which, suffix)
        for which in (
            good,
            token_for(uuid4(), 1),
            good[:-2] + "AA",
            "x",
            "A" * 35,
            "%00",
            "é",
            good + "=",
            "a" * 3000,
        )
        for suffix in ("", ".ics")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert NOT_FOUND in words(answers[0])
    told = {
        tuple(sorted((name, value) for name, value in answer.items() if name != "X-Request-ID"))
        for answer in answers
    }
    assert len(told) == 1


def test_a_new_link_opens_the_page_after_the_old_was_revoked(day: ClinicDay) -> None:
    booked = day.book()
    moved = move(day, booked, "14:30")
    with org_scope(day.clinic.id):
        revoke_links(day.visit(moved))
    assert get(token(booked)).status_code == 404
    assert get(token(moved)).status_code == 404
    assert get(token(moved, 2)).status_code == 200


def test_a_closed_clinics_links_open_nothing(day: ClinicDay) -> None:
    booked = day.book()
    with platform_scope("test"):
        day.clinic.org.active = False
        day.clinic.org.save(update_fields=["active"])
    assert get(token(booked)).status_code == 404


def test_the_page_keeps_its_address_to_itself(day: ClinicDay) -> None:
    booked = day.book()
    for answer in (get(token(booked)), get(token(booked), ".ics"), get("x")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not answer.cookies
    page = get(token(booked)).content.decode()
    assert '<meta name="robots" content="noindex, nofollow">' in page
    assert "http" not in re.sub(r'"https?://www\.w3\.org[^"]*"', "", page), "nothing leads elsewhere"


def test_the_policy_lets_in_our_one_style_and_no_script(day: ClinicDay) -> None:
    answer = get(token(day.book()))
    page = answer.content.decode()
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert "script" not in policy
    assert "<script" not in page
    assert not re.search(r"\s(style|on\w+)=", page), "what the policy would not let work"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("suffix", ["", ".ics"])
def test_the_page_is_read_only(day: ClinicDay, method: str, suffix: str) -> None:
    booked = day.book()
    strict = Client(enforce_csrf_checks=True)
    answer = strict.generic(
        method, f"/a/{token(booked)}{suffix}", b"time=10:00", "application/x-www-form-urlencoded"
    )
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert "This page is to be read" in words(answer)
    assert day.visit(booked).status == AppointmentStatus.CONFIRMED


def test_head_says_what_get_would(day: ClinicDay) -> None:
    which = token(day.book())
    assert CLIENT.head(f"/a/{which}").status_code == 200
    assert CLIENT.head("/a/x").status_code == 404


def test_guessing_is_limited_and_without_a_count_refused(
    day: ClinicDay, settings: Any, monkeypatch: Any
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "patient_links": "2/m"}
    assert [get("x").status_code for _ in range(3)] == [404, 404, 429]
    answer = get(token(day.book()))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Just a moment" in words(answer)


def test_the_page_reads_well_to_a_screen_reader(day: ClinicDay) -> None:
    page = get(token(day.book("10:00"))).content.decode()
    assert '<html lang="en">' in page
    assert page.count("<h1") == page.count("<main") == 1
    assert 'content="width=device-width, initial-scale=1"' in page
    assert "user-scalable" not in page
    (moment,) = re.findall(r'<time datetime="([^"]+)"', page)
    assert datetime.fromisoformat(moment) == day.at("10:00")
    assert all('aria-hidden="true"' in picture for picture in re.findall(r"<svg[^>]*>", page))


# While the database is away


@pytest.fixture
def _database_away() -> Iterator[None]:
    known = connection.settings_dict
    connection.close()
    connection.settings_dict = {**known, "HOST": "127.0.0.1", "PORT": "1"}
    yield
    connection.close()
    connection.settings_dict = known


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_database_away")
def test_while_the_database_is_away_the_patient_is_told_to_come_back() -> None:
    answer = get(token_for(uuid4(), 1))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "Back in a moment" in words(answer)
