"""``POST /api/vapi/booking``: what is booked, what is refused, and how often one may ask."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from bookings.models import Appointment, Provider
from bookings.patient_token import token_for
from bookings.states import AppointmentSource
from messaging.models import Contact, Message
from tests.clinics import Clinic
from tests.telephony.booking_api import ADDRESS, CLIENT, Partner
from tests.telephony.rows import row_counts
from voxanne.tenancy.scope import org_scope, platform_scope


@pytest.fixture
def partner(elm: Clinic) -> Partner:
    return Partner(elm)


def visit(clinic: Clinic, appointment_id: str) -> Appointment:
    with org_scope(clinic.id):
        return Appointment.objects.select_related("contact").get(pk=appointment_id)


# Booked


def test_a_booking_says_all_that_was_promised(partner: Partner) -> None:
    answer = partner.book()
    assert answer.status == 201
    assert set(answer.body) == {"success", "appointment_id", "confirmation_token", "starts_at", "latency_ms"}
    assert answer.body["success"] is True
    booked = visit(partner.clinic, answer.body["appointment_id"])
    starts_at = datetime.fromisoformat(answer.body["starts_at"])
    assert starts_at == booked.starts_at
    assert (starts_at.utcoffset(), starts_at.strftime("%H:%M")) != (None, "")
    assert answer.body["starts_at"][11:16] == "10:00"
    assert 0 < answer.body["latency_ms"] < 60_000
    assert booked.source == AppointmentSource.API
    assert booked.provider_id == partner.clinic.providers[0].pk
    assert (booked.patient_name, booked.contact.phone) == ("Dana Ruiz", "+14155550142")


def test_the_confirmation_token_opens_the_patients_page(partner: Partner) -> None:
    answer = partner.book()
    assert answer.body["confirmation_token"] == token_for(UUID(answer.body["appointment_id"]), 1)
    assert CLIENT.get(f"/a/{answer.body['confirmation_token']}").status_code == 200


def test_the_patient_gets_a_text_with_the_link(partner: Partner) -> None:
    answer = partner.book()
    with org_scope(partner.clinic.id):
        text = Message.objects.get()
    assert f"/a/{answer.body['confirmation_token']} " in text.body


def test_every_optional_field_counts(partner: Partner) -> None:
    answer = partner.book(
        provider_id=str(partner.clinic.providers[1].pk).upper(),
        appointment_time="11:05",
        patient_phone="(415) 555-0143",
        patient_email="Dana@Example.com",
        service="CONSULTATION",
        duration_minutes=45,
        nobody_knows_this={"field": 1},
    )
    booked = visit(partner.clinic, answer.body["appointment_id"])
    assert booked.provider_id == partner.clinic.providers[1].pk
    assert (booked.ends_at - booked.starts_at).total_seconds() == 45 * 60
    assert (booked.contact.phone, booked.contact.email) == ("+14155550143", "dana@example.com")


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_optional_fields_may_be_null_or_blank(partner: Partner, blank: str | None) -> None:
    body = {"tool_name": "book_appointment", "tool_input": partner.wish()}
    body["tool_input"] |= {
        "service": blank,
        "patient_name": blank,
        "patient_email": blank,
        "patient_id": blank,
    }  # type: ignore[operator]
    body["tool_input"] |= {"duration_minutes": None}  # type: ignore[operator]
    assert partner.send(body).status == 201


def test_an_email_address_alone_will_do_and_no_text_is_sent(partner: Partner) -> None:
    answer = partner.book(patient_phone=None, patient_email="dana@example.com")
    assert answer.status == 201
    assert visit(partner.clinic, answer.body["appointment_id"]).contact.phone is None
    with org_scope(partner.clinic.id):
        assert Message.objects.count() == 0


def test_a_known_patient_is_booked_by_id(partner: Partner) -> None:
    with org_scope(partner.clinic.id):
        known = Contact.objects.create(org=partner.clinic.org, phone="+14155550150", name="Sam Okafor")
    answer = partner.book(patient_phone=None, patient_name=None, patient_id=str(known.pk))
    booked = visit(partner.clinic, answer.body["appointment_id"])
    assert (booked.contact_id, booked.patient_name) == (known.pk, "Sam Okafor")
    with org_scope(partner.clinic.id):
        assert Message.objects.get().recipient == "+14155550150"


def test_the_same_wish_again_gives_the_first_booking_again(partner: Partner) -> None:
    first = partner.book()
    again = partner.book()
    assert (first.status, again.status) == (201, 200)
    assert again.body["appointment_id"] == first.body["appointment_id"]
    assert again.body["confirmation_token"] == first.body["confirmation_token"]
    with org_scope(partner.clinic.id):
        assert (Appointment.objects.count(), Message.objects.count()) == (1, 1)


# Refused


def test_a_taken_time_is_a_conflict_with_others_to_choose_from(partner: Partner) -> None:
    partner.book()
    before = row_counts()
    answer = partner.book(patient_phone="+14155550143", patient_name="Sam Okafor", appointment_time="10:15")
    assert (answer.status, answer.code) == (409, "slot_unavailable")
    days = answer.body["error"]["details"]["alternatives"]
    assert days[0]["date"] == partner.clinic.next_weekday().isoformat()
    assert days[0]["slots"]
    assert row_counts() == before


@pytest.mark.parametrize("provider", [str(uuid4()), "00000000-0000-0000-0000-000000000000"])
def test_an_unknown_provider_is_not_found(partner: Partner, provider: str) -> None:
    answer = partner.book(provider_id=provider)
    assert (answer.status, answer.code) == (404, "unknown_provider")


def test_another_clinics_provider_and_patient_are_not_found(partner: Partner, oak: Clinic) -> None:
    with org_scope(oak.id):
        theirs = Contact.objects.create(org=oak.org, phone="+447700900142")
    before = row_counts()
    assert partner.book(provider_id=str(oak.providers[0].pk)).status == 404
    answer = partner.book(patient_id=str(theirs.pk))
    assert (answer.status, answer.code) == (404, "unknown_patient")
    assert row_counts() == before


def test_a_provider_who_left_is_not_found(partner: Partner) -> None:
    with org_scope(partner.clinic.id):
        Provider.objects.filter(pk=partner.clinic.providers[0].pk).update(active=False)
    assert partner.book().status == 404


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"appointment_date": "2027-02-30"}, "invalid_date"),
        ({"appointment_date": "0000-00-00"}, "invalid_date"),
        ({"appointment_time": "25:61"}, "invalid_time"),
        ({"appointment_time": "24:00"}, "invalid_time"),
        ({"appointment_time": "10:03"}, "invalid_time"),
        ({"appointment_time": "07:00"}, "outside_hours"),
        ({"appointment_date": "2020-01-06"}, "in_the_past"),
        ({"appointment_date": "0001-01-01"}, "in_the_past"),
        ({"appointment_date": "9999-12-31"}, "too_far_ahead"),
        ({"patient_phone": "555"}, "invalid_phone"),
        ({"patient_phone": "anonymous"}, "invalid_phone"),
        ({"service": "Surgery"}, "unknown_service"),
        ({"duration_minutes": 0}, "invalid_duration"),
        ({"duration_minutes": 241}, "invalid_duration"),
        ({"duration_minutes": -5}, "invalid_duration"),
        ({"duration_minutes": 10**30}, "invalid_duration"),
    ],
)
def test_what_a_rule_refuses_is_unprocessable(partner: Partner, changes: dict[str, Any], code: str) -> None:
    before = row_counts()
    answer = partner.book(**changes)
    assert (answer.status, answer.code) == (422, code)
    assert row_counts() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "tool_name"),
        ({"tool_name": "book_appointment"}, "tool_input"),
        ({"tool_name": "cancel_appointment", "tool_input": {}}, "tool_name"),
        ({"tool_name": "book_appointment", "tool_input": []}, "tool_input"),
        ({"tool_name": "book_appointment", "tool_input": None}, "tool_input"),
        ({"tool_name": None, "tool_input": {}}, "tool_name"),
    ],
)
def test_a_body_without_its_parts_is_invalid(partner: Partner, body: object, field: str) -> None:
    answer = partner.send(body)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert field in answer.body["error"]["details"]["fields"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("provider_id", "Dr. Amara Lee"),
        ("provider_id", 7),
        ("provider_id", ""),
        ("appointment_date", "24/12/2026"),
        ("appointment_date", "2026-1-5"),
        ("appointment_date", 20261224),
        ("appointment_time", "9:00"),
        ("appointment_time", "10:00:00"),
        ("appointment_time", "ten"),
        ("appointment_time", "١٠:٠٠"),
        ("patient_name", "x" * 121),
        ("patient_name", ["Dana"]),
        ("patient_phone", 14155550142),
        ("patient_email", "dana"),
        ("patient_id", "7"),
        ("service", {"$ne": None}),
        ("duration_minutes", "30"),
        ("duration_minutes", 30.5),
        ("duration_minutes", True),
    ],
)
def test_ill_typed_or_pattern_breaking_fields_are_invalid(partner: Partner, name: str, value: Any) -> None:
    before = row_counts()
    answer = partner.book(**{name: value})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert name in answer.body["error"]["details"]["fields"]["tool_input"]
    assert row_counts() == before


@pytest.mark.parametrize("name", ["provider_id", "appointment_date", "appointment_time"])
def test_required_fields_are_required(partner: Partner, name: str) -> None:
    assert partner.book(**{name: None}).status == 400


def test_somebody_must_be_booked_for(partner: Partner) -> None:
    for blank in (None, "", "  "):
        answer = partner.book(patient_phone=blank)
        assert (answer.status, answer.code) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_post_is_taken(partner: Partner, method: str) -> None:
    answer = partner.send({}, method=method)
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"


def test_the_body_must_say_that_it_is_json(partner: Partner) -> None:
    body = {"tool_name": "book_appointment", "tool_input": partner.wish()}
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "é"):
        answer = partner.send(body, content_type=kind)
        assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert partner.send(body, content_type="application/json; charset=utf-8").status == 201


def test_any_kind_of_answer_may_be_asked_for_and_json_is_given(partner: Partner) -> None:
    for accepts in ("text/html", "application/xml", "nonsense"):
        body = {"tool_name": "book_appointment", "tool_input": partner.wish()}
        assert partner.send(body, headers={"Accept": accepts}).status in (200, 201)


def test_a_large_body_is_too_large(partner: Partner) -> None:
    answer = partner.book(patient_name="x" * 70_000)
    assert (answer.status, answer.code) == (413, "too_large")


# How often


def test_a_clinic_has_its_share_an_hour(partner: Partner, oak: Clinic, settings: Any) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "clinic_api": "2/h"}
    for _ in range(2):
        assert partner.book().status in (200, 201)
    answer = partner.book()
    assert (answer.status, answer.code) == (429, "too_many_requests")
    assert int(answer.headers["Retry-After"]) > 0
    assert Partner(oak).book(patient_phone="+447700900142").status == 201


def test_strangers_use_up_nobodys_share(partner: Partner, settings: Any) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "clinic_api": "1/h", "booking_address": "1/m"}
    stranger = Partner(partner.clinic, credential={"Authorization": "Bearer forged"})
    for _ in range(5):
        assert stranger.book().status == 401
    assert partner.book().status == 201


def test_an_address_has_its_share_a_minute(partner: Partner, oak: Clinic, settings: Any) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "booking_address": "1/m"}
    assert partner.book().status == 201
    assert Partner(oak).book(patient_phone="+447700900142").status == 429


def test_who_tries_credentials_faster_than_anybody_mistypes_is_told_to_wait(
    partner: Partner, settings: Any
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "forged": "3/m"}
    stranger = Partner(partner.clinic, credential={"Authorization": "Bearer forged"})
    statuses = [stranger.book().status for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]


# Described


def test_the_api_is_described(elm: Clinic) -> None:
    described = CLIENT.get("/api/schema/?format=json").json()
    operation = described["paths"][ADDRESS]["post"]
    assert set(operation["responses"]) == {
        "200", "201", "400", "401", "403", "404", "409", "413", "415", "422", "429", "503",
    }  # fmt: skip
    assert operation["security"] == [{"bookingToken": []}]
    assert any(each["name"] == "Idempotency-Key" for each in operation["parameters"])


def test_a_clinic_that_was_closed_books_nothing(partner: Partner) -> None:
    with platform_scope("test"):
        partner.clinic.org.active = False
        partner.clinic.org.save(update_fields=["active"])
    answer = partner.book()
    assert (answer.status, answer.code) == (403, "forbidden")
