"""The ledger: each webhook once, stored before it is acknowledged, worked off with its mark, replayed by its key."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from monitoring.metric_store import SUM
from monitoring.metrics import DUPLICATES, WEBHOOK_WORK, store
from telephony.models import Call, WebhookDelivery
from telephony.vapi.arrivals import arrival_of
from telephony.vapi.payload import message_of
from telephony.webhooks import ledger, retention
from telephony.webhooks.ledger import WEBHOOK, Arrival, Event, Provider, Replayed
from telephony.webhooks.payloads import unpacked
from tests.clinics import Clinic
from tests.telephony.rows import row_counts
from tests.telephony.vapi_client import VapiCaller, vapi_secret
from tests.telephony.webhooks import deliveries, fresh, work_off
from voxanne.durable import tasks, work
from voxanne.durable.work import MOST_LOST_LEASES
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import org_scope

KEYS = itertools.count()
PROBE = "probe"


@pytest.fixture
def handler() -> Iterator[Any]:
    """Registers what works off the type ``probe``, for one test."""

    def registered(handle: Any) -> None:
        ledger.register_handler(Provider.VAPI, PROBE, handle)

    yield registered
    ledger._handlers.pop((Provider.VAPI.value, PROBE), None)


def take_in(clinic: Clinic, key: str | None = None, **payload: Any) -> WebhookDelivery:
    key = key or f"probe:{next(KEYS)}"
    ledger.take_in(clinic.id, Arrival(Provider.VAPI, key, PROBE, payload))
    with org_scope(clinic.id):
        found: WebhookDelivery = WebhookDelivery.objects.get(event_id=key)
    return found


def ended(clinic: Clinic, event_id: str) -> int:
    """What the probes' handlers leave behind: calls of this id."""
    with org_scope(clinic.id):
        return Call.objects.filter(vapi_call_id=event_id).count()


def leaves_a_call(event: Event) -> None:
    Call.objects.create(org_id=event.org_id, vapi_call_id=event.event_id)


# Taking in


def test_a_webhook_is_stored_when_it_is_acknowledged_and_not_yet_worked_off(call: VapiCaller) -> None:
    assert call.say("status-update", status="in-progress", timestamp=1795160427736) == {}
    (row,) = deliveries(call.clinic)
    assert (row.provider, row.event_type, row.state, row.origin) == (
        "vapi",
        "status-update",
        "pending",
        "told",
    )
    assert row.provider_call_id == call.call_id
    assert unpacked(row.payload)["status"] == "in-progress"


def test_secrets_and_control_addresses_are_not_stored(call: VapiCaller) -> None:
    number = {
        "id": call.clinic.phone_number_id,
        "twilioAuthToken": "t0k3n-of-twilio",
        "serverUrlSecret": "s3cr3t",
    }
    assistant = {"model": {"tools": [{"server": {"secret": "in-the-clear", "headers": {"X-Key": "k3y"}}}]}}
    call.say("end-of-call-report", phoneNumber=number, assistant=assistant, endedReason="hang")
    kept = str(unpacked(deliveries(call.clinic)[0].payload))
    for secret in ("t0k3n-of-twilio", "s3cr3t", "in-the-clear", "k3y", "control"):
        assert f"{secret}'" not in kept
    assert "vapi.ai" not in kept


def test_the_control_address_of_a_call_under_way_is_kept_with_the_call(call: VapiCaller) -> None:
    call.say("status-update", status="in-progress")
    work_off()
    with org_scope(call.clinic.id):
        assert Call.objects.get().control_url == call.control_url


def test_a_redacted_address_is_never_taken_for_one(call: VapiCaller) -> None:
    call.say("end-of-call-report", endedReason="x")
    work_off()
    with org_scope(call.clinic.id):
        assert Call.objects.get().control_url == ""


def test_what_is_kept_lies_encrypted(call: VapiCaller) -> None:
    call.say("end-of-call-report", artifact={"transcript": "User: I am Dana Ruiz."})
    row = deliveries(call.clinic)[0]
    assert b"Dana" not in bytes(row.payload)
    assert "Dana" in str(unpacked(row.payload))


def test_the_history_and_the_configuration_are_not_kept(call: VapiCaller) -> None:
    artifact = {"transcript": "short", "messages": [{"message": "x" * 1000}] * 100}
    call.say("end-of-call-report", artifact=artifact, assistant={"name": "y" * 100_000})
    kept = unpacked(deliveries(call.clinic)[0].payload)
    assert kept["artifact"] == {"transcript": "short"}
    assert "assistant" not in kept


def test_a_large_message_that_nobody_works_off_is_not_kept_in_whole(call: VapiCaller) -> None:
    call.say("something-new", words="z" * 200_000, deep={"words": "z" * 200_000}, number=7)
    (row,) = deliveries(call.clinic)
    assert len(row.payload) < 2_000
    assert unpacked(row.payload)["number"] == 7


def test_a_repetition_changes_nothing_and_is_counted(call: VapiCaller) -> None:
    call.say("status-update", status="in-progress")
    before, counted = row_counts(), duplicates()
    call.say("status-update", status="in-progress")
    assert row_counts() == before
    assert duplicates() == counted + 1


def duplicates() -> int:
    return store.read().get((DUPLICATES.name, "webhook"), 0)


def test_a_report_that_is_sent_again_with_other_links_is_the_same_report(call: VapiCaller) -> None:
    for link in ("https://a.vapi.ai/1?sig=a", "https://a.vapi.ai/1?sig=b"):
        call.say("end-of-call-report", artifact={"presignedMonoUrl": link}, timestamp=link)
    assert len(deliveries(call.clinic)) == 1


def test_what_differs_is_kept_apart(call: VapiCaller) -> None:
    other = VapiCaller(call.clinic)
    words = {"role": "user", "transcriptType": "final", "transcript": "Yes."}
    call.say("status-update", status="in-progress")
    call.say("status-update", status="ended")
    other.say("status-update", status="ended")
    call.say("transcript", **words, timestamp=1)
    call.say("transcript", **words, timestamp=2)
    call.say("transcript", **{**words, "role": "assistant"}, timestamp=2)
    call.say("transfer-update", destination={"type": "number", "number": "+14155550199"}, timestamp=3)
    call.say("transfer-update", destination={"type": "number", "number": "+14155550198"}, timestamp=3)
    call.say("hang", timestamp=4)
    call.say("something-new", colour="red", timestamp=4)
    call.say("something-new", colour="blue", timestamp=4)
    assert len({row.event_id for row in deliveries(call.clinic)}) == 11


def test_an_id_made_of_endless_parts_still_fits_its_column() -> None:
    keys = {ledger.event_id("a" * 300, str(number)) for number in range(2)}
    assert len(keys) == 2
    assert all(len(key) <= ledger.LONGEST_EVENT_ID for key in keys)


def test_the_same_event_at_two_clinics_is_two(elm: Clinic, oak: Clinic) -> None:
    for clinic in (elm, oak):
        VapiCaller(clinic, call_id="the-same").say("status-update", status="ended")
        assert len(deliveries(clinic)) == 1


@pytest.mark.parametrize("kind", ["status-update", "end-of-call-report", "something-new"])
def test_a_wrong_credential_leaves_nothing(call: VapiCaller, kind: str) -> None:
    before = row_counts()
    assert call.post(call.message(kind), vapi_secret("wrong")).status_code == 401
    assert row_counts() == before


@pytest.mark.parametrize("kind", ["status-update", "end-of-call-report", "something-new"])
def test_a_clinics_credential_writes_at_no_other_clinic(elm: Clinic, oak: Clinic, kind: str) -> None:
    before = row_counts()
    stranger = VapiCaller(oak)
    assert stranger.post(stranger.message(kind, status="ended"), vapi_secret(elm.secret)).status_code == 200
    work_off()
    assert row_counts() == before


def test_tool_calls_and_questions_are_not_stored_a_second_time(call: VapiCaller) -> None:
    call.say("assistant-request")
    call.use("checkAvailability", date=call.clinic.next_weekday().isoformat())
    call.say("transfer-destination-request")
    assert deliveries(call.clinic) == []


# Working off


def test_the_handlers_rows_and_the_mark_commit_together(elm: Clinic, handler: Any) -> None:
    handler(leaves_a_call)
    row = take_in(elm)
    assert work_off() == 1
    done = fresh(row)
    assert (done.state, done.outcome, done.attempts) == ("completed", "handled", 1)
    assert done.completed_at is not None
    assert ended(elm, row.event_id) == 1


def test_a_handler_that_fails_leaves_nothing_and_is_tried_again_later(elm: Clinic, handler: Any) -> None:
    def fails(event: Event) -> None:
        leaves_a_call(event)
        raise LookupError("+14155550142")

    handler(fails)
    row = take_in(elm)
    work_off()
    failed = fresh(row)
    assert (failed.state, failed.attempts, ended(elm, row.event_id)) == ("pending", 1, 0)
    assert failed.next_attempt_at > timezone.now()
    assert "4155550142" not in failed.last_error
    handler(leaves_a_call)
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        work_off()
    assert (fresh(row).state, ended(elm, row.event_id)) == ("completed", 1)


def test_a_webhook_that_keeps_failing_is_given_up_for_a_person(elm: Clinic, handler: Any) -> None:
    def fails(event: Event) -> None:
        raise LookupError

    handler(fails)
    row = take_in(elm)
    for hour in range(MOST_LOST_LEASES):
        with time_machine.travel(timezone.now() + timedelta(hours=hour)):
            assert work_off() == 1
    dead = fresh(row)
    assert dead.state == "dead_letter"
    assert dead.payload, "a person may replay it"


def test_a_worker_that_died_is_made_up_for(elm: Clinic, handler: Any) -> None:
    handler(leaves_a_call)
    row = take_in(elm)
    assert work.claim_next(WEBHOOK) is not None
    with time_machine.travel(timezone.now() + WEBHOOK.lease + timedelta(seconds=1)):
        assert work.release_lost(WEBHOOK) == 1
        work_off()
    assert (fresh(row).state, ended(elm, row.event_id)) == ("completed", 1)


def test_a_webhook_whose_hint_was_lost_is_found_by_the_drainer(elm: Clinic, handler: Any) -> None:
    handler(leaves_a_call)
    row = take_in(elm)
    assert tasks.drain("webhook") == 1
    assert fresh(row).state == "completed"


def test_working_off_is_measured_by_provider_and_type(elm: Clinic, handler: Any) -> None:
    handler(leaves_a_call)
    take_in(elm)
    work_off()
    assert (WEBHOOK_WORK.name, "vapi", PROBE, SUM) in store.read()


# Replaying


def test_a_replay_takes_the_same_row_and_the_same_key(call: VapiCaller) -> None:
    call.say("end-of-call-report", endedReason="customer-ended-call", cost=0.31)
    work_off()
    (row,) = deliveries(call.clinic)
    before = row_counts()
    assert ledger.replay(row.pk, "Try it again.") is Replayed.DONE
    waiting = fresh(row)
    assert (waiting.state, waiting.attempts, waiting.replays, waiting.completed_at) == ("pending", 0, 1, None)
    assert work_off() == 1
    done = fresh(row)
    assert (done.state, done.event_id) == ("completed", row.event_id)
    assert row_counts() == {**before, "audit_entries": before["audit_entries"] + 1}
    with org_scope(call.clinic.id):
        entry = AuditEntry.objects.get(action="webhook.replay")
    assert (entry.subject, entry.reason) == (f"webhook_delivery_log:{row.pk}", "Try it again.")


def test_a_dead_letter_is_replayed_with_fresh_attempts(elm: Clinic, handler: Any) -> None:
    handler(leaves_a_call)
    row = take_in(elm)
    with org_scope(elm.id):
        WebhookDelivery.objects.update(state="dead_letter", attempts=10, lost_leases=10)
    assert ledger.replay(row.pk, "Mended.") is Replayed.DONE
    work_off()
    assert (fresh(row).state, ended(elm, row.event_id)) == ("completed", 1)


def test_what_is_not_settled_is_not_replayed(elm: Clinic, handler: Any) -> None:
    handler(leaves_a_call)
    row = take_in(elm)
    assert ledger.replay(row.pk, "x") is Replayed.NOT_SETTLED
    assert ledger.replay(elm.id, "x") is Replayed.UNKNOWN
    assert fresh(row).replays == 0


# Keeping


def test_what_was_said_is_blanked_a_day_after_it_is_done(elm: Clinic, handler: Any) -> None:
    handler(leaves_a_call)
    row = take_in(elm)
    work_off()
    assert retention.forget_payloads() == 0
    with time_machine.travel(timezone.now() + timedelta(hours=24, minutes=1)):
        assert retention.forget_payloads() == 1
        assert retention.forget_payloads() == 0
    assert bytes(fresh(row).payload) == b""
    assert ledger.replay(row.pk, "x") is Replayed.PAYLOAD_GONE


def test_rows_go_after_a_week_and_the_unsettled_after_thirty_days(elm: Clinic, handler: Any) -> None:
    handler(leaves_a_call)
    settled = take_in(elm)
    work_off()
    unsettled = take_in(elm)
    for days, left in ((6.9, 2), (7.1, 1), (29.9, 1), (30.1, 0)):
        with time_machine.travel(timezone.now() + timedelta(days=days)):
            retention.forget_payloads()
            retention.remove_old_webhooks()
        assert len(deliveries(elm)) == left, days
        if left == 1:
            assert bytes(fresh(unsettled).payload), "what is not done is kept whole"
    assert settled.pk != unsettled.pk


def test_vapis_own_message_makes_the_same_id_each_time(call: VapiCaller) -> None:
    message = message_of(call.message("hang")["message"])
    assert arrival_of(message).event_id == arrival_of(message).event_id
