"""Thousands of dead letters at once: in steps, each text once, stopped where they only die again."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from messaging.models import BulkAct, Message
from messaging.providers.twilio.codes import spoken_reason
from messaging.undelivered import bulk_acts
from messaging.undelivered.bulk_acts import (
    BULK_ACT,
    ROWS_A_STEP,
    KeyOfAnotherAct,
    ask_for,
    forget_old_acts,
    go_on,
    stop,
)
from tests.clinics import Clinic, make_clinic
from tests.messaging.desk import later
from voxanne.durable import work
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import ScopeError, org_scope, platform_scope

REDRIVE, DISCARD = BulkAct.Act.REDRIVE, BulkAct.Act.DISCARD


def dead(clinic: Clinic, number: int, **columns: Any) -> list[UUID]:
    """So many dead letters of the clinic."""
    now = timezone.now()
    with org_scope(clinic.id):
        rows = Message.objects.bulk_create(
            Message(
                **{
                    "org": clinic.org,
                    "kind": "confirmation",
                    "state": "dead_letter",
                    "dedupe_key": str(uuid4()),
                    "recipient": "+14155550142",
                    "body": "x",
                    "expires_at": now + timedelta(days=1),
                    "dead_lettered_at": now,
                    "attempts": 6,
                    "error_code": 30003,
                    **columns,
                }
            )
            for _ in range(number)
        )
    return [row.pk for row in rows]


def ask(clinic: Clinic, act: BulkAct.Act, pks: list[UUID], key: UUID | None = None) -> BulkAct:
    with org_scope(clinic.id):
        asked = ask_for(
            act,
            [(clinic.id, pk) for pk in pks],
            reason="The fault is mended.",
            asked_by=clinic.staff["manager"],
            asked_key=key or uuid4(),
        )
        (row,) = asked.acts
    return row


def one_step(act: BulkAct) -> Settlement | None:
    """As a worker does it when the pause is over; None where nothing is left to do."""
    with org_scope(act.org_id):
        BulkAct.objects.filter(pk=act.pk).update(next_attempt_at=timezone.now())
    claimed = work.claim(BULK_ACT, act.org_id, act.pk)
    return None if claimed is None else work.perform(BULK_ACT, claimed)


def all_steps(act: BulkAct) -> int:
    steps = 0
    while one_step(act) is not None:
        steps += 1
    return steps


def now(act: BulkAct) -> BulkAct:
    with org_scope(act.org_id):
        return BulkAct.objects.get(pk=act.pk)


def states(clinic: Clinic) -> dict[str, int]:
    with org_scope(clinic.id):
        found: dict[str, int] = {}
        for state in Message.objects.values_list("state", flat=True):
            found[state] = found.get(state, 0) + 1
    return found


def die_again(pks: list[UUID], clinic: Clinic, code: int = 30003) -> None:
    with org_scope(clinic.id):
        Message.objects.filter(pk__in=pks).update(
            state="dead_letter",
            dead_lettered_at=timezone.now() + timedelta(seconds=1),
            last_error=spoken_reason(code),
        )


@pytest.mark.django_db
def test_thousands_are_put_back_a_step_at_a_time(elm: Clinic) -> None:
    pks = dead(elm, 2 * ROWS_A_STEP + 7)
    act = ask(elm, REDRIVE, pks)
    first = one_step(act)
    assert first is not None
    assert (first.state, first.wait) == ("queued", bulk_acts.PAUSE)
    assert states(elm) == {"queued": ROWS_A_STEP, "dead_letter": ROWS_A_STEP + 7}
    assert all_steps(act) == 2
    assert states(elm) == {"queued": len(pks)}
    done = now(act)
    assert (done.state, done.handled, done.changed) == ("done", len(pks), len(pks))


@pytest.mark.django_db
def test_the_pause_between_steps_is_kept(elm: Clinic) -> None:
    act = ask(elm, REDRIVE, dead(elm, ROWS_A_STEP + 1))
    one_step(act)
    assert work.claim(BULK_ACT, act.org_id, act.pk) is None


@pytest.mark.django_db
def test_what_is_put_back_is_as_new_and_waits_behind_what_is_asked_for_now(elm: Clinic) -> None:
    (pk,) = dead(elm, 1)
    all_steps(ask(elm, REDRIVE, [pk]))
    with org_scope(elm.id):
        text = Message.objects.get(pk=pk)
    assert (text.attempts, text.error_code, text.dead_lettered_at, text.priority) == (0, None, None, 3)


@pytest.mark.django_db
def test_each_text_is_in_the_trail_with_who_and_why(elm: Clinic) -> None:
    pks = dead(elm, 3)
    all_steps(ask(elm, REDRIVE, pks))
    all_steps(ask(elm, DISCARD, dead(elm, 2)))
    with platform_scope("check"):
        trail = AuditEntry.objects.filter(action="message.redrive")
        assert {line.subject for line in trail} == {f"sms_delivery_log:{pk}" for pk in pks}
        assert {(line.actor, line.reason) for line in trail} == {
            (elm.staff["manager"], "The fault is mended.")
        }
        assert AuditEntry.objects.filter(action="message.discard").count() == 2


@pytest.mark.django_db
def test_a_text_whose_time_is_over_or_that_went_out_meanwhile_is_left_alone(elm: Clinic) -> None:
    pks = dead(elm, 2) + dead(elm, 1, expires_at=timezone.now()) + dead(elm, 1, state="delivered")
    act = ask(elm, REDRIVE, pks)
    all_steps(act)
    assert (now(act).handled, now(act).changed) == (4, 2)
    assert states(elm) == {"queued": 2, "dead_letter": 1, "delivered": 1}


@pytest.mark.django_db
def test_discarding_keeps_the_reason_of_the_text_and_takes_no_pauses(elm: Clinic) -> None:
    pks = dead(elm, ROWS_A_STEP + 1, last_error="The phone was off.")
    act = ask(elm, DISCARD, pks)
    first = one_step(act)
    assert first is not None
    assert first.wait == timedelta(0)
    all_steps(act)
    with org_scope(elm.id):
        assert set(Message.objects.values_list("state", "last_error")) == {("canceled", "The phone was off.")}


@pytest.mark.django_db
def test_pressed_twice_it_is_one_act_and_asked_twice_each_text_moves_once(elm: Clinic) -> None:
    pks, key = dead(elm, 3), uuid4()
    first, again, other = ask(elm, REDRIVE, pks, key), ask(elm, REDRIVE, pks, key), ask(elm, REDRIVE, pks)
    assert first.pk == again.pk != other.pk
    all_steps(first)
    all_steps(other)
    assert [now(act).changed for act in (first, other)] == [3, 0]
    with platform_scope("check"):
        assert AuditEntry.objects.filter(action="message.redrive").count() == 3


@pytest.mark.django_db
def test_asking_tells_what_it_wrote_itself(elm: Clinic, oak: Clinic) -> None:
    """The clinics' rows may come one after the other, such as by another filter."""
    key = uuid4()
    more: dict[str, Any] = {"reason": "Mended.", "asked_by": None, "asked_key": key}
    here, there = [(elm.id, pk) for pk in dead(elm, 1)], [(oak.id, pk) for pk in dead(oak, 1)]
    with platform_scope("two clinics"):
        first, again, wider = (ask_for(REDRIVE, chosen, **more) for chosen in (here, here, here + there))
    assert [len(asked.made) for asked in (first, again, wider)] == [1, 0, 1]
    assert [row.org_id for row in wider.made] == [oak.id]
    assert again.acts == first.made


@pytest.mark.django_db
@pytest.mark.parametrize("changes", [{"act": DISCARD}, {"reason": "Other."}, {"asked_by": None}])
def test_a_key_that_was_used_for_something_else_does_nothing(
    elm: Clinic, oak: Clinic, changes: dict[str, Any]
) -> None:
    manager = elm.staff["manager"]
    given: dict[str, Any] = {"act": REDRIVE, "reason": "Mended.", "asked_by": manager, "asked_key": uuid4()}
    with platform_scope("two clinics"):
        ask_for(chosen=[(elm.id, pk) for pk in dead(elm, 1)], **given)
        with pytest.raises(KeyOfAnotherAct):
            ask_for(chosen=[(oak.id, pk) for pk in dead(oak, 1)], **{**given, **changes})
        assert [row.org_id for row in BulkAct.objects.all()] == [elm.id]


@pytest.mark.django_db
def test_a_text_that_dies_again_is_not_put_back_by_the_same_act(elm: Clinic) -> None:
    pks = dead(elm, 3)
    act = ask(elm, REDRIVE, pks)
    all_steps(act)
    die_again(pks, elm)
    assert all_steps(act) == 0
    assert states(elm) == {"dead_letter": 3}


@pytest.mark.django_db
def test_where_most_die_again_the_rest_is_left_alone(elm: Clinic) -> None:
    pks = dead(elm, 3 * ROWS_A_STEP)
    act = ask(elm, REDRIVE, pks)
    one_step(act)
    die_again(pks[:ROWS_A_STEP], elm)
    one_step(act)
    stopped = now(act)
    assert (stopped.state, stopped.handled) == ("stopped", ROWS_A_STEP)
    assert stopped.last_error == f"Stopped: 250 of the last 250 texts died again. {spoken_reason(30003)}"
    assert states(elm) == {"dead_letter": 3 * ROWS_A_STEP}
    # A person mends it and goes on: what died before does not stop it again.
    with org_scope(elm.id):
        assert go_on(stopped)
        assert not go_on(stopped)
    all_steps(act)
    assert states(elm) == {"dead_letter": ROWS_A_STEP, "queued": 2 * ROWS_A_STEP}


@pytest.mark.django_db
@pytest.mark.parametrize(("died", "through"), [(9, 9), (100, 250)])
def test_a_few_that_die_again_stop_nothing(elm: Clinic, died: int, through: int) -> None:
    pks = dead(elm, ROWS_A_STEP + 1)
    act = ask(elm, REDRIVE, pks)
    one_step(act)
    die_again(pks[:died], elm)
    with org_scope(elm.id):
        Message.objects.filter(pk__in=pks[died:through]).update(state="delivered")
    one_step(act)
    assert now(act).state == "done"


@pytest.mark.django_db
def test_texts_that_were_too_late_do_not_count_as_dying_again(elm: Clinic) -> None:
    pks = dead(elm, ROWS_A_STEP, expires_at=timezone.now(), dead_lettered_at=timezone.now()) + dead(elm, 1)
    act = ask(elm, REDRIVE, pks)
    all_steps(act)
    assert (now(act).state, now(act).changed) == ("done", 1)


@pytest.mark.django_db
def test_a_person_stops_it_on_the_way(elm: Clinic) -> None:
    act = ask(elm, REDRIVE, dead(elm, ROWS_A_STEP + 5))
    one_step(act)
    with org_scope(elm.id):
        assert stop(act)
        assert not stop(act)
    assert all_steps(act) == 0
    assert states(elm) == {"queued": ROWS_A_STEP, "dead_letter": 5}


@pytest.mark.django_db
def test_a_step_whose_worker_dies_is_done_once(elm: Clinic) -> None:
    act = ask(elm, REDRIVE, dead(elm, 5))
    claimed = work.claim(BULK_ACT, elm.id, act.pk)
    assert claimed is not None
    with later(61):
        assert work.release_lost(BULK_ACT) == 1
    all_steps(act)
    # The first worker comes back: its claim is gone, and so is its step.
    assert work.settle(claimed.row, bulk_acts.step(claimed.row, "")) is False
    assert (now(act).handled, now(act).changed) == (5, 5)


@pytest.mark.django_db
def test_a_clinics_act_touches_no_other_clinics_texts(elm: Clinic, oak: Clinic) -> None:
    theirs = dead(oak, 2)
    all_steps(ask(elm, REDRIVE, [*dead(elm, 1), *theirs]))
    assert states(oak) == {"dead_letter": 2}
    with org_scope(elm.id), pytest.raises(ScopeError), org_scope(oak.id):
        pass


@pytest.mark.django_db
def test_old_acts_go_and_those_under_way_stay(elm: Clinic) -> None:
    done, live = (ask(elm, DISCARD, dead(elm, 1)) for _ in range(2))
    all_steps(done)
    with later(91 * 86_400):
        assert forget_old_acts() == 1
    with org_scope(elm.id):
        assert BulkAct.objects.get() == live


@pytest.mark.django_db(transaction=True)
def test_two_acts_at_once_put_each_text_back_once() -> None:
    with platform_scope("test data"):
        elm = make_clinic("elm-street", timezone="America/New_York", country="US")
    try:
        pks = dead(elm, 200)
        acts = [ask(elm, REDRIVE, chosen) for chosen in (pks, pks[::-1])]
        start = threading.Barrier(2)

        def run(act: BulkAct) -> None:
            try:
                start.wait()
                claimed = work.claim(BULK_ACT, act.org_id, act.pk)
                assert claimed is not None
                work.perform(BULK_ACT, claimed)
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(now(act).changed for act in acts) == 200
        assert states(elm) == {"queued": 200}
        with platform_scope("check"):
            assert AuditEntry.objects.filter(action="message.redrive").count() == 200
    finally:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE organizations, users CASCADE")
