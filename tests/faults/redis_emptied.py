"""Valkey stops with texts in the queue, people go on booking, and it comes back empty."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from tests.faults import evidence
from tests.faults.rows import Row
from tests.faults.stack import Stack
from tests.faults.texts import book_texts, copies_on_phones
from voxanne.runtime.faults import RuntimeFault

NAME = "redis-emptied"
TEXTS_BEFORE, TEXTS_MEANWHILE = 100, 100
TEXTS = TEXTS_BEFORE + TEXTS_MEANWHILE
SLOWEST_MILLISECONDS = 1000.0
OUTAGE_SECONDS = 20.0
ON_THEIR_WAY_SECONDS = 60.0
ARRIVED_SECONDS = 60.0
PERIODIC_JOBS = """
SELECT args::jsonb ->> 0 FROM django_celery_beat_periodictask WHERE task = 'monitoring.tasks.run_periodic'
"""
# The periodic jobs' own corner of the advisory locks (monitoring.sole_run).
LOCK_SPACE = 0x564F58


@dataclass(frozen=True)
class Outage:
    """``still_queued``: texts that were not on their way 60 s after Valkey's return."""

    mark: datetime
    slowest: float
    queued: int
    seconds: float
    still_queued: int


def run(stack: Stack) -> Row:
    evidence.wait_until_idle(stack)
    outage = _outage(stack)
    _wait_until_arrived(stack, outage)
    phones = copies_on_phones(stack, outage.mark)
    figures = (
        f"{TEXTS_MEANWHILE} bookings while it was away for {OUTAGE_SECONDS:g} s, slowest answer "
        f"{outage.slowest:.0f} ms; {outage.queued} texts queued at its return, on their way {outage.seconds:.1f} s "
        f"after it; {phones.count(1)} arrived once, {sum(copies > 1 for copies in phones)} twice or more, "
        f"{phones.count(0)} never"
    )
    held = phones == [1] * TEXTS and outage.queued == TEXTS and not outage.still_queued
    return Row(NAME, figures, held and outage.slowest < SLOWEST_MILLISECONDS)


def control(stack: Stack) -> Row:
    """The same without the sweeper, whoever rings for it."""
    evidence.wait_until_idle(stack)
    with sweepers_kept_out(stack):
        outage = _outage(stack)
    _wait_until_arrived(stack, outage)
    figures = (
        f"no sweeper: {outage.still_queued} of {outage.queued} texts still queued {ON_THEIR_WAY_SECONDS:g} s after "
        "Valkey's return; all arrived once the sweeper was back"
    )
    return Row(NAME, figures, not outage.still_queued)


@contextmanager
def sweepers_kept_out(stack: Stack) -> Iterator[None]:
    """Holds the locks without which no periodic job runs: beat rings, workers answer, and nothing is done."""
    jobs = [job for (job,) in stack.database.execute(PERIODIC_JOBS).fetchall()]
    keys = [(LOCK_SPACE, zlib.crc32(job.encode()) - 2**31) for job in jobs]
    for key in keys:
        stack.database.execute("SELECT pg_advisory_lock(%s, %s)", key)
    try:
        yield
    finally:
        for key in keys:
            stack.database.execute("SELECT pg_advisory_unlock(%s, %s)", key)


def _outage(stack: Stack) -> Outage:
    mark, worker = evidence.now(stack), stack.processes["worker"]
    # A worker that stands still leaves its hints in Valkey, where they will be lost.
    worker.pause()
    book_texts(stack, TEXTS_BEFORE)
    folder = stack.valkey_folder()
    stack.stop_valkey()
    stopped = time.monotonic()
    stack.empty_valkey(folder)
    worker.resume()
    answers = book_texts(stack, TEXTS_MEANWHILE)
    time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - stopped)))
    queued = evidence.states_since(stack, mark)["queued"]
    stack.start_valkey()
    seconds = _until_on_their_way(stack, mark)
    still_queued = evidence.states_since(stack, mark)["queued"]
    return Outage(mark, max(answer.milliseconds for answer in answers), queued, seconds, still_queued)


def _until_on_their_way(stack: Stack, mark: datetime) -> float:
    """Seconds until no text waits any more, or those after which the wait was given up."""
    began = time.monotonic()
    try:
        return stack.until("on their way", lambda: _queued(stack, mark) == 0, ON_THEIR_WAY_SECONDS)
    except RuntimeFault:
        return time.monotonic() - began


def _queued(stack: Stack, mark: datetime) -> int:
    return evidence.states_since(stack, mark)["queued"]


def _wait_until_arrived(stack: Stack, outage: Outage) -> None:
    stack.until(
        "every text delivered",
        lambda: set(evidence.states_since(stack, outage.mark)) == {"delivered"},
        ARRIVED_SECONDS,
    )
