"""Quiet hours: what can wait waits for the morning of its reader; what was asked for does not."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import IntegrityError, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.manners import quiet_hours
from messaging.manners.policy import HELD_FOR_THE_NIGHT, Policy, QuietHours, let_go
from messaging.manners.quiet_hours import is_night, next_day, next_night, zones_for
from messaging.manners.recipient_zones import zones_of
from messaging.models import Message, MessagingPolicy
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageKind, MessageState
from tests.clinics import Clinic
from tests.messaging.desk import Desk
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

NIGHT = QuietHours(time(21), time(8))
NEW_YORK, LONDON, SYDNEY = (
    ZoneInfo(name) for name in ("America/New_York", "Europe/London", "Australia/Sydney")
)
AT_ELM = Policy(NEW_YORK, quiet=NIGHT)
IN_CALIFORNIA = "+14155550142"
IN_NEW_YORK = "+12125550142"
AUSTRALIAN_MOBILE = "+61412345678"
TOLL_FREE = "+18005551212"
# Half past eleven at night in California, half past two in New York.
LATE = datetime(2027, 1, 20, 7, 30, tzinfo=UTC)


# Whose night it is


def test_a_number_tells_its_zone() -> None:
    assert zones_for(IN_CALIFORNIA, LATE, AT_ELM) == (ZoneInfo("America/Los_Angeles"),)
    assert zones_for(IN_NEW_YORK, LATE, AT_ELM) == (NEW_YORK,)
    assert zones_of(f"whatsapp:{IN_CALIFORNIA}") == zones_of(IN_CALIFORNIA)


def test_where_nothing_is_known_the_clinics_night_counts() -> None:
    unknown = "+447700900123"
    assert zones_of(unknown) == ()
    assert zones_of("no number") == ()
    assert zones_for(unknown, LATE, Policy(LONDON, quiet=NIGHT)) == (LONDON,)


def test_of_several_zones_all_must_be_awake() -> None:
    zones = zones_for(AUSTRALIAN_MOBILE, LATE, AT_ELM)
    assert len(zones) > 3
    morning_in_sydney = datetime(2027, 1, 20, 8, 30, tzinfo=SYDNEY)
    awake = next_day(morning_in_sydney, NIGHT, zones)
    assert awake > morning_in_sydney
    assert not any(is_night(awake, NIGHT, zone) for zone in zones)
    # The Cocos Islands get up last.
    assert awake.astimezone(ZoneInfo("Indian/Cocos")).time() == time(8)


def test_where_it_is_never_day_in_all_of_them_the_clinics_night_counts() -> None:
    assert len(zones_of(TOLL_FREE)) > 20
    assert len(zones_for(TOLL_FREE, LATE, AT_ELM)) > 20, "there is an hour at which all of them are awake"
    in_the_afternoon_alone = Policy(NEW_YORK, quiet=QuietHours(time(17), time(12)))
    assert zones_for(TOLL_FREE, LATE, in_the_afternoon_alone) == (NEW_YORK,)


# When it is over


@pytest.mark.parametrize(
    ("now", "quiet", "zone", "until"),
    [
        # An ordinary night, and an ordinary day.
        ("2027-01-20 22:00-05:00", NIGHT, NEW_YORK, "2027-01-21 08:00-05:00"),
        ("2027-01-21 07:59-05:00", NIGHT, NEW_YORK, "2027-01-21 08:00-05:00"),
        ("2027-01-21 08:00-05:00", NIGHT, NEW_YORK, "2027-01-21 08:00-05:00"),
        ("2027-01-21 20:59-05:00", NIGHT, NEW_YORK, "2027-01-21 20:59-05:00"),
        # The nights in which clocks are put forward, and back.
        ("2027-03-13 22:00-05:00", NIGHT, NEW_YORK, "2027-03-14 08:00-04:00"),
        ("2027-11-06 22:00-04:00", NIGHT, NEW_YORK, "2027-11-07 08:00-05:00"),
        # A night that ends at a time that there is not, and at one that there is twice.
        (
            "2027-03-13 22:00-05:00",
            QuietHours(time(21), time(2, 30)),
            NEW_YORK,
            "2027-03-14 03:00-04:00",
        ),
        (
            "2027-11-06 22:00-04:00",
            QuietHours(time(21), time(1, 30)),
            NEW_YORK,
            "2027-11-07 01:30-04:00",
        ),
        (
            "2027-11-07 01:10-05:00",
            QuietHours(time(21), time(1, 30)),
            NEW_YORK,
            "2027-11-07 01:30-05:00",
        ),
        # A rest at noon.
        ("2027-06-01 12:30+01:00", QuietHours(time(12), time(13)), LONDON, "2027-06-01 13:00+01:00"),
    ],
)
def test_the_next_moment_is_right(now: str, quiet: QuietHours, zone: ZoneInfo, until: str) -> None:
    assert next_day(datetime.fromisoformat(now), quiet, (zone,)) == datetime.fromisoformat(until)


ZONES = st.sampled_from(
    ["America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata", "UTC",
     "America/St_Johns", "Pacific/Chatham", "America/Havana"]
).map(ZoneInfo)  # fmt: skip
CLOCKS = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))


@settings(max_examples=150, deadline=None)
@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1)).map(
        lambda at: at.replace(second=0, microsecond=0, tzinfo=UTC)
    ),
    night=st.tuples(CLOCKS, CLOCKS).filter(lambda pair: pair[0] != pair[1]),
    zones=st.lists(ZONES, min_size=1, max_size=3, unique_by=str).map(tuple),
)
def test_no_earlier_moment_was_overlooked(
    now: datetime, night: tuple[time, time], zones: tuple[ZoneInfo, ...]
) -> None:
    quiet = QuietHours(*night)
    found = quiet_hours._day_in_all(now, quiet, zones)
    minutes = [now + timedelta(minutes=minute) for minute in range(2 * 24 * 60)]
    day = next((at for at in minutes if not any(is_night(at, quiet, zone) for zone in zones)), None)
    assert found == day


def test_the_next_night_is_the_first_of_any_zone() -> None:
    noon = datetime(2027, 1, 20, 12, tzinfo=NEW_YORK)
    assert next_night(noon, NIGHT, (NEW_YORK,)) == datetime(2027, 1, 20, 21, tzinfo=NEW_YORK)
    both = (NEW_YORK, LONDON)
    assert next_night(noon, NIGHT, both) == datetime(2027, 1, 20, 21, tzinfo=LONDON)


# Texts


@pytest.fixture
def quiet_elm(desk: Desk) -> Desk:
    with org_scope(desk.clinic.id):
        MessagingPolicy.objects.create(org=desk.clinic.org, quiet_from=NIGHT.begins, quiet_until=NIGHT.ends)
    return desk


def reminder(desk: Desk, **more: Any) -> Message:
    return desk.write(**{"kind": MessageKind.REMINDER, "priority": 1, **more})


def test_a_reminder_waits_for_the_morning_of_its_reader(quiet_elm: Desk) -> None:
    with time_machine.travel(LATE, tick=False):
        message = reminder(quiet_elm)
        quiet_elm.send(message)
        held = quiet_elm.now(message)
    morning = datetime(2027, 1, 20, 8, tzinfo=ZoneInfo("America/Los_Angeles"))
    assert (held.state, held.attempts, held.next_attempt_at) == (MessageState.QUEUED, 0, morning)
    assert held.last_error == f"{HELD_FOR_THE_NIGHT} where this person is. It goes out from 08:00 their time."
    assert (quiet_elm.tries(message), held.first_attempted_at) == ([], None)
    with time_machine.travel(morning):
        quiet_elm.send(message)
    assert quiet_elm.now(message).state == MessageState.SENT


@pytest.mark.parametrize(
    "more",
    [{"kind": MessageKind.CONFIRMATION}, {"kind": MessageKind.MISSED_CALL}, {"kind": MessageKind.CANCELLED}],
)
def test_what_was_asked_for_goes_out_at_night(quiet_elm: Desk, more: dict[str, Any]) -> None:
    with time_machine.travel(LATE):
        message = quiet_elm.write(**more)
        quiet_elm.send(message)
    assert quiet_elm.now(message).state == MessageState.SENT


def test_a_text_to_many_waits_whatever_its_kind(quiet_elm: Desk) -> None:
    with time_machine.travel(LATE):
        message = quiet_elm.write(priority=2)
        quiet_elm.send(message)
    assert quiet_elm.now(message).state == MessageState.QUEUED


def test_what_would_be_too_late_in_the_morning_expires_with_its_reason(quiet_elm: Desk) -> None:
    with time_machine.travel(LATE):
        message = reminder(quiet_elm, expires_at=LATE + timedelta(hours=2))
        quiet_elm.send(message)
    expired = quiet_elm.now(message)
    assert expired.state == MessageState.EXPIRED
    assert "time had passed" in expired.last_error
    assert "night where this person is" in expired.last_error


def test_without_quiet_hours_a_reminder_goes_out_at_night(desk: Desk) -> None:
    with time_machine.travel(LATE):
        message = reminder(desk)
        desk.send(message)
    assert desk.now(message).state == MessageState.SENT


def test_new_rules_let_go_what_the_old_ones_held(quiet_elm: Desk) -> None:
    clinic = quiet_elm.clinic
    with time_machine.travel(LATE):
        message = reminder(quiet_elm)
        later = reminder(quiet_elm, not_before=LATE + timedelta(hours=5))
        quiet_elm.send(message)
        assert work.claim(SMS_DELIVERY, clinic.id, message.pk) is None
        with org_scope(clinic.id):
            MessagingPolicy.objects.update(quiet_from=None, quiet_until=None)
            assert let_go(clinic.id) == 1
        quiet_elm.send(message)
        assert work.claim(SMS_DELIVERY, clinic.id, later.pk) is None, "that one has a time of its own"
    assert quiet_elm.now(message).state == MessageState.SENT


def test_quiet_hours_begin_and_end(elm: Clinic) -> None:
    for quiet in ({"quiet_from": time(21)}, {"quiet_from": time(8), "quiet_until": time(8)}):
        with org_scope(elm.id), pytest.raises(IntegrityError), transaction.atomic():
            MessagingPolicy.objects.create(org=elm.org, **quiet)
