"""A row is claimed when it is due, by one worker, and settled by the one that holds it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from bookings.models import CalendarPush
from bookings.states import PushState
from messaging.models import Message
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.durable.kinds import DONE, LEASE, SENT, fresh, later, push, taken, text, texting, writing
from voxanne.durable import work
from voxanne.durable.lifecycle import ForbiddenTransition
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import MOST_LOST_LEASES
from voxanne.tenancy.scope import current_scope, org_scope

pytestmark = pytest.mark.django_db


class Mishap(Exception):
    """A fault in a kind's own code."""


# Claiming


def test_a_claimed_row_is_held_under_a_lease(elm: Clinic) -> None:
    message = text(elm)
    claimed = work.claim(texting(prepare=lambda row: f"for {row.body}"), elm.id, message.pk)
    assert claimed is not None
    assert claimed.prepared == "for Text 0"
    held = fresh(message)
    assert held.state == MessageState.SENDING
    assert held.claim_token == claimed.row.claim_token
    assert held.claimed_until is not None
    assert timedelta(0) < held.claimed_until - timezone.now() <= LEASE


def test_a_claimed_row_is_not_claimed_again(elm: Clinic) -> None:
    message = text(elm)
    assert work.claim(texting(), elm.id, message.pk) is not None
    assert work.claim(texting(), elm.id, message.pk) is None
    assert work.claim_next(texting()) is None


def test_a_row_is_not_claimed_before_its_time(elm: Clinic) -> None:
    message = text(elm)
    with org_scope(elm.id):
        Message.objects.update(next_attempt_at=timezone.now() + timedelta(seconds=90))
    assert work.claim(texting(), elm.id, message.pk) is None
    assert work.claim_next(texting()) is None
    assert work.count_due(texting()) == 0
    with later(91):
        assert work.count_due(texting()) == 1
        assert work.claim_next(texting()) is not None


def test_a_row_is_not_claimed_by_another_clinics_id(elm: Clinic, oak: Clinic) -> None:
    assert work.claim(texting(), oak.id, text(elm).pk) is None


def test_the_row_that_waited_longest_comes_first_whichever_clinics_it_is(elm: Clinic, oak: Clinic) -> None:
    rows = [text(elm), text(oak), text(elm, 1)]
    for age, row in zip((10, 30, 20), rows, strict=True):
        with org_scope(row.org_id):
            due = timezone.now() - timedelta(seconds=age)
            Message.objects.filter(pk=row.pk).update(next_attempt_at=due)
    assert [taken(texting()).row.pk for _ in rows] == [rows[1].pk, rows[2].pk, rows[0].pk]


def test_a_kinds_own_order_goes_before_the_waiting(elm: Clinic) -> None:
    bulk, urgent = text(elm, 0), text(elm, 1)
    with org_scope(elm.id):
        Message.objects.filter(pk=bulk.pk).update(priority=2)
    assert taken(texting(order=("priority", "next_attempt_at"))).row.pk == urgent.pk


def test_a_drained_row_is_prepared_as_its_clinic_and_sees_no_other(elm: Clinic, oak: Clinic) -> None:
    text(oak)
    text(elm)
    kind = texting(prepare=lambda row: set(Message.objects.values_list("org_id", flat=True)))
    assert all(claimed.prepared == {claimed.row.org_id} for claimed in (taken(kind), taken(kind)))


def test_work_is_prepared_inside_the_scope_and_done_outside_any(elm: Clinic) -> None:
    scopes: list[bool] = []

    def prepare(row: Message) -> None:
        scopes.append(current_scope() is not None)

    def perform(row: Message, _: None) -> Settlement:
        scopes.append(current_scope() is not None)
        return SENT

    text(elm)
    kind = texting(perform, prepare=prepare)
    work.perform(kind, taken(kind))
    assert scopes == [True, False]


# What cannot be prepared


def spoiling(row: Message) -> None:
    if row.body == "Text 0":
        raise Mishap("Dana Ruiz, +14155550142")


def test_a_row_that_cannot_be_prepared_does_not_block_those_behind_it(elm: Clinic) -> None:
    spoiled = text(elm, 0)
    good = text(elm, 1)
    kind = texting(prepare=spoiling)
    assert taken(kind).row.pk == good.pk
    assert work.claim_next(kind) is None
    left = fresh(spoiled)
    assert left.state == MessageState.QUEUED
    assert left.lost_leases == 1
    assert left.next_attempt_at > timezone.now() + timedelta(seconds=4)


def test_what_went_wrong_is_kept_by_its_kind_alone(elm: Clinic) -> None:
    spoiled = text(elm)
    assert work.claim_next(texting(prepare=spoiling)) is None
    assert "Mishap" in fresh(spoiled).last_error
    assert "Dana" not in fresh(spoiled).last_error


def test_a_row_that_can_never_be_prepared_is_given_up(elm: Clinic) -> None:
    spoiled = text(elm)
    for turn in range(MOST_LOST_LEASES):
        assert fresh(spoiled).state == MessageState.QUEUED, turn
        with later(timedelta(hours=turn + 1)):
            assert work.claim(texting(prepare=spoiling), elm.id, spoiled.pk) is None
    assert fresh(spoiled).state == MessageState.DEAD_LETTER
    assert fresh(spoiled).dead_lettered_at is not None


def test_a_database_that_fails_while_preparing_leaves_the_row_as_it_was(elm: Clinic) -> None:
    def unreachable(row: Message) -> None:
        raise OperationalError("the connection is lost")

    message = text(elm)
    with pytest.raises(OperationalError):
        work.claim_next(texting(prepare=unreachable))
    assert fresh(message).state == MessageState.QUEUED
    assert fresh(message).lost_leases == 0


# Settling


def test_a_settled_row_keeps_what_came_of_it(elm: Clinic) -> None:
    message = text(elm)
    claimed = taken(texting())
    sent = Settlement(MessageState.SENT, columns={"provider_sid": "SM1"}, error="x" * 3000)
    assert work.settle(claimed.row, sent)
    row = fresh(message)
    assert (row.state, row.attempts, row.provider_sid) == (MessageState.SENT, 1, "SM1")
    assert (row.claim_token, row.claimed_until) == (None, None)
    assert len(row.last_error) == 2000


def test_a_try_that_reached_nobody_uses_no_attempt_and_waits(elm: Clinic) -> None:
    message = text(elm)
    wait = timedelta(seconds=10)
    work.settle(taken(texting()).row, Settlement(MessageState.QUEUED, uses_attempt=False, wait=wait))
    row = fresh(message)
    assert row.attempts == 0
    assert timedelta(seconds=9) < row.next_attempt_at - timezone.now() <= wait


def test_a_row_is_settled_once(elm: Clinic) -> None:
    message = text(elm)
    row = taken(texting()).row
    assert work.settle(row, SENT)
    assert not work.settle(row, Settlement(MessageState.DEAD_LETTER))
    assert (fresh(message).state, fresh(message).attempts) == (MessageState.SENT, 1)


@pytest.mark.parametrize("state", [MessageState.SENDING, "no such state", PushState.PUSHING])
def test_a_forbidden_change_raises_and_changes_nothing(elm: Clinic, state: str) -> None:
    message = text(elm)
    row = taken(texting()).row
    with pytest.raises(ForbiddenTransition, match="may not become"):
        work.settle(row, Settlement(state))
    assert fresh(message).state == MessageState.SENDING


def test_entering_a_state_stamps_it_and_clears_what_lost_its_meaning(elm: Clinic) -> None:
    message = text(elm)
    work.settle(taken(texting()).row, Settlement(MessageState.UNKNOWN))
    with org_scope(elm.id):
        Message.objects.update(first_empty_list_at=timezone.now())
    assert fresh(message).unknown_since is not None
    work.move(Message, elm.id, message.pk, Settlement(MessageState.QUEUED))
    assert (fresh(message).unknown_since, fresh(message).first_empty_list_at) == (None, None)


# Changing a row from elsewhere


def test_a_row_moves_only_from_the_states_asked_for(elm: Clinic) -> None:
    message = text(elm)
    canceled = Settlement(MessageState.CANCELED, uses_attempt=False)
    assert not work.move(Message, elm.id, message.pk, canceled, sources=(MessageState.DEAD_LETTER,))
    assert work.move(Message, elm.id, message.pk, canceled, sources=(MessageState.QUEUED,))
    assert not work.move(Message, elm.id, message.pk, canceled)


def test_a_move_that_the_table_forbids_raises(elm: Clinic) -> None:
    message = text(elm)
    with pytest.raises(ForbiddenTransition):
        work.move(Message, elm.id, message.pk, SENT, sources=(MessageState.DELIVERED,))


def test_a_move_leaves_its_record_only_when_it_moved(elm: Clinic) -> None:
    message = text(elm)
    left: list[str] = []
    sent = Settlement(MessageState.SENT, record=lambda: left.append("sent"))
    assert work.move(Message, elm.id, message.pk, sent.also(lambda: left.append("told")))
    assert not work.move(Message, elm.id, message.pk, sent)
    assert left == ["sent", "told"]


def test_a_move_cannot_reach_another_clinics_row(elm: Clinic, oak: Clinic) -> None:
    message = text(elm)
    assert not work.move(Message, oak.id, message.pk, SENT)
    assert fresh(message).state == MessageState.QUEUED


# Redriving


def dead(clinic: Clinic) -> CalendarPush:
    row = push(clinic)
    kind = writing()
    work.settle(taken(kind).row, Settlement(PushState.DEAD, columns={"lost_leases": 4}))
    return row


def test_a_redriven_row_starts_afresh(elm: Clinic) -> None:
    row = dead(elm)
    assert work.redrive(CalendarPush, elm.id, row.pk, {"event_id": "other"})
    again = fresh(row)
    assert (again.state, again.attempts, again.lost_leases) == (PushState.QUEUED, 0, 0)
    assert again.event_id == "other"
    assert work.perform(writing(), taken(writing())) == DONE


def test_pressing_redrive_twice_redrives_once(elm: Clinic) -> None:
    row = dead(elm)
    pressed = [work.redrive(CalendarPush, elm.id, row.pk) for _ in range(2)]
    assert pressed == [True, False]


@pytest.mark.parametrize("state", [PushState.QUEUED, PushState.DONE])
def test_only_what_was_given_up_is_redriven(elm: Clinic, state: PushState) -> None:
    row = push(elm)
    with org_scope(elm.id):
        CalendarPush.objects.update(state=state)
    assert not work.redrive(CalendarPush, elm.id, row.pk)
    assert fresh(row).state == state
