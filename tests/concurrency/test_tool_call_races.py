"""Copies of one tool call that arrive at the same instant: one effect, equal answers."""

from __future__ import annotations

import json
from datetime import time
from functools import partial
from typing import Any

import pytest

from bookings.models import Appointment
from messaging.models import Message
from telephony.models import Call, CallCommand, TransferDestination
from telephony.tools.runner import run_tool_call
from telephony.vapi.payload import CallFacts, ToolCall
from tests.clinics import Clinic
from tests.concurrency.conftest import Without
from tests.concurrency.racing import race
from tests.guards import ONE_ANSWER
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

COPIES = 8


def facts(clinic: Clinic, call: str = "call-1") -> CallFacts:
    return CallFacts(
        vapi_call_id=call,
        twilio_call_sid="",
        assistant_id=clinic.assistant_id,
        phone_number_id=clinic.phone_number_id,
        dialled=clinic.number,
        caller="+14155550142",
        control_url="",
    )


def booking(clinic: Clinic) -> ToolCall:
    day = clinic.next_weekday().isoformat()
    arguments = {"appointmentDate": day, "appointmentTime": "10:00", "patientName": "Dana Ruiz"}
    return ToolCall("tool-call-1", "bookClinicAppointment", arguments)


def transfer(clinic: Clinic) -> ToolCall:
    with org_scope(clinic.id):
        TransferDestination.objects.create(
            org=clinic.org,
            department="billing",
            number="+14155550177",
            weekdays=list(range(7)),
            opens=time(0),
            closes=time(0),
        )
    return ToolCall("tool-call-1", "transferCall", {"department": "billing", "summary": "An invoice."})


def send_copies(clinic: Clinic, tool_call: ToolCall) -> list[dict[str, Any]]:
    key = clinic.plan().key
    answers, _ = race([partial(run_tool_call, key, facts(clinic), tool_call)] * COPIES)
    return answers


def distinct(answers: list[dict[str, Any]]) -> int:
    return len({json.dumps(answer, sort_keys=True) for answer in answers})


def test_copies_of_a_booking_are_one_visit_one_text_and_one_answer(clinic: Clinic) -> None:
    answers = send_copies(clinic, booking(clinic))
    assert answers[0]["result"]["ok"]
    assert distinct(answers) == 1
    with org_scope(clinic.id):
        assert (Call.objects.count(), Appointment.objects.count(), Message.objects.count()) == (1, 1, 1)


def test_copies_of_a_booking_are_answered_differently_without_the_unique_key(
    clinic: Clinic, without: Without
) -> None:
    with without(ONE_ANSWER):
        assert distinct(send_copies(clinic, booking(clinic))) > 1


def test_copies_of_a_transfer_give_one_command(clinic: Clinic) -> None:
    answers = send_copies(clinic, transfer(clinic))
    assert answers[0]["result"]["transferring"]
    assert distinct(answers) == 1
    with org_scope(clinic.id):
        assert CallCommand.objects.count() == 1


def test_copies_of_a_transfer_give_several_commands_without_the_unique_key(
    clinic: Clinic, without: Without
) -> None:
    with without(ONE_ANSWER):
        send_copies(clinic, transfer(clinic))
        with org_scope(clinic.id):
            assert CallCommand.objects.count() > 1


def test_first_messages_of_one_call_at_once_make_one_call(clinic: Clinic) -> None:
    key, day = clinic.plan().key, clinic.next_weekday().isoformat()
    asked = [ToolCall(f"tool-call-{number}", "checkAvailability", {"date": day}) for number in range(COPIES)]
    answers, _ = race([partial(run_tool_call, key, facts(clinic, "call-2"), each) for each in asked])
    assert all(answer["result"]["ok"] for answer in answers)
    with org_scope(clinic.id):
        assert Call.objects.filter(vapi_call_id="call-2").count() == 1
