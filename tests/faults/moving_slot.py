"""30 clients fight for a time that moves on several times a second; each attempt is another caller's."""

from __future__ import annotations

import threading
import time
from datetime import date
from functools import partial
from typing import Any

import psycopg

from tests.faults import evidence
from tests.faults.callers import Answer, Line, Prepared, booking, talk
from tests.faults.evidence import without
from tests.faults.races import Race, judge
from tests.faults.rows import Row
from tests.faults.stack import Stack
from tests.guards import NO_OVERLAP
from voxanne.runtime.servers import postgres_superuser_url

NAME = "moving-slot"
CLIENTS = 30
SECONDS = 8.0
SLOTS_A_SECOND = 8
MINUTES = 5
# Signed ahead for each client and slot; whoever needs more signs them on the way.
PREPARED_A_SLOT = 3
STARTS = [f"{9 + mark // 12:02d}:{mark % 12 * 5:02d}" for mark in range(int(SECONDS * SLOTS_A_SECOND))]


def run(stack: Stack) -> Row:
    raced, asked = _fight(stack)
    one_each = {at for _, at in raced.visits} == asked and set(raced.visits.values()) == {1}
    figures = (
        f"{len(raced.answers)} attempts by {CLIENTS} clients on {len(asked)} slots in {SECONDS:g} s: {raced}"
    )
    return Row(NAME, figures, raced.clean and one_each)


def control(stack: Stack) -> Row:
    """The same without the exclusion constraint; and a deadlock made on purpose, which must be counted."""
    with without(stack, NO_OVERLAP):
        raced, _ = _fight(stack)
    before = evidence.deadlocks(stack)
    _deadlock()
    counted = evidence.deadlocks(stack) - before
    figures = f"no constraint: {raced}; one deadlock made on purpose, {counted} counted"
    return Row(NAME, figures, not raced.overlaps or not counted)


def _fight(stack: Stack) -> tuple[Race, set[str]]:
    """The race, and the starts that anybody asked for."""
    day, provider = stack.fresh_day(), stack.clinic["providers"][0]["id"]
    wish = partial(_wish, stack, day, provider)
    before = evidence.deadlocks(stack)
    clients = [_Client(wish) for _ in range(CLIENTS)]
    began = time.monotonic() + 0.2
    heard = talk(stack.options.port, [partial(client.fight, began) for client in clients])
    asked = set().union(*(client.asked for client in clients))
    answers = [answer for said in heard for answer in said]
    return judge(stack, day, answers, CLIENTS, before), asked


def _wish(stack: Stack, day: date, provider: str, at: str) -> Prepared:
    return booking(stack.clinic, day, at, provider=provider, duration=MINUTES)


class _Client:
    """Asks for the slot of the moment, again and again."""

    def __init__(self, wish: partial[Prepared]) -> None:
        self._wish = wish
        self._prepared = {at: [wish(at) for _ in range(PREPARED_A_SLOT)] for at in STARTS}
        self.asked: set[str] = set()

    def fight(self, began: float, line: Line) -> list[Answer]:
        time.sleep(max(0.0, began - time.monotonic()))
        answers = []
        while (slot := int((time.monotonic() - began) * SLOTS_A_SECOND)) < len(STARTS):
            at = STARTS[slot]
            self.asked.add(at)
            answers.append(line.ask(self._prepared[at].pop() if self._prepared[at] else self._wish(at)))
        return answers


def _deadlock() -> None:
    """Two sessions that each wait for the other; PostgreSQL ends one of them after a second."""
    url = postgres_superuser_url() or ""
    with psycopg.connect(url) as first, psycopg.connect(url) as second:
        first.execute("SELECT pg_advisory_xact_lock(1)")
        second.execute("SELECT pg_advisory_xact_lock(2)")
        waiting = threading.Thread(target=_wait_for_lock, args=(first, 2))
        waiting.start()
        _wait_for_lock(second, 1)
        waiting.join()


def _wait_for_lock(session: psycopg.Connection[Any], lock: int) -> None:
    try:
        session.execute("SELECT pg_advisory_xact_lock(%s)", [lock])
    except psycopg.errors.DeadlockDetected:
        session.rollback()
