"""What staff read before and after they act: whose visit, when, what it does, and what became of a text."""

from __future__ import annotations

import html
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bookings.models import Appointment
from messaging.manners import consent
from messaging.models import Contact, Message
from tests.clinics import Clinic
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished, dead_letter
from tests.staff.test_dead_letters import YES, told
from tests.staff.test_visits import LIST, booked, form_for, visits
from voxanne.tenancy.models import Membership, User
from voxanne.tenancy.scope import org_scope, platform_scope

MESSAGES = "/admin/messaging/message/"


@pytest.fixture
def client(elm: Clinic, sign_in: SignIn) -> Client:
    return sign_in(elm.staff["receptionist"])


def read(client: Client, address: str, **parameters: str) -> str:
    """A page as it reads: entities resolved, blanks folded."""
    answer = client.get(address, parameters)
    assert answer.status_code == 200
    return " ".join(html.unescape(answer.content.decode()).split())


def cancel(client: Client, visit: Appointment, **given: str) -> list[str]:
    return told(client.post(f"{LIST}{visit.pk}/cancel/", {**YES, "reason": "Patient rang", **given}))


def begin(visit: Appointment) -> None:
    """Makes it a visit that began a moment ago."""
    began = timezone.now() - timedelta(minutes=5)
    Appointment.objects.filter(pk=visit.pk).update(starts_at=began, blocked_from=began)


# Cancelling


def test_the_question_names_patient_time_zone_and_what_will_happen(client: Client, elm: Clinic) -> None:
    visit = booked(elm)
    asked = read(client, f"{LIST}{visit.pk}/cancel/")
    local = visit.starts_at.astimezone(elm.org.zone)
    assert f"Sam Okafor, {local:%a %-d %b %Y}, 10:00 {local:%Z}: Consultation with Dr. Amara Lee." in asked
    assert "A text to +1 ••• ••• 0143 says so, unless you switch that off." in asked
    assert "tell_patient" in asked


@pytest.mark.parametrize("why", ["no number", "opted out", "begun"])
def test_who_cannot_be_texted_is_not_offered_a_text(client: Client, elm: Clinic, why: str) -> None:
    visit = booked(elm)
    with platform_scope("test data"):
        if why == "no number":
            Contact.objects.filter(pk=visit.contact_id).update(phone=None, email="sam@example.org")
        elif why == "opted out":
            consent.record(
                elm.id, sender=elm.number, recipient="+14155550143", opted_out=True, source="staff"
            )
        else:
            begin(visit)
    asked = read(client, f"{LIST}{visit.pk}/cancel/")
    assert {"no number": "there is no phone number", "opted out": "opted out", "begun": "has begun"}[
        why
    ] in asked
    assert "tell_patient" not in asked
    assert cancel(client, visit, tell_patient="on") == ["The visit is cancelled. No text is sent."]


@pytest.mark.parametrize(
    ("given", "said"), [({"tell_patient": "on"}, "The patient is texted."), ({}, "No text is sent.")]
)
def test_afterwards_it_says_whether_the_patient_is_texted(
    client: Client, elm: Clinic, given: dict[str, str], said: str
) -> None:
    assert cancel(client, booked(elm), **given) == [f"The visit is cancelled. {said}"]


# Booking again


def test_a_cancelled_visit_leads_to_the_booking_page_filled_in(client: Client, elm: Clinic) -> None:
    visit = booked(elm)
    page = f"{LIST}{visit.pk}/change/"
    assert "Book again" not in read(client, page)
    cancel(client, visit)
    again = f"{LIST}add/?clinic={elm.id}&again={visit.pk}"
    assert f'href="{again}"' in read(client, page)
    form = client.get(again).context["form"]
    shown = {name: form[name].value() for name in form.fields}
    assert (shown["patient_name"], shown["phone"]) == ("Sam Okafor", "+14155550143")
    assert (shown["service"], shown["provider"]) == (str(visit.service_id), str(visit.provider_id))
    assert (shown["day"], shown["at"], shown["minutes"]) == (elm.next_weekday(), time(10), 30)
    client.post(again, form_for(elm, phone=shown["phone"], patient_name="Sam Okafor", at="11:00"))
    assert [row.status for row in visits(elm)] == ["cancelled", "confirmed"]


def test_of_a_visit_that_is_over_the_time_is_left_open(client: Client, elm: Clinic) -> None:
    visit = booked(elm)
    cancel(client, visit)
    with platform_scope("test data"):
        begin(visit)
    form = client.get(f"{LIST}add/?clinic={elm.id}&again={visit.pk}").context["form"]
    assert (form["day"].value(), form["at"].value(), form["patient_name"].value()) == (
        None,
        None,
        "Sam Okafor",
    )


@pytest.mark.parametrize("again", ["theirs", "7", "00000000-0000-0000-0000-000000000000"])
def test_nothing_is_filled_in_from_a_visit_of_another_clinic(
    client: Client, elm: Clinic, oak: Clinic, again: str
) -> None:
    wanted = str(booked(oak).pk) if again == "theirs" else again
    assert client.get(f"{LIST}add/", {"again": wanted}).status_code == 404


def test_a_visit_of_ones_other_clinic_is_not_booked_again_here(
    elm: Clinic, oak: Clinic, sign_in: SignIn
) -> None:
    person = elm.staff["manager"]
    with platform_scope("test data"):
        Membership.objects.create(org=oak.org, user=person, role="manager")
    answer = sign_in(person).get(f"{LIST}add/", {"clinic": str(elm.id), "again": str(booked(oak).pk)})
    assert answer.status_code == 404


def test_who_may_not_book_is_not_led_to_booking(client: Client, elm: Clinic, sign_in: SignIn) -> None:
    visit = booked(elm)
    cancel(client, visit)
    assert "Book again" not in read(sign_in(elm.staff["viewer"]), f"{LIST}{visit.pk}/change/")


def test_the_booking_page_names_the_clock(client: Client) -> None:
    assert "On the clinic's clock (America/New_York)." in read(client, f"{LIST}add/")


# Texts


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"state": "dead_letter", "last_error": "The patient's phone was off."},
            "The patient's phone was off.",
        ),
        ({"state": "suppressed", "last_error": ""}, "The patient opted out of texts."),
        ({"state": "delivered", "last_error": "The phone was off, at first."}, "It arrived."),
        ({"state": "expired", "last_error": ""}, "Its time passed before it could be sent."),
    ],
)
def test_the_list_says_who_was_texted_and_what_became_of_it(
    elms: Furnished, sign_in: SignIn, changes: dict[str, Any], said: str
) -> None:
    with platform_scope("test data"):
        Message.objects.all().delete()
        contact = elms.one(Contact)
        dead_letter(elms, contact=contact, **changes)
    page = read(sign_in(elms.clinic.staff["receptionist"]), MESSAGES)
    assert said in page
    assert f'<span class="staff-name">{contact.name}</span><br>' in page


def test_an_operator_reads_each_time_with_its_zone_and_staff_of_one_clinic_without(
    elms: Furnished, oaks: Furnished, operator: User, sign_in: SignIn
) -> None:
    at = datetime(2026, 11, 9, 15, 30, tzinfo=UTC)
    with platform_scope("test data"):
        Message.objects.update(created_at=at)
    several = read(sign_in(operator), MESSAGES)
    assert "Mon 9 Nov 2026, 10:30 EST" in several
    assert "Mon 9 Nov 2026, 15:30 GMT" in several
    one = read(sign_in(elms.clinic.staff["receptionist"]), MESSAGES)
    assert "Mon 9 Nov 2026, 10:30" in one
    assert "EST" not in one
    with org_scope(elms.clinic.id):
        page = f"{MESSAGES}{elms.one(Message).pk}/change/"
    assert "Mon 9 Nov 2026, 10:30 EST" in read(sign_in(operator), page)
