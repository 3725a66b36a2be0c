"""What becomes of texts that are put back: by the thousand they stand behind, and are still what they were."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from messaging import dead_letters, lifetimes
from messaging.dead_letters import Redriven
from messaging.models import Message, MessagingPolicy
from messaging.priorities import can_wait
from messaging.states import MessageKind, MessageState
from tests.messaging.desk import Desk
from tests.messaging.test_budget import limit, sent, work_off
from voxanne.tenancy.plan_cache import ClinicKey
from voxanne.tenancy.scope import org_scope

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
