"""One run of a periodic job a period, however many beats and workers there are.

Two guards, for two dangers. A session's advisory lock keeps a run from starting while another is under way,
and goes with its connection when a worker is killed. The compare-and-swap on the job's heartbeat row keeps a
second ring of the same period from running the job again after the first has ended. Both are judged by the
database's clock; a start that lies in the future (that clock was put back) does not hold a job up.

The lock belongs to the session: a connection pooler between us and PostgreSQL must pool by session.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from monitoring import heartbeats
from monitoring.schedule import PeriodicJob

# Our own corner of the advisory locks: the first of the two keys.
LOCK_SPACE = 0x564F58
# A ring that comes this much of a period after the last one is a new period's; rings jitter by a second or two.
NEW_PERIOD = 0.8

START = """
INSERT INTO heartbeats AS known (job, started_at) VALUES (%(job)s, clock_timestamp())
ON CONFLICT (job) DO UPDATE SET started_at = excluded.started_at
WHERE known.started_at IS NULL
   OR known.started_at <= clock_timestamp() - make_interval(secs => %(seconds)s)
   OR known.started_at > clock_timestamp() + interval '1 second'
"""


@contextmanager
def sole_run(job: PeriodicJob) -> Iterator[bool]:
    """True where this run is the period's own; False where another has it, had it, or is still at it.

    A run that ends without an exception leaves its heartbeat, and the worker's.
    """
    lock = zlib.crc32(job.name.encode()) - 2**31
    if not _locked("SELECT pg_try_advisory_lock(%s, %s)", lock):
        yield False
        return
    try:
        ours = _started(job)
        yield ours
        if ours:
            heartbeats.record(job.name, heartbeats.WORKER)
    finally:
        # A connection that was lost meanwhile took the lock with it. One that lives is not closed before:
        # it would go back to its pool with the lock still on it.
        if connection.connection is not None and connection.is_usable():
            _locked("SELECT pg_advisory_unlock(%s, %s)", lock)


@contextmanager
def sole_errand(name: str) -> Iterator[bool]:
    """True where nobody else is on this errand now, such as a command that two people might start; the lock goes
    with the session of whoever holds it."""
    lock = zlib.crc32(name.encode()) - 2**31
    if not _locked("SELECT pg_try_advisory_lock(%s, %s)", lock):
        yield False
        return
    try:
        yield True
    finally:
        if connection.connection is not None and connection.is_usable():
            _locked("SELECT pg_advisory_unlock(%s, %s)", lock)


def _locked(statement: str, lock: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, [LOCK_SPACE, lock])
        return bool(cursor.fetchone()[0])


def _started(job: PeriodicJob) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(START, {"job": job.name, "seconds": job.every_seconds * NEW_PERIOD})
        return bool(cursor.rowcount == 1)
