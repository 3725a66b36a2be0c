"""Many rows are under way at once, and each is worked off once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from messaging.models import Message
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.durable.kinds import SENT, fresh, text, texting
from voxanne.durable import coming_back, pump, registry, tasks, together
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


def laned(perform: Any = lambda row, _: SENT, **more: Any) -> WorkKind[Message]:
    return texting(perform, lane="priority", **more)


def test_it_works_off_what_is_due_of_every_clinic(elm: Clinic, oak: Clinic) -> None:
    rows = [*(text(elm, serial) for serial in range(20)), *(text(oak, serial) for serial in range(3))]
    waiting = text(oak, 9)
    with org_scope(oak.id):
        due = timezone.now() + timedelta(hours=1)
        Message.objects.filter(pk=waiting.pk).update(next_attempt_at=due)
    assert pump.pump(laned(), 5) == 23
    assert {fresh(row).state for row in rows} == {MessageState.SENT}
    assert {fresh(row).attempts for row in rows} == {1}
    assert fresh(waiting).state == MessageState.QUEUED


def test_rows_are_under_way_at_once(elm: Clinic) -> None:
    """Each waits for all the others: one after another they would never get there."""
    all_there = threading.Barrier(24)

    def perform(row: Message, _: None) -> Settlement:
        all_there.wait(timeout=20)
        return SENT

    for serial in range(24):
        text(elm, serial)
    assert pump.pump(laned(perform), 5) == 24
    assert not all_there.broken


def test_no_more_are_under_way_than_there_are_hands(elm: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    # The hands themselves are the process's, for the tests after this one too.
    pump._hands()
    monkeypatch.setattr(pump, "HANDS", 16)
    under_way, most, lock = 0, 0, threading.Lock()

    def perform(row: Message, _: None) -> Settlement:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        with lock:
            under_way -= 1
        return SENT

    for serial in range(40):
        text(elm, serial)
    own = pump.Pump(laned(perform), 5)
    assert own.run() == 40
    assert most <= 16


def test_a_row_whose_code_raises_goes_to_its_lost_state_and_the_others_on(elm: Clinic) -> None:
    def perform(row: Message, _: None) -> Settlement:
        if row.body == "Text 1":
            raise RuntimeError("a fault of ours")
        return SENT

    rows = [text(elm, serial) for serial in range(3)]
    pump.pump(laned(perform), 5)
    assert [fresh(row).state for row in rows] == ["sent", "unknown", "sent"]


def test_after_its_time_it_claims_nothing_and_settles_what_is_under_way(elm: Clinic) -> None:
    own = pump.Pump(laned(), 5)
    rows = [text(elm, serial) for serial in range(3)]
    assert own._claim()
    late = text(elm, 9)
    own._ends = 0
    assert own.run() == 3
    assert {fresh(row).state for row in rows} == {MessageState.SENT}
    assert fresh(late).state == MessageState.QUEUED


def test_a_second_call_lets_the_first_go_on(elm: Clinic) -> None:
    asked: list[int] = []

    def perform(row: Message, _: None) -> Settlement:
        running = pump._pumps[kind.name]
        running._ends = 0
        asked.append(pump.pump(kind, 5))
        return SENT

    kind = laned(perform)
    for serial in range(2 * pump.MOST_A_TURN):
        text(elm, serial)
    assert pump.pump(kind, 5) == 2 * pump.MOST_A_TURN
    assert set(asked) == {0}
    assert pump._pumps == {}


def test_rows_that_came_after_the_last_look_are_not_left_by_a_pump_that_was_asked(
    elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks no more often than every tenth of a second, and ends where nothing is due."""
    settle, kind = pump.Pump._settle, laned()
    late: list[Message] = []

    def settled(own: pump.Pump, *, wait: bool) -> int:
        if not late:
            assert own._turns.next() is None
            late.append(text(elm, 1))
            assert pump.pump(kind, 5) == 0
        return settle(own, wait=wait)

    monkeypatch.setattr(pump.Pump, "_settle", settled)
    text(elm)
    assert pump.pump(kind, 5) == 2


def test_one_that_failed_is_asked_for_nothing(elm: Clinic) -> None:
    failed = pump.Pump(laned(), 5)
    failed._give_up(OperationalError("the database is away"))
    assert not failed.go_on(5)


def test_a_database_that_fails_ends_it_when_what_is_under_way_has_had_its_chance(
    elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row whose settling failed keeps its lease, which runs out."""
    settle = together.settle_all
    failures: list[Exception] = [OperationalError("the database is away")]

    def failing(kind: Any, landed: Any) -> None:
        if failures and landed:
            raise failures.pop()
        settle(kind, landed)

    monkeypatch.setattr(together, "settle_all", failing)
    own = pump.Pump(laned(), 5)
    for serial in range(pump.MOST_A_TURN):
        text(elm, serial)
    with pytest.raises(OperationalError):
        own.run()
    own.go_on(5)
    assert own._ends < 0, "it is not started again"
    with org_scope(elm.id):
        assert not Message.objects.filter(state=MessageState.QUEUED).exists()


def test_a_database_that_fails_at_a_claim_costs_no_answer_that_is_under_way(
    elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = pump.Pump(laned(), 5)
    failing = [False, True]
    turn = own._turns.next

    def next_turn() -> Any:
        if failing and failing.pop(0):
            raise OperationalError("the database is away")
        return turn()

    monkeypatch.setattr(own._turns, "next", next_turn)
    for serial in range(3):
        text(elm, serial)
    with pytest.raises(OperationalError):
        own.run()
    with org_scope(elm.id):
        assert set(Message.objects.values_list("state", flat=True)) == {MessageState.SENT}


def test_a_hand_keeps_no_connection(elm: Clinic) -> None:
    """Hands live as long as their process, and the pool has few connections."""
    used: list[Any] = []

    def perform(row: Message, prepared: Any) -> Settlement:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        used.append(connections["default"])
        return SENT

    text(elm)
    assert pump.pump(laned(perform), 5) == 1
    assert [wrapper.connection for wrapper in used] == [None]


def test_what_was_tried_and_waits_shortly_is_hinted_at(elm: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    hinted: list[Any] = []
    monkeypatch.setattr(coming_back, "offer", hinted.append)
    again = Settlement(MessageState.QUEUED, wait=timedelta(seconds=2))
    message = text(elm)
    pump.pump(laned(lambda *_: again), 0.3)
    assert [(hint.pk, hint.countdown) for hint in hinted] == [(message.pk, 2.0)]


def test_a_kind_with_lanes_is_drained_by_a_pump(elm: Clinic, kinds: dict[str, Any]) -> None:
    registry.register(laned())
    rows = [text(elm, serial) for serial in range(10)]
    assert tasks.drain("test-text") == 10
    assert {fresh(row).state for row in rows} == {MessageState.SENT}
