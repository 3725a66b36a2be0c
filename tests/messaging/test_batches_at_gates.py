"""Texts that are claimed several at a time meet the gates as they would one by one."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from messaging.delivery import SMS_DELIVERY
from messaging.models import Message
from messaging.states import MessageState
from tests.messaging.desk import Desk
from tests.messaging.test_budget import limit, redis
from voxanne.durable import together, work
from voxanne.durable.turns import Turn
from voxanne.tenancy.scope import org_scope

__all__ = ["redis"]

pytestmark = pytest.mark.django_db
NOON = datetime(2027, 1, 20, 17, tzinfo=UTC)


def take_turns(desk: Desk, lane: int = 0) -> None:
    """All that is due of the clinic in the lane, eight at a time as a pump does it."""
    while True:
        taken = together.claim_turn(SMS_DELIVERY, Turn(lane, desk.clinic.id, timezone.now()), 8)
        if not taken.count:
            return
        ended = [(one.row, work.performed(SMS_DELIVERY, one)) for one in taken.claimed]
        landed = [(row, settlement) for row, settlement in ended if settlement is not None]
        if landed:
            together.settle_all(SMS_DELIVERY, landed)


def written(desk: Desk, number: int) -> list[Message]:
    until = timezone.now() + timedelta(hours=5)
    return [desk.write(f"Text {serial}.", expires_at=until) for serial in range(number)]


def states(desk: Desk) -> Counter[str]:
    with org_scope(desk.clinic.id):
        return Counter(Message.objects.values_list("state", flat=True))


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("budget", [5, 8, 10])
def test_a_batch_does_not_count_itself_against_the_month(desk: Desk, budget: int) -> None:
    with time_machine.travel(NOON):
        limit(desk.clinic, monthly_segments=budget)
        texts = written(desk, 8)
        take_turns(desk)
    went = min(budget, 8)
    assert states(desk) == Counter({MessageState.SENT: went, MessageState.QUEUED: 8 - went})
    tried = [text for text in texts if desk.now(text).first_attempted_at is not None]
    assert len(tried) == went, "what was held is as if nothing had been tried"


@pytest.mark.usefixtures("redis")
def test_a_batch_does_not_count_itself_against_the_minute(desk: Desk) -> None:
    limit(desk.clinic, messages_a_minute=5)
    with time_machine.travel(NOON):
        written(desk, 8)
        take_turns(desk)
        assert states(desk)[MessageState.SENT] == 5
    for seconds in (61, 122):
        with time_machine.travel(NOON + timedelta(seconds=seconds)):
            take_turns(desk)
    assert states(desk) == Counter({MessageState.SENT: 8})
