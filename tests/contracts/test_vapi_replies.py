from __future__ import annotations

from datetime import time
from typing import Any

import jsonschema
import pytest

from telephony.models import Assistant, CallCommand, PhoneNumber, TransferDestination
from telephony.tools.catalogue import TOOLS
from tests.contracts.specifications import vapi_faults
from tests.telephony.vapi_client import Json, VapiCaller, tool_call
from voxanne.tenancy.scope import org_scope

TOOL_RESULTS = "ServerMessageResponseToolCalls"
ASSISTANT = "ServerMessageResponseAssistantRequest"
DESTINATION = "ServerMessageResponseTransferDestinationRequest"
COMMANDS = {"transfer": "ClientInboundMessageTransfer", "end-call": "ClientInboundMessageEndCall"}
SERVER = {"url": "https://voxanne.example/api/vapi/tools", "timeoutSeconds": 15}


def add_destination(call: VapiCaller, number: str = "+14155550188") -> None:
    with org_scope(call.clinic.id):
        TransferDestination.objects.create(
            org=call.clinic.org,
            department="general",
            number=number,
            weekdays=list(range(7)),
            opens=time(0),
            closes=time(0),
        )


def every_tool_call(call: VapiCaller) -> list[Json]:
    """Calls that are granted and calls that are refused, of every tool, and some that no tool answers."""
    day = call.clinic.next_weekday().isoformat()
    wish = {"appointmentDate": day, "appointmentTime": "10:00", "patientName": "Dana Ruiz"}
    wanted: list[tuple[str, Any]] = [
        ("checkAvailability", {"date": day}),
        ("checkAvailability", {"date": "2027-02-30"}),
        ("checkAvailability", {"date": "0001-01-01"}),
        ("bookClinicAppointment", wish),
        ("bookClinicAppointment", {**wish, "appointmentTime": "20:00"}),
        ("lookupCaller", {"patientName": "Dana"}),
        ("lookupCaller", {}),
        ("transferCall", {"summary": "An invoice."}),
        ("transferCall", {}),
        ("endCall", {"reason": "completed"}),
        ("endCall", {"reason": "time_limit", "summary": "Nothing more."}),
        ("noSuchTool", {}),
        ("endCall", "no object"),
    ]
    return [tool_call(name, arguments, f"call_{number}") for number, (name, arguments) in enumerate(wanted)]


def without_member(value: Json, name: str) -> Json:
    return {key: member for key, member in value.items() if key != name}


def test_every_tools_answer_is_valid(call: VapiCaller) -> None:
    add_destination(call)
    calls = every_tool_call(call)
    reply = call.say("tool-calls", toolCallList=calls)
    assert vapi_faults(TOOL_RESULTS, reply) == []
    assert len(reply["results"]) == len(calls)
    assert any("message" in entry for entry in reply["results"])
    assert any("error" in entry for entry in reply["results"])


def test_a_repeats_answer_is_valid_too(call: VapiCaller) -> None:
    for _ in range(2):
        reply = call.say("tool-calls", toolCallList=[tool_call("endCall", {"reason": "completed"})])
        assert vapi_faults(TOOL_RESULTS, reply) == []
        assert reply["results"][0]["message"]["endCallAfterSpokenEnabled"] is True


def test_an_apology_is_valid(call: VapiCaller) -> None:
    stranger: Json = {"call": {"id": "a-call"}, "phoneNumber": {"number": "+14155559999"}}
    for kind, name in (
        ("tool-calls", TOOL_RESULTS),
        ("assistant-request", ASSISTANT),
        ("transfer-destination-request", DESTINATION),
    ):
        reply = call.say(kind, toolCallList=every_tool_call(call), **stranger)
        assert vapi_faults(name, reply) == []
        assert "error" in str(reply)


def test_the_assistant_named_is_valid(call: VapiCaller) -> None:
    reply = call.say("assistant-request")
    assert vapi_faults(ASSISTANT, reply) == []
    assert reply["assistantId"]


def test_the_line_named_in_place_of_an_assistant_is_valid(call: VapiCaller) -> None:
    with org_scope(call.clinic.id):
        Assistant.objects.all().delete()
    reply = call.say("assistant-request")
    assert vapi_faults(ASSISTANT, reply) == []
    assert reply["destination"]
    with org_scope(call.clinic.id):
        PhoneNumber.objects.update(forward_to="")
    assert vapi_faults(ASSISTANT, call.say("assistant-request")) == []


def test_the_destination_named_is_valid(call: VapiCaller) -> None:
    assert vapi_faults(DESTINATION, call.say("transfer-destination-request")) == []
    add_destination(call)
    reply = call.say("transfer-destination-request")
    assert vapi_faults(DESTINATION, reply) == []
    assert reply["destination"]


def test_what_a_call_is_told_to_do_is_valid(call: VapiCaller) -> None:
    add_destination(call)
    call.use("transferCall", summary="An invoice.")
    call.use("endCall", reason="completed")
    with org_scope(call.clinic.id):
        bodies = {command.body["type"]: command.body for command in CallCommand.objects.all()}
    assert set(bodies) == set(COMMANDS)
    for kind, body in bodies.items():
        assert vapi_faults(COMMANDS[kind], body) == []
        assert vapi_faults(COMMANDS[kind], {**body, "type": "hang-up"})
        assert vapi_faults(COMMANDS[kind], {**body, "number": "+14155550188"})


def as_function_tool(name: str) -> Json:
    """A tool of the catalogue as Vapi is told of it."""
    tool = TOOLS[name]
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function, "server": SERVER, "async": False}


@pytest.mark.parametrize("name", list(TOOLS))
def test_every_tool_of_the_catalogue_is_one_vapi_can_make(name: str) -> None:
    assert vapi_faults("CreateFunctionToolDTO", as_function_tool(name)) == []


@pytest.mark.parametrize("name", list(TOOLS))
def test_every_tools_parameters_are_a_json_schema_that_knows_what_it_requires(name: str) -> None:
    parameters = TOOLS[name].parameters
    jsonschema.Draft202012Validator.check_schema(parameters)
    assert set(parameters["required"]) <= set(parameters["properties"])
    assert all(member["description"].endswith(".") for member in parameters["properties"].values())


RESULT: Json = {"name": "endCall", "toolCallId": "call_1", "result": '{"ok": true}'}
MESSAGE: Json = {"type": "request-complete", "content": "Goodbye.", "endCallAfterSpokenEnabled": True}
NUMBER: Json = {"type": "number", "number": "+14155550199", "message": ""}
VARIABLES: Json = {"assistantId": "a", "assistantOverrides": {"variableValues": {"clinicName": "Elm Street"}}}


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        (TOOL_RESULTS, {"results": [{**RESULT, "message": MESSAGE}]}),
        (ASSISTANT, VARIABLES),
        (ASSISTANT, {"destination": NUMBER}),
        (DESTINATION, {"destination": NUMBER}),
    ],
)
def test_the_validator_finds_nothing_wrong_with_a_right_reply(name: str, reply: Json) -> None:
    assert vapi_faults(name, reply) == []


@pytest.mark.parametrize(
    ("name", "damaged"),
    [
        (TOOL_RESULTS, {"results": [{**RESULT, "result": {"ok": True}}]}),
        (TOOL_RESULTS, {"results": [without_member(RESULT, "toolCallId")]}),
        (TOOL_RESULTS, {"results": [without_member(RESULT, "name")]}),
        (TOOL_RESULTS, {"results": [{**RESULT, "toolCallID": "call_1"}]}),
        (TOOL_RESULTS, {"results": [{**RESULT, "message": "Goodbye."}]}),
        (TOOL_RESULTS, {"results": [{**RESULT, "message": {**MESSAGE, "type": "request-start"}}]}),
        (TOOL_RESULTS, {"results": [{**RESULT, "message": {**MESSAGE, "endCallAfterSpoken": True}}]}),
        (TOOL_RESULTS, {"results": RESULT}),
        (TOOL_RESULTS, {"result": [RESULT]}),
        (ASSISTANT, {**VARIABLES, "assistantId": 7}),
        (ASSISTANT, {**VARIABLES, "assistant_id": "a"}),
        (ASSISTANT, {**VARIABLES, "assistantOverrides": {"variables": {}}}),
        (ASSISTANT, {"destination": without_member(NUMBER, "type")}),
        (ASSISTANT, {"destination": {**NUMBER, "number": 14155550199}}),
        (DESTINATION, {"destination": without_member(NUMBER, "number")}),
        (DESTINATION, {"destination": {**NUMBER, "number": "1"}}),
        (DESTINATION, {"error": {"message": "Nobody."}}),
    ],
)
def test_the_validator_finds_a_damaged_reply(name: str, damaged: Json) -> None:
    assert vapi_faults(name, damaged)


def test_the_validator_finds_a_damaged_tool() -> None:
    tool = as_function_tool("endCall")
    function = tool["function"]
    for damaged in (
        {**tool, "type": "functions"},
        {**tool, "function": {**function, "name": "end call"}},
        {**tool, "function": {**function, "name": "x" * 65}},
        {**tool, "function": without_member(function, "name")},
        {**tool, "function": {**function, "parameters": {**function["parameters"], "type": "array"}}},
        {**tool, "server": {**SERVER, "timeoutSeconds": 0}},
        {**tool, "async": "no"},
        {**tool, "parameter": []},
    ):
        assert vapi_faults("CreateFunctionToolDTO", damaged)
