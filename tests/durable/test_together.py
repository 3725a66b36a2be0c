"""Rows claimed and settled together keep what a row has by itself: its lease, its token, its own fate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError
from django.utils import timezone

from messaging.models import Message
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.durable.kinds import LEASE, SENT, fresh, text, texting
from voxanne.durable import together, work
from voxanne.durable.lifecycle import ForbiddenTransition
from voxanne.durable.settlement import Settlement
from voxanne.durable.turns import Turn
from voxanne.durable.work import WorkKind
from voxanne.tenancy.scope import current_scope, org_scope

pytestmark = pytest.mark.django_db


def laned(**more: Any) -> WorkKind[Message]:
    return texting(lane="priority", **more)


def turn_of(clinic: Clinic) -> Turn:
    return Turn(0, clinic.id, timezone.now())


def claimed(clinic: Clinic, number: int = 3, kind: WorkKind[Message] | None = None) -> list[Message]:
    for serial in range(number):
        text(clinic, serial)
    return [one.row for one in together.claim_turn(kind or laned(), turn_of(clinic), number).claimed]


@dataclass
class Left:
    """A record that can be written with others; ``log`` tells how they were."""

    log: list[Any]
    name: str = ""
    scope: list[Any] = field(default_factory=list)

    def __call__(self) -> None:
        self.log.append(self.name)

    @staticmethod
    def write_all(records: Sequence[Left]) -> None:
        records[0].log.append([record.name for record in records])


def test_each_row_has_its_own_token_and_lease(elm: Clinic) -> None:
    rows = claimed(elm)
    held = [fresh(row) for row in rows]
    assert len({row.claim_token for row in rows}) == 3
    assert [row.claim_token for row in held] == [row.claim_token for row in rows]
    for row in held:
        assert row.state == MessageState.SENDING
        assert row.claimed_until is not None
        assert timedelta(0) < row.claimed_until - timezone.now() <= LEASE


def test_those_that_have_waited_longest_are_taken_and_no_more_than_asked_for(
    elm: Clinic, oak: Clinic
) -> None:
    rows = [text(elm, serial) for serial in range(5)]
    text(oak)
    for age, row in zip((10, 50, 30, 20, 40), rows, strict=True):
        with org_scope(elm.id):
            due = timezone.now() - timedelta(seconds=age)
            Message.objects.filter(pk=row.pk).update(next_attempt_at=due)
    taken = together.claim_turn(laned(), turn_of(elm), 3).claimed
    assert [one.row.pk for one in taken] == [rows[1].pk, rows[4].pk, rows[2].pk]


def test_neither_another_lane_nor_what_is_not_due_is_taken(elm: Clinic) -> None:
    later, behind = text(elm, 0), text(elm, 1)
    with org_scope(elm.id):
        Message.objects.filter(pk=later.pk).update(next_attempt_at=timezone.now() + timedelta(seconds=9))
        Message.objects.filter(pk=behind.pk).update(priority=2)
    assert together.claim_turn(laned(), turn_of(elm), 8).count == 0


def test_rows_are_prepared_together_as_their_clinic(elm: Clinic) -> None:
    scopes: list[Any] = []

    def prepare_all(rows: list[Message]) -> list[str]:
        scopes.append(current_scope())
        return [row.body for row in rows]

    for serial in range(3):
        text(elm, serial)
    taken = together.claim_turn(laned(prepare_all=prepare_all), turn_of(elm), 8)
    assert sorted(one.prepared for one in taken.claimed) == ["Text 0", "Text 1", "Text 2"]
    (scope,) = scopes
    assert scope.org_ids == {elm.id}


def test_what_need_not_be_done_is_settled_with_the_claim(elm: Clinic) -> None:
    back = Settlement(MessageState.QUEUED, uses_attempt=False, wait=timedelta(seconds=30), error="Not now.")
    for serial in range(3):
        text(elm, serial)
    kind = laned(prepare_all=lambda rows: [back if row.body == "Text 1" else row.body for row in rows])
    taken = together.claim_turn(kind, turn_of(elm), 8)
    assert (len(taken.claimed), taken.count) == (2, 3)
    with org_scope(elm.id):
        row = Message.objects.get(body="Text 1")
    assert (row.state, row.attempts, row.last_error, row.claim_token) == ("queued", 0, "Not now.", None)
    assert row.next_attempt_at > timezone.now() + timedelta(seconds=29)


def test_a_row_that_cannot_be_prepared_makes_room_for_the_others(elm: Clinic) -> None:
    def prepare(row: Message) -> str:
        if row.body == "Text 1":
            raise ValueError("a fault of ours")
        return row.body

    rows = claimed(elm, kind=laned(prepare=prepare))
    assert sorted(row.body for row in rows) == ["Text 0", "Text 2"]
    with org_scope(elm.id):
        spoiled = Message.objects.get(body="Text 1")
    assert (spoiled.state, spoiled.lost_leases) == (MessageState.QUEUED, 1)


def test_rows_of_several_clinics_are_settled_together_each_as_its_own(elm: Clinic, oak: Clinic) -> None:
    log: list[Any] = []
    rows = [*claimed(elm, 2), *claimed(oak, 1)]
    landed = [
        (row, Settlement(MessageState.SENT, columns={"provider_sid": f"SM{n}"}, record=Left(log, str(n))))
        for n, row in enumerate(rows)
    ]
    together.settle_all(laned(), landed)
    assert log == [["0", "1", "2"]]
    for number, row in enumerate(rows):
        settled = fresh(row)
        assert (settled.state, settled.attempts) == (MessageState.SENT, 1)
        assert (settled.provider_sid, settled.claim_token) == (f"SM{number}", None)


def test_a_row_whose_claim_is_lost_is_left_alone_and_the_kind_is_told(elm: Clinic) -> None:
    told: list[Any] = []
    log: list[Any] = []
    rows = claimed(elm)
    with org_scope(elm.id):
        Message.objects.filter(pk=rows[1].pk).update(claim_token=None, state=MessageState.UNKNOWN)
    kind = laned(overtaken=lambda row, settlement: told.append((row.pk, current_scope())))
    landed = [(row, Settlement(MessageState.SENT, record=Left(log, str(n)))) for n, row in enumerate(rows)]
    together.settle_all(kind, landed)
    assert [fresh(row).state for row in rows] == ["sent", "unknown", "sent"]
    ((pk, scope),) = told
    assert (pk, scope.org_ids) == (rows[1].pk, {elm.id})
    assert log == [["0", "1", "2"]], "what a try leaves behind is written whether its claim holds or not"


def test_a_row_that_another_worker_has_claimed_since_is_not_settled(elm: Clinic) -> None:
    rows = claimed(elm)
    with org_scope(elm.id):
        Message.objects.filter(pk=rows[1].pk).update(claim_token=uuid4())
    together.settle_all(laned(), [(row, SENT) for row in rows])
    assert [fresh(row).state for row in rows] == ["sent", "sending", "sent"]


def test_rows_that_cannot_be_settled_together_are_settled_each_by_itself(elm: Clinic) -> None:
    """Two rows with one SID: the unique key refuses the statement, and then one of them."""
    rows = claimed(elm)
    landed = [
        (row, Settlement(MessageState.SENT, columns={"provider_sid": sid}))
        for row, sid in zip(rows, ("SM1", "SM1", "SM2"), strict=True)
    ]
    together.settle_all(laned(), landed)
    states = [fresh(row).state for row in rows]
    assert states == ["sent", "unknown", "sent"]


def test_a_fault_in_one_rows_record_is_that_rows_alone(elm: Clinic) -> None:
    class Failing(Left):
        @staticmethod
        def write_all(records: Any) -> None:
            raise KeyError("a fault of ours")

        def __call__(self) -> None:
            raise KeyError("a fault of ours")

    rows = claimed(elm)
    failing = Settlement(MessageState.SENT, record=Failing([]))
    together.settle_all(laned(), [(rows[0], failing), (rows[1], SENT), (rows[2], SENT)])
    assert [fresh(row).state for row in rows] == ["unknown", "sent", "sent"]


def test_work_that_is_nothing_but_rows_is_done_in_a_transaction_of_its_own(elm: Clinic) -> None:
    done: list[Any] = []
    rows = claimed(elm)
    landed = [
        (row, Settlement(MessageState.SENT, within=lambda row=row: done.append(row.pk)))  # type: ignore[misc]
        for row in rows
    ]
    together.settle_all(laned(), landed)
    assert done == [row.pk for row in rows]


def test_a_forbidden_change_is_refused_for_its_row_alone(elm: Clinic) -> None:
    rows = claimed(elm)
    with pytest.raises(ForbiddenTransition):
        together._swap([(rows[0], SENT), (rows[1], Settlement("no such state"))])
    assert [fresh(row).state for row in rows] == ["sending"] * 3


def test_one_row_that_cannot_be_settled_does_not_keep_the_others_from_it(
    elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = claimed(elm)
    settle = work.settle_performed

    def failing(kind: Any, row: Message, settlement: Settlement) -> Settlement:
        if row.pk == rows[0].pk:
            raise IntegrityError("the database refuses it")
        return settle(kind, row, settlement)

    monkeypatch.setattr(work, "settle_performed", failing)
    monkeypatch.setattr(together, "_settled_together", lambda kind, landed: False)
    with pytest.raises(IntegrityError):
        together.settle_all(laned(), [(row, SENT) for row in rows])
    assert [fresh(row).state for row in rows] == ["sending", "sent", "sent"]
