"""Celery's side of the periodic work."""

from __future__ import annotations

from typing import Any

import structlog
from celery import current_app, shared_task
from celery.signals import beat_init, worker_ready, worker_shutting_down

from monitoring import heartbeats, retention, thresholds
from monitoring.schedule import job_named
from monitoring.sole_run import sole_run
from monitoring.watchman import Watchman

logger = structlog.get_logger(__name__)

HEARTBEAT_EXPIRES = 30
watchman = Watchman()


@shared_task(name="monitoring.tasks.run_periodic")
def run_periodic(name: str) -> bool:
    """Runs a registered job, once a period; returns whether this call did."""
    try:
        job = job_named(name)
    except KeyError:
        logger.warning("periodic_job_unknown", job=name)
        return False
    with sole_run(job) as ours:
        if ours:
            current_app.tasks[job.task]()
    return ours


@shared_task(name="monitoring.tasks.beat_heartbeat")
def beat_heartbeat() -> None:
    """Sent by beat, executed by a worker: both live."""
    heartbeats.record(heartbeats.BEAT, heartbeats.WORKER)


@shared_task(name="monitoring.tasks.look_at_thresholds")
def look_at_thresholds() -> list[str]:
    """Tells a person of figures that are bad."""
    return thresholds.look_at_thresholds()


@shared_task(name="monitoring.tasks.clean_up")
def clean_up() -> dict[str, int | None]:
    """Applies every retention rule."""
    return retention.clean_up()


@beat_init.connect
def _beat_has_started(**_: Any) -> None:
    """A fresh beat need not wait a period to be seen."""
    current_app.send_task(beat_heartbeat.name, expires=HEARTBEAT_EXPIRES, retry=False)


@worker_ready.connect
def _worker_is_ready(**_: Any) -> None:
    watchman.start()


@worker_shutting_down.connect
def _worker_shuts_down(**_: Any) -> None:
    watchman.stop()
