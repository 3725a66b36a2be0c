from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from messaging.models import DeliveryAttempt, Message
from messaging.monitored import delivery_share
from messaging.queue_health import (
    DeadLetters,
    DeliveryStats,
    Queue,
    concerns,
    get_sms_delivery_stats,
    messages_by_state,
    queue_now,
    status_of,
)
from messaging.readiness_checks import text_queue
from messaging.retention import cleanup_old_sms_delivery_logs
from messaging.undelivered.dead_letters import Redriven, get_dead_letter_sms, redrive
from tests.clinics import Clinic, make_clinic
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import ScopeError, org_scope, platform_scope

NOTHING = DeliveryStats(0, 0, 0, 0, 0, None)
HEALTH = "/api/monitoring/sms-queue-health"
DEAD_LETTERS = "/api/monitoring/sms-dead-letter-queue"
RETRY = "/api/monitoring/sms-retry-dead-letter"
NUMBER = "+14155550142"


def make(clinic: Clinic, state: str = "queued", **columns: Any) -> Message:
    """A message of the clinic in some state, due now and good for a day."""
    values: dict[str, Any] = {
        "kind": "confirmation",
        "dedupe_key": str(uuid4()),
        "recipient": NUMBER,
        "body": "Your visit is on Monday.",
        "expires_at": timezone.now() + timedelta(days=1),
    }
    with org_scope(clinic.id):
        message: Message = Message.objects.create(org=clinic.org, state=state, **(values | columns))
        # The default moment of making cannot be given.
        if "created_at" in columns or "updated_at" in columns:
            moments = {name: columns[name] for name in ("created_at", "updated_at") if name in columns}
            Message.objects.filter(pk=message.pk).update(**moments)
    return message


def make_tried(clinic: Clinic, state: str, *, ago: timedelta = timedelta(hours=1), **columns: Any) -> Message:
    tried = timezone.now() - ago
    moments: dict[str, Any] = {"first_attempted_at": tried}
    if state == "delivered":
        moments["delivered_at"] = tried + timedelta(seconds=3)
    if state == "dead_letter":
        moments["dead_lettered_at"] = tried + timedelta(seconds=31)
    return make(clinic, state, **(moments | columns))


def health() -> dict[str, Any]:
    response = Client().get(HEALTH)
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.django_db
def test_without_traffic_all_is_well() -> None:
    body = health()
    assert body["status"] == "healthy"
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    assert body["queue"] == {
        "queueName": "sms-delivery",
        "healthy": True,
        "counts": {"waiting": 0, "active": 0, "completed": 0, "failed": 0, "delayed": 0},
        "oldestWaitingSeconds": 0,
    }
    assert body["delivery"] == {"last24Hours": None, "deadLetterQueueCount": 0, "recentFailures": []}
    assert body["alerts"] == []


@pytest.mark.django_db
def test_every_state_is_counted_where_the_contract_says(elm: Clinic, oak: Clinic) -> None:
    make(elm, next_attempt_at=timezone.now() - timedelta(seconds=30))
    make(oak, next_attempt_at=timezone.now() + timedelta(hours=5))
    for state in ("sending", "unknown", "sent", "expired", "suppressed"):
        make_tried(elm, state)
    make(elm, "canceled")
    make_tried(elm, "delivered")
    make_tried(oak, "delivered")
    make_tried(
        oak,
        "dead_letter",
        last_error="The number +14155550142 cannot be texted.",
        attempts=6,
        error_code=30005,
    )
    body = health()
    assert body["queue"]["counts"] == {"waiting": 1, "active": 2, "completed": 3, "failed": 1, "delayed": 1}
    assert 29 <= body["queue"]["oldestWaitingSeconds"] <= 35
    (finding,) = text_queue()
    assert "1 waiting, 1 delayed, 1 of unknown fate, 1 dead letters" in finding.detail
    assert body["delivery"]["last24Hours"] == {
        "totalSent": 8,
        "delivered": 2,
        "failed": 2,
        "deadLetter": 1,
        "successRate": 50.0,
        "avgDeliveryTimeMs": 3000,
    }
    (failure,) = body["delivery"]["recentFailures"]
    assert set(failure) == {"messageId", "orgId", "recipient", "error", "attempts", "createdAt"}
    assert failure["orgId"] == str(oak.id)
    assert (failure["recipient"], failure["attempts"]) == ("•••0142", 6)
    assert "415555" not in json.dumps(body)


@pytest.mark.django_db
def test_what_was_first_tried_before_the_window_is_not_of_it(elm: Clinic) -> None:
    make_tried(elm, "delivered", ago=timedelta(hours=25))
    make_tried(elm, "delivered", ago=timedelta(hours=23))
    assert get_sms_delivery_stats(elm.org).total_sent == 1
    assert get_sms_delivery_stats(elm.id, hours=26).total_sent == 2
    assert get_sms_delivery_stats(None, hours=1).total_sent == 0


@pytest.mark.django_db
def test_a_clinics_figures_are_its_own(elm: Clinic, oak: Clinic) -> None:
    make_tried(elm, "delivered")
    make_tried(oak, "dead_letter")
    assert get_sms_delivery_stats(elm.org) == DeliveryStats(1, 1, 0, 0, 1, 3000)
    assert get_sms_delivery_stats(oak.org).success_rate == 0
    with org_scope(elm.id):
        assert get_sms_delivery_stats(None).total_sent == 1
        assert get_dead_letter_sms() == []
        with pytest.raises(ScopeError):
            get_sms_delivery_stats(oak.org)


@pytest.mark.parametrize(
    ("queue", "stats", "status"),
    [
        (Queue(0, 0, 0, 0), NOTHING, "healthy"),
        (Queue(500, 0, 0, 59), NOTHING, "healthy"),
        (Queue(99, 0, 0, 299), NOTHING, "healthy"),
        (Queue(100, 0, 0, 60), NOTHING, "degraded"),
        (Queue(1, 0, 0, 300), NOTHING, "unhealthy"),
        (Queue(0, 0, 0, 0), DeliveryStats(100, 96, 4, 0, 96, 1), "healthy"),
        (Queue(0, 0, 0, 0), DeliveryStats(100, 95, 5, 0, 95, 1), "degraded"),
        (Queue(0, 0, 0, 0), DeliveryStats(10, 4, 6, 6, 4, 1), "unhealthy"),
        (Queue(0, 0, 0, 0), DeliveryStats(9, 0, 9, 9, 0, None), "degraded"),
        (Queue(0, 0, 0, 0), DeliveryStats(10, 0, 10, 10, 0, None), "unhealthy"),
        (Queue(0, 0, 0, 0), DeliveryStats(20, 5, 5, 5, 5, 1), "degraded"),
    ],
)
def test_the_status_follows_the_rule(queue: Queue, stats: DeliveryStats, status: str) -> None:
    assert status_of(queue, stats) == status


@pytest.mark.parametrize(
    ("queue", "stats", "dead", "codes"),
    [
        (Queue(100, 0, 0, 59), NOTHING, DeadLetters(10, 10), []),
        (
            Queue(101, 0, 0, 59),
            NOTHING,
            DeadLetters(0, 0),
            [("many_waiting", "warning")],
        ),
        (
            Queue(1, 0, 0, 60),
            NOTHING,
            DeadLetters(0, 0),
            [("slow_queue", "warning")],
        ),
        (
            Queue(1, 0, 0, 300),
            NOTHING,
            DeadLetters(0, 0),
            [("slow_queue", "critical")],
        ),
        (
            Queue(0, 0, 0, 0),
            DeliveryStats(1, 0, 1, 1, 0, None),
            DeadLetters(1, 1),
            [("low_success_rate", "critical")],
        ),
        (Queue(0, 0, 0, 0), DeliveryStats(100, 95, 5, 5, 95, 1), DeadLetters(5, 5), []),
        (
            Queue(0, 0, 0, 0),
            DeliveryStats(100, 94, 6, 6, 94, 1),
            DeadLetters(6, 6),
            [("low_success_rate", "warning")],
        ),
        (
            Queue(0, 0, 0, 0),
            NOTHING,
            DeadLetters(11, 11),
            [("many_dead_letters", "warning")],
        ),
        (Queue(0, 0, 0, 0), NOTHING, DeadLetters(11, 10), []),
    ],
)
def test_what_is_wrong_is_said_a_total_outage_included(
    queue: Queue, stats: DeliveryStats, dead: DeadLetters, codes: list[tuple[str, str]]
) -> None:
    found = concerns(queue, stats, dead)
    assert [(concern.code, concern.severity) for concern in found] == codes
    assert all(concern.message.endswith(".") for concern in found)


@pytest.mark.django_db
def test_dead_letters_are_listed_newest_first_and_masked(elm: Clinic, oak: Clinic) -> None:
    older = make_tried(
        elm, "dead_letter", ago=timedelta(hours=3), error_code=30003, last_error="Unreachable handset."
    )
    newer = make_tried(oak, "dead_letter", ago=timedelta(hours=1))
    body = Client().get(DEAD_LETTERS).json()
    assert body["count"] == 2
    assert [sms["messageId"] for sms in body["sms"]] == [str(newer.pk), str(older.pk)]
    listed = body["sms"][1]
    assert set(listed) == {
        "messageId", "orgId", "recipient", "error", "errorCode", "attempts", "createdAt", "deadLetteredAt",
    }  # fmt: skip
    assert (listed["errorCode"], listed["error"]) == (30003, "Unreachable handset.")
    assert listed["recipient"] == "•••0142"
    assert "Monday" not in json.dumps(body)


@pytest.mark.django_db
def test_work_that_wore_out_its_workers_is_listed_too(elm: Clinic) -> None:
    make(elm, "dead_letter", last_error="Given up.")
    assert Client().get(DEAD_LETTERS).json()["count"] == 1
    assert health()["delivery"]["deadLetterQueueCount"] == 1


@pytest.mark.django_db
def test_the_list_is_as_long_as_asked(elm: Clinic) -> None:
    for _ in range(3):
        make_tried(elm, "dead_letter")
    assert Client().get(DEAD_LETTERS, {"limit": "2"}).json()["count"] == 2
    assert Client().get(DEAD_LETTERS, {"limit": "500"}).json()["count"] == 3


@pytest.mark.django_db
@pytest.mark.parametrize("limit", ["0", "501", "-1", "1.5", "ten", "١", "9" * 5000, "1 OR 1=1", "\x00"])
def test_a_senseless_limit_is_refused(limit: str) -> None:
    response = Client().get(DEAD_LETTERS, {"limit": limit})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_request"


@pytest.mark.django_db
def test_a_dead_letter_is_put_back_once(elm: Clinic) -> None:
    message = make_tried(elm, "dead_letter", attempts=6, error_code=30003, last_error="Unreachable handset.")
    response = Client().post(f"{RETRY}/{message.pk}")
    assert response.status_code == 200
    assert response.json() == {"success": True, "messageId": str(message.pk), "status": "queued"}
    with org_scope(elm.id):
        again = Message.objects.get(pk=message.pk)
        assert (again.state, again.attempts, again.error_code, again.dead_lettered_at) == (
            "queued",
            0,
            None,
            None,
        )
        (entry,) = AuditEntry.objects.filter(subject=f"sms_delivery_log:{message.pk}")
        assert (entry.action, entry.actor) == ("message.redrive", None)
    second = Client().post(f"{RETRY}/{message.pk}")
    assert second.status_code == 409
    assert second.json()["error"]["code"] == "not_dead_lettered"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "state", ["queued", "sending", "unknown", "sent", "delivered", "suppressed", "expired", "canceled"]
)
def test_nothing_but_a_dead_letter_is_put_back(elm: Clinic, state: str) -> None:
    message = make(elm, state)
    assert Client().post(f"{RETRY}/{message.pk}").status_code == 409
    with org_scope(elm.id):
        assert Message.objects.get(pk=message.pk).state == state


@pytest.mark.django_db
def test_an_unknown_message_is_not_found() -> None:
    response = Client().post(f"{RETRY}/{uuid4()}")
    assert response.status_code == 404
    assert Client().post(f"{RETRY}/not-a-uuid").status_code == 404


@pytest.mark.django_db
def test_a_text_about_what_is_over_is_not_put_back(elm: Clinic) -> None:
    message = make_tried(elm, "dead_letter", expires_at=timezone.now() - timedelta(minutes=1))
    response = Client().post(f"{RETRY}/{message.pk}")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "too_late")


@pytest.mark.django_db(transaction=True)
def test_pressed_by_eight_at_once_it_is_put_back_once() -> None:
    with platform_scope("test data"):
        clinic = make_clinic(f"redrive-{uuid4().hex[:8]}")
    message = make_tried(clinic, "dead_letter")
    outcomes: list[Redriven] = []

    def press() -> None:
        try:
            outcomes.append(redrive(message.pk, "Pressed in a test."))
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == sorted([Redriven.DONE, *[Redriven.NOT_DEAD] * 7])
    with org_scope(clinic.id):
        assert AuditEntry.objects.filter(subject=f"sms_delivery_log:{message.pk}").count() == 1
        AuditEntry.objects.all().delete()
        Message.objects.all().delete()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "method"), [(HEALTH, "get"), (DEAD_LETTERS, "get"), (f"{RETRY}/{uuid4()}", "post")]
)
def test_only_operations_may_look_and_act(elm: Clinic, path: str, method: str) -> None:
    stranger = Client(REMOTE_ADDR="203.0.113.7")
    assert getattr(stranger, method)(path).status_code == 401
    stranger.force_login(elm.staff["owner"])
    assert getattr(stranger, method)(path).status_code == 403


@pytest.mark.django_db
def test_a_redrive_is_no_get(elm: Clinic) -> None:
    message = make_tried(elm, "dead_letter")
    assert Client().get(f"{RETRY}/{message.pk}").status_code == 405


@pytest.mark.django_db
def test_what_has_served_its_time_goes_and_the_rest_stays(elm: Clinic) -> None:
    month, quarter = timezone.now() - timedelta(days=31), timezone.now() - timedelta(days=91)
    gone = [
        make(elm, state, created_at=month, updated_at=month)
        for state in ("sent", "delivered", "suppressed", "expired", "canceled")
    ]
    gone.append(make(elm, "dead_letter", created_at=quarter, updated_at=quarter, dead_lettered_at=quarter))
    gone.append(make(elm, "dead_letter", created_at=quarter, updated_at=quarter))
    with org_scope(elm.id):
        DeliveryAttempt.objects.create(org=elm.org, message=gone[0], started_at=month)
    kept = [
        make(elm, "delivered", created_at=month),
        make(elm, "delivered"),
        make(elm, "dead_letter", created_at=month, updated_at=month, dead_lettered_at=month),
        make(elm, "queued", created_at=quarter, updated_at=quarter),
        make(elm, "unknown", created_at=quarter, updated_at=quarter),
    ]
    assert cleanup_old_sms_delivery_logs() == len(gone)
    with org_scope(elm.id):
        assert {message.pk for message in Message.objects.all()} == {message.pk for message in kept}
        assert not DeliveryAttempt.objects.exists()
    assert cleanup_old_sms_delivery_logs() == 0


@pytest.mark.django_db
def test_the_clean_up_takes_small_bites(elm: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.retention.ROWS_AT_A_TIME", 2)
    month = timezone.now() - timedelta(days=31)
    for _ in range(5):
        make(elm, "delivered", created_at=month, updated_at=month)
    assert cleanup_old_sms_delivery_logs() == 5


@pytest.mark.django_db
def test_the_gauge_knows_every_state(elm: Clinic) -> None:
    for state in ("queued", "sending", "unknown", "suppressed", "canceled", "dead_letter"):
        make(elm, state)
    make_tried(elm, "sent")
    make_tried(elm, "delivered")
    make_tried(elm, "delivered", ago=timedelta(days=2), created_at=timezone.now() - timedelta(days=3))
    counts = {labels[0]: count for labels, count in messages_by_state().items()}
    assert counts == {
        "queued": 1, "sending": 1, "unknown": 1, "sent": 1, "delivered": 1, "dead_letter": 1, "suppressed": 1,
        "expired": 0, "canceled": 1,
    }  # fmt: skip
    assert 'voxanne_messages{state="queued"} 1.0' in Client().get("/metrics").content.decode()


@pytest.mark.django_db
def test_no_figure_reads_the_whole_table(elm: Clinic) -> None:
    """With the planner told to avoid sequential reading, each query finds an index that bounds it."""
    make_tried(elm, "delivered")
    with platform_scope("test"), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        day_ago = timezone.now() - timedelta(hours=24)
        plans = {
            "tried": Message.objects.filter(first_attempted_at__gte=day_ago),
            "idx_sms_delivery_log_status": Message.objects.filter(state__in=["queued", "sending", "unknown"]),
            "idx_sms_delivery_log_failures": Message.objects.filter(state="dead_letter"),
            "idx_sms_delivery_log_created_at": Message.objects.filter(
                created_at__gte=day_ago, first_attempted_at=None
            ),
        }
        for index, rows in plans.items():
            assert index in rows.order_by().explain(), f"{index}: one index or the other of that name"


@pytest.mark.django_db
def test_an_old_message_waits_since_it_was_due(elm: Clinic) -> None:
    make(
        elm,
        created_at=timezone.now() - timedelta(days=9),
        next_attempt_at=timezone.now() - timedelta(seconds=400),
    )
    assert 399 <= queue_now(elm.id).oldest_waiting_seconds <= 405
    assert health()["status"] == "unhealthy"


@pytest.mark.django_db
def test_too_few_texts_arriving_is_told(elm: Clinic) -> None:
    for _ in range(20):
        make_tried(elm, "delivered")
    assert delivery_share() == []
    make_tried(elm, "dead_letter")
    (breach,) = delivery_share()
    assert breach.name == "text_delivery"
    assert breach.facts == {"percent": 95.24, "delivered": 20, "failed": 1}
