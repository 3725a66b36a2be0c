"""A crowd of one kind fills that kind's threads and no others, and none of its rows is forgotten for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError

from bookings.models import CalendarPush
from messaging.models import Message
from tests.clinics import Clinic
from tests.durable.kinds import DONE, SENT, fresh, push, text, texting, writing
from tests.durable.test_threads import on_threads
from voxanne.durable import registry, tasks, work
from voxanne.durable.bulkhead import Bulkhead
from voxanne.durable.settlement import Settlement
from voxanne.runtime import launcher

pytestmark = pytest.mark.django_db(transaction=True)

CROWD, PLACES = 12, 3
WAIT_SECONDS = 20


class Held:
    """Work that waits until it is let go, and counts how many of it do."""

    def __init__(self, settlement: Settlement) -> None:
        self.go = threading.Event()
        self.full = threading.Event()
        self.under_way = self.most = 0
        self._settlement = settlement
        self._lock = threading.Lock()

    def __call__(self, row: Any, _: Any) -> Settlement:
        with self._lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            if self.under_way == PLACES:
                self.full.set()
        assert self.go.wait(WAIT_SECONDS)
        with self._lock:
            self.under_way -= 1
        return self._settlement


def named(kind: str, row: Any) -> Any:
    return lambda: tasks.work_off(kind, [(str(row.org_id), str(row.pk))])


def test_a_crowd_fills_its_own_threads_and_every_row_is_worked_off(elm: Clinic, kinds: Any) -> None:
    held = Held(DONE)
    registry.register(writing(held, threads=PLACES))
    rows = [push(elm) for _ in range(CROWD)]
    at_work = threading.Thread(target=on_threads, args=([named("test-push", row) for row in rows[:PLACES]],))
    at_work.start()
    assert held.full.wait(WAIT_SECONDS)
    # Those who find every place taken are gone at once, though nothing has been let go.
    assert on_threads([named("test-push", row) for row in rows[PLACES:]]) == []
    assert at_work.is_alive()
    assert held.under_way == PLACES
    held.go.set()
    at_work.join(WAIT_SECONDS)
    assert {fresh(row).state for row in rows} == {"done"}
    assert held.most == PLACES


def test_another_kind_is_served_beside_a_crowd(elm: Clinic, kinds: Any) -> None:
    held = Held(DONE)
    registry.register(writing(held, threads=PLACES))
    registry.register(texting(threads=1))
    rows, message = [push(elm) for _ in range(CROWD)], text(elm)
    with ThreadPoolExecutor(PLACES + 1) as worker:
        for row in rows:
            worker.submit(on_threads, [named("test-push", row)])
        at_last = worker.submit(on_threads, [named("test-text", message)])
        try:
            assert at_last.result(WAIT_SECONDS / 2) == []
            assert fresh(message).state == "sent"
        finally:
            held.go.set()


def test_all_who_have_a_place_look_for_the_rows_of_those_who_found_none(elm: Clinic, kinds: Any) -> None:
    first, second = Held(DONE), Held(DONE)
    waves = iter([first] * PLACES + [second] * CROWD)
    lock = threading.Lock()

    def perform(row: CalendarPush, prepared: Any) -> Settlement:
        with lock:
            wave = next(waves)
        return wave(row, prepared)

    registry.register(writing(perform, threads=PLACES))
    rows = [push(elm) for _ in range(2 * PLACES)]
    at_work = threading.Thread(target=on_threads, args=([named("test-push", row) for row in rows[:PLACES]],))
    at_work.start()
    assert first.full.wait(WAIT_SECONDS)
    assert on_threads([named("test-push", row) for row in rows[PLACES:]]) == []
    first.go.set()
    assert second.full.wait(WAIT_SECONDS), "only some of them looked"
    second.go.set()
    at_work.join(WAIT_SECONDS)
    assert {fresh(row).state for row in rows} == {"done"}


def test_texts_that_find_no_place_are_pumped(elm: Clinic, kinds: Any) -> None:
    """They do not wait for those who wait for a slow provider."""
    slow, others = text(elm, 0), [text(elm, serial) for serial in range(1, 6)]
    began, go = threading.Event(), threading.Event()

    def perform(row: Message, _: Any) -> Settlement:
        if row.pk == slow.pk:
            began.set()
            assert go.wait(WAIT_SECONDS)
        return SENT

    registry.register(texting(perform, threads=1, lane="priority"))
    at_work = threading.Thread(target=on_threads, args=([named("test-text", slow)],))
    at_work.start()
    assert began.wait(WAIT_SECONDS)
    named("test-text", others[0])()
    assert {fresh(row).state for row in others} == {"sent"}
    go.set()
    at_work.join(WAIT_SECONDS)
    assert fresh(slow).state == "sent"


def test_a_place_is_given_up_though_looking_for_more_fails(
    elm: Clinic, kinds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Bulkhead(1)
    kind = writing()
    assert places.enter()
    assert not places.enter()

    def away(*_: Any) -> None:
        raise OperationalError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(work, "claim_next", away)
        tasks._leave(kind, places)
    assert places.enter()


def test_a_drainer_takes_a_place_too(elm: Clinic, kinds: Any) -> None:
    held = Held(DONE)
    registry.register(writing(held, threads=PLACES))
    rows: list[CalendarPush] = [push(elm) for _ in range(CROWD)]
    drainers = [lambda: tasks.drain("test-push")] * PLACES
    at_work = threading.Thread(target=on_threads, args=(drainers,))
    at_work.start()
    assert held.full.wait(WAIT_SECONDS)
    assert on_threads(drainers) == []
    assert held.under_way == PLACES
    held.go.set()
    at_work.join(WAIT_SECONDS)
    assert {fresh(row).state for row in rows} == {"done"}
    assert held.most == PLACES


def test_all_kinds_together_leave_a_worker_threads_for_the_clock() -> None:
    """Two that look and sweep, and the pump's own."""
    words = launcher.WORKER.split()
    threads = int(words[words.index("-c") + 1])
    assert sum(kind.threads for kind in registry.all_kinds()) <= threads - 3
