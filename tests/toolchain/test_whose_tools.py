"""What is not this clinic's at Vapi is left alone, and one clinic's trouble is not another's."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from monitoring.sole_run import sole_errand
from telephony.models import Assistant, PhoneNumber, ToolRegistration, VapiCredential
from telephony.tool_chain import our_side
from telephony.tool_chain.sync import sync_clinics
from telephony.tool_chain.wanted import is_clinics_address
from telephony.tools.catalogue import TOOLS
from telephony.vapi.credentials import digest
from telephony.vapi.rest import Vapi
from tests.clinics import Clinic
from tests.toolchain.at_vapi import AtVapi, registered, sync
from voxanne.tenancy.models import Organization
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db

OURS = "https://voxanne.example"


def seeded(at: AtVapi, **members: object) -> str:
    return str(at.sandbox.control("/vapi/records/tool", {"type": "function", **members})["id"])


def link(at: AtVapi, clinic: Clinic, *tool_ids: str) -> None:
    model = at.assistant(clinic)["model"]
    ids = [*model.get("toolIds", []), *tool_ids]
    at.change("assistant", clinic.assistant_id, model={**model, "toolIds": ids})


def test_a_tool_of_the_clinics_own_stays_and_stays_linked(known: AtVapi, elm: Clinic) -> None:
    fax = seeded(known, function={"name": "sendFax"}, server={"url": "https://fax.example/send"})
    link(known, elm, fax)
    assert sync()[0] == 0
    assert fax in known.assistant(elm)["model"]["toolIds"]
    assert fax in {tool["id"] for tool in known.all_tools()}


def test_another_tool_of_one_of_our_names_is_unlinked_and_not_removed(known: AtVapi, elm: Clinic) -> None:
    rival = seeded(known, function={"name": "checkAvailability"}, server={"url": "https://old.example/x"})
    link(known, elm, rival)
    code, said = sync()
    assert code == 0
    assert rival in said
    assert rival not in known.assistant(elm)["model"]["toolIds"]
    assert rival in {tool["id"] for tool in known.all_tools()}


def test_another_clinics_tool_is_unlinked_and_left_as_it_is(known: AtVapi, elm: Clinic, oak: Clinic) -> None:
    sync()
    theirs = known.tools(oak)["checkAvailability"]
    link(known, elm, theirs["id"])
    assert sync()[0] == 0
    assert known.tools(oak)["checkAvailability"] == theirs
    assert theirs["id"] not in known.assistant(elm)["model"]["toolIds"]
    assert theirs["id"] in known.assistant(oak)["model"]["toolIds"]


def test_a_tool_registered_to_another_clinic_is_never_taken_by_its_address(
    known: AtVapi, elm: Clinic, oak: Clinic
) -> None:
    """By hand one clinic's tool was given another's address: its own clinic takes it back."""
    sync()
    theirs = known.tools(oak)["checkAvailability"]
    server = {**theirs["server"], "url": f"{OURS}/api/vapi/tools?clinic=elm-street"}
    known.change("tool", theirs["id"], server=server)
    assert sync("--org", "elm-street")[0] == 0
    assert theirs["id"] in {tool["id"] for tool in known.all_tools()}
    assert sync()[0] == 0
    assert known.tools(oak)["checkAvailability"]["id"] == theirs["id"]


def test_tools_of_another_deployment_are_left_alone(known: AtVapi, elm: Clinic) -> None:
    staging = seeded(
        known,
        function={"name": "endCall"},
        server={"url": "https://staging.example/api/vapi/tools?clinic=elm-street"},
    )
    assert sync()[0] == 0
    assert staging in {tool["id"] for tool in known.all_tools()}


def test_a_tool_that_left_the_catalogue_is_removed_everywhere(known: AtVapi, elm: Clinic) -> None:
    sync()
    retired = known.tools(elm)["transferCall"]["id"]
    kept = [tool for name, tool in TOOLS.items() if name != "transferCall"]
    (report,) = sync_clinics([(elm.id, "elm-street")], check_only=False, tools=kept)
    assert not report.troubled
    assert set(known.tools(elm)) == set(registered(elm)) == set(TOOLS) - {"transferCall"}
    assert retired not in known.assistant(elm)["model"]["toolIds"]


def test_a_tool_that_joins_the_catalogue_is_registered_beside_the_others(known: AtVapi, elm: Clinic) -> None:
    kept = [tool for name, tool in TOOLS.items() if name != "transferCall"]
    sync_clinics([(elm.id, "elm-street")], check_only=False, tools=kept)
    before = registered(elm)
    assert sync()[0] == 0
    assert registered(elm).items() > before.items()
    assert "transferCall" in registered(elm)


def test_a_tool_that_something_else_pins_is_told_to_a_person(known: AtVapi, elm: Clinic, oak: Clinic) -> None:
    sync()
    pinned = known.tools(elm)["transferCall"]["id"]
    stranger = {"name": "Stranger", "model": {"toolRefs": [{"toolId": pinned, "version": "v1"}]}}
    known.sandbox.control("/vapi/records/assistant", stranger)
    kept = [tool for name, tool in TOOLS.items() if name != "transferCall"]
    (report,) = sync_clinics([(elm.id, "elm-street")], check_only=False, tools=kept)
    assert report.troubled
    assert "409" in str(report.items)


def test_one_clinics_failure_does_not_stop_the_others(known: AtVapi, elm: Clinic, oak: Clinic) -> None:
    known.sandbox.fault(
        "refused_permanent", "vapi", match={"path": f"/assistant/{elm.assistant_id}"}, reason="Not allowed."
    )
    code, said = sync()
    assert code == 1
    assert "elm-street: Vapi answered 400" in said
    assert set(registered(oak)) == set(TOOLS)
    assert registered(elm) == {}


def test_a_clinic_that_no_assistant_answers_for_needs_no_tools(known: AtVapi, elm: Clinic) -> None:
    sync()
    with org_scope(elm.id):
        Assistant.objects.all().delete()
        PhoneNumber.objects.update(mode=PhoneNumber.Mode.FORWARD)
    assert sync()[0] == 0
    assert known.tools(elm) == {}
    assert registered(elm) == {}


def test_a_clinic_without_an_assistant_gets_one_where_a_number_needs_it(known: AtVapi, elm: Clinic) -> None:
    with org_scope(elm.id):
        Assistant.objects.all().delete()
    assert sync("--check")[0] == 1
    with org_scope(elm.id):
        assert not Assistant.objects.exists()
    assert sync()[0] == 0
    assistant = known.assistant(elm)
    assert assistant["name"] == "Elm Street"
    assert set(assistant["model"]["toolIds"]) == set(registered(elm).values())


def test_a_rotated_secret_reaches_vapi_with_the_next_run(known: AtVapi, elm: Clinic) -> None:
    sync()
    with org_scope(elm.id):
        VapiCredential.objects.create(
            org=elm.org, label="next", digest=digest("the-next-secret"), secret="the-next-secret"
        )
    code, said = sync("--check")
    assert code == 1
    assert "server.headers" in said
    assert sync()[0] == 0
    for tool in known.tools(elm).values():
        assert tool["server"]["headers"] == {"X-Vapi-Secret": "the-next-secret"}


def test_a_credential_kept_at_vapi_is_named_in_place_of_the_secret(known: AtVapi, elm: Clinic) -> None:
    sync()
    with org_scope(elm.id):
        VapiCredential.objects.update(vapi_credential_id="credential-of-elm")
    assert sync()[0] == 0
    for record in (*known.tools(elm).values(), known.assistant(elm), known.number(elm)):
        assert record["server"]["credentialId"] == "credential-of-elm"
        assert "headers" not in record["server"]
    assert elm.secret not in known.everything()
    assert sync("--check")[0] == 0


def test_a_credential_chosen_at_vapi_is_kept(known: AtVapi, elm: Clinic) -> None:
    known.change("assistant", elm.assistant_id, server={"url": "https://x.example", "credentialId": "chosen"})
    assert sync()[0] == 0
    assert known.assistant(elm)["server"]["credentialId"] == "chosen"


def test_a_moved_backend_takes_its_tools_along(known: AtVapi, elm: Clinic, settings: object) -> None:
    sync()
    before = registered(elm)
    settings.BACKEND_URL = "https://new.example"  # type: ignore[attr-defined]
    assert sync("--check")[0] == 1
    assert sync()[0] == 0
    assert registered(elm) == before
    assert known.tools(elm)["endCall"]["server"]["url"].startswith("https://new.example/")


def test_a_closed_clinic_is_left_as_it_is(known: AtVapi, elm: Clinic) -> None:
    with platform_scope("test"):
        Organization.objects.filter(pk=elm.id).update(active=False)
    assert sync()[0] == 0
    assert known.tools(elm) == {}


def test_a_lost_answer_leads_to_no_second_tool(known: AtVapi, elm: Clinic) -> None:
    known.sandbox.fault("accepted_then_lost", "vapi", match={"path": "/tool", "method": "POST"}, count=1)
    code, said = sync()
    assert code == 0, said
    assert len(known.tools_by_address("elm-street")) == len(TOOLS)
    assert set(registered(elm).values()) == {tool["id"] for tool in known.tools(elm).values()}


def test_a_lost_answer_leads_to_no_second_assistant(known: AtVapi, elm: Clinic) -> None:
    known.remove("assistant", elm.assistant_id)
    known.sandbox.fault("accepted_then_lost", "vapi", match={"path": "/assistant", "method": "POST"}, count=1)
    code, said = sync()
    assert code == 0, said
    assert len(known.ask("GET", "/assistant")) == 2


def test_of_two_runs_at_once_one_changes_things_and_the_other_says_so(known: AtVapi, elm: Clinic) -> None:
    def elsewhere(lock: threading.Event, done: threading.Event) -> None:
        with sole_errand("sync of tools at Vapi") as alone:
            assert alone
            lock.set()
            done.wait(20)
        connection.close()

    locked, done = threading.Event(), threading.Event()
    other = threading.Thread(target=elsewhere, args=(locked, done))
    other.start()
    assert locked.wait(10)
    try:
        code, said = sync()
        assert (code, known.written()) == (1, [])
        assert "Another run is under way" in said
        assert "is missing" in sync("--check")[1]
    finally:
        done.set()
        other.join(10)
    assert sync()[0] == 0
    assert set(registered(elm)) == set(TOOLS)


def test_vapi_is_never_called_inside_a_scope(known: AtVapi, elm: Clinic) -> None:
    with org_scope(elm.id), pytest.raises(RuntimeError, match="never called inside a scope"):
        Vapi().every("tool")


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        (f"{OURS}/api/vapi/tools?clinic=elm-street", True),
        (f"{OURS}/api/webhooks/vapi?clinic=elm-street", True),
        (f"{OURS}/api/vapi/tools?clinic=elm-street-2", False),
        (f"{OURS}/api/vapi/tools?clinic=oak-road&clinic=elm-street", False),
        (f"{OURS}/api/vapi/tools", False),
        (f"{OURS}/elsewhere?clinic=elm-street", False),
        ("https://voxanne.example.evil.example/api/vapi/tools?clinic=elm-street", False),
        ("http://voxanne.example/api/vapi/tools?clinic=elm-street", False),
        ("https://[broken/api/vapi/tools?clinic=elm-street", False),
        (None, False),
    ],
)
def test_only_our_own_origin_path_and_key_make_an_address_the_clinics(address: object, ours: bool) -> None:
    assert is_clinics_address(address, OURS, "elm-street") is ours


def test_one_tool_cannot_be_registered_to_two_clinics(known: AtVapi, elm: Clinic, oak: Clinic) -> None:
    sync()
    owners = our_side.owners_of_tools()
    assert len(owners) == 2 * len(TOOLS)
    with org_scope(elm.id):
        mine = ToolRegistration.objects.values_list("vapi_tool_id", flat=True)[0]
    assert owners[mine] == elm.id
