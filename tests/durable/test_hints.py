"""Hints on a real broker: published after the commit, lost without harm, never in a caller's way."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from celery import Celery
from django.conf import settings
from django.db import transaction

from voxanne.durable import hints
from voxanne.durable.hints import Hint, hint_on_commit, offer
from voxanne.runtime import servers, store
from voxanne.runtime.state import VALKEY, read_state

ORG, ROW = uuid4(), uuid4()


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

    def waiting(self, name: str = "sms") -> list[list[object]]:
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


def say_until_it_is_heard(broker: Broker, kind: str) -> None:
    """A single hint may be lost: to what came before this test, or while the broker was away."""

    def heard() -> bool:
        offer(hint(kind))
        return published(broker, kind)

    wait_for(heard)


def test_a_hint_names_a_kind_a_clinic_and_a_row_and_nothing_else(broker: Broker) -> None:
    say_until_it_is_heard(broker, "sms-delivery")
    assert broker.waiting()[0] == ["sms-delivery", str(ORG), str(ROW)]


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


def together(kind: str) -> Hint:
    return Hint(kind, "sms", ORG, ROW, together=True)


def is_waiting(broker: Broker, arguments: list[object], times: int) -> bool:
    return broker.waiting().count(arguments) == times


def test_a_gathering_that_was_lost_keeps_nothing_back(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a process that was forked while one was under way."""
    say_until_it_is_heard(broker, "before")
    lost = hints.Gathered("forked", "sms", due=time.monotonic() - hints.STALE_SECONDS - 1)
    monkeypatch.setitem(hints._gathering, "forked", lost)
    offer(together("forked"))
    wait_for(lambda: published(broker, "forked"))
    assert lost.rows == 1


def test_hints_that_come_thick_leave_as_one(broker: Broker) -> None:
    say_until_it_is_heard(broker, "before")
    for _ in range(50):
        offer(together("thick"))
    wait_for(lambda: ["thick", 49] in broker.waiting())
    assert [found for found in broker.waiting() if found[0] == "thick"] == [
        ["thick", str(ORG), str(ROW)],
        ["thick", 49],
    ]


def test_hints_that_come_one_by_one_leave_by_themselves_and_at_once(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_until_it_is_heard(broker, "before")
    monkeypatch.setattr(hints, "GATHER_SECONDS", 0.0)
    for number in (1, 2, 3):
        offer(together("thin"))
        wait_for(partial(is_waiting, broker, ["thin", str(ORG), str(ROW)], number))


def test_gathered_hints_hold_no_other_kind_up(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    say_until_it_is_heard(broker, "before")
    monkeypatch.setattr(hints, "GATHER_SECONDS", 3.0)
    offer(together("slow"))
    offer(together("slow"))
    began = time.monotonic()
    say_until_it_is_heard(broker, "quick")
    assert time.monotonic() - began < 2.0
    assert ["slow", 1] not in broker.waiting()
    wait_for(lambda: ["slow", 1] in broker.waiting())


def test_what_was_gathered_while_the_broker_was_gone_does_not_keep_later_hints_back(broker: Broker) -> None:
    broker.stop()
    try:
        for _ in range(20):
            offer(together("kept"))
        wait_for(hints._waiting.empty)
    finally:
        broker.start()

    def heard() -> bool:
        offer(together("kept"))
        return published(broker, "kept")

    wait_for(heard)


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
