"""What operations sees of webhooks, and replays."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from monitoring.gauges import oldest_waiting, read_gauge
from monitoring.metrics import CALLS_REPORTED, WEBHOOKS
from telephony.call_records.monitored import unreported_calls
from telephony.models import WebhookDelivery
from telephony.webhooks.monitored import dead_webhooks
from telephony.webhooks.payloads import packed
from tests.clinics import Clinic
from tests.telephony.webhooks import fresh, work_off
from voxanne.tenancy.models import AuditEntry, User
from voxanne.tenancy.scope import org_scope

LIST = "/api/monitoring/webhooks"
NUMBER = "+14155550142"
STATUS = {"type": "status-update", "status": "ended", "call": {"id": "call-1"}}


def make(clinic: Clinic, state: str = "pending", **columns: Any) -> WebhookDelivery:
    values: dict[str, Any] = {
        "provider": "vapi",
        "event_id": f"event-{timezone.now().timestamp()}",
        "event_type": "status-update",
        "payload": packed(STATUS),
    }
    if state == "completed":
        values["completed_at"] = timezone.now()
    with org_scope(clinic.id):
        made: WebhookDelivery = WebhookDelivery.objects.create(
            org=clinic.org, state=state, **(values | columns)
        )
    return made


def asked(settings: Any, path: str = LIST, method: str = "get", **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {settings.MONITORING_TOKEN}"}
    return getattr(Client(), method)(path, headers=headers, **more)


def replay_path(row: WebhookDelivery) -> str:
    return f"{LIST}/{row.pk}/replay"


def test_the_counts_tell_what_failed_from_what_waits(elm: Clinic, oak: Clinic, settings: Any) -> None:
    assert asked(settings).json()["counts"] == {
        "pending": 0, "processing": 0, "completed": 0, "failed": 0, "deadLetter": 0,
    }  # fmt: skip
    make(elm)
    make(oak, attempts=2)
    make(elm, "processing")
    make(elm, "completed")
    make(oak, "dead_letter")
    make(oak, "dead_letter")
    assert asked(settings).json()["counts"] == {
        "pending": 1, "processing": 1, "completed": 1, "failed": 1, "deadLetter": 2,
    }  # fmt: skip


def test_the_last_failures_say_what_and_not_who(elm: Clinic, settings: Any) -> None:
    row = make(elm, "dead_letter", attempts=10, last_error=f"No such number: {NUMBER}")
    make(elm, attempts=1, last_error="LookupError was raised; the log has the rest.")
    make(elm)
    body = asked(settings).json()
    assert [failure["state"] for failure in body["lastFailures"]] == ["dead_letter", "failed"]
    first = body["lastFailures"][0]
    assert (first["webhookId"], first["orgId"], first["attempts"]) == (str(row.pk), str(elm.id), 10)
    assert NUMBER not in json.dumps(body)
    assert len(asked(settings, f"{LIST}?limit=1").json()["lastFailures"]) == 1


@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "1.5", "٣", "99999"])
def test_a_limit_that_is_none_is_refused(limit: str, settings: Any, db: None) -> None:
    answer = asked(settings, f"{LIST}?limit={limit}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", [LIST, f"{LIST}/{'0' * 8}-0000-4000-8000-{'0' * 12}/replay"])
def test_strangers_are_kept_out(path: str, db: None) -> None:
    abroad = Client(REMOTE_ADDR="203.0.113.7")
    assert abroad.get(path).status_code == 401
    assert abroad.post(path).status_code == 401
    assert abroad.post(path, headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_clinics_own_staff_do_not_operate_the_platform(elm: Clinic) -> None:
    row = make(elm, "dead_letter")
    client = Client()
    client.force_login(elm.staff["owner"], backend="voxanne.tenancy.permissions.MembershipBackend")
    assert client.get(LIST).status_code == 403
    assert client.post(replay_path(row)).status_code == 403
    assert fresh(row).state == "dead_letter"


@pytest.mark.parametrize("state", ["dead_letter", "completed"])
def test_a_settled_webhook_is_replayed_and_the_reason_kept(elm: Clinic, settings: Any, state: str) -> None:
    row = make(elm, state)
    answer = asked(
        settings, replay_path(row), "post", data='{"reason": "Mended."}', content_type="application/json"
    )
    assert answer.json() == {"success": True, "webhookId": str(row.pk), "status": "pending"}
    again = asked(settings, replay_path(row), "post")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "not_settled")
    work_off()
    assert (fresh(row).state, fresh(row).replays) == ("completed", 1)
    with org_scope(elm.id):
        assert [entry.reason for entry in AuditEntry.objects.filter(action="webhook.replay")] == ["Mended."]


def test_an_operator_is_named_in_the_trail(elm: Clinic) -> None:
    row = make(elm, "dead_letter")
    operator = User.objects.create_superuser("operator", password="correct horse battery")
    client = Client()
    client.force_login(operator, backend="voxanne.tenancy.permissions.MembershipBackend")
    assert client.post(replay_path(row)).status_code == 200
    with org_scope(elm.id):
        assert AuditEntry.objects.get(action="webhook.replay").actor == operator


@pytest.mark.parametrize(
    "body", ["{", "[]", '{"reason": 7}', '{"reason": ""}', "\udcff", '{"reason": "\\u0000"}']
)
def test_an_odd_body_is_no_reason_and_no_fault(elm: Clinic, settings: Any, body: str) -> None:
    row = make(elm, "dead_letter")
    raw = body.encode("utf-8", "surrogateescape")
    assert (
        asked(settings, replay_path(row), "post", data=raw, content_type="application/json").status_code
        == 200
    )
    with org_scope(elm.id):
        assert AuditEntry.objects.get(action="webhook.replay").reason.startswith("Replayed through")


def test_what_cannot_be_replayed_says_why(elm: Clinic, settings: Any) -> None:
    for row, status, code in (
        (make(elm), 409, "not_settled"),
        (make(elm, "completed", payload=b""), 409, "payload_gone"),
    ):
        answer = asked(settings, replay_path(row), "post")
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    unknown = asked(settings, f"{LIST}/{elm.id}/replay", "post")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
    assert asked(settings, replay_path(make(elm))).status_code == 405


def test_the_gauges_are_read_from_the_rows(elm: Clinic) -> None:
    make(elm)
    make(elm, "dead_letter")
    states = read_gauge(WEBHOOKS)
    assert (states[("pending",)], states[("failed",)], states[("dead_letter",)]) == (1.0, 0.0, 1.0)
    assert read_gauge(CALLS_REPORTED) == {}
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        assert oldest_waiting()[("webhook",)] >= 119


def test_a_person_is_told_of_webhooks_that_were_given_up(elm: Clinic) -> None:
    assert dead_webhooks() == []
    make(elm, "dead_letter")
    (breach,) = dead_webhooks()
    assert breach.facts == {"dead_letters": 1}
    assert unreported_calls() == []
