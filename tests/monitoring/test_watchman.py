from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from celery.signals import beat_init
from django.db import OperationalError, connection
from kombu.exceptions import OperationalError as BrokerAway

import monitoring.tasks  # noqa: F401  (connects beat's signal)
from monitoring import heartbeats, watchman
from monitoring.alerts import Severity
from monitoring.watchman import Watchman, due_without_beat, late_jobs

SWEEP = "wake workers for due rows"
ALL_WELL = {"beat": 3.0, "worker": 1.0, SWEEP: 2.0, "clean up what has served its time": 4000.0}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the watchman sees (``ages``), said (``alerts``) and rang for (``rings``)."""
    seen: dict[str, Any] = {"ages": dict(ALL_WELL), "alerts": [], "rings": []}

    def say(severity: Severity, fingerprint: str, title: str, **facts: Any) -> None:
        seen["alerts"].append((severity, fingerprint))

    def look() -> dict[str, float]:
        ages: dict[str, float] = seen["ages"]
        return ages

    monkeypatch.setattr(heartbeats, "ages", look)
    monkeypatch.setattr(watchman, "alert", say)
    monkeypatch.setattr(watchman, "_ring", lambda job: seen["rings"].append(job.name))
    return seen


def test_all_well_is_silence(world: dict[str, Any]) -> None:
    Watchman().go_round()
    assert world["alerts"] == world["rings"] == []


def test_a_dead_beat_is_told_of_and_stood_in_for(world: dict[str, Any]) -> None:
    world["ages"] |= {"beat": 75.0, SWEEP: 20.0}
    Watchman().go_round()
    assert world["alerts"] == [(Severity.CRITICAL, "late:beat")]
    assert world["rings"] == [SWEEP]


def test_a_dead_beat_is_noticed_within_five_minutes() -> None:
    ages = ALL_WELL | {"beat": 71.0}
    assert [late.job.name for late in late_jobs(ages, 0)] == ["beat"]
    assert [job.name for job in due_without_beat(ages | {SWEEP: 6.0}, 0)] == [SWEEP]


def test_one_late_job_is_told_of_and_rung_for(world: dict[str, Any]) -> None:
    world["ages"] |= {SWEEP: 66.0}
    Watchman().go_round()
    assert world["alerts"] == [(Severity.CRITICAL, f"late:{SWEEP}")]
    assert world["rings"] == [SWEEP]


def test_a_job_that_runs_again_is_told_of_once(world: dict[str, Any]) -> None:
    guard = Watchman()
    world["ages"] |= {SWEEP: 66.0}
    guard.go_round()
    world["ages"] |= {SWEEP: 1.0}
    guard.go_round()
    guard.go_round()
    assert world["alerts"][1:] == [(Severity.INFO, f"runs-again:{SWEEP}")]


def test_a_job_that_never_ran_counts_from_when_the_watch_began() -> None:
    assert late_jobs({}, watched_seconds=60) == []
    assert {late.job.name for late in late_jobs({}, watched_seconds=71)} >= {"beat", SWEEP}


def test_a_database_away_ends_no_watch(world: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> dict[str, float]:
        raise OperationalError("gone")

    monkeypatch.setattr(heartbeats, "ages", refuse)
    monkeypatch.setattr(connection, "close", lambda: None)
    Watchman().go_round()
    assert world["alerts"] == world["rings"] == []


def test_a_broker_away_ends_no_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise BrokerAway("gone")

    monkeypatch.setattr(current_app, "send_task", refuse)
    monkeypatch.setattr(watchman, "alert", lambda *_, **__: None)
    monkeypatch.setattr(heartbeats, "ages", lambda: ALL_WELL | {SWEEP: 90.0})
    Watchman().go_round()


def test_a_fresh_beat_shows_itself_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **_: sent.append(name))
    beat_init.send(sender=None)
    assert sent == ["monitoring.tasks.beat_heartbeat"]
