from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from django.contrib.sessions.models import Session

from telephony.call_commands.commands import CALL_COMMAND
from telephony.live import attendance
from telephony.live.feed import TRANSCRIPT, announce
from telephony.models import Call, CallCommand, TransferDestination
from tests.clinics import Clinic
from tests.live.running import RunningSockets, Watching, events, token_of
from tests.sandbox.conftest import sandbox, sandbox_process
from tests.sandbox.running import RunningSandbox
from tests.telephony.vapi_client import VapiCaller
from voxanne.durable import hints, work
from voxanne.tenancy.models import AuditEntry, Membership, Organization, Role
from voxanne.tenancy.scope import org_scope, platform_scope

__all__ = ["sandbox", "sandbox_process"]

WORDS = "I would like to see a doctor about my knee"


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendance, "RECHECK_SECONDS", 0.2)


def a_live_call(clinic: Clinic, **more: Any) -> Call:
    caller = VapiCaller(clinic, **more)
    caller.say("assistant-request")
    caller.use("endCall", reason="completed")
    with org_scope(clinic.id):
        CallCommand.objects.all().delete()
        return Call.objects.get(vapi_call_id=caller.call_id)


def watched(sockets: RunningSockets, clinic: Clinic, role: str) -> Watching:
    watching = sockets.watch(clinic.staff[role])
    watching.first("snapshot")
    return watching


def commands(clinic: Clinic) -> list[dict[str, Any]]:
    with org_scope(clinic.id):
        return [command.body for command in CallCommand.objects.order_by("created_at")]


# Reading


def test_a_viewer_hears_that_something_was_said_and_not_what(sockets: RunningSockets, elm: Clinic) -> None:
    call = a_live_call(elm)
    with org_scope(elm.id):
        Call.objects.update(transcript=WORDS)
    viewer, owner = watched(sockets, elm, "viewer"), watched(sockets, elm, "owner")
    program = sockets.watch(token=token_of(elm))
    of_a_viewer = sockets.watch(token=token_of(elm, role="viewer"))
    for each in (program, of_a_viewer):
        each.first("snapshot")
    announce(elm.id, TRANSCRIPT, call.pk, {"role": "user", "text": WORDS, "final": True})
    announce(elm.id, "tool", call.pk, {"tool": "x"})
    for each in (viewer, owner, program, of_a_viewer):
        each.first("tool")
        told = events(each.heard)
        assert [message["seq"] for message in told] == [told[0]["seq"], told[0]["seq"] + 1]
    for each in (viewer, of_a_viewer):
        assert WORDS not in str(each.heard)
        assert events(each.heard)[0]["data"] == {"callId": str(call.pk), "withheld": True}
    for each in (owner, program):
        assert each.heard[0]["data"]["calls"][0]["transcript"] == WORDS
        assert events(each.heard)[0]["data"]["text"] == WORDS


# Commanding


@pytest.mark.parametrize("role", ["owner", "manager", "receptionist"])
def test_staff_command_a_call_of_their_clinic(sockets: RunningSockets, elm: Clinic, role: str) -> None:
    call = a_live_call(elm)
    with org_scope(elm.id):
        TransferDestination.objects.create(org=elm.org, department="billing", number="+14155550188",
                                           weekdays=list(range(7)), opens="00:00", closes="00:00")  # fmt: skip
    watching = watched(sockets, elm, role)
    watching.say("say", callId=str(call.pk), text="One moment, please.", id=1)
    watching.say("transfer", callId=str(call.pk), department="billing", id=2)
    watching.say("end", callId=str(call.pk), orgId=str(elm.id), id=3)
    answers = [watching.first("answer")["data"] for _ in range(3)]
    assert answers == [{"ok": True, "id": number} for number in (1, 2, 3)]
    said, transferred, ended = commands(elm)
    assert (said["type"], said["content"]) == ("say", "One moment, please.")
    assert (transferred["type"], transferred["destination"]["number"]) == ("transfer", "+14155550188")
    assert ended == {"type": "end-call"}
    with org_scope(elm.id):
        trail = list(AuditEntry.objects.order_by("created_at").values_list("action", "actor_id", "subject"))
    assert trail == [
        (f"call.{act}", elm.staff[role].pk, f"calls:{call.pk}") for act in ("say", "transfer", "end")
    ]


def test_a_command_reaches_the_call(
    sockets: RunningSockets, elm: Clinic, sandbox: RunningSandbox, settings: Any
) -> None:
    settings.VAPI_API_BASE_URL = f"{sandbox.url}/vapi"
    sandbox.control("/vapi/calls", {"id": "live-1"})
    call = a_live_call(elm, call_id="live-1", control_url=f"{sandbox.url}/vapi/control/live-1")
    watching = watched(sockets, elm, "receptionist")
    watching.say("say", callId=str(call.pk), text="One moment, please.")
    assert watching.first("answer")["data"]["ok"]
    claimed = work.claim_next(CALL_COMMAND)
    assert claimed is not None
    work.perform(CALL_COMMAND, claimed)
    assert [command["content"] for command in sandbox.control("/vapi/commands?call=live-1")] == [
        "One moment, please."
    ]


@pytest.mark.parametrize("order", ["say", "transfer", "end"])
def test_who_may_not_command_is_sent_away_and_nothing_is_done(
    sockets: RunningSockets, elm: Clinic, order: str
) -> None:
    call = a_live_call(elm)
    for watching in (watched(sockets, elm, "viewer"), sockets.watch(token=token_of(elm))):
        watching.say(order, callId=str(call.pk), text="Hello.")
        assert watching.closed_with() == 4403
    assert commands(elm) == []


def test_a_call_of_another_clinic_is_not_there(sockets: RunningSockets, elm: Clinic, oak: Clinic) -> None:
    theirs = a_live_call(oak)
    watching = watched(sockets, elm, "owner")
    watching.say("end", callId=str(theirs.pk))
    watching.say("end", callId=str(theirs.pk), orgId=str(oak.id))
    assert [watching.first("answer")["data"]["code"] for _ in range(2)] == ["not_found", "not_found"]
    assert commands(oak) == []


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"type": "say"}, "invalid_request"),
        ({"type": "say", "callId": "CALL"}, "invalid_request"),
        ({"type": "say", "callId": "CALL", "text": {"a": 1}}, "invalid_request"),
        ({"type": "say", "callId": 7, "text": "x"}, "invalid_request"),
        ({"type": "end", "callId": "3f0c0000-0000-4000-8000-000000000001"}, "not_found"),
        ({"type": "end", "callId": "CALL", "orgId": "x"}, "invalid_request"),
        ({"type": "transfer", "callId": "CALL", "department": "kitchen"}, "invalid_request"),
        ({"type": "transfer", "callId": "CALL", "number": "+14155550199"}, "no_destination"),
        ({"type": "shout"}, "invalid_request"),
        ({"type": ["say"]}, "invalid_request"),
        ({}, "invalid_request"),
        ([], "invalid_request"),
    ],
)
def test_an_order_that_makes_no_sense_is_answered(
    sockets: RunningSockets, elm: Clinic, order: Any, code: str
) -> None:
    call = a_live_call(elm)
    watching = watched(sockets, elm, "owner")
    watching.connection.send(json.dumps(order).replace("CALL", str(call.pk)))
    assert watching.first("answer")["data"]["code"] == code
    assert commands(elm) == []
    watching.say("ping")
    assert watching.first("ping")


def test_a_call_that_ended_or_takes_no_commands_is_left_alone(sockets: RunningSockets, elm: Clinic) -> None:
    ended = a_live_call(elm)
    deaf = a_live_call(elm, control_url=None)
    with org_scope(elm.id):
        Call.objects.filter(pk=ended.pk).update(status=Call.Status.ENDED)
    watching = watched(sockets, elm, "owner")
    for call, code in ((ended, "call_ended"), (deaf, "no_control")):
        watching.say("end", callId=str(call.pk))
        assert watching.first("answer")["data"]["code"] == code
    assert commands(elm) == []


# Losing rights


@pytest.mark.usefixtures("_soon")
def test_who_signs_out_hears_no_more(sockets: RunningSockets, elm: Clinic) -> None:
    watching = watched(sockets, elm, "owner")
    Session.objects.all().delete()
    assert watching.closed_with() == 4401


@pytest.mark.usefixtures("_soon")
def test_who_is_deactivated_hears_no_more(sockets: RunningSockets, elm: Clinic) -> None:
    watching = watched(sockets, elm, "owner")
    elm.staff["owner"].is_active = False
    elm.staff["owner"].save()
    assert watching.closed_with() == 4401


@pytest.mark.usefixtures("_soon")
def test_who_changes_the_password_elsewhere_hears_no_more(sockets: RunningSockets, elm: Clinic) -> None:
    watching = watched(sockets, elm, "owner")
    elm.staff["owner"].set_password("another battery staple")
    elm.staff["owner"].save()
    assert watching.closed_with() == 4401


@pytest.mark.usefixtures("_soon")
def test_who_leaves_the_clinic_hears_no_more(sockets: RunningSockets, elm: Clinic) -> None:
    watching = watched(sockets, elm, "owner")
    with org_scope(elm.id):
        Membership.objects.filter(user=elm.staff["owner"]).delete()
    assert watching.closed_with() == 4403


@pytest.mark.usefixtures("_soon")
def test_a_token_that_runs_out_ends_its_socket(sockets: RunningSockets, elm: Clinic) -> None:
    watching = sockets.watch(token=token_of(elm, exp=int(time.time()) + 2))
    watching.first("snapshot")
    assert watching.closed_with() == 4401


@pytest.mark.usefixtures("_soon")
def test_a_clinic_that_is_closed_is_watched_no_more(sockets: RunningSockets, elm: Clinic) -> None:
    watching = [watched(sockets, elm, "owner"), sockets.watch(token=token_of(elm))]
    with platform_scope("a test"):
        Organization.objects.filter(pk=elm.id).update(active=False)
    assert [each.closed_with() for each in watching] == [4403, 4403]


@pytest.mark.usefixtures("_soon")
def test_who_leaves_one_of_two_clinics_goes_on_hearing_the_other(
    sockets: RunningSockets, elm: Clinic, oak: Clinic
) -> None:
    person = elm.staff["owner"]
    with org_scope(oak.id):
        Membership.objects.create(org=oak.org, user=person, role=Role.MANAGER)
    watching = sockets.watch(person)
    shown = {watching.first("snapshot")["orgId"] for _ in range(2)}
    assert shown == {str(elm.id), str(oak.id)}
    with org_scope(elm.id):
        Membership.objects.filter(user=person).delete()
    gone = threading.Event()
    assert not gone.wait(1.0)
    VapiCaller(elm).say("assistant-request")
    VapiCaller(oak).say("assistant-request")
    assert watching.first("call")["orgId"] == str(oak.id)
    watching.say("ping")
    watching.first("ping")
    assert {message["orgId"] for message in events(watching.heard)} == {str(oak.id)}


@pytest.mark.usefixtures("_soon")
def test_who_becomes_a_viewer_commands_and_reads_no_more(sockets: RunningSockets, elm: Clinic) -> None:
    call = a_live_call(elm)
    watching = watched(sockets, elm, "manager")
    with org_scope(elm.id):
        Membership.objects.filter(user=elm.staff["manager"]).update(role=Role.VIEWER)
    watching.say("end", callId=str(call.pk))
    assert watching.closed_with() == 4403
    assert commands(elm) == []


@pytest.fixture(autouse=True)
def _no_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works these commands off but the tests themselves."""
    monkeypatch.setattr(hints, "_publish", lambda hint: None)
