"""What becomes of texts that are put back: by the thousand they stand behind, and are still what they were."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone

from messaging import outbox
from messaging.fates.deciding import Decided, send_again
from messaging.manners import lifetimes
from messaging.models import BulkAct, Message, MessagingPolicy
from messaging.sending.priorities import can_wait
from messaging.states import MessageKind, MessageState
from messaging.undelivered import dead_letters
from messaging.undelivered.dead_letters import Redriven
from messaging.undelivered.redrive_chances import Sending, judge
from tests.clinics import make_clinic
from tests.messaging.desk import Desk, until_somebody_waits
from tests.messaging.test_budget import limit, sent
from tests.messaging.test_bulk_acts import all_steps, ask, dead
from tests.messaging.test_pauses import work_off
from voxanne.tenancy.plan_cache import ClinicKey
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db

# Half past eleven at night in California.
NIGHT = datetime(2027, 1, 20, 7, 30, tzinfo=UTC)


def die(desk: Desk, message: Message, **columns: Any) -> None:
    given = {"state": "dead_letter", "dead_lettered_at": timezone.now(), "error_code": 30003, **columns}
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=message.pk).update(**given)


def put_all_back(desk: Desk, *messages: Message) -> int:
    pks = [message.pk for message in messages]
    with org_scope(desk.clinic.id):
        return dead_letters.redrive_many(desk.clinic.id, pks, reason="Mended.", actor_id=None)


@pytest.fixture
def night(desk: Desk) -> Any:
    with time_machine.travel(NIGHT):
        with org_scope(desk.clinic.id):
            MessagingPolicy.objects.create(org=desk.clinic.org, quiet_from=time(21), quiet_until=time(8))
        yield


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize("kind", [MessageKind.MISSED_CALL_AFTER_HOURS, MessageKind.CONFIRMATION])
def test_what_was_asked_for_goes_out_at_night_though_put_back_with_many(
    desk: Desk, kind: MessageKind
) -> None:
    text = desk.write(kind=kind, expires_at=NIGHT + timedelta(hours=2))
    die(desk, text)
    assert put_all_back(desk, text) == 1
    assert lifetimes.good_until(desk.now(text), ClinicKey(desk.clinic.id, 0), NIGHT) == text.expires_at
    work_off()
    assert desk.now(text).state == MessageState.SENT


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize("more", [{"kind": MessageKind.REMINDER}, {"priority": 1}, {"priority": 2}])
def test_what_can_wait_still_waits_for_the_morning(desk: Desk, more: dict[str, Any]) -> None:
    text = desk.write(**more)
    die(desk, text)
    put_all_back(desk, text)
    work_off()
    assert desk.now(text).state == MessageState.QUEUED
    assert can_wait(desk.now(text))


def test_what_was_asked_for_may_use_the_whole_months_budget(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=10)
    for _ in range(9):
        sent(desk)
    text, many = desk.write(), desk.write("Other.", priority=2)
    die(desk, text)
    die(desk, many)
    put_all_back(desk, text, many)
    work_off()
    assert [desk.now(one).state for one in (text, many)] == [MessageState.SENT, MessageState.QUEUED]


def test_put_back_by_itself_it_goes_first_again(desk: Desk) -> None:
    text = desk.write()
    die(desk, text)
    put_all_back(desk, text)
    assert desk.now(text).priority == 3
    die(desk, text)
    assert dead_letters.redrive(text.pk, "Mended.") is Redriven.DONE
    assert desk.now(text).priority == 0


# What was called off


def test_what_was_said_of_a_visit_that_is_off_is_not_put_back(desk: Desk) -> None:
    texts = [desk.write("You are booked.", about="appointment:1") for _ in range(2)]
    for text in texts:
        die(desk, text)
    with org_scope(desk.clinic.id):
        assert outbox.cancel_about(desk.clinic.id, "appointment:1") == 0
    assert put_all_back(desk, texts[0]) == 0
    assert dead_letters.redrive(texts[1].pk, "Mended.") is Redriven.TOO_LATE
    assert "no longer stands" in judge(desk.now(texts[0]), Sending(), timezone.now()).why
    assert {(desk.now(text).state, desk.now(text).error_code) for text in texts} == {("dead_letter", 30003)}


@pytest.mark.django_db(transaction=True)
def test_a_text_that_goes_back_to_the_queue_meanwhile_is_withdrawn() -> None:
    """Its worker settles it just as the visit is called off."""
    with platform_scope("test data"):
        elm = make_clinic("elm-street", timezone="America/New_York", country="US")
    try:
        (pk,) = dead(elm, 1, state="sending", about="appointment:1")
        withdrawn = list[int]()

        def call_off() -> None:
            with org_scope(elm.id):
                withdrawn.append(outbox.cancel_about(elm.id, "appointment:1"))
            connection.close()

        thread = threading.Thread(target=call_off)
        with org_scope(elm.id):
            Message.objects.filter(pk=pk).update(state="queued")
            thread.start()
            until_somebody_waits()
        thread.join()
        with org_scope(elm.id):
            assert (withdrawn, Message.objects.get().state) == ([1], "canceled")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE organizations, users CASCADE")


# Of unknown fate


def test_what_may_have_arrived_is_left_to_a_person(desk: Desk) -> None:
    text, other = desk.write(), desk.write("Other.")
    die(desk, text, in_doubt_since=timezone.now(), error_code=None)
    die(desk, other)
    assert put_all_back(desk, text, other) == 1
    assert dead_letters.redrive(text.pk, "Mended.") is Redriven.IN_DOUBT
    assert desk.now(text).state == MessageState.DEAD_LETTER
    assert "mark it as sent" in judge(desk.now(text), Sending(), timezone.now()).why
    answer = Client().post(f"/api/monitoring/sms-retry-dead-letter/{text.pk}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "fate_unproven")
    assert send_again(desk.now(text), reason="Not in the log.", actor=None) is Decided.DONE
    assert (desk.now(text).state, desk.now(text).in_doubt_since) == (MessageState.QUEUED, None)


def test_a_bulk_act_counts_what_it_leaves_to_a_person(desk: Desk) -> None:
    pks = dead(desk.clinic, 2, in_doubt_since=timezone.now()) + dead(desk.clinic, 3)
    act = ask(desk.clinic, BulkAct.Act.REDRIVE, pks)
    all_steps(act)
    with org_scope(desk.clinic.id):
        act.refresh_from_db()
    assert (act.handled, act.changed, act.in_doubt) == (5, 3, 2)
