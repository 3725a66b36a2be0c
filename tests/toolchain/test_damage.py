"""A Vapi that somebody laid hands on: each kind of damage is found by a check and repaired by a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from telephony.models import Assistant, ToolRegistration
from telephony.tool_chain.wanted import SERVER_MESSAGES
from telephony.tools.catalogue import TOOLS
from tests.clinics import Clinic
from tests.toolchain.at_vapi import PROMPT, AtVapi, registered, sync
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

TOOL = "checkAvailability"
ELSEWHERE = "https://elsewhere.example/api/vapi/tools?clinic=elm-street"


def own(at: AtVapi, clinic: Clinic) -> dict[str, Any]:
    return at.tools(clinic)[TOOL]


def a_missing_tool(at: AtVapi, clinic: Clinic) -> None:
    at.remove("tool", own(at, clinic)["id"])


def a_changed_schema(at: AtVapi, clinic: Clinic) -> None:
    tool = own(at, clinic)
    parameters = {**tool["function"]["parameters"], "required": []}
    parameters["properties"] = {**parameters["properties"], "tenantId": {"type": "string"}}
    at.change("tool", tool["id"], function={**tool["function"], "parameters": parameters})


def an_added_argument(at: AtVapi, clinic: Clinic) -> None:
    tool = own(at, clinic)
    parameters = dict(tool["function"]["parameters"])
    parameters["properties"] = {**parameters["properties"], "tenantId": {"type": "string"}}
    at.change("tool", tool["id"], function={**tool["function"], "parameters": parameters})


def another_name(at: AtVapi, clinic: Clinic) -> None:
    tool = own(at, clinic)
    at.change("tool", tool["id"], function={**tool["function"], "name": "check_availability"})


def a_foreign_address(at: AtVapi, clinic: Clinic) -> None:
    tool = own(at, clinic)
    at.change("tool", tool["id"], server={**tool["server"], "url": ELSEWHERE})


def another_secret(at: AtVapi, clinic: Clinic) -> None:
    tool = own(at, clinic)
    headers = {"X-Vapi-Secret": "an-old-secret", "Authorization": "Bearer somebody"}
    at.change("tool", tool["id"], server={**tool["server"], "headers": headers})


def tools_that_are_not_waited_for(at: AtVapi, clinic: Clinic) -> None:
    for tool in at.tools(clinic).values():
        at.change("tool", tool["id"], **{"async": True, "messages": [], "parameters": []})


def tries_while_the_caller_waits(at: AtVapi, clinic: Clinic) -> None:
    tool = own(at, clinic)
    plan = {"type": "fixed", "maxRetries": 9, "baseDelaySeconds": 10}
    at.change("tool", tool["id"], server={**tool["server"], "backoffPlan": plan})


def a_duplicate(at: AtVapi, clinic: Clinic) -> None:
    tool = own(at, clinic)
    copy = {name: tool[name] for name in ("type", "function", "server")}
    at.sandbox.control("/vapi/records/tool", copy)


def an_unlinked_tool(at: AtVapi, clinic: Clinic) -> None:
    model = at.assistant(clinic)["model"]
    at.change("assistant", clinic.assistant_id, model={**model, "toolIds": model["toolIds"][1:]})


def a_tool_linked_twice(at: AtVapi, clinic: Clinic) -> None:
    model = at.assistant(clinic)["model"]
    at.change("assistant", clinic.assistant_id, model={**model, "toolIds": model["toolIds"] * 2})


def a_pinned_version(at: AtVapi, clinic: Clinic) -> None:
    model = at.assistant(clinic)["model"]
    pins = [{"toolId": own(at, clinic)["id"], "version": "v1"}]
    at.change("assistant", clinic.assistant_id, model={**model, "toolRefs": pins})


def a_twin_inside_the_model(at: AtVapi, clinic: Clinic) -> None:
    model = at.assistant(clinic)["model"]
    twin = {"type": "function", "function": {"name": TOOL}, "server": {"url": ELSEWHERE}}
    at.change("assistant", clinic.assistant_id, model={**model, "tools": [twin]})


def a_link_to_a_tool_that_is_gone(at: AtVapi, clinic: Clinic) -> None:
    model = at.assistant(clinic)["model"]
    at.change("assistant", clinic.assistant_id, model={**model, "toolIds": [*model["toolIds"], "gone"]})


def no_server_messages(at: AtVapi, clinic: Clinic) -> None:
    at.change("assistant", clinic.assistant_id, serverMessages=None)


def control_of_the_call_taken(at: AtVapi, clinic: Clinic) -> None:
    taken = [*SERVER_MESSAGES, "phone-call-control"]
    at.change("assistant", clinic.assistant_id, serverMessages=taken)


def reports_sent_elsewhere(at: AtVapi, clinic: Clinic) -> None:
    at.change("assistant", clinic.assistant_id, server={"url": ELSEWHERE})


def a_deleted_assistant(at: AtVapi, clinic: Clinic) -> None:
    at.remove("assistant", clinic.assistant_id)


def texts_taken_by_vapi(at: AtVapi, clinic: Clinic) -> None:
    at.change("phone-number", clinic.phone_number_id, smsEnabled=True)


def a_fixed_assistant(at: AtVapi, clinic: Clinic) -> None:
    at.change("phone-number", clinic.phone_number_id, assistantId="somebody-elses")


def no_fallback(at: AtVapi, clinic: Clinic) -> None:
    at.change("phone-number", clinic.phone_number_id, fallbackDestination=None)


def lost_registrations(at: AtVapi, clinic: Clinic) -> None:
    with org_scope(clinic.id):
        ToolRegistration.objects.all().delete()


def mixed_up_registrations(at: AtVapi, clinic: Clinic) -> None:
    """What an earlier system did: every row under one name, each with the id of another tool."""
    with org_scope(clinic.id):
        rows = list(ToolRegistration.objects.order_by("name"))
        ids = [row.vapi_tool_id for row in rows]
        ToolRegistration.objects.exclude(pk=rows[0].pk).delete()
        ToolRegistration.objects.filter(pk=rows[0].pk).update(vapi_tool_id=ids[-1])


DAMAGES: list[Callable[[AtVapi, Clinic], None]] = [
    a_missing_tool,
    a_changed_schema,
    an_added_argument,
    another_name,
    a_foreign_address,
    another_secret,
    tools_that_are_not_waited_for,
    tries_while_the_caller_waits,
    a_duplicate,
    an_unlinked_tool,
    a_tool_linked_twice,
    a_pinned_version,
    a_twin_inside_the_model,
    a_link_to_a_tool_that_is_gone,
    no_server_messages,
    control_of_the_call_taken,
    reports_sent_elsewhere,
    a_deleted_assistant,
    texts_taken_by_vapi,
    a_fixed_assistant,
    no_fallback,
    lost_registrations,
    mixed_up_registrations,
]


def is_sound(at: AtVapi, clinic: Clinic) -> None:
    """Everything a call at the clinic leans on, asked of Vapi itself."""
    tools = at.tools(clinic)
    assert set(tools) == set(TOOLS)
    for name, tool in tools.items():
        assert tool["function"]["parameters"] == TOOLS[name].parameters
        assert tool["server"]["url"] == f"https://voxanne.example/api/vapi/tools?clinic={clinic.org.slug}"
        assert tool["server"]["headers"] == {"X-Vapi-Secret": clinic.secret}
        assert "backoffPlan" not in tool["server"]
        assert tool["async"] is False
        assert len(tool["messages"]) == 3
    assistant = at.assistant(clinic)
    ids = {tool["id"] for tool in tools.values()}
    assert sorted(assistant["model"]["toolIds"]) == sorted(ids)
    assert not assistant["model"].get("toolRefs")
    assert not assistant["model"].get("tools")
    assert assistant["model"]["messages"]
    assert assistant["serverMessages"] == list(SERVER_MESSAGES)
    assert assistant["server"]["url"].startswith("https://voxanne.example/")
    number = at.number(clinic)
    assert (number["assistantId"], number["smsEnabled"]) == (None, False)
    assert number["fallbackDestination"]["number"] == "+14155550199"
    assert registered(clinic) == {name: tool["id"] for name, tool in tools.items()}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_found_and_repaired_once(
    known: AtVapi, elm: Clinic, oak: Clinic, damage: Callable[[AtVapi, Clinic], None]
) -> None:
    assert sync()[0] == 0
    others = known.tools(oak), known.assistant(oak), known.number(oak)
    damage(known, elm)
    damaged = known.everything()

    code, said = sync("--check")
    assert code == 1, said
    assert known.everything() == damaged

    code, said = sync()
    assert code == 0, said
    is_sound(known, elm)
    assert (known.tools(oak), known.assistant(oak), known.number(oak)) == others

    writes = len(known.written())
    code, said = sync()
    assert code == 0
    assert "Nothing to change" in said
    assert len(known.written()) == writes


def test_all_damage_at_once_is_repaired_in_one_run(known: AtVapi, elm: Clinic) -> None:
    sync()
    for damage in (another_secret, a_changed_schema, a_pinned_version, control_of_the_call_taken, no_fallback,
                   texts_taken_by_vapi, a_fixed_assistant, a_duplicate, lost_registrations):  # fmt: skip
        damage(known, elm)
    ended = next(t for t in known.tools_by_address("elm-street") if t["function"]["name"] == "endCall")
    known.remove("tool", ended["id"])
    code, said = sync()
    assert code == 0, said
    is_sound(known, elm)


def test_a_deleted_assistant_is_made_again_and_answers_under_its_new_id(known: AtVapi, elm: Clinic) -> None:
    sync()
    known.remove("assistant", elm.assistant_id)
    sync()
    with org_scope(elm.id):
        row = Assistant.objects.get()
    assert row.vapi_assistant_id != elm.assistant_id
    assistant = known.assistant(elm)
    assert "{{clinicName}}" in assistant["firstMessage"]
    assert "checkAvailability" in assistant["model"]["messages"][0]["content"]
    with org_scope(elm.id):
        assert set(ToolRegistration.objects.values_list("vapi_assistant_id", flat=True)) == {
            row.vapi_assistant_id
        }


def test_an_assistant_whose_id_was_lost_is_found_again_by_its_address(known: AtVapi, elm: Clinic) -> None:
    sync()
    with org_scope(elm.id):
        Assistant.objects.update(vapi_assistant_id="mistyped")
    assert sync("--org", "elm-street")[0] == 0
    with org_scope(elm.id):
        assert Assistant.objects.get().vapi_assistant_id == elm.assistant_id
    assert known.assistant(elm)["model"]["messages"][0]["content"] == PROMPT


def test_an_assistant_without_a_model_gets_one(known: AtVapi, elm: Clinic) -> None:
    sync()
    known.change("assistant", elm.assistant_id, model=None)
    code, said = sync()
    assert code == 0
    assert "the model was missing" in said
    is_sound(known, elm)


def test_a_person_is_asked_for_where_a_number_is_gone_or_anothers(
    known: AtVapi, elm: Clinic, oak: Clinic
) -> None:
    known.remove("phone-number", elm.phone_number_id)
    known.change("phone-number", oak.phone_number_id, number="+14155550111")
    before = known.number(oak)
    code, said = sync()
    assert code == 1
    assert "Vapi has no number with this id" in said
    assert "another number's at Vapi" in said
    assert known.number(oak) == before
    assert set(registered(elm)) == set(TOOLS)
