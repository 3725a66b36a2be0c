from __future__ import annotations

import uuid
from typing import Any

import pytest

from bookings.states import AppointmentStatus
from messaging.models import Message
from messaging.states import MessageKind, MessageState
from tests.clinics import Clinic
from tests.telephony.rows import row_counts
from tests.telephony.vapi_client import VapiCaller, result_of, tool_call
from tests.telephony.visits import NOT_FOUND, STRANGER, book, live, visit
from voxanne.tenancy.scope import org_scope

TOOL = "rescheduleAppointment"


def move(
    call: VapiCaller, time: str = "14:30", tool_call_id: str | None = None, **which: Any
) -> dict[str, Any]:
    day = call.clinic.next_weekday().isoformat()
    return call.use(TOOL, tool_call_id, newDate=day, newTime=time, **which)


def test_a_moved_visit_is_answered_like_a_booking(call: VapiCaller) -> None:
    booked = book(call)
    moved = move(VapiCaller(call.clinic), appointmentId=booked["appointmentId"])
    assert set(moved) == {
        "ok",
        "say",
        "appointmentId",
        "startsAt",
        "confirmationCode",
        "alreadyBooked",
        "smsStatus",
    }
    assert moved["ok"]
    assert moved["startsAt"][11:16] == "14:30"
    assert (moved["alreadyBooked"], moved["smsStatus"]) == (False, "queued")
    assert moved["confirmationCode"] == booked["confirmationCode"]
    assert "2:30 PM" in moved["say"]
    assert "text" in moved["say"]


def test_old_and_new_stay_linked_and_name_their_call(call: VapiCaller) -> None:
    booked = book(call)
    moved = move(call, appointmentId=booked["appointmentId"])
    old, new = visit(call.clinic, booked["appointmentId"]), visit(call.clinic, moved["appointmentId"])
    assert new.rescheduled_from_id == old.pk
    assert old.status == AppointmentStatus.CANCELLED
    assert new.call_id == old.call_id
    assert live(call.clinic) == ["14:30"]


def test_the_patient_gets_one_text(call: VapiCaller) -> None:
    move(call, appointmentId=book(call)["appointmentId"])
    with org_scope(call.clinic.id):
        texts = dict(Message.objects.values_list("kind", "state"))
    assert texts == {
        MessageKind.CONFIRMATION: MessageState.CANCELED,
        MessageKind.RESCHEDULED: MessageState.QUEUED,
    }


# Whose visit


def test_the_calling_number_may_move_its_own_visit_by_its_id(call: VapiCaller) -> None:
    booked = book(call)
    assert move(VapiCaller(call.clinic), appointmentId=booked["appointmentId"])["ok"]


def test_an_id_alone_from_another_number_moves_nothing(call: VapiCaller) -> None:
    booked = book(call)
    for caller in (STRANGER, None, "anonymous"):
        answer = move(VapiCaller(call.clinic, caller=caller), appointmentId=booked["appointmentId"])
        assert answer == {"ok": False, "code": "unknown_visit", "say": NOT_FOUND}
    assert live(call.clinic) == ["10:00"]


def test_an_id_found_by_its_code_earlier_in_the_call_may_be_moved(call: VapiCaller) -> None:
    booked = book(call)
    stranger = VapiCaller(call.clinic, caller=STRANGER)
    found = stranger.use("lookupCaller", searchKey=booked["confirmationCode"])
    assert move(stranger, appointmentId=found["upcoming"][0]["appointmentId"])["ok"]


def test_what_one_call_was_told_opens_nothing_in_another(call: VapiCaller) -> None:
    booked = book(call)
    told = VapiCaller(call.clinic, caller=STRANGER)
    told.use("lookupCaller", searchKey=booked["confirmationCode"])
    other = VapiCaller(call.clinic, caller=STRANGER)
    assert move(other, appointmentId=booked["appointmentId"])["code"] == "unknown_visit"
    assert live(call.clinic) == ["10:00"]


def test_a_visit_booked_in_this_call_for_another_number_may_be_moved_in_it(call: VapiCaller) -> None:
    booked = book(call, patientPhone="+14155550188")
    assert move(call, appointmentId=booked["appointmentId"])["ok"]


@pytest.mark.parametrize("write", [str, str.lower, ", ".join])
def test_the_code_moves_its_visit_from_any_number(call: VapiCaller, write: Any) -> None:
    code = book(call)["confirmationCode"]
    assert move(VapiCaller(call.clinic, caller=STRANGER), confirmationCode=write(code))["ok"]
    assert live(call.clinic) == ["14:30"]


@pytest.mark.parametrize("code", ["BCGHJK", "nonsense", "%", "12"])
def test_a_wrong_code_moves_nothing_not_even_ones_own_next_visit(call: VapiCaller, code: str) -> None:
    book(call)
    answer = move(VapiCaller(call.clinic), confirmationCode=code, patientName="Dana")
    assert answer["code"] == "unknown_visit"
    assert live(call.clinic) == ["10:00"]


def test_number_and_first_name_move_the_next_visit(call: VapiCaller) -> None:
    book(call, start="11:00")
    book(call, start="10:00")
    book(call, "Mia Ruiz", "09:00")
    assert move(VapiCaller(call.clinic), patientName="Dana Ruiz")["ok"]
    assert live(call.clinic) == ["09:00", "11:00", "14:30"]


def test_the_number_alone_is_asked_for_a_name(call: VapiCaller) -> None:
    book(call)
    answer = move(VapiCaller(call.clinic))
    assert answer["code"] == "missing_argument"
    assert "first name" in answer["say"]


@pytest.mark.parametrize("name", ["Mia", "Dan", "%", "Dana-Maria"])
def test_a_wrong_name_and_a_strangers_number_are_told_the_same(call: VapiCaller, name: str) -> None:
    book(call)
    wrong = move(VapiCaller(call.clinic), patientName=name)
    stranger = move(VapiCaller(call.clinic, caller=STRANGER), patientName="Dana")
    nobody = move(VapiCaller(call.clinic, caller=STRANGER), appointmentId=str(uuid.uuid4()))
    assert wrong == stranger == nobody == {"ok": False, "code": "unknown_visit", "say": NOT_FOUND}
    assert live(call.clinic) == ["10:00"]


def test_an_id_that_is_none_leaves_it_to_code_or_name(call: VapiCaller) -> None:
    book(call)
    assert move(VapiCaller(call.clinic), appointmentId="next", patientName="Dana")["ok"]


def test_another_clinics_visit_is_nobodys_here(call: VapiCaller, oak: Clinic) -> None:
    there = VapiCaller(oak, caller="+447700900142")
    booked = book(there)
    here = VapiCaller(call.clinic, caller="+447700900142")
    for which in (
        {"appointmentId": booked["appointmentId"]},
        {"confirmationCode": booked["confirmationCode"]},
        {"patientName": "Dana"},
    ):
        assert move(here, **which)["code"] == "unknown_visit"
    assert live(oak) == ["10:00"]


# The same again


def test_the_same_tool_call_twice_gives_the_same_answer_and_no_second_effect(call: VapiCaller) -> None:
    which = {"appointmentId": book(call)["appointmentId"]}
    first = move(call, tool_call_id="call_move", **which)
    before = row_counts()
    assert move(call, tool_call_id="call_move", **which) == first
    assert row_counts() == before


@pytest.mark.parametrize("by", ["appointmentId", "confirmationCode", "patientName"])
def test_the_same_wish_twice_gives_the_first_answer(call: VapiCaller, by: str) -> None:
    booked = book(call)
    book(call, start="16:00")
    which = {by: {**booked, "patientName": "Dana"}[by]}
    first = move(VapiCaller(call.clinic), **which)
    before = row_counts()["appointments"], row_counts()["sms_delivery_log"]
    again = move(VapiCaller(call.clinic), **which)
    assert again["alreadyBooked"]
    assert again["appointmentId"] == first["appointmentId"]
    assert "already" in again["say"]
    assert (row_counts()["appointments"], row_counts()["sms_delivery_log"]) == before
    assert live(call.clinic) == ["14:30", "16:00"]


# Refusals


def test_a_taken_time_is_refused_with_others_and_the_old_visit_stands(call: VapiCaller) -> None:
    booked = book(call, provider="provider-0")
    book(VapiCaller(call.clinic, caller=STRANGER), "Sam Okafor", "14:30", provider="provider-0")
    answer = move(call, appointmentId=booked["appointmentId"])
    assert answer["code"] == "slot_unavailable"
    assert answer["alternatives"][0]["slots"]
    assert live(call.clinic) == ["10:00", "14:30"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"newTime": "07:00"}, "outside_hours"),
        ({"newTime": "25:00"}, "invalid_time"),
        ({"newTime": None}, "invalid_time"),
        ({"newDate": "2027-02-30"}, "invalid_date"),
        ({"newDate": "2020-01-06"}, "in_the_past"),
        ({"newDate": "2999-01-04"}, "too_far_ahead"),
    ],
)
def test_a_time_that_cannot_be_is_refused(call: VapiCaller, arguments: dict[str, Any], code: str) -> None:
    booked = book(call)
    wish = {"newDate": call.clinic.next_weekday().isoformat(), "newTime": "14:30"}
    answer = call.use(TOOL, appointmentId=booked["appointmentId"], **{**wish, **arguments})
    assert (answer["ok"], answer["code"]) == (False, code)
    assert live(call.clinic) == ["10:00"]


def test_several_tool_calls_in_one_message_are_answered_in_order(call: VapiCaller) -> None:
    booked = book(call)
    day = call.clinic.next_weekday().isoformat()
    wish = {"newDate": day, "newTime": "14:30", "appointmentId": booked["appointmentId"]}
    entries = call.ask(
        tool_call(TOOL, wish, "call_1"), tool_call("lookupCaller", {"patientName": "Dana"}, "call_2")
    )
    moved, known = (result_of(entry) for entry in entries)
    assert [each["appointmentId"] for each in known["upcoming"]] == [moved["appointmentId"]]
