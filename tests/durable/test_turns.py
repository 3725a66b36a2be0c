"""Clinics take turns within a priority, however much one of them has waiting, and finding out whose turn it is costs
one look into an index a clinic."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from messaging.models import Message
from tests.analysed import analyse
from tests.clinics import Clinic, make_clinic
from tests.durable.kinds import text, texting
from voxanne.durable import many_rows, together, turns
from voxanne.durable.turns import Turns, heads_of
from voxanne.statements import Statement
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db
KIND = texting(lane="priority")
PLANS = "idx_sms_delivery_log_turns"


def waiting(clinic: Clinic, number: int, *, seconds: float = 0, priority: int = 0, serial: int = 0) -> None:
    """Texts that have been due for ``seconds``."""
    for each in range(serial, serial + number):
        made = text(clinic, each)
        due = timezone.now() - timedelta(seconds=seconds)
        with org_scope(clinic.id):
            Message.objects.filter(pk=made.pk).update(next_attempt_at=due, priority=priority)


def served(turns: Turns, most: int, times: int) -> list[UUID]:
    """The clinics that come to be served, in their order."""
    order = []
    for _ in range(times):
        turn = turns.next()
        if turn is None:
            break
        taken = together.claim_turn(KIND, turn, most)
        order += [turn.org_id] if taken.count else []
        if taken.count == most:
            turns.again(turn)
    return order


def test_a_clinic_with_one_text_does_not_wait_behind_anothers_many(elm: Clinic, oak: Clinic) -> None:
    waiting(elm, 10, seconds=600)
    waiting(oak, 1, seconds=1)
    assert served(Turns(KIND), 2, 3) == [elm.id, oak.id, elm.id]


def test_what_was_asked_for_now_goes_before_what_can_wait(elm: Clinic, oak: Clinic) -> None:
    waiting(elm, 4, seconds=600, priority=2)
    waiting(oak, 4, seconds=60, priority=1)
    waiting(elm, 2, seconds=1, priority=0, serial=10)
    assert served(Turns(KIND), 2, 8) == [elm.id, oak.id, oak.id, elm.id, elm.id]


def test_clinics_are_served_alike_round_after_round(elm: Clinic, oak: Clinic) -> None:
    with platform_scope("test data"):
        third = make_clinic("ash-lane")
    for clinic, age in ((elm, 300), (oak, 200), (third, 100)):
        waiting(clinic, 6, seconds=age)
    order = served(Turns(KIND), 2, 9)
    assert order[:3] == [elm.id, oak.id, third.id]
    assert set(Counter(order).values()) == {3}


def test_who_was_served_is_remembered_from_look_to_look(
    elm: Clinic, oak: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.0)
    waiting(elm, 6, seconds=600)
    waiting(oak, 6, seconds=1)
    assert served(Turns(KIND), 2, 4) == [elm.id, oak.id, elm.id, oak.id]


def test_each_clinic_is_seen_once_a_lane_with_the_text_that_has_waited_longest(
    elm: Clinic, oak: Clinic
) -> None:
    waiting(elm, 3, seconds=10)
    waiting(elm, 1, seconds=90, serial=5)
    waiting(elm, 1, seconds=5, priority=2, serial=6)
    waiting(oak, 2, seconds=20)
    heads = heads_of(KIND, timezone.now())
    assert Counter((head.org_id, head.lane) for head in heads) == {
        (elm.id, 0): 1,
        (elm.id, 2): 1,
        (oak.id, 0): 1,
    }
    first = next(head for head in heads if (head.org_id, head.lane) == (elm.id, 0))
    assert timezone.now() - first.due_at > timedelta(seconds=80)


def test_what_is_not_due_gets_no_turn_and_is_told_of(elm: Clinic) -> None:
    waiting(elm, 2, seconds=-30)
    own = Turns(KIND)
    assert own.next() is None
    assert own.soonest is not None
    assert timedelta(seconds=20) < own.soonest - timezone.now() <= timedelta(seconds=30)


def plan_of(statement: Statement, values: dict[str, Any]) -> str:
    with many_rows.led_by_the_index():
        return "\n".join(line for (line,) in Statement(f"EXPLAIN {statement.sql}").rows(values))


@pytest.fixture
def crowd(elm: Clinic, oak: Clinic) -> None:
    """20,000 texts of one clinic that are due, before one of another's."""
    with platform_scope("test data"), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO sms_delivery_log (id, org_id, kind, state, priority, dedupe_key, about, recipient, sender,"
            " body, encoding, segments, expires_at, attempts, next_attempt_at, last_error, provider_sid,"
            " provider_status,"
            " created_at, updated_at)"
            " SELECT gen_random_uuid(), %s, 'reminder', 'queued', 2, 'crowd-' || n, '', '+14155550142', '+14155560000',"
            " 'Text', 'GSM-7', 1, now() + interval '1 day', 0, now() - n * interval '1 second', '', '', '', now(),"
            " now()"
            " FROM generate_series(1, 20000) n",
            [elm.id],
        )
    waiting(oak, 1, seconds=1, priority=2)
    analyse("sms_delivery_log")


@pytest.mark.usefixtures("crowd")
def test_looking_and_taking_are_led_by_the_index_whatever_waits(elm: Clinic) -> None:
    now = timezone.now()
    with platform_scope("a plan"):
        looking = plan_of(turns._heads("sms_delivery_log", "priority", "queued"), {"by": now})
    with org_scope(elm.id):
        values = {"org": elm.id, "lane": 2, "now": now, "until": now}
        taking = plan_of(many_rows._take_some(Message, "priority", 8), values)
    for plan in (looking, taking):
        assert PLANS in plan, plan
        assert "Seq Scan" not in plan, plan
        assert "Sort" not in plan, plan


@pytest.mark.usefixtures("crowd")
def test_one_text_among_twenty_thousand_of_another_clinic_has_its_turn_at_once(
    elm: Clinic, oak: Clinic
) -> None:
    assert oak.id in served(Turns(KIND), 8, 2)
