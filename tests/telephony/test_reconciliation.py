"""Calls whose end never arrived: found at a Vapi of these tests' own, over real sockets."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from monitoring import heartbeats
from telephony import tasks
from telephony.call_records import reconciliation
from telephony.call_records.reconciliation import Reconciled, reconcile
from telephony.call_records.reliability import reliability, reported_share
from telephony.models import Call, ToolInvocation, WebhookDelivery
from telephony.vapi import calls_api
from telephony.vapi.rest import VapiFault
from tests.clinics import Clinic
from tests.sandbox.conftest import sandbox, sandbox_process
from tests.sandbox.running import RunningSandbox
from tests.telephony.vapi_client import VapiCaller
from tests.telephony.webhooks import deliveries, work_off
from voxanne.tenancy.scope import org_scope

__all__ = ["sandbox", "sandbox_process"]

AGO = timedelta(minutes=20)


@pytest.fixture(autouse=True)
def vapi(sandbox: RunningSandbox, settings: Any) -> RunningSandbox:
    settings.VAPI_API_BASE_URL = f"{sandbox.url}/vapi"
    settings.VAPI_API_KEY = "key-of-these-tests"
    sandbox.control("/vapi/keys", {"keys": ["key-of-these-tests"]})
    return sandbox


def written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ended_at_vapi(vapi: RunningSandbox, call: VapiCaller, ago: timedelta = AGO, **more: Any) -> None:
    """A call as Vapi remembers it."""
    now = timezone.now()
    record = {
        **call.envelope()["call"],
        "status": "ended",
        "startedAt": written(now - ago - timedelta(minutes=3)),
        "endedAt": written(now - ago),
        "endedReason": "customer-ended-call",
        "cost": 0.2,
        "analysis": {"summary": "Dana asked for a time."},
        "artifact": {"transcript": "AI: Hello.\nUser: Hello.\n", "recordingUrl": "https://a.vapi.ai/1.wav"},
        **more,
    }
    vapi.control("/vapi/calls", record)


def the_calls(clinic: Clinic) -> list[Call]:
    work_off()
    with org_scope(clinic.id):
        return list(Call.objects.all())


def test_a_report_that_never_came_is_made_up_for(call: VapiCaller, vapi: RunningSandbox) -> None:
    ended_at_vapi(vapi, call)
    assert reconcile() == Reconciled(ended=1, repaired=1)
    (row,) = the_calls(call.clinic)
    assert (row.status, row.report_learnt, row.summary) == ("ended", "asked", "Dana asked for a time.")
    assert (row.duration_seconds, row.recording_url) == (180, "https://a.vapi.ai/1.wav")
    assert deliveries(call.clinic)[0].origin == "asked"


def test_a_call_that_was_reported_is_left_alone(call: VapiCaller, vapi: RunningSandbox) -> None:
    call.say("end-of-call-report", endedReason="silence-timed-out")
    ended_at_vapi(vapi, call)
    assert reconcile() == Reconciled(ended=1, repaired=0)
    (row,) = the_calls(call.clinic)
    assert (row.ended_reason, row.report_learnt) == ("silence-timed-out", "told")


def test_asking_again_repairs_nothing_twice(call: VapiCaller, vapi: RunningSandbox) -> None:
    ended_at_vapi(vapi, call)
    reconcile()
    work_off()
    assert reconcile().repaired == 0
    with org_scope(call.clinic.id):
        WebhookDelivery.objects.all().delete()
    assert reconcile().repaired == 0, "the ledger forgets, the call does not"


def test_a_report_that_comes_after_all_changes_nothing(call: VapiCaller, vapi: RunningSandbox) -> None:
    ended_at_vapi(vapi, call)
    reconcile()
    call.say("end-of-call-report", endedReason="silence-timed-out")
    (row,) = the_calls(call.clinic)
    assert (row.ended_reason, row.report_learnt) == ("customer-ended-call", "asked")


def test_a_call_that_is_just_over_or_still_up_is_waited_for(call: VapiCaller, vapi: RunningSandbox) -> None:
    ended_at_vapi(vapi, call, ago=timedelta(minutes=1))
    ended_at_vapi(vapi, VapiCaller(call.clinic), status="in-progress", endedAt=None)
    assert reconcile() == Reconciled(ended=0, repaired=0)


def test_calls_of_nobody_we_know_are_left_alone(call: VapiCaller, oak: Clinic, vapi: RunningSandbox) -> None:
    ended_at_vapi(vapi, call, phoneNumberId="another's", assistantId="another's")
    ended_at_vapi(vapi, VapiCaller(oak), assistantId=call.clinic.assistant_id)
    assert reconcile() == Reconciled(ended=2, repaired=0)
    assert the_calls(call.clinic) + the_calls(oak) == []


def test_every_page_is_read(call: VapiCaller, vapi: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_api, "PAGE_SIZE", 3)
    for _ in range(8):
        ended_at_vapi(vapi, VapiCaller(call.clinic))
    assert reconcile().repaired == 8
    assert len(the_calls(call.clinic)) == 8


def test_without_a_key_nothing_is_asked(call: VapiCaller, vapi: RunningSandbox, settings: Any) -> None:
    settings.VAPI_API_KEY = ""
    ended_at_vapi(vapi, call)
    assert reconcile() == Reconciled(0, 0)
    assert vapi.control("/requests?service=vapi") == []


@pytest.mark.parametrize("fault", ["connection_reset", "rate_limited", "server_error"])
def test_vapi_away_is_waited_out(call: VapiCaller, vapi: RunningSandbox, fault: str) -> None:
    ended_at_vapi(vapi, call)
    vapi.control("/faults", {"service": "vapi", "kind": fault, "count": 1})
    assert not reconcile().complete
    assert reconcile() == Reconciled(ended=1, repaired=1)


def test_a_job_that_could_not_ask_has_not_run_through(vapi: RunningSandbox, call: VapiCaller) -> None:
    vapi.control("/faults", {"service": "vapi", "kind": "server_error", "count": 1})
    with pytest.raises(VapiFault):
        tasks.reconcile_calls()


def test_a_key_that_is_refused_is_said_and_stops_nothing(
    vapi: RunningSandbox, call: VapiCaller, settings: Any
) -> None:
    settings.VAPI_API_KEY = "wrong"
    assert reconcile() == Reconciled(0, 0, complete=False)


def test_an_outage_of_ours_is_looked_back_over(monkeypatch: pytest.MonkeyPatch) -> None:
    for age, looks_back in ((None, 24), (0, 1), (3 * 3600, 4), (90 * 3600, 24)):
        known = {} if age is None else {reconciliation.JOB: float(age)}
        monkeypatch.setattr(heartbeats, "ages", lambda known=known: known)
        assert reconciliation._looks_back() == timedelta(hours=looks_back)


def test_a_tool_call_that_the_end_did_not_see_is_counted_after_all(
    call: VapiCaller, vapi: RunningSandbox
) -> None:
    call.say("end-of-call-report", endedAt=written(timezone.now() - AGO))
    (row,) = the_calls(call.clinic)
    assert row.outcome == "nothing"
    # Under way while the report was worked off, and committed after it.
    with org_scope(call.clinic.id):
        ToolInvocation.objects.create(
            org=call.clinic.org, call=row, tool_call_id="late", tool="checkAvailability", outcome="ok"
        )
    reconcile()
    (row,) = the_calls(call.clinic)
    assert (row.outcome, row.tools_used) == ("asked", ["checkAvailability"])


def test_the_share_of_calls_that_were_told_by_themselves(call: VapiCaller, vapi: RunningSandbox) -> None:
    assert (reliability().share, reported_share()) == (None, {})
    now = timezone.now()
    for _ in range(3):
        VapiCaller(call.clinic).say("end-of-call-report", endedAt=written(now - AGO))
    ended_at_vapi(vapi, call)
    reconcile()
    VapiCaller(call.clinic).say(
        "status-update", status="ended", timestamp=int((now - AGO).timestamp() * 1000)
    )
    VapiCaller(call.clinic).say("status-update", status="ended", timestamp=int(now.timestamp() * 1000))
    work_off()
    found = reliability()
    assert (found.told, found.asked, found.missing) == (3, 1, 1), "what is just over may still be on its way"
    assert found.share == 60.0
    assert reported_share() == {(): 0.6}
