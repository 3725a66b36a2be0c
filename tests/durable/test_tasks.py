"""Celery's side: a task names a row, and losing it or running it twice changes nothing."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone

from bookings.states import PushState
from messaging.models import Message
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.durable.kinds import DONE, SENT, fresh, push, taken, text, texting, writing
from voxanne.durable import coming_back, registry, tasks, work
from voxanne.durable.hints import Hint
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def hinted(monkeypatch: pytest.MonkeyPatch) -> list[Hint]:
    hints: list[Hint] = []
    monkeypatch.setattr(coming_back, "offer", hints.append)
    return hints


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What would have gone to the broker."""
    sent: list[tuple[str, dict[str, Any]]] = []
    broker = SimpleNamespace(send_task=lambda name, **options: sent.append((name, options)))
    monkeypatch.setattr(tasks, "current_app", broker)
    return sent


def test_a_hint_worked_off_twice_works_once(elm: Clinic, kinds: dict[str, Any], hinted: list[Hint]) -> None:
    done: list[Any] = []

    def perform(row: Message, _: None) -> Settlement:
        done.append(row.pk)
        return SENT

    registry.register(texting(perform))
    message = text(elm)
    for _ in range(2):
        tasks.work_off("test-text", [(str(elm.id), str(message.pk))])
    assert done == [message.pk]
    assert hinted == []


def test_a_row_that_fails_does_not_keep_those_hinted_at_with_it_from_their_turn(
    elm: Clinic, kinds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = text(elm, 0), text(elm, 1)
    claim = work.claim

    def failing(kind: WorkKind[Any], org_id: Any, pk: Any) -> Any:
        if pk == first.pk:
            raise OperationalError("the database is away")
        return claim(kind, org_id, pk)

    monkeypatch.setattr(work, "claim", failing)
    registry.register(texting())
    with pytest.raises(OperationalError):
        tasks.work_off("test-text", [(str(elm.id), str(row.pk)) for row in (first, second)])
    assert fresh(first).state == MessageState.QUEUED
    assert fresh(second).state == MessageState.SENT


def test_a_hint_for_a_row_that_is_gone_does_nothing(elm: Clinic, kinds: dict[str, Any]) -> None:
    registry.register(texting())
    tasks.work_off("test-text", [(str(elm.id), str(uuid4()))])


@pytest.mark.parametrize(("seconds", "rides"), [(1, True), (20, True), (21, False), (300, False)])
def test_a_short_wait_rides_on_a_hint_and_a_long_one_is_the_sweepers(
    elm: Clinic, kinds: dict[str, Any], hinted: list[Hint], seconds: float, rides: bool
) -> None:
    again = Settlement(MessageState.QUEUED, wait=timedelta(seconds=seconds))
    registry.register(texting(lambda *_: again))
    message = text(elm)
    tasks.work_off("test-text", [(str(elm.id), str(message.pk))])
    expected = [Hint("test-text", "sms", elm.id, message.pk, countdown=seconds)] if rides else []
    assert hinted == expected


def test_a_worker_that_came_late_hints_at_nothing(
    elm: Clinic, kinds: dict[str, Any], hinted: list[Hint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "perform", lambda kind, claimed: None)
    registry.register(texting())
    tasks.work_off("test-text", [(str(elm.id), str(text(elm).pk))])
    assert hinted == []


def test_draining_works_off_what_is_due_of_every_clinic(
    elm: Clinic, oak: Clinic, kinds: dict[str, Any]
) -> None:
    registry.register(writing())
    rows = [push(elm), push(oak), push(elm)]
    waiting = push(elm)
    with org_scope(elm.id):
        type(waiting).objects.filter(pk=waiting.pk).update(
            next_attempt_at=timezone.now() + timedelta(minutes=1)
        )
    assert tasks.drain("test-push") == 3
    assert {fresh(row).state for row in rows} == {PushState.DONE}
    assert fresh(waiting).state == PushState.QUEUED
    assert tasks.drain("test-push") == 0


def test_draining_ends_when_its_time_is_up(
    elm: Clinic, kinds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "DRAIN_SECONDS", 0)
    registry.register(writing())
    push(elm)
    assert tasks.drain("test-push") == 0


def test_draining_goes_on_behind_a_row_whose_code_raises(elm: Clinic, kinds: dict[str, Any]) -> None:
    rows = [push(elm) for _ in range(3)]

    def perform(row: Any, _: None) -> Settlement:
        if row.pk == rows[0].pk:
            raise RuntimeError("a fault of ours")
        return DONE

    registry.register(writing(perform))
    assert tasks.drain("test-push") == 3
    assert [fresh(row).state for row in rows] == [PushState.QUEUED, PushState.DONE, PushState.DONE]


@pytest.mark.parametrize(("due", "drainers"), [(0, 0), (1, 1), (3, 1), (4, 2), (25, 9)])
def test_sweeping_wakes_a_drainer_for_every_three_rows_due(
    elm: Clinic, kinds: dict[str, Any], published: list[Any], due: int, drainers: int
) -> None:
    registry.register(texting())
    for serial in range(due):
        text(elm, serial)
    assert tasks.sweep() == {"test-text": {"released": 0, "unresolved": 0, "due": due}}
    assert [name for name, _ in published] == ["voxanne.durable.tasks.drain"] * drainers
    assert all(options["queue"] == "sms" and options["expires"] for _, options in published)


def test_sweeping_wakes_no_more_drainers_than_workers_can_use(
    elm: Clinic, kinds: dict[str, Any], published: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "count_due", lambda kind: 10_000)
    registry.register(texting())
    tasks.sweep()
    assert len(published) == tasks.MOST_DRAINERS


def test_sweeping_finds_lost_leases_and_asks_about_the_unknown(
    elm: Clinic, kinds: dict[str, Any], published: list[Any]
) -> None:
    registry.register(texting(resolve=lambda row: Settlement(MessageState.SENT, uses_attempt=False)))
    message = text(elm)
    taken(texting())
    with org_scope(elm.id):
        Message.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert tasks.sweep() == {"test-text": {"released": 1, "unresolved": 1, "due": 0}}
    assert fresh(message).state == MessageState.SENT


def test_a_kind_whose_sweep_fails_does_not_keep_the_others_from_theirs(
    elm: Clinic, kinds: dict[str, Any], published: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(kind: WorkKind[Any]) -> int:
        if kind.name == "test-text":
            raise RuntimeError("a fault of ours")
        return 1

    monkeypatch.setattr(work, "count_due", count)
    registry.register(texting())
    registry.register(writing())
    with pytest.raises(RuntimeError, match="a fault of ours"):
        tasks.sweep()
    assert [options["args"] for _, options in published] == [("test-push",)]
