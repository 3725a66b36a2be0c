from __future__ import annotations

import pytest

from telephony.models import ToolRegistration
from telephony.tool_chain.wanted import SERVER_MESSAGES
from telephony.tools.catalogue import TOOLS
from tests.clinics import Clinic
from tests.toolchain.at_vapi import PROMPT, AtVapi, registered, sync
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


def test_the_first_run_registers_every_tool_of_every_clinic(known: AtVapi, elm: Clinic, oak: Clinic) -> None:
    code, said = sync()
    assert code == 0, said
    for clinic in (elm, oak):
        tools = known.tools(clinic)
        assert set(tools) == set(TOOLS)
        assert registered(clinic) == {name: tool["id"] for name, tool in tools.items()}
        assert set(known.assistant(clinic)["model"]["toolIds"]) == {tool["id"] for tool in tools.values()}
        assert all(tool["id"] in said for tool in tools.values())


def test_the_second_run_changes_nothing_and_says_so(known: AtVapi) -> None:
    sync()
    before, writes = known.everything(), len(known.written())
    code, said = sync()
    assert code == 0
    assert known.everything() == before
    assert len(known.written()) == writes
    assert "Nothing to change" in said
    assert "created" not in said


def test_a_check_reports_what_is_missing_and_changes_nothing(known: AtVapi, elm: Clinic) -> None:
    before = known.everything()
    code, said = sync("--check")
    assert code == 1
    assert known.everything() == before
    assert known.written() == []
    assert registered(elm) == {}
    for name in TOOLS:
        assert name in said
    assert "is missing" in said


def test_a_check_after_a_run_finds_nothing(known: AtVapi) -> None:
    sync()
    code, said = sync("--check")
    assert code == 0, said
    assert "Nothing to change" in said


def test_one_clinic_can_be_named(known: AtVapi, elm: Clinic, oak: Clinic) -> None:
    code, said = sync("--org", "elm-street")
    assert code == 0
    assert "oak-road" not in said
    assert set(known.tools(elm)) == set(TOOLS)
    assert known.tools(oak) == {}
    assert "serverMessages" not in known.assistant(oak)


def test_an_unknown_clinic_is_said_to_be_unknown(known: AtVapi) -> None:
    code, said = sync("--org", "nowhere")
    assert code == 1
    assert "nowhere" in said


def test_a_tool_asks_its_clinics_address_and_presents_its_secret(known: AtVapi, elm: Clinic) -> None:
    sync()
    tool = known.tools(elm)["checkAvailability"]
    assert tool["server"]["url"] == "https://voxanne.example/api/vapi/tools?clinic=elm-street"
    assert tool["server"]["headers"] == {"X-Vapi-Secret": elm.secret}
    assert tool["server"]["timeoutSeconds"] == 15
    assert "backoffPlan" not in tool["server"]
    assert tool["async"] is False
    spoken = {message["type"] for message in tool["messages"]}
    assert spoken == {"request-start", "request-response-delayed", "request-failed"}
    assert {"key": "callerNumber", "value": "{{customer.number}}"} in tool["parameters"]


def test_a_secret_never_stands_in_what_the_command_says(known: AtVapi, elm: Clinic) -> None:
    for words in ((), ("--check",)):
        _, said = sync(*words)
        assert elm.secret not in said


def test_an_assistant_keeps_what_is_its_own(known: AtVapi, elm: Clinic) -> None:
    sync()
    assistant = known.assistant(elm)
    assert assistant["firstMessage"] == "Good day."
    assert assistant["model"]["provider"] == "anthropic"
    assert assistant["model"]["temperature"] == 0.3
    assert assistant["model"]["messages"][0]["content"] == PROMPT


def test_an_assistant_reports_to_us_and_tries_again(known: AtVapi, elm: Clinic) -> None:
    sync()
    assistant = known.assistant(elm)
    assert assistant["serverMessages"] == list(SERVER_MESSAGES)
    assert "phone-call-control" not in assistant["serverMessages"]
    assert assistant["server"]["url"] == "https://voxanne.example/api/webhooks/vapi?clinic=elm-street"
    assert assistant["server"]["backoffPlan"] == {
        "type": "exponential",
        "maxRetries": 5,
        "baseDelaySeconds": 2,
    }


def test_a_number_asks_us_leaves_texts_alone_and_falls_back_on_the_clinic(known: AtVapi, elm: Clinic) -> None:
    sync()
    number = known.number(elm)
    assert number["assistantId"] is None
    assert number["smsEnabled"] is False
    assert number["server"]["url"].endswith("/api/webhooks/vapi?clinic=elm-street")
    assert number["fallbackDestination"] == {"type": "number", "number": "+14155550199", "message": ""}


def test_every_change_of_a_number_names_its_provider(known: AtVapi) -> None:
    sync()
    changes = [one for one in known.written() if "/phone-number/" in one["path"]]
    assert len(changes) == 2
    assert all(one["json"]["provider"] == "twilio" for one in changes)


def test_registrations_tell_when_they_were_last_right(known: AtVapi, elm: Clinic) -> None:
    sync()
    with org_scope(elm.id):
        first = set(ToolRegistration.objects.values_list("synced_at", flat=True))
    sync()
    with org_scope(elm.id):
        second = ToolRegistration.objects.order_by("synced_at").first()
    assert second is not None
    assert second.synced_at > max(first)
    assert second.vapi_assistant_id == elm.assistant_id
