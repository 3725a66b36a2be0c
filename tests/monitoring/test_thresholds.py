from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from messaging.models import Message
from monitoring import metrics, redis_link, thresholds
from monitoring.alerts import Severity
from monitoring.metric_store import Metric
from monitoring.recent import growth, quantile, total
from monitoring.redis_link import RedisLink
from monitoring.thresholds import (
    FAR_TOO_LONG,
    LONGEST_WAIT,
    Breach,
    booking_figures,
    fast_path_share,
    look_at_thresholds,
    waiting_work,
)
from tests.clinics import Clinic
from tests.durable.kinds import text
from voxanne.tenancy.scope import org_scope

SECONDS = Metric("tried_seconds", "For tests.", ("how",), (0.1, 0.2, 0.4))


@pytest.fixture(autouse=True)
def _nothing_counted_yet() -> None:
    metrics.store.flush()
    redis_link.link().call(lambda redis: [redis.delete(key) for key in redis.keys("voxanne:metrics*")])
    growth("minutes", 300)
    growth("days", 86_400)


def book(seconds: float, times: int, outcome: str = "booked") -> None:
    for _ in range(times):
        metrics.observe_booking(outcome, seconds)


def names(breaches: list[Breach]) -> list[str]:
    return [breach.name for breach in breaches]


def test_quick_bookings_are_no_news() -> None:
    book(0.02, 100)
    assert booking_figures() == []


def test_slow_bookings_are_told_by_quantile() -> None:
    book(0.02, 90)
    book(0.7, 10)
    (breach,) = booking_figures()
    assert breach.name == "booking_p95"
    assert breach.facts["bookings"] == 100
    book(0.9, 200)
    assert names(booking_figures()) == ["booking_p50", "booking_p95", "booking_p99"]


def test_one_failed_booking_in_fewer_than_a_thousand_is_told() -> None:
    book(0.02, 999)
    book(0.02, 1, "error")
    assert booking_figures() == []
    book(0.02, 1, "error")
    (breach,) = booking_figures()
    assert (breach.name, breach.severity) == ("booking_errors", Severity.CRITICAL)


def test_a_handful_proves_nothing() -> None:
    book(5.0, 19)
    assert booking_figures() == []


def test_too_few_calls_on_the_fast_path_are_told() -> None:
    for path, times in (("fast", 94), ("fallback", 6)):
        for _ in range(times):
            metrics.count_missed_call(path)
    assert names(fast_path_share()) == ["fast_path"]
    for _ in range(30):
        metrics.count_missed_call("fast")
    assert fast_path_share() == []


def test_yesterdays_trouble_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    book(5.0, 50)
    assert booking_figures()
    now = time.time()
    for minutes in (6, 12, 18):
        monkeypatch.setattr(time, "time", lambda minutes=minutes: now + minutes * 60)
        growth("minutes", 300)
    book(0.01, 50)
    assert booking_figures() == []


def test_an_emptied_redis_starts_anew() -> None:
    book(0.02, 30)
    growth("minutes", 300)
    redis_link.link().call(lambda redis: redis.delete(redis_link.key("metrics")))
    book(0.02, 7)
    assert total(metrics.BOOKING, growth("minutes", 300)) == 7


def test_without_redis_nothing_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    away = RedisLink("redis://127.0.0.1:1/0")
    monkeypatch.setattr(redis_link, "link", lambda: away)
    assert booking_figures() == fast_path_share() == []


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([10, 0, 0, 0], 0.5, 0.05),
        ([0, 10, 0, 0], 1.0, 0.2),
        ([5, 5, 0, 0], 0.75, 0.15),
        ([0, 0, 0, 10], 0.5, 0.4),
        ([0, 0, 0, 0], 0.5, None),
    ],
)
def test_a_quantile_lies_within_its_bucket(counts: list[int], share: float, expected: float | None) -> None:
    fields: list[tuple[str, ...]] = [("tried_seconds", "x", str(index)) for index in range(4)]
    sums = {field: count for field, count in zip(fields, counts, strict=True) if count}
    found = quantile(SECONDS, sums, share)
    assert found == (None if expected is None else pytest.approx(expected))


def test_breaches_are_alerted_and_one_failing_check_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    def refuse() -> list[Breach]:
        raise OperationalError("gone")

    checks = {"a": refuse, "b": lambda: [Breach("text_delivery", "Too few texts arrive.", {"percent": 98.5})]}
    monkeypatch.setattr(thresholds, "_checks", checks)
    monkeypatch.setattr(thresholds, "alert", lambda *words, **facts: said.append((words, facts)))
    assert look_at_thresholds() == ["text_delivery"]
    assert said == [
        ((Severity.WARNING, "threshold:text_delivery", "Too few texts arrive."), {"percent": 98.5})
    ]


@pytest.mark.django_db
def test_work_that_is_due_for_five_minutes_is_told_by_its_kind(elm: Clinic) -> None:
    made = text(elm)
    due = timezone.now() - timedelta(seconds=LONGEST_WAIT - 5)
    with org_scope(elm.id):
        Message.objects.filter(pk=made.pk).update(next_attempt_at=due)
    assert waiting_work() == []
    with org_scope(elm.id):
        Message.objects.filter(pk=made.pk).update(next_attempt_at=due - timedelta(seconds=10))
    (breach,) = waiting_work()
    assert (breach.name, breach.severity) == ("waiting_sms-delivery", Severity.WARNING)
    assert breach.facts["seconds"] == pytest.approx(LONGEST_WAIT + 5, abs=3)
    with org_scope(elm.id):
        Message.objects.filter(pk=made.pk).update(next_attempt_at=due - timedelta(seconds=FAR_TOO_LONG))
    assert [breach.severity for breach in waiting_work()] == [Severity.CRITICAL]
    with org_scope(elm.id):
        Message.objects.filter(pk=made.pk).update(state="delivered")
    assert waiting_work() == []
