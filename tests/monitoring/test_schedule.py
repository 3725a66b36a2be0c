from __future__ import annotations

import threading
from datetime import time, timedelta

import pytest
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from monitoring import schedule
from monitoring.models import Heartbeat
from monitoring.tasks import beat_heartbeat, run_periodic
from tests.monitoring import jobs


def titles() -> set[str]:
    return set(PeriodicTask.objects.filter(enabled=True).values_list("name", flat=True))


@pytest.mark.django_db
def test_migrating_leaves_the_schedule_in_place() -> None:
    assert {"wake workers for due rows every 5 s", "beat heartbeat every 10 s"} <= titles()
    sweep = PeriodicTask.objects.get(name="wake workers for due rows every 5 s")
    assert (sweep.interval.every, sweep.interval.period) == (5, "seconds")
    assert sweep.expire_seconds == 10


@pytest.mark.django_db
def test_writing_the_schedule_again_changes_nothing() -> None:
    schedule.write_schedule()
    before = PeriodicTasks.objects.get().last_update, PeriodicTask.objects.count()
    schedule.write_schedule()
    assert (PeriodicTasks.objects.get().last_update, PeriodicTask.objects.count()) == before


@pytest.mark.django_db
def test_a_new_job_reaches_a_running_beat_and_a_dropped_one_leaves() -> None:
    schedule.write_schedule()
    before = PeriodicTasks.objects.get().last_update
    with jobs.registered("count sheep", "tests.monitoring.jobs.count", 120):
        schedule.write_schedule()
        assert "count sheep every 2 min" in titles()
        assert PeriodicTasks.objects.get().last_update > before
    schedule.write_schedule()
    assert "count sheep every 2 min" not in titles()


@pytest.mark.django_db
def test_a_job_that_was_switched_off_stays_off() -> None:
    PeriodicTask.objects.filter(name="wake workers for due rows every 5 s").update(enabled=False)
    schedule.write_schedule()
    assert "wake workers for due rows every 5 s" not in titles()


@pytest.mark.django_db
def test_a_row_that_an_operator_made_is_left_alone() -> None:
    interval = PeriodicTask.objects.filter(interval__isnull=False).first().interval
    PeriodicTask.objects.create(name="mine", task="celery.ping", interval=interval)
    schedule.write_schedule()
    assert "mine" in titles()


@pytest.mark.django_db
def test_a_daily_job_has_its_hour() -> None:
    schedule.register_daily("count stars", "tests.monitoring.jobs.count", time(3, 30))
    try:
        schedule.write_schedule()
        row = PeriodicTask.objects.get(name="count stars daily at 03:30 UTC")
        assert (row.crontab.hour, row.crontab.minute, str(row.crontab.timezone)) == ("3", "30", "UTC")
    finally:
        del schedule._jobs["count stars"]


@pytest.mark.parametrize(("period", "late_after"), [(5, 65), (30, 90), (120, 240), (86400, 86400 + 240)])
def test_lateness_is_noticed_within_five_minutes(period: int, late_after: int) -> None:
    job = schedule.PeriodicJob("any", "any", period, 10)
    assert job.late_after_seconds == late_after
    assert late_after - period < 300


@pytest.mark.django_db(transaction=True)
def test_a_second_ring_within_the_period_does_nothing() -> None:
    with jobs.registered("count sheep", "tests.monitoring.jobs.count"):
        assert run_periodic("count sheep") is True
        assert run_periodic("count sheep") is False
        assert jobs.runs == ["count"]
        _began("count sheep", seconds_ago=4.5)
        assert run_periodic("count sheep") is True


@pytest.mark.django_db(transaction=True)
def test_a_ring_during_a_long_run_does_nothing() -> None:
    with jobs.registered("linger", "tests.monitoring.jobs.linger"):
        longer = threading.Thread(target=_run_and_close, args=["linger"])
        longer.start()
        try:
            assert jobs.under_way.wait(10)
            _began("linger", seconds_ago=60)
            assert run_periodic("linger") is False
        finally:
            jobs.may_end.set()
            longer.join(10)
        assert jobs.runs == ["linger"]


@pytest.mark.django_db(transaction=True)
def test_eight_rings_at_once_are_one_run() -> None:
    with jobs.registered("count sheep", "tests.monitoring.jobs.count"):
        threads = [threading.Thread(target=_run_and_close, args=["count sheep"]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert jobs.runs == ["count"]


@pytest.mark.django_db(transaction=True)
def test_a_clock_that_was_put_back_does_not_hold_the_work_up() -> None:
    with jobs.registered("count sheep", "tests.monitoring.jobs.count"):
        _began("count sheep", seconds_ago=-3600)
        assert run_periodic("count sheep") is True


@pytest.mark.django_db(transaction=True)
def test_only_a_run_that_went_through_leaves_a_heartbeat() -> None:
    with jobs.registered("stumble", "tests.monitoring.jobs.stumble"):
        with pytest.raises(ValueError, match="own fault"):
            run_periodic("stumble")
        beat = Heartbeat.objects.get(job="stumble")
        assert beat.started_at is not None
        assert beat.last_at is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        assert cursor.fetchone()[0] == 0


@pytest.mark.django_db
def test_a_job_nobody_registered_is_left_alone() -> None:
    assert run_periodic("unheard of") is False


@pytest.mark.django_db
def test_beats_heartbeat_shows_beat_and_a_worker() -> None:
    beat_heartbeat()
    ages = {row.job: timezone.now() - row.last_at for row in Heartbeat.objects.all() if row.last_at}
    assert set(ages) == {"beat", "worker"}
    assert all(age < timedelta(seconds=5) for age in ages.values())


def _began(job: str, *, seconds_ago: float) -> None:
    moment = timezone.now() - timedelta(seconds=seconds_ago)
    Heartbeat.objects.update_or_create(job=job, defaults={"started_at": moment})


def _run_and_close(job: str) -> None:
    try:
        run_periodic(job)
    finally:
        connection.close()
