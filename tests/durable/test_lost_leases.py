"""Workers that die, code that raises, workers that come late: no row is lost, and none is repeated for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import IntegrityError, connection
from django.utils import timezone

from bookings.models import CalendarPush
from bookings.states import PushState
from messaging.models import Message
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.durable.kinds import (
    DONE,
    LEASE,
    SENT,
    fresh,
    later,
    push,
    pushing,
    sending,
    taken,
    text,
    texting,
    writing,
)
from tests.tenancy.subprocesses import of_the_suite
from voxanne.durable import resolving, work
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import MOST_LOST_LEASES, STOPPED, WORN_OUT
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


class Mishap(Exception):
    """A fault in a kind's own code."""


def raising(*_: Any) -> Settlement:
    raise Mishap("Dana Ruiz, +14155550142")


def lose(kind: work.WorkKind[Any], turn: int = 1) -> None:
    """Claims the next row and never comes back; the sweeper finds it once its lease has run out."""
    with later(timedelta(hours=turn)):
        taken(kind)
    with later(timedelta(hours=turn) + LEASE + timedelta(seconds=1)):
        assert work.release_lost(kind) == 1


# Workers that die


def test_a_lease_that_has_not_run_out_is_left_alone(elm: Clinic) -> None:
    text(elm)
    taken(texting())
    assert work.release_lost(texting()) == 0
    with later(LEASE - timedelta(seconds=1)):
        assert work.release_lost(texting()) == 0


def test_a_text_whose_worker_died_is_unknown_and_asked_about_at_once(elm: Clinic) -> None:
    message = text(elm)
    lose(texting())
    row = fresh(message)
    assert (row.state, row.attempts, row.lost_leases) == (MessageState.UNKNOWN, 1, 1)
    assert row.last_error == STOPPED
    assert row.unknown_since is not None
    with later(timedelta(hours=1, minutes=1)):
        assert work.claim_next(texting()) is None, "nobody may send it again before its fate is known"


def test_a_push_whose_worker_died_waits_again(elm: Clinic) -> None:
    row = push(elm)
    lose(writing())
    assert (fresh(row).state, fresh(row).attempts) == (PushState.QUEUED, 1)
    with later(timedelta(hours=1, minutes=1)):
        assert taken(writing()).row.pk == row.pk


def test_a_push_that_kills_its_worker_each_time_is_given_up(elm: Clinic) -> None:
    row = push(elm)
    for turn in range(1, MOST_LOST_LEASES):
        lose(writing(), turn)
        assert fresh(row).state == PushState.QUEUED, turn
    lose(writing(), MOST_LOST_LEASES)
    assert fresh(row).state == PushState.DEAD
    assert fresh(row).last_error == WORN_OUT


def test_leases_lost_long_ago_do_not_count(elm: Clinic) -> None:
    """Google may be down for days, and now and then a worker is replaced meanwhile."""
    row = push(elm)
    for turn in range(1, MOST_LOST_LEASES):
        lose(writing(), turn)
    refused = writing(lambda *_: Settlement(PushState.QUEUED))
    with later(timedelta(hours=MOST_LOST_LEASES)):
        work.perform(refused, taken(refused))
    assert fresh(row).lost_leases == 0
    lose(writing(), MOST_LOST_LEASES + 1)
    assert fresh(row).state == PushState.QUEUED


def test_many_tries_that_ended_by_themselves_are_not_lost_leases(elm: Clinic) -> None:
    row = push(elm)
    with org_scope(elm.id):
        CalendarPush.objects.update(attempts=200)
    lose(writing())
    assert fresh(row).state == PushState.QUEUED


def test_a_text_that_kills_its_worker_each_time_is_given_up_once_it_is_known_to_be_nowhere(
    elm: Clinic,
) -> None:
    message = text(elm)
    nowhere = texting(resolve=lambda row: Settlement(MessageState.QUEUED, uses_attempt=False))
    for turn in range(1, MOST_LOST_LEASES + 1):
        assert fresh(message).state == MessageState.QUEUED, turn
        lose(nowhere, turn)
        assert fresh(message).state == MessageState.UNKNOWN, turn
        with later(timedelta(hours=turn, minutes=5)):
            assert resolving.resolve_due(nowhere) == 1
    assert fresh(message).state == MessageState.DEAD_LETTER
    assert fresh(message).last_error == WORN_OUT


def test_a_text_that_is_found_after_all_is_not_given_up(elm: Clinic) -> None:
    message = text(elm)
    with org_scope(elm.id):
        Message.objects.update(lost_leases=MOST_LOST_LEASES + 5)
    lose(texting())
    with later(timedelta(hours=2)):
        resolving.resolve_due(texting(resolve=lambda row: Settlement(MessageState.SENT, uses_attempt=False)))
    assert fresh(message).state == MessageState.SENT


# Code that raises


def test_a_text_whose_code_raised_is_unknown_at_once(elm: Clinic) -> None:
    message = text(elm)
    kind = texting(raising)
    settlement = work.perform(kind, taken(kind))
    assert settlement is not None
    assert settlement.state == MessageState.UNKNOWN
    row = fresh(message)
    assert (row.state, row.lost_leases, row.claim_token) == (MessageState.UNKNOWN, 1, None)
    assert row.last_error.startswith("Mishap was raised")
    assert "Dana" not in row.last_error


def test_a_push_whose_code_raised_waits_longer_each_time_and_is_given_up(elm: Clinic) -> None:
    row = push(elm)
    kind = writing(raising)
    waits: list[float] = []
    for turn in range(1, MOST_LOST_LEASES + 1):
        with later(timedelta(hours=turn)):
            settlement = work.perform(kind, taken(kind))
            assert settlement is not None
            waits.append(settlement.wait.total_seconds())
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300, 0]
    assert fresh(row).state == PushState.DEAD
    assert WORN_OUT in fresh(row).last_error


def test_one_clinics_faulty_row_leaves_the_others_to_be_done(elm: Clinic) -> None:
    faulty, good = push(elm), push(elm)

    def perform(row: CalendarPush, _: None) -> Settlement:
        return raising() if row.pk == faulty.pk else DONE

    kind = writing(perform)
    while (claimed := work.claim_next(kind)) is not None:
        work.perform(kind, claimed)
    assert (fresh(faulty).state, fresh(good).state) == (PushState.QUEUED, PushState.DONE)


def test_a_settlement_that_the_database_refuses_counts_as_raised(elm: Clinic) -> None:
    """Two texts of one SID: the second is found out about, and nothing of its try is thrown away half."""

    def accepted(row: Message, _: None) -> Settlement:
        return Settlement(MessageState.SENT, columns={"provider_sid": "SM-taken"})

    first, second = text(elm, 1), text(elm, 2)
    kind = texting(accepted)
    for message in (first, second):
        claimed = work.claim(kind, elm.id, message.pk)
        assert claimed is not None
        work.perform(kind, claimed)
    assert fresh(first).state == MessageState.SENT
    assert fresh(second).state == MessageState.UNKNOWN
    assert IntegrityError.__name__ in fresh(second).last_error


def test_a_settlement_that_the_table_forbids_counts_as_raised(elm: Clinic) -> None:
    row = push(elm)
    kind = writing(lambda *_: Settlement("no such state"))
    work.perform(kind, taken(kind))
    assert fresh(row).state == PushState.QUEUED
    assert "ForbiddenTransition" in fresh(row).last_error


# Workers that come late


def test_work_does_not_begin_once_its_lease_is_over(elm: Clinic) -> None:
    began: list[Any] = []

    def perform(row: Message, _: None) -> Settlement:
        began.append(row)
        return SENT

    message = text(elm)
    claimed = taken(texting(perform))
    with later(LEASE):
        assert work.perform(texting(perform), claimed) is None
    assert began == []
    assert fresh(message).state == MessageState.SENDING


def lose_while(perform: Any) -> Any:
    """A worker that finds, when it is done, that its lease was taken from it."""

    def performing(row: Any, prepared: Any) -> Settlement:
        with later(LEASE * 2):
            assert work.release_lost(texting()) + work.release_lost(writing()) == 1
        settlement: Settlement = perform(row, prepared)
        return settlement

    return performing


def test_a_late_settlement_changes_nothing_but_leaves_its_record(elm: Clinic) -> None:
    left: list[str] = []
    late = Settlement(MessageState.SENT, record=lambda: left.append("the try's row"))
    message = text(elm)
    kind = texting(lose_while(lambda *_: late))
    work.perform(kind, taken(kind))
    assert fresh(message).state == MessageState.UNKNOWN
    assert left == ["the try's row"]


def test_a_late_worker_does_not_settle_its_successors_claim(elm: Clinic) -> None:
    row = push(elm)
    first = taken(writing())
    with later(LEASE * 2):
        work.release_lost(writing())
        second = taken(writing())
    assert not work.settle(first.row, Settlement(PushState.DEAD))
    assert work.settle(second.row, DONE)
    assert fresh(row).state == PushState.DONE


def test_a_kind_hears_of_a_late_settlement_in_the_same_transaction(elm: Clinic) -> None:
    heard: list[tuple[Any, str]] = []

    def overtaken(row: CalendarPush, settlement: Settlement) -> None:
        heard.append((row.pk, settlement.state))
        assert connection.in_atomic_block
        CalendarPush.objects.filter(pk=row.pk).update(event_id="put right")

    row = push(elm)
    kind = writing(lose_while(pushing), overtaken=overtaken)
    work.perform(kind, taken(kind))
    assert heard == [(row.pk, PushState.DONE)]
    assert fresh(row).event_id == "put right"


def test_a_kind_hears_nothing_while_its_claim_holds(elm: Clinic) -> None:
    def overtaken(row: CalendarPush, settlement: Settlement) -> None:
        raise AssertionError("it held")

    row = push(elm)
    kind = writing(overtaken=overtaken)
    work.perform(kind, taken(kind))
    assert fresh(row).state == PushState.DONE


@pytest.mark.django_db(transaction=True)
def test_an_outcome_survives_a_database_that_restarted_meanwhile(elm: Clinic) -> None:
    def perform(row: Message, _: None) -> Settlement:
        # As after a restart of the server: the connection, in use a moment ago, is gone when the answer comes.
        with org_scope(elm.id):
            assert Message.objects.exists()
        backend = connection.connection.info.backend_pid
        with psycopg.connect(of_the_suite(settings.DATABASE_OWNER_URL), autocommit=True) as owner:
            owner.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
        return SENT

    message = text(elm)
    kind = texting(perform)
    assert work.perform(kind, taken(kind)) == SENT
    assert fresh(message).state == MessageState.SENT


# Asking about what nobody knows


def unknown(clinic: Clinic, serial: int = 0, age: float = 0) -> Message:
    message = text(clinic, serial)
    with org_scope(clinic.id):
        since = timezone.now() - timedelta(seconds=age)
        Message.objects.filter(pk=message.pk).update(state=MessageState.UNKNOWN, next_attempt_at=since)
    return message


def test_the_row_that_is_due_the_longest_is_asked_about_first(elm: Clinic, oak: Clinic) -> None:
    rows = [unknown(elm, 0, 10), unknown(oak, 0, 30), unknown(elm, 1, 20)]
    asked: list[Any] = []
    assert resolving.resolve_due(texting(resolve=lambda row: asked.append(row.pk))) == 3
    assert asked == [rows[1].pk, rows[2].pk, rows[0].pk]


def test_a_row_asked_about_is_left_alone_for_a_lease(elm: Clinic) -> None:
    unknown(elm)
    silent = texting(resolve=nobody_knows)
    assert resolving.resolve_due(silent) == 1
    assert resolving.resolve_due(silent) == 0
    with later(LEASE + timedelta(seconds=1)):
        assert resolving.resolve_due(silent) == 1


def nobody_knows(row: Message) -> None:
    """There is nothing to say yet."""


def test_a_row_that_is_not_due_is_not_asked_about(elm: Clinic) -> None:
    unknown(elm, age=-60)
    assert resolving.resolve_due(texting(resolve=nobody_knows)) == 0


def test_a_kind_without_a_question_is_not_asked(elm: Clinic) -> None:
    unknown(elm)
    assert resolving.resolve_due(texting(sending)) == 0


def test_a_question_that_raises_leaves_its_row_and_those_behind_it_are_asked(elm: Clinic) -> None:
    spoiled, good = unknown(elm, 0, 20), unknown(elm, 1, 10)

    def resolve(row: Message) -> Settlement:
        if row.pk == spoiled.pk:
            raise Mishap
        return Settlement(MessageState.SENT)

    assert resolving.resolve_due(texting(resolve=resolve)) == 2
    assert (fresh(spoiled).state, fresh(good).state) == (MessageState.UNKNOWN, MessageState.SENT)


def test_an_answer_counts_only_if_nothing_happened_meanwhile(elm: Clinic) -> None:
    """A slow list, asked for before the text was sent again and lost again, must not send it a third time."""
    message = unknown(elm)
    queued = Settlement(MessageState.QUEUED, uses_attempt=False)

    def slow(row: Message) -> Settlement:
        assert work.move(Message, elm.id, row.pk, queued)
        lose(texting())
        return queued

    assert resolving.resolve_due(texting(resolve=slow)) == 1
    assert fresh(message).state == MessageState.UNKNOWN


def test_what_an_answer_leaves_behind_goes_with_its_move(elm: Clinic) -> None:
    left: list[str] = []
    answers = [Settlement(MessageState.SENT, record=lambda: left.append("kept"))]
    unknown(elm)
    resolving.resolve_due(texting(resolve=lambda row: answers[0]))
    assert left == ["kept"]


def test_staying_unknown_keeps_since_when(elm: Clinic) -> None:
    message = unknown(elm)
    since = timezone.now() - timedelta(minutes=5)
    with org_scope(elm.id):
        Message.objects.update(unknown_since=since, first_empty_list_at=since)
    still = texting(resolve=lambda row: Settlement(MessageState.UNKNOWN, uses_attempt=False))
    assert resolving.resolve_due(still) == 1, "once a sweep, though it is due again at once"
    assert (fresh(message).unknown_since, fresh(message).first_empty_list_at) == (since, since)


def test_asking_ends_when_its_time_is_up(elm: Clinic) -> None:
    for serial in range(3):
        unknown(elm, serial)
    assert resolving.resolve_due(texting(resolve=nobody_knows), seconds=0) == 0
