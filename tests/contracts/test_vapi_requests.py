"""Every request to Vapi's REST interface, caught at the sandbox and held against Vapi's own document."""

from __future__ import annotations

from typing import Any

import pytest

from telephony.tool_chain.our_side import our_side
from telephony.tool_chain.wanted import new_assistant, number_body, tool_bodies
from telephony.tools.catalogue import TOOLS
from tests.clinics import Clinic
from tests.contracts.specifications import document, vapi_faults
from tests.sandbox.conftest import sandbox, sandbox_process
from tests.toolchain import test_damage as damages
from tests.toolchain.at_vapi import AtVapi, Json, sync
from tests.toolchain.conftest import at_vapi, known

__all__ = ["at_vapi", "known", "sandbox", "sandbox_process"]

pytestmark = pytest.mark.django_db

SCHEMAS = {
    ("POST", "tool"): "CreateFunctionToolDTO",
    ("PATCH", "tool"): "UpdateFunctionToolDTO",
    ("POST", "assistant"): "CreateAssistantDTO",
    ("PATCH", "assistant"): "UpdateAssistantDTO",
    ("PATCH", "phone-number"): "UpdateTwilioPhoneNumberDTO",
}
# The document knows no nulls, and no other way to let go of these.
LET_GO_BY_NULL = {"assistantId", "squadId", "workflowId"}


def kind_of(request: Json) -> str:
    return str(request["path"].strip("/").split("/")[0])


def faults_of(request: Json) -> list[str]:
    """What Vapi's document finds wrong with a request that changes something."""
    body = request["json"]
    if kind_of(request) == "phone-number":
        body = {
            name: value for name, value in body.items() if value is not None or name not in LET_GO_BY_NULL
        }
    return vapi_faults(SCHEMAS[request["method"], kind_of(request)], body)


def by_us(at: AtVapi, since: int) -> list[Json]:
    """What the command wrote, without what a test's hand wrote before."""
    return [one for one in at.written()[since:] if one["method"] != "DELETE"]


def test_everything_written_in_a_first_run_is_valid(known: AtVapi) -> None:
    sync()
    written = by_us(known, 0)
    assert {(one["method"], kind_of(one)) for one in written} == {
        ("POST", "tool"),
        ("PATCH", "assistant"),
        ("PATCH", "phone-number"),
    }
    assert len([one for one in written if one["method"] == "POST"]) == 2 * len(TOOLS)
    for request in written:
        assert faults_of(request) == [], request


@pytest.mark.parametrize("damage", damages.DAMAGES, ids=lambda damage: damage.__name__)
def test_everything_written_in_a_repair_is_valid(known: AtVapi, elm: Clinic, damage: Any) -> None:
    sync()
    damage(known, elm)
    since = len(known.written())
    sync()
    for request in by_us(known, since):
        assert faults_of(request) == [], request


def test_an_assistant_made_again_is_valid(known: AtVapi, elm: Clinic) -> None:
    known.remove("assistant", elm.assistant_id)
    since = len(known.written())
    sync()
    made = [one for one in by_us(known, since) if (one["method"], kind_of(one)) == ("POST", "assistant")]
    assert len(made) == 1
    assert faults_of(made[0]) == []


def test_lists_are_asked_for_with_parameters_that_there_are(known: AtVapi) -> None:
    sync()
    paths = document("vapi_openapi_cut.json")["paths"]
    for request in known.sandbox.control("/requests?service=vapi&limit=1000"):
        known_names = {one["name"] for one in paths[f"/{kind_of(request)}"]["get"]["parameters"]}
        assert set(request["query"]) <= known_names
    assert "createdAtLe" in {one["name"] for one in paths["/tool"]["get"]["parameters"]}


# Negative controls: the document does catch what Vapi would refuse, or silently ignore.


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("function", "name"), "check availability"),
        (("type",), "api"),
        (("server", "timeoutSeconds"), 400),
        (("server", "secret"), "inline"),
        (("messages", 0, "type"), "request-begin"),
        (("messages", 1, "timingMilliseconds"), 1),
        (("parameters", 0, "name"), "callerNumber"),
        (("retries",), 1),
    ],
)
def test_a_tool_that_vapi_would_not_take_is_caught(elm: Clinic, place: tuple[Any, ...], value: Any) -> None:
    body = tool_bodies(our_side(elm.id), "https://voxanne.example")["checkAvailability"]
    body["server"] = {name: member for name, member in body["server"].items() if member is not None}
    assert vapi_faults("CreateFunctionToolDTO", body) == []
    inner: Any = body
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    assert vapi_faults("CreateFunctionToolDTO", body) != []


@pytest.mark.parametrize(
    "change",
    [
        {"serverMessages": ["tool-calls", "call.ended"]},
        {"name": "x" * 41},
        {"server": {"url": "https://x.example", "backoffPlan": {"type": "linear"}}},
        {"model": {"provider": "openai", "model": "gpt-4.1", "toolIds": [1]}},
        {"toolIds": ["a"]},
    ],
)
def test_an_assistant_that_vapi_would_not_take_is_caught(elm: Clinic, change: Json) -> None:
    body = new_assistant(our_side(elm.id), "https://voxanne.example")
    body["server"] = {name: member for name, member in body["server"].items() if member is not None}
    assert vapi_faults("CreateAssistantDTO", body) == []
    assert vapi_faults("CreateAssistantDTO", {**body, **change}) != []


@pytest.mark.parametrize(
    "change",
    [
        {"smsEnabled": "no"},
        {"provider": "vapi"},
        {"fallbackDestination": {"type": "number", "number": "+1"}},
        {"fallbackDestination": {"type": "phone", "number": "+14155550199"}},
        {"assistant": "a"},
    ],
)
def test_a_number_that_vapi_would_not_take_is_caught(elm: Clinic, change: Json) -> None:
    side = our_side(elm.id)
    body = number_body(side.lines[0], side, "https://voxanne.example", "twilio")
    body = {name: member for name, member in body.items() if member is not None}
    body["server"] = {name: member for name, member in body["server"].items() if member is not None}
    assert vapi_faults("UpdateTwilioPhoneNumberDTO", body) == []
    assert vapi_faults("UpdateTwilioPhoneNumberDTO", {**body, **change}) != []
