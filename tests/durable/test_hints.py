"""Hints on a real broker: published after the commit, lost without harm, never in a caller's way."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from celery import Celery
from django.conf import settings
from django.db import transaction

from voxanne.durable import hints
from voxanne.durable.hints import MOST_ROWS_A_MESSAGE, PATIENT_SECONDS, Hint, hint_on_commit, offer
from voxanne.runtime import servers, store
from voxanne.runtime.state import VALKEY, read_state

ORG, ROW = uuid4(), uuid4()
LONGEST_REST = 120.0


class Broker:
    """A Valkey of these tests' own, that can be stopped, frozen and started again where clients look for it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.url = servers.ensure_servers(only=(VALKEY,)).redis_url

    @property
    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def stop(self) -> None:
        servers.stop_servers((VALKEY,))

    def start(self) -> None:
        assert servers.ensure_servers(only=(VALKEY,)).redis_url == self.url

    def signal(self, kind: signal.Signals) -> None:
        record = read_state(self.data).server(VALKEY)
        assert record is not None
        os.kill(record.process.pid, kind)

    def waiting(self, name: str = "sms") -> list[list[Any]]:
        """The arguments of the tasks that wait in the queue, oldest first."""
        found = self.client.lrange(name, 0, -1)
        bodies = [json.loads(b64decode(json.loads(entry)["body"])) for entry in reversed(found)]
        return [body[0] for body in bodies]


@pytest.fixture(scope="module")
def broker_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("broker") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOXANNE_DATA_DIR", str(folder))
        for name in ("REDIS_URL", "REDIS_URL_FILE"):
            patch.delenv(name, raising=False)
        broker = Broker(folder)
        yield broker
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)
        for place in store.SHARED_PLACES:
            store.drop_orphans(place)


@pytest.fixture
def broker(broker_process: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """An empty queue, and a product that publishes to it with the settings' own transport options."""
    broker_process.client.flushall()
    app = Celery("hints-of-a-test", broker=broker_process.url, set_as_current=False)
    app.conf.broker_transport_options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "socket_timeout": 1}
    monkeypatch.setattr(hints, "current_app", app)
    monkeypatch.setattr(hints, "BROKER_REST_SECONDS", 0.1)
    # Earlier tests may have left thousands of hints to the one thread that publishes.
    say_until_it_is_heard(broker_process, "settled", LONGEST_REST)
    wait_for(hints._waiting.empty, LONGEST_REST)
    broker_process.client.flushall()
    yield broker_process
    wait_for(hints._waiting.empty)
    app.close()


def wait_for(holds: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.02)


def hint(kind: str = "sms-delivery", countdown: float = 0) -> Hint:
    return Hint(kind, "sms", ORG, ROW, countdown)


def published(broker: Broker, kind: str) -> bool:
    return any(arguments[0] == kind for arguments in broker.waiting())


def say_until_it_is_heard(broker: Broker, kind: str, seconds: float = 10) -> None:
    """A single hint may be lost: to what came before this test, or while the broker was away."""

    def heard() -> bool:
        offer(hint(kind))
        return published(broker, kind)

    wait_for(heard, seconds)


def test_a_hint_names_a_kind_a_clinic_and_a_row_and_nothing_else(broker: Broker) -> None:
    say_until_it_is_heard(broker, "sms-delivery")
    assert broker.waiting()[0] == ["sms-delivery", [[str(ORG), str(ROW)]]]


def test_hints_that_come_together_travel_together_but_never_many(broker: Broker) -> None:
    say_until_it_is_heard(broker, "before")
    wait_for(hints._waiting.empty)
    for _ in range(3 * MOST_ROWS_A_MESSAGE):
        offer(hint("close"))
        offer(hint("apart"))

    def carried() -> list[int]:
        return [len(rows) for kind, rows in broker.waiting() if kind == "close"]

    wait_for(lambda: sum(carried()) == 3 * MOST_ROWS_A_MESSAGE)
    assert len(carried()) < 3 * MOST_ROWS_A_MESSAGE
    assert max(carried()) == MOST_ROWS_A_MESSAGE


def test_hints_of_patient_work_leave_seldom_and_hold_no_other_up(broker: Broker) -> None:
    say_until_it_is_heard(broker, "before")
    began = time.monotonic()
    for _ in range(60):
        offer(Hint("patient", "sms", ORG, ROW, together=25))
        offer(hint("prompt"))
        time.sleep(0.005)

    def carried(kind: str) -> list[int]:
        return [len(rows) for name, rows in broker.waiting() if name == kind]

    wait_for(lambda: sum(carried("patient")) == sum(carried("prompt")) == 60)
    # Tests that gave the module a fresh start left its earlier threads at the same queue, each with a pace of its own.
    threads = sum(thread.name == "hint-publisher" for thread in threading.enumerate())
    assert len(carried("patient")) <= threads * ((time.monotonic() - began) / PATIENT_SECONDS + 1)
    assert len(carried("patient")) < len(carried("prompt"))


@pytest.mark.django_db(transaction=True)
def test_a_hint_leaves_with_the_commit_and_not_before(broker: Broker) -> None:
    with transaction.atomic():
        hint_on_commit("inside", "sms", ORG, ROW)
        say_until_it_is_heard(broker, "told meanwhile")
        assert not published(broker, "inside")
    wait_for(lambda: published(broker, "inside"))


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_rolls_back_hints_at_nothing(broker: Broker) -> None:
    with transaction.atomic():
        hint_on_commit("rolled back", "sms", ORG, ROW)
        transaction.set_rollback(True)
    say_until_it_is_heard(broker, "afterwards")
    assert not published(broker, "rolled back")


def test_a_broker_that_is_gone_keeps_nobody_waiting_and_is_used_again_when_it_is_back(broker: Broker) -> None:
    say_until_it_is_heard(broker, "before")
    broker.stop()
    try:
        began = time.monotonic()
        for _ in range(200):
            offer(hint("lost"))
        assert time.monotonic() - began < 0.5
        wait_for(hints._waiting.empty)
    finally:
        broker.start()
    say_until_it_is_heard(broker, "after")


def test_a_broker_that_hangs_keeps_nobody_waiting_either(broker: Broker) -> None:
    say_until_it_is_heard(broker, "before")
    broker.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        for _ in range(200):
            offer(hint("lost"))
        assert time.monotonic() - began < 0.5
    finally:
        broker.signal(signal.SIGCONT)
    say_until_it_is_heard(broker, "after")


def test_hints_beyond_what_the_publisher_can_hold_are_dropped(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: queue.Queue[Hint] = queue.Queue(maxsize=2)
    monkeypatch.setattr(hints, "_waiting", held)
    monkeypatch.setattr(hints, "_ensure_publisher", lambda: None)
    began = time.monotonic()
    for _ in range(5):
        offer(hint())
    assert time.monotonic() - began < 0.5
    assert held.qsize() == 2
    while not held.empty():
        held.get_nowait()


def test_a_hint_that_cannot_be_published_does_not_end_the_publisher(broker: Broker) -> None:
    offer(Hint(object(), "sms", ORG, ROW))  # type: ignore[arg-type]  # nothing that a message can carry
    wait_for(hints._waiting.empty)
    thread = hints._publisher
    say_until_it_is_heard(broker, "behind it")
    assert hints._publisher is thread


def test_a_publisher_that_ended_is_replaced(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended:
        def is_alive(self) -> bool:
            return False

    # As in a process that was forked from one with a publisher.
    before = hints._publisher
    monkeypatch.setattr(hints, "_publisher", Ended())
    say_until_it_is_heard(broker, "from the new one")
    assert hints._publisher is not before


def test_a_crowd_of_one_clinics_rows_does_not_stand_before_anothers(broker: Broker) -> None:
    """A dozen are named; for the others a drainer is woken, once a second."""
    say_until_it_is_heard(broker, "before")
    wait_for(hints._waiting.empty)
    other = uuid4()
    for _ in range(500):
        offer(Hint("crowd", "sms", ORG, uuid4(), most_a_second=12))
    offer(Hint("crowd", "sms", other, ROW, most_a_second=12))

    def named() -> list[str]:
        return [org for kind, *rows in broker.waiting() if kind == "crowd" and rows for org, _ in rows[0]]

    wait_for(lambda: str(other) in named())
    assert named().count(str(ORG)) <= 24
    assert ["crowd"] in broker.waiting(), "a drainer was woken"
    assert broker.waiting().count(["crowd"]) <= 2


def test_where_no_bound_is_set_every_row_is_named() -> None:
    many = [hint("small work") for _ in range(500)]
    assert hints.Crowds().thinned(many) == (many, [])
