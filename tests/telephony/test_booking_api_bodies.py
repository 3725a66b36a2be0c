"""Whatever is sent to the booking API, the answer is JSON, never a fault of ours, and never a visit half made."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clinics import Clinic
from tests.telephony.booking_api import CLIENT, Partner, bearer, token
from tests.telephony.rows import assert_no_visit_is_half_made, row_counts
from tests.telephony.test_malformed_bodies import HOSTILE, NO_MESSAGES
from tests.telephony.test_random_bodies import header_values, junk, places, put, quick

FIELDS = (
    "provider_id", "appointment_date", "appointment_time", "patient_name", "patient_phone", "patient_email",
    "patient_id", "service", "duration_minutes",
)  # fmt: skip
serials = itertools.count()


@pytest.fixture
def partner(elm: Clinic) -> Partner:
    return Partner(elm)


@pytest.fixture(autouse=True)
def _no_limits(settings: Any) -> None:
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, "1000000/s")


def assert_well_answered(answer: Any) -> None:
    assert answer.status in (200, 201, 400, 401, 403, 404, 409, 413, 415, 422), answer.body
    if answer.status > 201:
        assert answer.code


@pytest.mark.parametrize("body", NO_MESSAGES.values(), ids=NO_MESSAGES.keys())
def test_a_body_that_is_no_request_is_refused(partner: Partner, body: bytes) -> None:
    before = row_counts()
    for key in (None, "a-key"):
        answer = partner.send(body, key)
        assert (answer.status, answer.code) in ((400, "invalid_request"), (413, "too_large"))
    assert row_counts() == before


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_survives_every_hostile_value(partner: Partner, field: str) -> None:
    for value in HOSTILE:
        body = {"tool_name": "book_appointment", "tool_input": {**partner.wish(), field: value}}
        assert_well_answered(partner.send(body, f"key-{next(serials)}"))
    assert_no_visit_is_half_made_for_a_phone(partner.clinic)


def assert_no_visit_is_half_made_for_a_phone(clinic: Clinic) -> None:
    """As for calls; here a name may be left out."""
    from bookings.models import Appointment
    from voxanne.tenancy.scope import org_scope

    with org_scope(clinic.id):
        Appointment.objects.filter(patient_name="").update(patient_name="(none)")
    assert_no_visit_is_half_made(clinic)


@pytest.mark.parametrize("place", ["tool_name", "tool_input"])
def test_both_parts_survive_every_hostile_value(partner: Partner, place: str) -> None:
    for value in HOSTILE:
        body = {"tool_name": "book_appointment", "tool_input": partner.wish(), place: value}
        assert partner.send(body, f"key-{next(serials)}").status in (400, 413)


@pytest.mark.parametrize("depth", [10, 200, 300, 400, 500, 600, 700, 800, 900, 950, 1000, 2000, 20_000])
def test_what_nobody_asked_for_may_be_as_deep_as_it_likes(partner: Partner, depth: int) -> None:
    wish = str(partner.wish()).replace("'", '"')
    deep = "[" * depth + "]" * depth
    body = f'{{"tool_name": "book_appointment", "tool_input": {wish}, "more": {deep}}}'.encode()
    assert_well_answered(partner.send(body, f"key-{next(serials)}"))


def test_json_in_another_encoding_is_still_json(partner: Partner) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        wish = str(partner.wish()).replace("'", '"')
        body = f'{{"tool_name": "book_appointment", "tool_input": {wish}}}'.encode(encoding)
        for charset in ("", "; charset=utf-8", "; charset=zlib", "; charset=no-such"):
            assert partner.send(body, content_type=f"application/json{charset}").status in (200, 201)


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "9" * 30, "12, 12", "٣", "0x10"])
def test_a_length_that_is_no_number_is_no_fault_of_ours(partner: Partner, length: str) -> None:
    body = {"tool_name": "book_appointment", "tool_input": partner.wish()}
    assert_well_answered(partner.send(body, headers={"Content-Length": length}))


@quick
@given(data=st.data())
def test_a_request_with_anything_in_any_place_is_answered(partner: Partner, data: st.DataObject) -> None:
    body: Any = copy.deepcopy(
        {"tool_name": "book_appointment", "tool_input": partner.wish(duration_minutes=30)}
    )
    for _ in range(data.draw(st.integers(1, 3))):
        put(body, data.draw(st.sampled_from(places(body))), data.draw(junk))
    assert_well_answered(partner.send(body, f"key-{next(serials)}"))
    assert_no_visit_is_half_made_for_email_too(partner.clinic)


def assert_no_visit_is_half_made_for_email_too(clinic: Clinic) -> None:
    from bookings.models import Appointment
    from voxanne.tenancy.scope import org_scope

    with org_scope(clinic.id):
        for visit in Appointment.objects.select_related("contact"):
            assert visit.contact.phone or visit.contact.email
            assert visit.ends_at > visit.starts_at


@quick
@given(credential=header_values, key=header_values)
def test_any_header_is_answered(partner: Partner, credential: str, key: str) -> None:
    body = {"tool_name": "book_appointment", "tool_input": partner.wish()}
    raw = str(body).replace("'", '"').encode()
    for headers in (
        {"Authorization": credential},
        {"Authorization": f"Bearer {credential}"},
        {**bearer(token(partner.clinic)), "Idempotency-Key": key},
    ):
        answer = CLIENT.generic("POST", "/api/vapi/booking", raw, "application/json", headers=headers)
        assert answer.status_code in (200, 201, 400, 401, 422), answer.content
