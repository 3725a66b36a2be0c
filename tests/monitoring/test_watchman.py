from __future__ import annotations

import time
from typing import Any

import pytest
from celery import current_app
from celery.signals import beat_init
from django.db import OperationalError, connection
from kombu.exceptions import OperationalError as BrokerAway

import monitoring.tasks  # noqa: F401  (connects beat's signal)
from monitoring import heartbeats, watchman
from monitoring.alerts import Severity
from monitoring.schedule import all_jobs
from monitoring.watchman import Watch, Watchman, due_without_beat, late_jobs, stopped_before

SWEEP = "wake workers for due rows"
NIGHTLY = ("clean up what has served its time",)
ALL_WELL = {"beat": 3.0, "worker": 1.0, SWEEP: 2.0, NIGHTLY[0]: 4000.0}


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
    assert [late.job.name for late in late_jobs(ages, Watch(0))] == ["beat"]
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
    assert late_jobs({}, Watch(60)) == []
    assert {late.job.name for late in late_jobs({}, Watch(71))} >= {"beat", SWEEP}


def after_a_night(watched: float, **ran_since: float) -> dict[str, float]:
    """The heartbeats' ages ``watched`` seconds after a stack was started that had been stopped for a night."""
    others = {job.name: 1.0 for job in all_jobs()}
    return others | {job: age + 30_000 + watched for job, age in ALL_WELL.items()} | ran_since


def late_names(guard: Watchman, world: dict[str, Any], watched: float, **ran_since: float) -> list[str]:
    """Whom a round blames that comes ``watched`` seconds after the start."""
    world["ages"] = after_a_night(watched, **ran_since)
    guard._began = time.monotonic() - watched
    world["alerts"].clear()
    guard.go_round()
    return [fingerprint for severity, fingerprint in world["alerts"] if severity is Severity.CRITICAL]


def test_nobody_is_blamed_for_the_time_in_which_everything_was_stopped(world: dict[str, Any]) -> None:
    guard = Watchman()
    assert late_names(guard, world, 15) == []
    assert late_names(guard, world, 60) == []
    assert late_names(guard, world, 300, beat=2.0, **{SWEEP: 1.0, **dict.fromkeys(NIGHTLY, 200.0)}) == []


def test_a_beat_that_never_comes_after_a_restart_is_told_of(world: dict[str, Any]) -> None:
    guard = Watchman()
    assert late_names(guard, world, 15) == []
    assert late_names(guard, world, 80, worker=1.0, **{SWEEP: 1.0}) == ["late:beat"]


def test_a_job_that_never_comes_after_a_restart_is_told_of(world: dict[str, Any]) -> None:
    guard = Watchman()
    assert late_names(guard, world, 15) == []
    assert late_names(guard, world, 80, beat=2.0, worker=1.0) == [f"late:{SWEEP}"]


def test_the_look_back_may_come_late(world: dict[str, Any]) -> None:
    """The database was away when the worker began; by now some have shown themselves."""
    assert late_names(Watchman(), world, 40, beat=2.0, worker=1.0) == []


def test_a_worker_started_over_and_over_hides_no_dead_beat(world: dict[str, Any]) -> None:
    """The workers before this one lived, and stood in for beat, until 20 s ago."""
    world["ages"] = {"beat": 100.0, "worker": 20.0, SWEEP: 20.0}
    Watchman().go_round()
    assert world["alerts"] == [(Severity.CRITICAL, "late:beat")]


def test_a_daily_job_is_missed_however_often_workers_are_started() -> None:
    (daily,) = NIGHTLY
    ages = ALL_WELL | {daily: 24 * 3600 + 300.0, "worker": 40.0, "beat": 40.0, SWEEP: 40.0}
    watch = Watch(0, stopped_before(ages, 0))
    assert [late.job.name for late in late_jobs(ages, watch)] == [daily]


def test_the_watch_looks_back_before_its_first_round(world: dict[str, Any]) -> None:
    world["ages"] = {job: age + 30_000 for job, age in ALL_WELL.items()}
    guard = Watchman()
    guard.stop()
    guard._watch()
    assert guard._nothing_lived == pytest.approx(30_001, abs=1)


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
