"""Celery's side of durable work: each task names rows, and running one twice changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import structlog
from celery import current_app, shared_task

from voxanne.durable import resolving, work
from voxanne.durable.bulkhead import Bulkhead, bulkhead_of
from voxanne.durable.callers import give_way
from voxanne.durable.coming_back import hint_again
from voxanne.durable.pump import pump
from voxanne.durable.registry import all_kinds, kind_named
from voxanne.durable.work import WorkKind

logger = structlog.get_logger(__name__)

DRAIN_SECONDS = 5.0
ROWS_A_DRAINER = 3
# As many as threads of a few processes; one that finds no place for it is gone at once.
MOST_DRAINERS = 16
# One a process is at work, whatever the number; of several processes some are to hear of it.
MOST_PUMPS = 4
SWEEP_EXPIRES_SECONDS = 30


@shared_task(name="voxanne.durable.tasks.work_off")
def work_off(kind_name: str, rows: Sequence[tuple[str, str]]) -> None:
    """Works these rows (clinic, id) off, one after another: those that still wait.

    One that fails does not keep the others from their turn; the first failure is raised at the end. Where the kind's
    threads are all at work, they find the rows themselves. In a long crowd it may go on for longer than the broker
    waits for its end: delivered again, it finds its rows done.
    """
    kind = kind_named(kind_name)
    with _place(kind) as taken:
        if taken:
            _work_named(kind, rows)
        elif kind.lane:
            _drain(kind)


@contextmanager
def _place(kind: WorkKind[Any]) -> Iterator[bool]:
    """A place among the kind's threads; False where there is none. Whoever had one looks, before giving it up, for the
    rows of those who found none."""
    bulkhead = bulkhead_of(kind.name, kind.threads)
    if not bulkhead.enter():
        yield False
        return
    try:
        yield True
    finally:
        _leave(kind, bulkhead)


def _leave(kind: WorkKind[Any], bulkhead: Bulkhead) -> None:
    """A place is given up whatever happens; the sweeper comes by for rows that cannot be had now."""
    while not bulkhead.leave():
        try:
            _drain(kind)
        except Exception as error:
            logger.exception("drain_failed", kind=kind.name, error=type(error).__name__)


def _work_named(kind: WorkKind[Any], rows: Sequence[tuple[str, str]]) -> None:
    failures: list[Exception] = []
    for org_id, pk in rows:
        try:
            give_way(kind.gives_way)
            claimed = work.claim(kind, UUID(org_id), UUID(pk))
            if claimed is not None:
                _work(kind, claimed)
        except Exception as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _work(kind: WorkKind[Any], claimed: work.Claimed[Any]) -> None:
    settlement = work.perform(kind, claimed)
    if settlement is not None:
        hint_again(kind, claimed.row, settlement)


@shared_task(name="voxanne.durable.tasks.drain", acks_late=False)
def drain(kind_name: str) -> int:
    """Works due rows off until none is due or the time is up; returns how many. Losing one costs seconds, and a pump
    may go on for longer than the broker waits for a task's end: so it is not delivered again."""
    kind = kind_named(kind_name)
    if kind.lane:
        return _drain(kind)
    with _place(kind) as taken:
        return _drain(kind) if taken else 0


def _drain(kind: WorkKind[Any]) -> int:
    if kind.lane:
        return pump(kind, DRAIN_SECONDS)
    ends = time.monotonic() + DRAIN_SECONDS
    done = 0
    while time.monotonic() < ends:
        give_way(kind.gives_way)
        claimed = work.claim_next(kind)
        if claimed is None:
            break
        _work(kind, claimed)
        done += 1
    return done


@shared_task(name="voxanne.durable.tasks.sweep")
def sweep() -> dict[str, dict[str, int]]:
    """Finds, for every kind, leases that ran out, unresolved rows and rows due; wakes drainers for these.

    A kind whose sweep fails does not keep the others from theirs; the first failure is raised at the end.
    """
    swept: dict[str, dict[str, int]] = {}
    failures: list[Exception] = []
    # Resolving asks providers and may take long, so it waits until every kind's rows are on their way.
    for step in (_send_on, _resolve):
        for kind in all_kinds():
            try:
                swept.setdefault(kind.name, {}).update(step(kind))
            except Exception as error:
                logger.exception("sweep_failed", kind=kind.name, error=type(error).__name__)
                failures.append(error)
    if failures:
        raise failures[0]
    return swept


def _send_on(kind: WorkKind[Any]) -> dict[str, int]:
    released = work.release_lost(kind)
    due = work.count_due(kind)
    _wake_drainers(kind, due)
    if released or due:
        logger.info("swept", kind=kind.name, released=released, due=due)
    return {"released": released, "due": due}


def _resolve(kind: WorkKind[Any]) -> dict[str, int]:
    """What it puts back in the queue is found by the next sweep."""
    return {"unresolved": resolving.resolve_due(kind)}


def _wake_drainers(kind: WorkKind[Any], due: int) -> None:
    most = MOST_PUMPS if kind.lane else MOST_DRAINERS
    for _ in range(min(-(-due // ROWS_A_DRAINER), most)):
        current_app.send_task(
            "voxanne.durable.tasks.drain",
            args=(kind.name,),
            queue=kind.queue,
            expires=SWEEP_EXPIRES_SECONDS,
            retry=False,
        )
