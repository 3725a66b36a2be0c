from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from messaging.models import Message
from monitoring import gauges, heartbeats, metric_store, metrics, redis_link
from monitoring.metric_store import Metric, MetricStore
from monitoring.redis_link import RedisLink
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope

PROMISED = {
    "booking_seconds", "tool_call_seconds", "webhook_ack_seconds", "webhook_work_seconds", "webhooks", "messages",
    "message_commit_to_request_seconds", "message_attempts", "oldest_waiting_seconds", "missed_calls",
    "missed_call_text_seconds", "duplicates_prevented", "breaker_state", "heartbeat_age_seconds",
    "calendar_lag_seconds", "http_request_seconds",
}  # fmt: skip
COUNTER = Metric("tried_total", "For tests.", ("how",))
HISTOGRAM = Metric("tried_seconds", "For tests.", (), (0.1, 1.0))


@pytest.fixture(autouse=True)
def _nothing_counted_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics.store.flush()
    # The whole suite in one process asks for more routes than one product process ever knows.
    monkeypatch.setattr(metrics.store, "_known", {})
    redis_link.link().call(lambda redis: redis.delete(redis_link.key("metrics")))


def page() -> dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]]:
    """The page as Prometheus reads it: by family, the samples by name and labels."""
    response = Client().get("/metrics")
    assert response.status_code == 200
    return {
        family.name: {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in family.samples
        }
        for family in text_string_to_metric_families(response.content.decode())
    }


@pytest.mark.django_db
def test_every_promised_name_is_there_before_anything_happened() -> None:
    assert {f"voxanne_{name}" for name in PROMISED} <= set(page())
    text = Client().get("/metrics").content.decode()
    for name in ("message_attempts_total", "missed_calls_total", "duplicates_prevented_total"):
        assert f"voxanne_{name}" in text


@pytest.mark.django_db
def test_what_is_observed_comes_out_as_a_histogram() -> None:
    for seconds in (0.004, 0.25, 0.4, 60.0):
        metrics.observe_booking("booked", seconds)
    samples = page()["voxanne_booking_seconds"]
    outcome = ("outcome", "booked")
    assert samples["voxanne_booking_seconds_count", (outcome,)] == 4
    assert samples["voxanne_booking_seconds_sum", (outcome,)] == pytest.approx(60.654)
    assert samples["voxanne_booking_seconds_bucket", (("le", "0.005"), outcome)] == 1
    assert samples["voxanne_booking_seconds_bucket", (("le", "0.3"), outcome)] == 2
    assert samples["voxanne_booking_seconds_bucket", (("le", "10.0"), outcome)] == 3
    assert samples["voxanne_booking_seconds_bucket", (("le", "+Inf"), outcome)] == 4


@pytest.mark.django_db
def test_each_small_function_feeds_its_metric() -> None:
    metrics.observe_tool_call("bookClinicAppointment", "ok", 0.01)
    metrics.observe_webhook_ack("vapi", 0.01)
    metrics.observe_webhook_work("twilio", "voice", 0.01)
    metrics.observe_commit_to_request(0.01)
    metrics.observe_missed_call_text("fast", 2.1)
    metrics.count_attempt("accepted")
    metrics.count_missed_call("fallback")
    metrics.count_duplicate("tool_call")
    found = page()
    counted = {
        "tool_call_seconds": (("outcome", "ok"), ("tool", "bookClinicAppointment")),
        "webhook_ack_seconds": (("provider", "vapi"),),
        "webhook_work_seconds": (("provider", "twilio"), ("type", "voice")),
        "message_commit_to_request_seconds": (),
        "missed_call_text_seconds": (("path", "fast"),),
    }
    for name, labels in counted.items():
        assert found[f"voxanne_{name}"][f"voxanne_{name}_count", labels] == 1
    assert (
        found["voxanne_message_attempts"]["voxanne_message_attempts_total", (("outcome", "accepted"),)] == 1
    )
    assert found["voxanne_missed_calls"]["voxanne_missed_calls_total", (("path", "fallback"),)] == 1
    assert (
        found["voxanne_duplicates_prevented"]["voxanne_duplicates_prevented_total", (("what", "tool_call"),)]
        == 1
    )


@pytest.mark.django_db
def test_requests_are_measured_by_route_not_by_path() -> None:
    Client().get("/health/live")
    Client().get("/no/such/14155550142")
    samples = page()["voxanne_http_request_seconds"]
    routes = {dict(labels).get("route") for _, labels in samples}
    assert {"health/live", "unmatched"} <= routes
    assert not any("14155550142" in str(route) for route in routes)


def test_other_processes_are_counted_too() -> None:
    metrics.count_duplicate("webhook")
    other = (
        "import django; django.setup(); from monitoring import metrics;"
        "metrics.count_duplicate('webhook'); metrics.count_duplicate('webhook'); assert metrics.store.flush()"
    )
    subprocess.run([sys.executable, "-c", other], check=True, timeout=60, env=_environment())
    assert metrics.store.read()["duplicates_prevented_total", "webhook"] == 3


def test_eight_threads_lose_no_count() -> None:
    store = MetricStore()

    def count() -> None:
        for _ in range(500):
            store.count(COUNTER, ("x",))

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read()["tried_total", "x"] == 4000


def test_what_is_counted_reaches_redis_by_itself() -> None:
    MetricStore().count(COUNTER, ("x",))
    ends = time.monotonic() + 5
    while ("tried_total", "x") not in MetricStore().read():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_nothing_is_lost_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    store, here, away = MetricStore(), redis_link.link(), RedisLink("redis://127.0.0.1:1/0")
    monkeypatch.setattr(redis_link, "link", lambda: away)
    store.count(COUNTER, ("x",))
    assert store.flush() is False
    store.count(COUNTER, ("x",))
    assert store.read()["tried_total", "x"] == 2
    monkeypatch.setattr(redis_link, "link", lambda: here)
    assert store.read()["tried_total", "x"] == 2


def test_a_label_that_strangers_choose_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_store, "MOST_SERIES", 3)
    store = MetricStore()
    for index in range(10):
        store.count(COUNTER, (f"x{index}",))
    found: Mapping[tuple[str, ...], int] = {
        field: value for field, value in store.read().items() if field[0] == "tried_total"
    }
    assert len(found) == 4
    assert found["tried_total", "other"] == 7


def test_observing_costs_less_than_twenty_microseconds() -> None:
    store = MetricStore()
    store.observe(HISTOGRAM, (), 0.5)
    best = min(_seconds_for(lambda: store.observe(HISTOGRAM, (), 0.5), 1000) for _ in range(20))
    assert best / 1000 < 20e-6


@pytest.mark.django_db
def test_heartbeats_and_waiting_work_are_read_from_the_database(elm: Clinic) -> None:
    heartbeats.record("beat")
    due = timezone.now() - timedelta(seconds=90)
    with org_scope(elm.id):
        Message.objects.create(
            org=elm.org, kind="confirmation", dedupe_key="k", recipient="+14155550142", body="Hello.",
            expires_at=due + timedelta(days=1), next_attempt_at=due,
        )  # fmt: skip
    found = page()
    age = found["voxanne_heartbeat_age_seconds"]["voxanne_heartbeat_age_seconds", (("job", "beat"),)]
    assert 0 <= age < 5
    waits = found["voxanne_oldest_waiting_seconds"]
    assert waits["voxanne_oldest_waiting_seconds", (("work", "sms-delivery"),)] == pytest.approx(90, abs=5)
    assert waits["voxanne_oldest_waiting_seconds", (("work", "call-command"),)] == 0


@pytest.mark.django_db
def test_one_figure_that_cannot_be_read_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> dict[tuple[str, ...], float]:
        raise OperationalError("gone")

    heartbeats.record("beat")
    monkeypatch.setitem(gauges._readers, "oldest_waiting_seconds", refuse)
    found = page()
    assert found["voxanne_oldest_waiting_seconds"] == {}
    assert found["voxanne_heartbeat_age_seconds"]


def test_strangers_see_no_figures() -> None:
    assert Client(REMOTE_ADDR="203.0.113.7").get("/metrics").status_code == 401


def _seconds_for(work: object, times: int) -> float:
    assert callable(work)
    began = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - began


def _environment() -> dict[str, str]:
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "voxanne.settings"}
