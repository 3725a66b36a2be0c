"""Periodic jobs made up for tests, and the tasks they run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from celery import shared_task

from monitoring import schedule
from monitoring.schedule import PeriodicJob

runs: list[str] = []
under_way = threading.Event()
may_end = threading.Event()


@shared_task(name="tests.monitoring.jobs.count")
def count() -> None:
    runs.append("count")


@shared_task(name="tests.monitoring.jobs.linger")
def linger() -> None:
    runs.append("linger")
    under_way.set()
    may_end.wait(10)


@shared_task(name="tests.monitoring.jobs.stumble")
def stumble() -> None:
    raise ValueError("The job's own fault.")


@contextmanager
def registered(name: str, task: str, every_seconds: int = 5) -> Iterator[PeriodicJob]:
    """A job that is known for the length of a test."""
    runs.clear()
    under_way.clear()
    may_end.clear()
    schedule.register_periodic(name, task, every_seconds)
    try:
        yield schedule.job_named(name)
    finally:
        del schedule._jobs[name]
