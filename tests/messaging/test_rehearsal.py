"""A rehearsal: every text goes to one phone, and everything else is as if it went to the patient."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.fates.receipts import Receipt, apply_receipt
from messaging.manners import rehearsal
from messaging.models import InboundMessage
from messaging.readiness_checks import rehearsal as readiness_of_rehearsal
from messaging.states import MessageState
from monitoring.findings import Verdict
from tests.messaging.desk import PATIENT, Desk
from tests.messaging.test_inbound import post
from voxanne.staff.theme import environment_label
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

TESTER = "+14155550199"
OTHER = "+14155550143"


@pytest.fixture(autouse=True)
def _rehearsing(settings: Any) -> None:
    settings.SMS_REDIRECT_TO = TESTER


@pytest.mark.parametrize(
    ("recipient", "goes_to"), [(PATIENT, TESTER), (f"whatsapp:{PATIENT}", f"whatsapp:{TESTER}")]
)
def test_every_channel_leads_to_the_testers_phone(recipient: str, goes_to: str) -> None:
    assert rehearsal.destination(recipient) == goes_to


def test_without_it_nothing_is_redirected(settings: Any) -> None:
    settings.SMS_REDIRECT_TO = ""
    assert rehearsal.destination(PATIENT) == PATIENT


def test_the_words_are_the_patients_to_the_letter(desk: Desk) -> None:
    message = desk.write()
    desk.send(message)
    assert (desk.phone(), desk.phone(TESTER)) == ([], [message.body])
    assert desk.now(message).recipient == PATIENT


def test_receipts_hold(desk: Desk) -> None:
    message = desk.write()
    desk.send(message)
    sid = desk.now(message).provider_sid
    assert apply_receipt(desk.clinic.id, message.pk, Receipt(sid, "delivered", None))
    assert desk.now(message).state == MessageState.DELIVERED


def test_a_lost_answer_is_found_in_the_testers_list(desk: Desk) -> None:
    desk.sandbox.fault("accepted_then_lost", count=1)
    lost = desk.lose(desk.write())
    assert lost.state == MessageState.UNKNOWN
    desk.look_up()
    assert desk.now(lost).state == MessageState.SENT
    assert len(desk.phone(TESTER)) == 1


def test_the_patients_opt_out_and_time_still_count(desk: Desk) -> None:
    waiting = desk.write()
    post(desk.clinic, "STOP", From=OTHER)
    post(desk.clinic, "STOP", sid="SM2")
    assert desk.send(waiting).state == MessageState.SUPPRESSED
    assert desk.write(recipient=OTHER).state == MessageState.SUPPRESSED
    late = desk.write(recipient="+14155550144", expires_at=timezone.now() - timedelta(seconds=1))
    assert desk.send(late).state == MessageState.EXPIRED
    assert desk.phone(TESTER) == []


def test_what_the_testers_phone_answers_is_the_patients(desk: Desk) -> None:
    desk.send(desk.write(recipient=OTHER))
    desk.send(desk.write())
    post(desk.clinic, "Can I come later?", From=TESTER)
    with org_scope(desk.clinic.id):
        assert InboundMessage.objects.get().sender == PATIENT
    post(desk.clinic, "STOP", sid="SM2", From=TESTER)
    assert desk.ledger() == [(desk.clinic.number, PATIENT, True, "keyword")]


def test_before_any_text_the_testers_phone_is_itself(desk: Desk) -> None:
    post(desk.clinic, "Hello", From=TESTER)
    with org_scope(desk.clinic.id):
        assert InboundMessage.objects.get().sender == TESTER


def test_twilios_block_of_the_testers_phone_is_no_patients(desk: Desk) -> None:
    desk.sandbox.control("/twilio/opt-outs", {"number": desk.clinic.number, "phone": TESTER, "out": True})
    assert desk.send(desk.write()).state == MessageState.SUPPRESSED
    assert desk.ledger() == [(desk.clinic.number, TESTER, True, "carrier")]
    desk.sandbox.control("/twilio/opt-outs", {"number": desk.clinic.number, "phone": TESTER, "out": False})
    assert desk.send(desk.write()).state == MessageState.SENT


def test_every_page_says_so() -> None:
    assert environment_label("staging", TESTER) == ["Texts to …0199 · staging", "warning"]
    assert environment_label("staging", "") == ["Staging", "warning"]


def test_in_production_it_is_a_fault(settings: Any) -> None:
    settings.PRODUCTION = True
    (finding,) = readiness_of_rehearsal()
    assert finding.verdict == Verdict.FAIL
    assert TESTER not in finding.detail
    settings.PRODUCTION = False
    assert readiness_of_rehearsal()[0].verdict == Verdict.WARN
    settings.SMS_REDIRECT_TO = ""
    assert readiness_of_rehearsal()[0].verdict == Verdict.PASS
