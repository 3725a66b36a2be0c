from __future__ import annotations

from datetime import timedelta

import pytest

from telephony.call_commands.states import CommandState
from telephony.models import Call, CallCommand
from tests.telephony.vapi_client import VapiCaller, result_of, tool_call
from voxanne.tenancy.scope import org_scope

TOOL = "endCall"


@pytest.mark.parametrize(
    "reason",
    ["completed", "time_limit", "patient_request", "transfer_needed", "COMPLETED", "tired", "", None, 7, []],
)
def test_every_reason_says_goodbye(call: VapiCaller, reason: object) -> None:
    answer = call.use(TOOL, reason=reason)
    assert answer["ok"]
    assert answer["goodbye"] == answer["say"]
    assert "Elm Street" in answer["goodbye"]
    assert answer["goodbye"].endswith("Goodbye.")


def test_vapi_is_told_to_hang_up_after_the_goodbye_is_spoken(call: VapiCaller) -> None:
    (entry,) = call.ask(tool_call(TOOL, {"reason": "completed"}))
    assert entry["message"] == {
        "type": "request-complete",
        "content": result_of(entry)["goodbye"],
        "endCallAfterSpokenEnabled": True,
    }


def test_a_net_is_spread_under_the_goodbye(call: VapiCaller) -> None:
    call.use(TOOL, reason="completed")
    with org_scope(call.clinic.id):
        command = CallCommand.objects.get()
    assert command.body == {"type": "end-call"}
    assert command.state == CommandState.QUEUED
    assert command.next_attempt_at - command.created_at > timedelta(seconds=5)


def test_the_first_summary_is_kept(call: VapiCaller) -> None:
    call.use(TOOL, reason="completed", summary="Booked a visit.")
    call.use(TOOL, reason="completed", summary="Something else.")
    with org_scope(call.clinic.id):
        assert Call.objects.get().summary == "Booked a visit."


@pytest.mark.parametrize("summary", [None, [], {}, 7, 1.5, True, "x" * 100_000, "\x00", "\ud800"])
def test_an_odd_summary_never_keeps_a_call_from_ending(call: VapiCaller, summary: object) -> None:
    assert call.use(TOOL, reason="completed", summary=summary)["ok"]


def test_a_repeat_ends_the_call_once(call: VapiCaller) -> None:
    goodbye = tool_call(TOOL, {"reason": "completed"})
    assert call.ask(goodbye) == call.ask(goodbye)
    with org_scope(call.clinic.id):
        assert CallCommand.objects.count() == 1
