"""A clinic's budget of texts: counted once each however many send at once, held when it is used up, never lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine

from messaging.manners import budget, budget_notices, minute_lines
from messaging.manners.budget import month_of, next_month, used_in, within_budget
from messaging.manners.policy import HELD_BY_BUDGET, Policy, let_go
from messaging.models import Message, MessagingPolicy, StaffTask
from messaging.sending.holds import Hold
from messaging.states import MessageKind, MessageState
from monitoring import redis_link
from monitoring.redis_link import RedisLink
from tests.clinics import Clinic
from tests.messaging.desk import Desk, later
from tests.messaging.test_pauses import OnCommit, _Statements, work_off
from tests.sandbox.running import free_port
from voxanne.tenancy.models import Organization
from voxanne.tenancy.plan_cache import ClinicKey
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2027, 1, 20, 17, tzinfo=UTC)
_serial = count(1)


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    with time_machine.travel(NOON):
        yield


@pytest.fixture(params=["with Redis", "without Redis"])
def redis(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules hold where Redis is away."""
    if request.param == "without Redis":
        gone = RedisLink(f"redis://127.0.0.1:{free_port()}/0")
        monkeypatch.setattr(redis_link, "link", lambda: gone)


def limit(clinic: Clinic, **rules: Any) -> None:
    with org_scope(clinic.id):
        MessagingPolicy.objects.update_or_create(org=clinic.org, defaults=rules)


def sent(desk: Desk, **more: Any) -> Message:
    """A text written and worked off, as it stands then."""
    message = desk.write(f"Text {next(_serial)}.", **more)
    work_off()
    return desk.now(message)


def used(clinic: Clinic) -> int:
    with org_scope(clinic.id):
        return used_in(clinic.id, month_of(NOON, Policy(NEW_YORK)))


def tasks(clinic: Clinic) -> list[tuple[str, str]]:
    with org_scope(clinic.id):
        rows = StaffTask.objects.filter(kind="text_budget").order_by("created_at", "pk")
        return list(rows.values_list("urgency", "text"))


# The month


def test_a_month_is_the_clinics_own() -> None:
    policy = Policy(NEW_YORK)
    last_evening = datetime(2027, 2, 1, 3, tzinfo=UTC)
    assert month_of(last_evening, policy) == datetime(2027, 1, 1, tzinfo=NEW_YORK)
    assert next_month(last_evening, policy) == datetime(2027, 2, 1, tzinfo=NEW_YORK)
    assert next_month(datetime(2027, 12, 31, tzinfo=UTC), policy) == datetime(2028, 1, 1, tzinfo=NEW_YORK)


@pytest.mark.usefixtures("redis")
def test_what_does_not_fit_waits_with_its_reason_and_goes_out_with_a_larger_budget(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=3)
    texts = [sent(desk, expires_at=NOON + timedelta(days=3)) for _ in range(4)]
    assert [text.state for text in texts] == [MessageState.SENT] * 3 + [MessageState.QUEUED]
    held = texts[-1]
    assert (held.attempts, held.first_attempted_at, desk.tries(held)) == (0, None, [])
    assert held.last_error.startswith(HELD_BY_BUDGET)
    assert held.next_attempt_at >= held.expires_at - timedelta(seconds=1), "it is not asked about meanwhile"
    limit(desk.clinic, monthly_segments=4)
    with org_scope(desk.clinic.id):
        assert let_go(desk.clinic.id) == 1
    work_off()
    assert desk.now(held).state == MessageState.SENT


@pytest.mark.usefixtures("redis")
def test_what_waits_goes_out_when_the_month_turns(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=1)
    sent(desk)
    held = sent(desk, expires_at=NOON + timedelta(days=30))
    turn = datetime(2027, 2, 1, tzinfo=NEW_YORK)
    assert abs(held.next_attempt_at - turn) < timedelta(seconds=5)
    with time_machine.travel(turn + timedelta(seconds=5)):
        work_off()
    assert desk.now(held).state == MessageState.SENT


def test_what_waits_too_long_expires_with_its_reason(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=1)
    sent(desk)
    held = sent(desk, expires_at=NOON + timedelta(hours=1))
    assert held.state == MessageState.QUEUED
    with later(3605):
        work_off()
    expired = desk.now(held)
    assert expired.state == MessageState.EXPIRED
    assert HELD_BY_BUDGET in expired.last_error


def test_long_texts_count_for_what_they_are(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=3)
    assert sent(desk).state == MessageState.SENT
    long = desk.write("x" * 400)
    work_off()
    assert (desk.now(long).segments, desk.now(long).state) == (3, MessageState.QUEUED)
    assert sent(desk).state == MessageState.SENT, "a shorter one still fits"
    assert used(desk.clinic) == 2


@pytest.mark.usefixtures("redis")
def test_the_rest_is_kept_for_what_was_asked_for(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=10)
    many = [sent(desk, priority=2) for _ in range(9)]
    assert [text.state for text in many] == [MessageState.SENT] * 8 + [MessageState.QUEUED]
    assert "kept for confirmations" in many[-1].last_error
    reminders = [sent(desk, priority=1, kind=MessageKind.REMINDER) for _ in range(2)]
    assert [text.state for text in reminders] == [MessageState.SENT, MessageState.QUEUED]
    assert [sent(desk).state for _ in range(2)] == [MessageState.SENT, MessageState.QUEUED]


def test_a_second_try_counts_nothing(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=2)
    desk.shut()
    message = sent(desk)
    assert (message.state, used(desk.clinic)) == (MessageState.QUEUED, 1)
    desk.open()
    with later(60):
        work_off()
    assert desk.now(message).state == MessageState.SENT
    assert sent(desk).state == MessageState.SENT
    assert used(desk.clinic) == 2


def test_another_clinic_has_a_budget_of_its_own(desk: Desk, oak: Clinic) -> None:
    limit(oak, monthly_segments=1)
    assert [sent(desk).state for _ in range(3)] == [MessageState.SENT] * 3


def test_without_rules_nobody_is_asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # Theirs alone: figures of earlier tests are still being carried to Redis by a thread of their own.
    unasked = SimpleNamespace(key=redis_link.key, link=lambda: pytest.fail("Redis was asked"))
    for module in (budget, minute_lines):
        monkeypatch.setattr(module, "redis_link", unasked)
    monkeypatch.setattr(budget, "_ask_rows", lambda asked: pytest.fail("the rows were asked"))
    message = desk.write()
    with org_scope(desk.clinic.id):
        assert within_budget(message, key_of(desk.clinic), NOON) is None


def test_a_texts_way_out_asks_for_no_rules_once_they_are_known(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=50, quiet_from=time(21), quiet_until=time(8))
    sent(desk)
    message = desk.write(priority=1)
    with _Statements() as asked:
        work_off()
    assert desk.now(message).state == MessageState.SENT
    assert asked.texts
    assert not any("messaging_policies" in text or "sum(segments)" in text for text in asked.texts)


# How it is counted


def key_of(clinic: Clinic) -> ClinicKey:
    return ClinicKey(clinic.id, Organization.objects.values_list("plan_version", flat=True).get(pk=clinic.id))


def ask(desk: Desk, message: Message, now: datetime = NOON) -> Hold | None:
    """The gate's answer, in a transaction that has not committed the try."""
    with org_scope(desk.clinic.id):
        found = within_budget(message, key_of(desk.clinic), now)
    return found if isinstance(found, Hold) else None


def forget_the_sum(clinic: Clinic) -> None:
    """As when its hour is over, or Redis lost it."""
    key = redis_link.key("budget", f"{{{clinic.id}}}", "used", "2027-01")
    assert redis_link.link().call(lambda client: client.delete(key)) == 1


def test_a_sum_made_anew_knows_the_texts_whose_rows_are_not_committed_yet(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=3)
    sent(desk)
    assert ask(desk, desk.write("under way")) is None
    forget_the_sum(desk.clinic)
    assert ask(desk, desk.write("the third")) is None
    assert ask(desk, desk.write("one too many")) is not None


def test_a_sum_made_anew_counts_no_text_twice(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=3)
    for _ in range(2):
        sent(desk)
        forget_the_sum(desk.clinic)
    assert sent(desk).state == MessageState.SENT
    assert sent(desk).state == MessageState.QUEUED


def test_a_text_that_another_gate_then_holds_back_is_counted_once(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=2)
    message = desk.write()
    for _ in range(5):
        assert ask(desk, message) is None
    assert ask(desk, desk.write("second")) is None
    assert ask(desk, desk.write("third")) is not None


def test_a_text_that_was_counted_and_never_tried_is_forgotten_with_the_hour(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=1)
    assert ask(desk, desk.write("rolled back")) is None
    assert ask(desk, desk.write("second")) is not None
    forget_the_sum(desk.clinic)
    assert ask(desk, desk.write("third"), NOON + timedelta(minutes=61)) is None


# The minute


@pytest.mark.usefixtures("redis")
def test_so_many_go_out_a_minute_and_the_rest_in_their_turn(desk: Desk) -> None:
    limit(desk.clinic, messages_a_minute=3)
    texts = [desk.write(f"{serial}") for serial in range(7)]
    went: list[int] = []
    for second in range(0, 240, 2):
        with later(second):
            work_off()
        went.append(sum(desk.now(text).state == MessageState.SENT for text in texts))
    assert went[0] == 3
    assert went[-1] == 7, "none is lost"
    for then, at in zip(went, went[30:], strict=False):
        assert at - then <= 3


def test_a_minutes_last_fifth_is_kept_for_what_was_asked_for(desk: Desk) -> None:
    limit(desk.clinic, messages_a_minute=5)
    many = [sent(desk, priority=2) for _ in range(6)]
    assert [text.state for text in many] == [MessageState.SENT] * 4 + [MessageState.QUEUED] * 2
    assert sent(desk).state == MessageState.SENT
    assert sent(desk).state == MessageState.QUEUED


def test_who_waits_in_line_is_given_a_place_each(desk: Desk) -> None:
    limit(desk.clinic, messages_a_minute=60)
    holds = [ask(desk, desk.write(f"{serial}", priority=2)) for serial in range(48 + 4)]
    waits = [hold.wait.total_seconds() for hold in holds if hold is not None]
    assert len(waits) == 4
    assert waits == sorted(set(waits)), "they do not all come back at once"
    assert waits[-1] - waits[0] > 3


@pytest.mark.usefixtures("redis")
def test_a_minute_that_was_raised_holds_nobody_by_the_old_figure(desk: Desk) -> None:
    """Neither those in its line nor those who come now."""
    with time_machine.travel(NOON, tick=False):
        limit(desk.clinic, messages_a_minute=2)
        texts = [sent(desk) for _ in range(12)]
        assert [text.state for text in texts].count(MessageState.QUEUED) == 10
        limit(desk.clinic, messages_a_minute=600)
        with org_scope(desk.clinic.id):
            assert let_go(desk.clinic.id) == 10
        newest = sent(desk)
    assert {desk.now(text).state for text in (*texts, newest)} == {MessageState.SENT}


# Who is told


@pytest.fixture
def alerted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(budget_notices, "alert", lambda *given, **facts: told.append(given))
    monkeypatch.setattr(budget_notices, "_told", set())
    return told


@pytest.mark.usefixtures("redis")
def test_staff_and_operations_are_told_once_at_four_fifths_and_once_at_the_end(
    desk: Desk, alerted: list[tuple[Any, ...]], django_capture_on_commit_callbacks: OnCommit
) -> None:
    limit(desk.clinic, monthly_segments=5)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(3):
            sent(desk)
        assert (tasks(desk.clinic), alerted) == ([], [])
        for _ in range(4):
            sent(desk)
            budget_notices._told.clear()
    told = tasks(desk.clinic)
    assert [urgency for urgency, _ in told] == ["normal", "urgent"]
    assert "4 of this month's 5" in told[0][1]
    assert [severity for severity, *_ in alerted] == ["warning", "critical"]


def test_what_was_told_costs_no_statement_again(
    desk: Desk, alerted: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: OnCommit,
) -> None:  # fmt: skip
    limit(desk.clinic, monthly_segments=10)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(8):
            sent(desk)
    monkeypatch.setattr(budget_notices, "tell_staff", lambda *given, **more: pytest.fail("told again"))
    assert sent(desk).state == MessageState.SENT


def test_a_budget_that_was_raised_is_told_of_anew(desk: Desk) -> None:
    limit(desk.clinic, monthly_segments=1)
    sent(desk)
    limit(desk.clinic, monthly_segments=2)
    sent(desk)
    assert len(tasks(desk.clinic)) == 2
