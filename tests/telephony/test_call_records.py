from __future__ import annotations

import itertools
from typing import Any

import pytest

from telephony.models import Call, WebhookDelivery
from tests.clinics import Clinic
from tests.telephony.rows import row_counts
from tests.telephony.vapi_client import CALLER, VapiCaller
from tests.telephony.webhooks import deliveries, work_off
from voxanne.tenancy.scope import org_scope

REPORT = {
    "endedReason": "customer-ended-call",
    "startedAt": "2026-11-20T09:00:29.100Z",
    "endedAt": "2026-11-20T09:04:58.400Z",
    "analysis": {"summary": "Dana booked a visit."},
    "artifact": {"transcript": "AI: Hello.\nUser: Hello.\n"},
}


def the_call(clinic: Clinic) -> Call:
    """The clinic's call, once what was told of it is worked off."""
    work_off()
    with org_scope(clinic.id):
        return Call.objects.get()


def test_the_first_message_makes_the_row_and_the_others_complete_it(call: VapiCaller) -> None:
    call.say("assistant-request")
    call.say("status-update", status="in-progress")
    row = the_call(call.clinic)
    assert (row.from_number, row.to_number) == (CALLER, call.clinic.number)
    assert row.twilio_call_sid == f"CA{call.call_id.replace('-', '')}"
    assert row.status == Call.Status.IN_PROGRESS
    call.say("end-of-call-report", **REPORT)
    row = the_call(call.clinic)
    assert (row.status, row.ended_reason) == (Call.Status.ENDED, "customer-ended-call")
    assert row.summary == "Dana booked a visit."
    assert row.transcript.startswith("AI: Hello.")
    assert row.started_at is not None
    assert row.ended_at is not None
    assert row.ended_at > row.started_at


@pytest.mark.parametrize("order", list(itertools.permutations(["ringing", "in-progress", "ended"])))
def test_a_status_only_moves_forward_in_whatever_order_it_comes(
    call: VapiCaller, order: tuple[str, ...]
) -> None:
    for status in order:
        call.say("status-update", status=status)
    assert the_call(call.clinic).status == Call.Status.ENDED


def test_a_late_status_does_not_reopen_a_reported_call(call: VapiCaller) -> None:
    call.say("end-of-call-report", **REPORT)
    call.say("status-update", status="in-progress")
    assert the_call(call.clinic).status == Call.Status.ENDED


def test_the_snapshot_inside_the_call_is_not_its_status(call: VapiCaller) -> None:
    call.say("end-of-call-report", **REPORT)
    assert call.envelope()["call"]["status"] == "ringing"
    assert the_call(call.clinic).status == Call.Status.ENDED


@pytest.mark.parametrize(
    "status", ["queued", "scheduled", "not-found", "deletion-failed", "", None, 7, [], {}]
)
def test_a_status_we_do_not_keep_changes_nothing(call: VapiCaller, status: object) -> None:
    call.say("status-update", status="in-progress")
    call.say("status-update", status=status)
    assert the_call(call.clinic).status == Call.Status.IN_PROGRESS


def test_the_older_places_of_a_report_are_read_too(call: VapiCaller) -> None:
    call.say("end-of-call-report", endedReason="x", summary="Old summary.", transcript="Old transcript.")
    row = the_call(call.clinic)
    assert (row.summary, row.transcript) == ("Old summary.", "Old transcript.")


def test_a_report_with_less_never_overwrites_one_with_more(call: VapiCaller) -> None:
    call.say("end-of-call-report", **REPORT)
    full = the_call(call.clinic)
    with org_scope(call.clinic.id):
        # The ledger forgets after a week; the call does not.
        WebhookDelivery.objects.all().delete()
    call.say(
        "end-of-call-report", analysis=None, artifact=[], endedReason=None, startedAt=None, endedAt="soon"
    )
    again = the_call(call.clinic)
    for name in ("summary", "transcript", "ended_reason", "started_at", "ended_at"):
        assert getattr(again, name) == getattr(full, name)


def test_a_repeated_report_changes_nothing(call: VapiCaller) -> None:
    call.say("end-of-call-report", **REPORT)
    work_off()
    counts = row_counts()
    call.say("end-of-call-report", **REPORT)
    assert work_off() == 0
    assert row_counts() == counts


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z",
        "2026-02-30T00:00:00Z", "2026-11-20T09:00:29", "2026-11-20", "2026-11-20T24:00:00Z", "yesterday", "", "\x00",
        1795160429100, None, [], {}, "2026-11-20T09:00:29.100+99:99",
    ],
)  # fmt: skip
def test_an_absurd_moment_never_spoils_the_row(call: VapiCaller, moment: object) -> None:
    call.say("end-of-call-report", **{**REPORT, "startedAt": moment, "endedAt": moment})
    assert the_call(call.clinic).status == Call.Status.ENDED
    assert call.use("lookupCaller")["ok"]
    call.say("status-update", status="ended")


@pytest.mark.parametrize(
    "members",
    [
        {"analysis": "text", "artifact": "text"},
        {"analysis": {"summary": {"nested": "x"}}, "artifact": {"transcript": ["x"]}},
        {"endedReason": "x" * 10_000, "summary": "x" * 100_000},
        {"summary": "A\x00B", "transcript": "A\ud800B"},
        {"customer": "text", "phoneNumber": None},
        {"call": "text"},
        {"call": {"id": 7}},
        {"timestamp": "2026-11-20T09:00:27.585Z"},
    ],
)
@pytest.mark.parametrize("kind", ["status-update", "end-of-call-report"])
def test_odd_news_is_acknowledged(call: VapiCaller, kind: str, members: dict[str, Any]) -> None:
    assert call.say(kind, status="ended", **members) == {}
    work_off()
    assert {row.state for row in deliveries(call.clinic)} <= {"completed"}


@pytest.mark.parametrize(
    "kind",
    ["speech-update", "conversation-update", "user-interrupted", "model-output", "function-call", "call.started",
     "something new", "x" * 1_999],
)  # fmt: skip
def test_other_types_are_kept_acknowledged_and_ignored(call: VapiCaller, kind: str) -> None:
    before = row_counts()
    assert call.say(kind, transcript="Hello", role="user") == {}
    assert work_off() == 0
    (row,) = deliveries(call.clinic)
    assert (row.state, row.outcome, row.event_type) == ("completed", "ignored", kind[:80])
    assert row_counts() == {**before, "webhook_delivery_log": 1}


def test_a_dialled_address_longer_than_a_number_is_no_obstacle(call: VapiCaller) -> None:
    number = {"id": call.clinic.phone_number_id, "number": "sip:front-desk@elm-street.sip.vapi.ai"}
    assert call.say("status-update", status="ended", phoneNumber=number) == {}
    assert the_call(call.clinic).status == Call.Status.ENDED


def test_a_long_caller_address_is_no_obstacle(call: VapiCaller) -> None:
    customer = {"number": "sip:" + "x" * 500 + "@example.com"}
    assert call.say("status-update", status="ended", customer=customer) == {}


def test_two_clinics_may_have_the_same_call_id(elm: Clinic, oak: Clinic) -> None:
    for clinic in (elm, oak):
        VapiCaller(clinic, call_id="the-same").say("status-update", status="ended")
        assert the_call(clinic).vapi_call_id == "the-same"
