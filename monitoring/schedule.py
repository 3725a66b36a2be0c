"""The periodic work of every floor: registered in code, written into beat's tables by each ``migrate``.

Beat only rings: each row of its table calls ``monitoring.tasks.run_periodic`` with a job's name, which runs
the job once a period however many beats ring (``sole_run``) and leaves a heartbeat behind.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import time
from typing import Any

from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone

RUNNER = "monitoring.tasks.run_periodic"
# A job is late when it has not run through for its period and this much more, in seconds.
LEAST_GRACE = 60
MOST_GRACE = 240
# Marks the rows that are ours to change and to remove.
OURS = "Kept by the code: changes to anything but “enabled” are undone by the next migrate."


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """``task`` names the Celery task that does the work; ``at`` (UTC) fixes the hour of a daily job.

    ``direct`` has beat send the task itself: for the heartbeat, which must prove that beat lives.
    """

    name: str
    task: str
    every_seconds: int
    expires: int
    at: time | None = None
    direct: bool = False

    @property
    def title(self) -> str:
        return f"{self.name}{' heartbeat' if self.direct else ''} {_frequency(self)}"

    @property
    def late_after_seconds(self) -> int:
        return self.every_seconds + min(max(self.every_seconds, LEAST_GRACE), MOST_GRACE)


_jobs: dict[str, PeriodicJob] = {}


def register_periodic(name: str, task: str, every_seconds: int, expires: int | None = None) -> None:
    """Runs the Celery task named ``task`` every so often. ``name`` says what for, such as “wake workers for
    due rows”. A call that no worker took within ``expires`` seconds is dropped, so that an outage leaves no
    backlog. Called from ``AppConfig.ready()``."""
    _jobs[name] = PeriodicJob(name, task, every_seconds, expires or max(every_seconds, 10))


def register_daily(name: str, task: str, at: time, expires: int = 6 * 3600) -> None:
    """Runs the Celery task named ``task`` once a day at ``at`` (UTC), or as soon after as beat lives again."""
    _jobs[name] = PeriodicJob(name, task, 24 * 3600, expires, at=at)


def register_heartbeat(name: str, task: str, every_seconds: int, expires: int) -> None:
    """Has beat itself send ``task``, which writes the heartbeat of ``name``."""
    _jobs[name] = PeriodicJob(name, task, every_seconds, expires, direct=True)


def job_named(name: str) -> PeriodicJob:
    """Raises KeyError for a job that nobody registered."""
    return _jobs[name]


def all_jobs() -> tuple[PeriodicJob, ...]:
    return tuple(_jobs.values())


def _frequency(job: PeriodicJob) -> str:
    if job.at is not None:
        return f"daily at {job.at:%H:%M} UTC"
    minutes, seconds = divmod(job.every_seconds, 60)
    return f"every {minutes} min" if minutes and not seconds else f"every {job.every_seconds} s"


def write_schedule(using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Brings beat's tables into line with the registered jobs and returns their titles. Idempotent; what
    nobody asks for any more is removed; a job that an operator switched off stays off.

    Bulk statements throughout: beat's own signals would write through the serving connection, which may not
    do so yet while the owner migrates.
    """
    from django_celery_beat.models import PeriodicTask, PeriodicTasks

    with transaction.atomic(using=using):
        rows = [_row(job, using) for job in all_jobs()]
        tasks = PeriodicTask.objects.using(using)
        tasks.filter(description=OURS).exclude(name__in=[row.name for row in rows]).delete()
        before = {task.name: _essence(task) for task in tasks.filter(description=OURS)}
        tasks.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["task", "interval", "crontab", "args", "expire_seconds", "description"],
        )
        if before != {row.name: _essence(row) for row in rows}:
            PeriodicTasks.objects.using(using).update_or_create(
                ident=1, defaults={"last_update": timezone.now()}
            )
    return [row.name for row in rows]


def _row(job: PeriodicJob, using: str) -> Any:
    from django_celery_beat.models import PeriodicTask

    return PeriodicTask(
        name=job.title,
        task=job.task if job.direct else RUNNER,
        args="[]" if job.direct else json.dumps([job.name]),
        interval=None if job.at else _interval(job.every_seconds, using),
        crontab=_crontab(job.at, using) if job.at else None,
        expire_seconds=job.expires,
        description=OURS,
        date_changed=timezone.now(),
    )


def _essence(task: Any) -> tuple[Any, ...]:
    return (task.task, task.args, task.interval_id, task.crontab_id, task.expire_seconds)


def _interval(every_seconds: int, using: str) -> Any:
    from django_celery_beat.models import SECONDS, IntervalSchedule

    known = IntervalSchedule.objects.using(using)
    wanted = {"every": every_seconds, "period": SECONDS}
    return known.filter(**wanted).first() or known.bulk_create([IntervalSchedule(**wanted)])[0]


def _crontab(at: time, using: str) -> Any:
    from django_celery_beat.models import CrontabSchedule

    known = CrontabSchedule.objects.using(using)
    wanted = {"minute": str(at.minute), "hour": str(at.hour), "timezone": "UTC"}
    return known.filter(**wanted).first() or known.bulk_create([CrontabSchedule(**wanted)])[0]
