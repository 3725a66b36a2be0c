from __future__ import annotations

import json
from typing import Any

import pytest

from bookings.models import Appointment
from messaging.models import Message
from telephony.models import ToolInvocation
from tests.clinics import Clinic
from tests.telephony.rows import row_counts
from tests.telephony.vapi_client import TOOLS, VapiCaller, reply_of, result_of, tool_call, vapi_secret
from voxanne.tenancy.scope import org_scope

TOOL = "bookClinicAppointment"


def wish(clinic: Clinic, **changes: Any) -> dict[str, Any]:
    return {
        "appointmentDate": clinic.next_weekday().isoformat(),
        "appointmentTime": "10:00",
        "patientName": "Dana Ruiz",
        **changes,
    }


def function(**members: Any) -> dict[str, Any]:
    return {"id": "call_VaJ7", "type": "function", "function": {"name": TOOL, **members}}


def forms(arguments: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """One wish in every form in which it was seen or documented: the lists of a message, by a name for each."""
    text = json.dumps(arguments)
    schema = {"type": "object", "properties": {"patientName": {"type": "string"}}}
    captured = function(arguments=arguments)
    tool = {"type": "function", "async": False, "function": {"name": TOOL, "parameters": schema}}
    return {
        "an object": {"toolCallList": [captured]},
        "a JSON string": {"toolCallList": [function(arguments=text)]},
        "parameters": {"toolCallList": [function(parameters=arguments)]},
        "a string of parameters": {"toolCallList": [function(parameters=text)]},
        "beside the name": {"toolCallList": [{"id": "call_VaJ7", "name": TOOL, "arguments": arguments}]},
        "parameters beside the name": {
            "toolCallList": [{"id": "call_VaJ7", "name": TOOL, "parameters": arguments}]
        },
        "a string beside the name": {"toolCallList": [{"id": "call_VaJ7", "name": TOOL, "arguments": text}]},
        "no type": {
            "toolCallList": [{"id": "call_VaJ7", "function": {"name": TOOL, "arguments": arguments}}]
        },
        "toolCallId for id": {
            "toolCallList": [{"toolCallId": "call_VaJ7", "name": TOOL, "arguments": arguments}]
        },
        "toolCalls only": {"toolCalls": [captured]},
        "an empty list before toolCalls": {"toolCallList": [], "toolCalls": [captured]},
        "nulls before toolCalls": {"toolCallList": None, "toolCalls": [captured]},
        "with the tool only": {"toolWithToolCallList": [{**tool, "toolCall": captured}]},
        "with the tool, as a string": {
            "toolWithToolCallList": [{**tool, "toolCall": function(arguments=text)}]
        },
        "with the tool, named there alone": {
            "toolWithToolCallList": [
                {**tool, "toolCall": {"id": "call_VaJ7", "function": {"arguments": arguments}}}
            ]
        },
        "with the tool, in Vapi's documented form": {
            "toolWithToolCallList": [
                {"type": "function", "name": TOOL, "toolCall": {"id": "call_VaJ7", "parameters": arguments}}
            ]
        },
        "null arguments before parameters": {
            "toolCallList": [function(arguments=None, parameters=arguments)]
        },
        "every list at once": {
            "toolCallList": [captured],
            "toolCalls": [captured],
            "toolWithToolCallList": [{**tool, "toolCall": captured}],
        },
    }


@pytest.mark.parametrize("form", list(forms({})))
def test_the_arguments_are_read_in_every_form(call: VapiCaller, form: str) -> None:
    members = forms(wish(call.clinic))[form]
    (entry,) = reply_of(call.post(call.message("tool-calls", **members)))["results"]
    assert (entry["name"], entry["toolCallId"]) == (TOOL, "call_VaJ7")
    assert result_of(entry)["ok"]
    with org_scope(call.clinic.id):
        assert Appointment.objects.get().patient_name == "Dana Ruiz"


def test_the_address_for_tools_answers_alike(call: VapiCaller) -> None:
    answer = call.post(call.tools_message(tool_call(TOOL, wish(call.clinic))), address=TOOLS)
    assert result_of(reply_of(answer)["results"][0])["ok"]


def test_the_address_for_tools_takes_nothing_else(call: VapiCaller) -> None:
    assert call.post(call.message("assistant-request"), address=TOOLS).status_code == 400


def test_no_arguments_are_an_empty_object(call: VapiCaller) -> None:
    empties: tuple[object, ...] = ({}, "{}", "", None)
    for number, empty in enumerate(empties):
        (entry,) = call.ask(tool_call("lookupCaller", empty, f"call_{number}"))
        assert result_of(entry)["ok"]


def test_several_calls_are_answered_in_their_order(call: VapiCaller) -> None:
    day = call.clinic.next_weekday().isoformat()
    entries = call.ask(
        tool_call("endCall", {"reason": "completed"}, "call_3"),
        tool_call("checkAvailability", {"date": day}, "call_1"),
        tool_call(TOOL, wish(call.clinic), "call_2"),
        tool_call("noSuchTool", {}, "call_9"),
        tool_call("lookupCaller", {}, "call_0"),
    )
    assert [entry["toolCallId"] for entry in entries] == ["call_3", "call_1", "call_2", "call_9", "call_0"]
    assert [entry["name"] for entry in entries] == [
        "endCall", "checkAvailability", TOOL, "noSuchTool", "lookupCaller",
    ]  # fmt: skip
    assert ["error" in entry for entry in entries] == [False, False, False, True, False]


def test_two_wishes_in_one_message_are_two_bookings(call: VapiCaller) -> None:
    entries = call.ask(
        tool_call(TOOL, wish(call.clinic), "call_1"),
        tool_call(TOOL, wish(call.clinic, appointmentTime="11:00"), "call_2"),
    )
    assert all(result_of(entry)["ok"] for entry in entries)
    with org_scope(call.clinic.id):
        assert Appointment.objects.count() == 2


def test_a_refused_call_leaves_its_neighbour_alone(call: VapiCaller) -> None:
    entries = call.ask(
        tool_call(TOOL, wish(call.clinic, appointmentTime="25:61"), "call_1"),
        tool_call(TOOL, wish(call.clinic), "call_2"),
    )
    assert [result_of(entry)["ok"] for entry in entries] == [False, True]


def test_one_id_twice_in_a_message_is_one_booking_answered_twice(call: VapiCaller) -> None:
    twin = tool_call(TOOL, wish(call.clinic))
    first, second = call.ask(twin, twin)
    assert first == second
    with org_scope(call.clinic.id):
        assert Appointment.objects.count() == 1


def test_a_repeated_call_gets_the_same_answer_and_has_no_second_effect(call: VapiCaller) -> None:
    wanted = tool_call(TOOL, wish(call.clinic))
    first = call.ask(wanted)
    counts = row_counts()
    assert [call.ask(wanted) for _ in range(4)] == [first] * 4
    assert row_counts() == counts
    assert counts["appointments"] == counts["sms_delivery_log"] == counts["tool_invocations"] == 1
    assert not result_of(first[0])["alreadyBooked"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("checkAvailability", {"date": "0001-01-01"}),
        ("lookupCaller", {}),
        ("endCall", {"reason": "completed", "summary": "Nothing more."}),
        ("transferCall", {"summary": "An invoice."}),
        (TOOL, {"appointmentDate": "2026-02-30", "appointmentTime": "10:00", "patientName": "Dana Ruiz"}),
    ],
)
def test_every_tools_repeat_is_answered_from_the_claim(
    call: VapiCaller, tool: str, arguments: dict[str, Any]
) -> None:
    first = call.ask(tool_call(tool, arguments))
    counts = row_counts()
    assert call.ask(tool_call(tool, arguments)) == first
    assert row_counts() == counts


def test_a_repeat_with_other_arguments_is_still_the_first_call(call: VapiCaller) -> None:
    first = call.ask(tool_call(TOOL, wish(call.clinic)))
    assert call.ask(tool_call(TOOL, wish(call.clinic, appointmentTime="15:00"))) == first


def test_one_id_for_two_tools_answers_the_first_alone(call: VapiCaller) -> None:
    call.ask(tool_call(TOOL, wish(call.clinic)))
    (entry,) = call.ask(tool_call("lookupCaller", {}))
    assert "error" in entry


def test_the_same_id_in_another_call_is_another_call(call: VapiCaller) -> None:
    call.ask(tool_call(TOOL, wish(call.clinic)))
    other = VapiCaller(call.clinic, caller="+14155550177")
    (entry,) = other.ask(tool_call(TOOL, wish(call.clinic, appointmentTime="11:00")))
    assert result_of(entry)["ok"]
    with org_scope(call.clinic.id):
        assert Appointment.objects.count() == 2


def test_the_same_wish_under_another_id_is_already_booked(call: VapiCaller) -> None:
    first = call.use(TOOL, "call_1", **wish(call.clinic))
    for caller in (call, VapiCaller(call.clinic)):
        again = caller.use(TOOL, "call_2", **wish(call.clinic))
        assert (again["ok"], again["alreadyBooked"]) == (True, True)
        assert again["appointmentId"] == first["appointmentId"]
        assert again["confirmationCode"] == first["confirmationCode"]
    with org_scope(call.clinic.id):
        assert Appointment.objects.count() == Message.objects.count() == 1


@pytest.mark.parametrize(
    "odd", [[], [1], 7, True, False, 1.5, "text", '"text"', "[1]", "null", "{", "{'a': 1}", "NaN"]
)
def test_arguments_that_are_no_object_are_refused_for_that_call_alone(call: VapiCaller, odd: object) -> None:
    first, second = call.ask(tool_call(TOOL, odd, "call_1"), tool_call(TOOL, wish(call.clinic), "call_2"))
    assert set(first) == {"name", "toolCallId", "error"}
    assert result_of(second)["ok"]
    with org_scope(call.clinic.id):
        assert ToolInvocation.objects.count() == 1


@pytest.mark.parametrize(
    "name", ["", "noSuchTool", "BOOKCLINICAPPOINTMENT", "__class__", "book appointment", "é" * 500]
)
def test_an_unknown_tool_is_declined_in_speech(call: VapiCaller, name: str) -> None:
    before = row_counts()
    (entry,) = call.ask(tool_call(name, {}))
    assert "message" in entry["error"]
    assert row_counts() == before


@pytest.mark.parametrize(
    "nameless", [{}, {"id": ""}, {"id": None}, {"id": 7}, {"id": "  "}, {"id": "\x00"}, [], None, 3, "x"]
)
def test_a_call_without_an_id_cannot_be_answered_and_nothing_is_done(
    call: VapiCaller, nameless: object
) -> None:
    before = row_counts()
    answer = call.post(call.tools_message(nameless))
    assert answer.status_code == 400
    assert json.loads(answer.content)["error"]["code"] == "invalid_request"
    assert row_counts() == before


@pytest.mark.parametrize(
    "tool_call_id", ["x" * 119 + "1", "x" * 400 + "1", " call_1 ", "call_\u00e9", "call\u2028_1", "a\x00b"]
)
def test_an_id_comes_back_exactly_as_it_was_sent(call: VapiCaller, tool_call_id: str) -> None:
    (entry,) = call.ask(tool_call("lookupCaller", {}, tool_call_id))
    assert entry["toolCallId"] == tool_call_id


def test_long_ids_that_differ_at_their_end_are_two_calls(call: VapiCaller) -> None:
    ids = ["x" * 200 + "1", "x" * 200 + "2"]
    call.ask(
        tool_call(TOOL, wish(call.clinic), ids[0]),
        tool_call(TOOL, wish(call.clinic, appointmentTime="11:00"), ids[1]),
    )
    with org_scope(call.clinic.id):
        assert Appointment.objects.count() == 2


def test_a_message_without_calls_is_malformed(call: VapiCaller) -> None:
    lists: list[dict[str, Any]] = [
        {},
        {"toolCallList": []},
        {"toolCallList": {}},
        {"toolWithToolCallList": []},
    ]
    for members in lists:
        assert call.post(call.message("tool-calls", **members)).status_code == 400


def test_more_calls_than_a_model_ever_makes_are_refused_together(call: VapiCaller) -> None:
    before = row_counts()
    many = [tool_call("lookupCaller", {}, f"call_{number}") for number in range(21)]
    assert call.post(call.tools_message(*many)).status_code == 400
    assert row_counts() == before


def test_a_tool_call_without_a_call_id_cannot_be_claimed(call: VapiCaller) -> None:
    before = row_counts()
    anonymous = {"phoneNumberId": call.clinic.phone_number_id}
    (entry,) = call.ask(tool_call(TOOL, wish(call.clinic)), call=anonymous)
    assert "error" in entry
    assert row_counts() == before


def test_a_dialled_address_longer_than_a_number_is_no_obstacle(call: VapiCaller) -> None:
    number = {"id": call.clinic.phone_number_id, "number": "sip:front-desk@elm-street.sip.vapi.ai"}
    (entry,) = call.ask(tool_call(TOOL, wish(call.clinic)), phoneNumber=number)
    assert result_of(entry)["ok"]


def test_bodies_say_nothing_of_our_inside(call: VapiCaller) -> None:
    answer = call.post(call.tools_message(tool_call("noSuchTool", {})), vapi_secret(call.clinic.secret))
    for inner in (b"Traceback", b"telephony", b"django", b"psycopg", b"vapi_credentials"):
        assert inner not in answer.content
