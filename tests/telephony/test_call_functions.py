"""The functions that write a call's record, each one transaction in the clinic's scope."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from telephony.call_records import calls, feed
from telephony.call_records.calls import (
    create_inbound_call_atomically,
    update_call_completed_atomically,
    update_call_with_recording_atomically,
)
from telephony.models import Call, CallEvent
from telephony.vapi.payload import CallFacts
from telephony.vapi.reports import Completion, RecordingFacts
from tests.clinics import Clinic
from tests.telephony.vapi_client import VapiCaller
from tests.telephony.vapi_events import events_of
from tests.telephony.webhooks import work_off
from voxanne.tenancy.scope import ScopeError, org_scope

FACTS = CallFacts("call-1", "CA1", "", "", "+14155550100", "+14155550142", "")
NOTHING = CallFacts("call-1", "", "", "", "", "", "")
BEGAN = datetime(2026, 11, 20, 9, tzinfo=UTC)


@pytest.fixture
def heard() -> Iterator[list[Any]]:
    """What the feed's listeners are told."""
    told: list[Any] = []

    def listener(*args: Any) -> None:
        told.append(args)

    feed.register_listener(listener)
    yield told
    feed._listeners.remove(listener)


def the_call(clinic: Clinic) -> Call:
    with org_scope(clinic.id):
        return Call.objects.get()


def test_a_later_message_fills_in_what_the_first_left_out(elm: Clinic) -> None:
    create_inbound_call_atomically(elm.id, NOTHING)
    create_inbound_call_atomically(elm.id, FACTS)
    create_inbound_call_atomically(elm.id, replace(FACTS, caller="+14155550199"))
    create_inbound_call_atomically(elm.id, NOTHING)
    row = the_call(elm)
    assert (row.from_number, row.to_number, row.twilio_call_sid) == ("+14155550142", "+14155550100", "CA1")


def test_none_of_them_steps_out_of_a_clinics_scope(elm: Clinic, oak: Clinic) -> None:
    with org_scope(oak.id):
        for write in (
            lambda: create_inbound_call_atomically(elm.id, FACTS),
            lambda: update_call_completed_atomically(elm.id, FACTS, Completion()),
            lambda: update_call_with_recording_atomically(elm.id, "call-1", RecordingFacts("https://a")),
        ):
            with pytest.raises(ScopeError):
                write()
    with org_scope(elm.id):
        assert not Call.objects.exists()


def test_nothing_overwrites_something(elm: Clinic) -> None:
    whole = Completion(
        "customer-ended-call", BEGAN, BEGAN + timedelta(seconds=90), summary="Booked.", reported="told"
    )
    update_call_completed_atomically(elm.id, FACTS, whole)
    full = the_call(elm)
    for less in (
        Completion(),
        Completion(reported="asked"),
        Completion("x", BEGAN - timedelta(days=1), summary="y"),
    ):
        update_call_completed_atomically(elm.id, NOTHING, less)
    again = the_call(elm)
    names = (
        "ended_reason",
        "started_at",
        "ended_at",
        "summary",
        "duration_seconds",
        "report_learnt",
        "ended_group",
    )
    assert [getattr(again, name) for name in names] == [getattr(full, name) for name in names]
    assert again.duration_seconds == 90


def test_a_recording_is_noted_once_and_told_in_the_same_transaction(
    elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(calls, "_recording_listeners", [lambda org, call, facts: told.append(facts.url)])
    assert not update_call_with_recording_atomically(elm.id, "call-1", RecordingFacts("https://a")), (
        "unknown call"
    )
    create_inbound_call_atomically(elm.id, FACTS)
    assert update_call_with_recording_atomically(elm.id, "call-1", RecordingFacts("https://a"))
    assert not update_call_with_recording_atomically(elm.id, "call-1", RecordingFacts("https://b"))
    assert told == ["https://a"]
    assert the_call(elm).recording_url == "https://a"


def test_a_listener_that_fails_takes_the_note_back_with_it(
    elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise LookupError

    monkeypatch.setattr(calls, "_recording_listeners", [fails])
    create_inbound_call_atomically(elm.id, FACTS)
    with pytest.raises(LookupError):
        update_call_with_recording_atomically(elm.id, "call-1", RecordingFacts("https://a"))
    assert the_call(elm).recording_url == ""


def test_the_feed_hears_of_each_event_once_and_after_the_commit(
    call: VapiCaller, heard: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    message = call.message(
        "transcript", role="user", transcriptType="final", transcript="Hello.", timestamp=1795160427736
    )
    with django_capture_on_commit_callbacks() as callbacks:
        for _ in range(3):
            call.post(message)
            work_off()
    assert heard == []
    for callback in callbacks:
        callback()
    ((org_id, _, kind, data),) = heard
    assert (org_id, kind, data["text"], data["final"]) == (call.clinic.id, "transcript", "Hello.", True)


def test_what_is_being_said_is_kept_only_while_the_call_lasts(call: VapiCaller) -> None:
    def partials() -> int:
        with org_scope(call.clinic.id):
            return CallEvent.objects.filter(final=False).count()

    events = events_of(call, call.clinic.next_weekday())
    for message in events[:8]:
        call.post(message)
        work_off()
    assert partials() == 2
    call.say("status-update", status="ended", endedReason="customer-ended-call")
    work_off()
    assert partials() == 0
    call.say("transcript", role="user", transcriptType="partial", transcript="Wait", timestamp=99)
    work_off()
    assert partials() == 0


def test_a_tool_call_that_comes_after_the_end_is_counted_too(call: VapiCaller) -> None:
    day = call.clinic.next_weekday()
    call.say("end-of-call-report", endedReason="customer-ended-call")
    work_off()
    assert the_call(call.clinic).outcome == "nothing"
    call.use(
        "bookClinicAppointment", appointmentDate=day.isoformat(), appointmentTime="10:00", patientName="Dana"
    )
    row = the_call(call.clinic)
    assert (row.outcome, row.tools_used) == ("booked", ["bookClinicAppointment"])
    assert row.appointment_id is not None


@pytest.mark.parametrize(
    ("reason", "transcript", "outcome"),
    [
        ("assistant-forwarded-call", "AI: x\nUser: y\n", "transferred"),
        ("call.start.error-get-transport", "", "failed"),
        ("customer-ended-call", "AI: x\nUser: y\n", "talked"),
        ("customer-ended-call", "AI: x\n", "nothing"),
    ],
)
def test_what_came_of_a_call_without_tools(
    call: VapiCaller, reason: str, transcript: str, outcome: str
) -> None:
    call.say("end-of-call-report", endedReason=reason, artifact={"transcript": transcript})
    work_off()
    assert the_call(call.clinic).outcome == outcome
