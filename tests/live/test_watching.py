from __future__ import annotations

from telephony.models import Call
from tests.clinics import Clinic
from tests.live.running import RunningSockets, events, token_of
from tests.telephony.vapi_client import CALLER, VapiCaller
from tests.telephony.webhooks import news
from voxanne.tenancy.scope import org_scope


def test_a_call_is_told_from_its_first_ring_to_its_end(sockets: RunningSockets, elm: Clinic) -> None:
    watching = sockets.watch(elm.staff["receptionist"])
    picture = watching.first("snapshot")
    assert picture["orgId"] == str(elm.id)
    assert picture["data"] == {"calls": []}
    call = VapiCaller(elm)
    call.say("assistant-request")
    news(call, "status-update", status="in-progress")
    call.use("lookupCaller", searchType="phone", searchKey=CALLER)
    news(call, "end-of-call-report", endedReason="customer-ended-call")
    watching.first("call_ended")
    told = events(watching.heard)
    assert [message["type"] for message in told] == ["call", "call", "tool", "call_ended"]
    assert [message["seq"] for message in told] == list(range(picture["seq"] + 1, picture["seq"] + 5))
    assert [message["data"]["status"] for message in told if message["type"] == "call"] == [
        "ringing",
        "in_progress",
    ]
    assert told[2]["data"]["tool"] == "lookupCaller"
    assert told[3]["data"]["endedReason"] == "customer-ended-call"
    with org_scope(elm.id):
        assert {message["data"]["callId"] for message in told} == {str(Call.objects.get().pk)}


def test_nobody_is_told_a_whole_number(sockets: RunningSockets, elm: Clinic) -> None:
    watching = sockets.watch(elm.staff["owner"])
    watching.first("snapshot")
    call = VapiCaller(elm)
    call.say("assistant-request")
    call.use("lookupCaller", searchType="phone", searchKey=CALLER)
    watching.first("tool")
    later = sockets.watch(elm.staff["owner"])
    assert later.first("snapshot")["data"]["calls"][0]["from"] == "+1 ••• ••• 0142"
    assert CALLER[2:] not in str(watching.heard + later.heard)


def test_a_snapshot_shows_the_calls_that_are_up_and_no_others(sockets: RunningSockets, elm: Clinic) -> None:
    ended, up = VapiCaller(elm), VapiCaller(elm)
    for call in (ended, up):
        call.say("assistant-request")
    news(ended, "status-update", status="ended")
    up.use("lookupCaller", searchType="phone", searchKey=CALLER)
    shown = sockets.watch(elm.staff["viewer"]).first("snapshot")["data"]["calls"]
    assert [call["vapiCallId"] for call in shown] == [up.call_id]
    assert shown[0]["tools"][0]["tool"] == "lookupCaller"


def test_both_addresses_serve_and_others_do_not(sockets: RunningSockets, elm: Clinic) -> None:
    assert sockets.watch(elm.staff["owner"], path="/ws/live-calls").first("snapshot")
    assert sockets.watch(token=token_of(elm), path="/ws/call").first("snapshot")
