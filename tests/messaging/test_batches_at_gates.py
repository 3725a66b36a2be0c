"""Texts that are claimed several at a time meet the gates as they would one by one."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db.models import Min
from django.utils import timezone

from messaging.manners import budget
from messaging.manners.policy import Policy
from messaging.models import Message, SenderAccount
from messaging.sending import gates, lines
from messaging.sending.delivery import SMS_DELIVERY
from messaging.sending.holds import Hold
from messaging.states import MessageState
from monitoring import redis_link
from tests.messaging.desk import Desk
from tests.messaging.test_budget import limit, redis
from voxanne.durable import together, work
from voxanne.durable.turns import Turn
from voxanne.tenancy.plan_cache import ClinicKey
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


def written(desk: Desk, number: int, body: str = "Text", **more: Any) -> list[Message]:
    until = timezone.now() + timedelta(hours=5)
    return [desk.write(f"{body} {serial}.", **{"expires_at": until, **more}) for serial in range(number)]


def of_pace(desk: Desk, monkeypatch: pytest.MonkeyPatch, per_second: int) -> None:
    """The number's pace, in lines that go by the test's clock."""
    monkeypatch.setattr(lines, "_shared", lines.LinesInRedis(clock=lambda: timezone.now().timestamp()))
    with org_scope(desk.clinic.id):
        SenderAccount.objects.update(segments_per_second=per_second)


def sent_within(desk: Desk, span: timedelta, *, lane: int = 0) -> int:
    """How many texts are sent when workers come whenever one is due, from noon on."""
    at = NOON
    while at <= NOON + span:
        with time_machine.travel(at, tick=False):
            take_turns(desk, lane)
        with org_scope(desk.clinic.id):
            waiting = Message.objects.filter(state=MessageState.QUEUED)
            due = waiting.aggregate(due=Min("next_attempt_at"))["due"]
        if due is None:
            break
        at = max(due, at) + timedelta(milliseconds=50)
    return states(desk)[MessageState.SENT]


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


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("a_minute", [60, 30])
def test_a_minutes_limit_above_the_numbers_pace_stalls_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, a_minute: int
) -> None:
    """Two segments each at one a second, of which what can wait uses four fifths: 24 a minute."""
    of_pace(desk, monkeypatch, 1)
    limit(desk.clinic, messages_a_minute=a_minute)
    with time_machine.travel(NOON, tick=False):
        written(desk, 80, body="Reminder of your visit. " * 9, priority=1)
    assert sent_within(desk, timedelta(minutes=3), lane=1) >= 70


def test_what_waits_for_its_place_uses_up_no_minute_and_no_month(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_pace(desk, monkeypatch, 1)
    limit(desk.clinic, messages_a_minute=60, monthly_segments=100)
    with time_machine.travel(NOON, tick=False):
        (text, *_) = written(desk, 30)
        take_turns(desk)
        asked = budget._Asked(text, ClinicKey(desk.clinic.id, 0), Policy(ZoneInfo("America/New_York")), NOON)
    used, _, gone, _ = budget._keys(asked)
    link = redis_link.link()
    went = states(desk)[MessageState.SENT]
    assert 0 < went < 10
    assert int(link.call(lambda client: client.get(used))) == went
    assert link.call(lambda client: client.zcard(gone)) == went


def test_who_held_a_place_in_the_minutes_line_keeps_it_while_its_pace_holds_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would stand at the end each time its sender's line asks for one more second."""
    limit(desk.clinic, messages_a_minute=1)
    with time_machine.travel(NOON, tick=False):
        written(desk, 3)
        take_turns(desk)
        with org_scope(desk.clinic.id):
            first = Message.objects.filter(state=MessageState.QUEUED).earliest("next_attempt_at")
    paced = gates.GATES[-1]
    monkeypatch.setattr(
        gates, "GATES", (*gates.GATES[:-1], lambda *_: Hold(timedelta(seconds=1), "A moment."))
    )
    with time_machine.travel(first.next_attempt_at + timedelta(seconds=1), tick=False):
        desk.send(first)
    monkeypatch.setattr(gates, "GATES", (*gates.GATES[:-1], paced))
    with time_machine.travel(first.next_attempt_at + timedelta(seconds=3), tick=False):
        assert desk.send(first).state == MessageState.SENT
