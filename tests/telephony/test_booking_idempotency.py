"""``Idempotency-Key``: one effect and the first answer again, for one caller of one clinic."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bookings.booking import cancel
from bookings.models import Appointment
from monitoring.retention import clean_up
from telephony.models import ApiIdempotencyKey
from tests.clinics import Clinic
from tests.telephony.booking_api import Partner, some_key
from tests.telephony.rows import row_counts
from voxanne.tenancy.scope import org_scope, platform_scope


@pytest.fixture
def partner(elm: Clinic) -> Partner:
    return Partner(elm)


def test_the_same_key_and_body_give_the_first_answer(partner: Partner) -> None:
    key = some_key()
    first = partner.book(key)
    before = row_counts()
    again = partner.book(key)
    assert (first.status, again.status) == (201, 200)
    assert again.body == first.body
    assert row_counts() == before


def test_the_first_answer_stays_also_when_the_visit_is_gone(partner: Partner) -> None:
    key = some_key()
    first = partner.book(key)
    with org_scope(partner.clinic.id):
        cancel(partner.clinic.plan(), Appointment.objects.select_related("contact").get(), reason="")
    assert partner.book(key).body == first.body
    with org_scope(partner.clinic.id):
        assert Appointment.objects.count() == 1


def test_spaces_and_order_make_no_other_body(partner: Partner) -> None:
    key, body = some_key(), {"tool_name": "book_appointment", "tool_input": partner.wish()}
    partner.send(body, key)
    written_otherwise = json.dumps(dict(reversed(list(body.items()))), indent=4).encode()
    assert partner.send(written_otherwise, key).status == 200


@pytest.mark.parametrize(
    "changes",
    [{"appointment_time": "11:00"}, {"patient_name": "Sam Okafor"}, {"patient_email": "dana@example.com"}],
)
def test_the_same_key_with_another_body_is_refused(partner: Partner, changes: dict[str, Any]) -> None:
    key = some_key()
    partner.book(key)
    before = row_counts()
    answer = partner.book(key, **changes)
    assert (answer.status, answer.code) == (422, "idempotency_key_reused")
    assert row_counts() == before


def test_keys_are_each_callers_and_each_clinics_own(partner: Partner, oak: Clinic) -> None:
    key = some_key()
    partner.book(key)
    colleague = Partner(partner.clinic, subject="another-partner")
    stranger = Partner(oak)
    assert colleague.book(key, appointment_time="11:00").status == 201
    assert stranger.book(key, patient_phone="+447700900142").status == 201
    assert partner.book(key).status == 200


def test_a_conflict_is_not_remembered(partner: Partner) -> None:
    key = some_key()
    taken = Partner(partner.clinic).book(patient_phone="+14155550143", patient_name="Sam Okafor")
    assert partner.book(key).status == 409
    assert row_counts()["api_idempotency_keys"] == 0
    with org_scope(partner.clinic.id):
        visit = Appointment.objects.select_related("contact").get(pk=taken.body["appointment_id"])
        cancel(partner.clinic.plan(), visit, reason="")
    assert partner.book(key).status == 201


def test_a_limit_is_not_remembered(partner: Partner, settings: Any) -> None:
    key, limits = some_key(), settings.RATE_LIMITS
    settings.RATE_LIMITS = {**limits, "clinic_api": "1/h"}
    partner.book(appointment_time="15:00")
    assert partner.book(key).status == 429
    settings.RATE_LIMITS = limits
    assert partner.book(key).status == 201


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"appointment_date": "2020-01-06"}, 422),
        ({"provider_id": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}, 404),
    ],
)
def test_a_refusal_that_waiting_will_not_change_is_remembered(
    partner: Partner, changes: dict[str, Any], status: int
) -> None:
    key = some_key()
    first, again = partner.book(key, **changes), partner.book(key, **changes)
    assert (first.status, again.status) == (status, status)
    assert again.body == first.body
    assert partner.book(key).code == "idempotency_key_reused"


def test_what_cannot_be_read_leaves_the_key_unused(partner: Partner) -> None:
    key = some_key()
    for body in (b"{", {}, {"tool_name": "book_appointment", "tool_input": partner.wish(provider_id="x")}):
        assert partner.send(body, key).status == 400
    assert partner.book(key).status == 201


@pytest.mark.parametrize("key", ["x" * 256, "a\x7fb", "é", "a\tb"])
def test_a_key_that_is_no_key_is_invalid(partner: Partner, key: str) -> None:
    assert partner.book(key).code == "invalid_request"


@pytest.mark.parametrize("key", ["x", "x" * 255, 'a "quoted" key', "ключ".encode().hex()])
def test_any_printable_key_will_do(partner: Partner, key: str) -> None:
    assert [partner.book(key).status for _ in range(2)] == [201, 200]


def test_a_blank_key_is_none(partner: Partner) -> None:
    assert partner.book("  ").status == 201
    assert row_counts()["api_idempotency_keys"] == 0


def test_neither_key_nor_subject_nor_token_lies_in_the_table(partner: Partner) -> None:
    answer = partner.book("a-secret-key")
    with org_scope(partner.clinic.id):
        row = ApiIdempotencyKey.objects.values().get()
    written = str(row)
    for secret in ("a-secret-key", "a-partner", answer.body["confirmation_token"], "Dana", "+14155550142"):
        assert secret not in written


def test_keys_are_forgotten_after_a_day_and_not_before(partner: Partner) -> None:
    partner.book("old")
    partner.book("new", appointment_time="11:00")
    now = timezone.now()
    with platform_scope("test"):
        older, newer = ApiIdempotencyKey.objects.order_by("created_at").values_list("pk", flat=True)
        for pk, age in ((older, timedelta(hours=24, seconds=1)), (newer, timedelta(hours=23, minutes=59))):
            ApiIdempotencyKey.objects.filter(pk=pk).update(created_at=now - age)
    assert clean_up()["api_idempotency_keys"] == 1
    assert row_counts()["api_idempotency_keys"] == 1
