"""Copies of one API request under one key that arrive at once: one works, the others wait for its answer."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from bookings.models import Appointment
from messaging.models import Message
from telephony.models import ApiIdempotencyKey
from tests.clinics import Clinic
from tests.concurrency.conftest import Without
from tests.concurrency.racing import race
from tests.guards import ONE_API_ANSWER
from tests.telephony.booking_api import Answer, Partner
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

COPIES = 8


@pytest.fixture(autouse=True)
def _no_limits(settings: Any) -> None:
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, "1000000/s")


def send_copies(clinic: Clinic) -> list[Answer]:
    answers, _ = race([partial(Partner(clinic).book, "one-key")] * COPIES)
    return answers


def rows(clinic: Clinic) -> tuple[int, int, int]:
    with org_scope(clinic.id):
        return Appointment.objects.count(), Message.objects.count(), ApiIdempotencyKey.objects.count()


def test_copies_of_a_request_are_one_visit_and_one_answer(clinic: Clinic) -> None:
    answers = send_copies(clinic)
    assert sorted(answer.status for answer in answers) == [200] * (COPIES - 1) + [201]
    assert len({str(answer.body) for answer in answers}) == 1
    assert rows(clinic) == (1, 1, 1)


def test_copies_of_a_request_are_answered_differently_without_the_unique_key(
    clinic: Clinic, without: Without
) -> None:
    with without(ONE_API_ANSWER):
        assert len({str(answer.body) for answer in send_copies(clinic)}) > 1


def test_of_many_partners_who_want_one_time_one_gets_it(clinic: Clinic) -> None:
    wishes = [
        partial(
            Partner(clinic, subject=f"partner-{number}").book, "a-key", patient_phone=f"+1415555{number:04d}"
        )
        for number in range(COPIES)
    ]
    answers, _ = race(wishes)
    assert sorted(answer.status for answer in answers) == [201] + [409] * (COPIES - 1)
    assert all(answer.body["error"]["details"]["alternatives"] for answer in answers if answer.status == 409)
    assert rows(clinic) == (1, 1, 1), "a conflict leaves no claim behind"
