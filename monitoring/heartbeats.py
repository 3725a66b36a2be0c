"""Proof of life of the periodic work: one row a job, written when it ran through, in the database's time."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import connection

# Written by what beat sends and a worker executes: both live while both rows are fresh.
BEAT = "beat"
WORKER = "worker"
STALE_SECONDS = 60.0

RECORD = """
INSERT INTO heartbeats (job, last_at) SELECT job, clock_timestamp() FROM unnest(%s::text[]) AS job ORDER BY job
ON CONFLICT (job) DO UPDATE SET last_at = excluded.last_at
"""
AGES = "SELECT job, extract(epoch FROM clock_timestamp() - last_at)::float8 FROM heartbeats WHERE last_at IS NOT NULL"


def record(*jobs: str) -> None:
    """Each of ``jobs`` ran through now."""
    with connection.cursor() as cursor:
        cursor.execute(RECORD, [list(jobs)])


def ages() -> dict[str, float]:
    """Seconds since each job last ran through; a job that never did is absent."""
    with connection.cursor() as cursor:
        cursor.execute(AGES)
        return dict(cursor.fetchall())


def background_jobs_live(ages_by_job: dict[str, float]) -> bool:
    """Whether beat and a worker have both shown themselves within the last minute."""
    return all(is_live(ages_by_job, job) for job in (BEAT, WORKER))


def is_live(ages_by_job: Mapping[str, float], job: str) -> bool:
    """Whether the job has shown itself within the last minute."""
    return ages_by_job.get(job, STALE_SECONDS) < STALE_SECONDS
