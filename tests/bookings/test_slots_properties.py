"""Slots for any zone, hours, busy times and day of forty years.

The oracle is slow and simple: it walks through a day minute by minute and asks the wall clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import TypedDict
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.slots import (
    Interval,
    WeeklyWindow,
    day_windows,
    fits,
    local_day,
    local_instants,
    on_grid,
    slot_starts,
    subtract,
)


class Bounds(TypedDict):
    not_before: datetime
    not_after: datetime


FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2039, 12, 31)
EVER: Bounds = {"not_before": datetime(1990, 1, 1, tzinfo=UTC), "not_after": datetime(2050, 1, 1, tzinfo=UTC)}
ODD_ZONES = [
    "Australia/Lord_Howe",
    "America/Phoenix",
    "Europe/London",
    "America/New_York",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "America/Havana",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Antarctica/Troll",
    "Africa/Cairo",
]
ALL_ZONES = sorted(available_timezones() - {"localtime", "Factory"})

MINUTE = timedelta(minutes=1)


@cache
def change_days(name: str) -> list[date]:
    """Days of the forty years on which the zone's offset changes, and the days beside them."""
    zone = ZoneInfo(name)
    days: list[date] = []
    instant = datetime(FIRST_DAY.year, 1, 2, tzinfo=UTC)
    while instant.year <= LAST_DAY.year:
        following = instant + timedelta(days=1)
        if instant.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            middle = instant.astimezone(zone).date()
            days += [middle - timedelta(days=1), middle, middle + timedelta(days=1)]
        instant = following
    return days


@st.composite
def zone_and_day(draw: st.DrawFn) -> tuple[ZoneInfo, date]:
    name = draw(st.sampled_from(ODD_ZONES) | st.sampled_from(ALL_ZONES))
    day = draw(st.dates(FIRST_DAY, LAST_DAY))
    changes = change_days(name) if name in ODD_ZONES else []
    at_a_change: bool = draw(st.booleans())
    if changes and at_a_change:
        day = draw(st.sampled_from(changes))
    return ZoneInfo(name), day


@st.composite
def weekly_windows(draw: st.DrawFn) -> list[WeeklyWindow]:
    """Up to three windows on every weekday, some of them touching, overlapping or ending at midnight."""
    windows = []
    for _ in range(draw(st.integers(1, 3))):
        opens = draw(st.integers(0, 1439))
        closes = draw(st.integers(opens + 1, 1440))
        windows += [WeeklyWindow(day, _time(opens), _time(closes % 1440)) for day in range(7)]
    return windows


def _time(minutes: int) -> time:
    return time(minutes // 60, minutes % 60)


@st.composite
def busy_times(draw: st.DrawFn, day: Interval) -> list[Interval]:
    pairs = draw(st.lists(st.tuples(st.integers(-300, 1800), st.integers(1, 300)), max_size=8))
    return [
        Interval(day.start + MINUTE * start, day.start + MINUTE * (start + length)) for start, length in pairs
    ]


def is_open(instant: datetime, day: date, windows: list[WeeklyWindow], zone: ZoneInfo) -> bool:
    local = instant.astimezone(zone)
    if local.date() != day:
        return False
    return any(
        window.opens <= local.time() and (local.time() < window.closes or window.closes == time(0))
        for window in windows
        if window.weekday == day.weekday()
    )


@settings(max_examples=150, deadline=None)
@given(zone_and_day(), weekly_windows())
def test_the_hours_of_a_day_are_the_minutes_at_which_the_wall_clock_reads_open(
    where: tuple[ZoneInfo, date], windows: list[WeeklyWindow]
) -> None:
    zone, day = where
    opened = day_windows(day, windows, zone)
    assert all(earlier.end < later.start for earlier, later in pairwise(opened))
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    for minutes in range(-30 * 60, 30 * 60):
        instant = noon + MINUTE * minutes
        inside = any(window.start <= instant < window.end for window in opened)
        assert inside == is_open(instant, day, windows, zone), instant.astimezone(zone)


@settings(max_examples=400, deadline=None)
@given(
    zone_and_day(),
    weekly_windows(),
    st.data(),
    st.integers(1, 48),
    st.integers(0, 12),
    st.integers(0, 12),
    st.sampled_from([5, 10, 15, 20, 30, 60]),
)
def test_the_starts_are_exactly_the_marks_that_fit(
    where: tuple[ZoneInfo, date],
    windows: list[WeeklyWindow],
    data: st.DataObject,
    length_steps: int,
    before_steps: int,
    after_steps: int,
    step_minutes: int,
) -> None:
    zone, day = where
    opened = day_windows(day, windows, zone)
    busy = data.draw(busy_times(local_day(day, zone)))
    length, before, after = (MINUTE * 5 * steps for steps in (length_steps, before_steps, after_steps))
    step = MINUTE * step_minutes
    starts = slot_starts(
        opened, busy, zone=zone, length=length, before=before, after=after, step=step, **EVER
    )

    assert starts == sorted(set(starts))
    for start in starts:
        assert start.tzinfo is UTC
        local = start.astimezone(zone)
        assert (local.hour * 60 + local.minute) % step_minutes == 0
        assert local.second == 0
        assert all(
            is_open(start + MINUTE * offset, day, windows, zone)
            for offset in range(0, int(length / MINUTE), 5)
        )
        assert is_open(start + length - timedelta(microseconds=1), day, windows, zone)
        blocked = Interval(start - before, start + length + after)
        assert all(taken.end <= blocked.start or blocked.end <= taken.start for taken in busy)

    whole = local_day(day, zone)
    marks = [whole.start + MINUTE * minute for minute in range(int((whole.end - whole.start) / MINUTE))]
    assert starts == [
        mark
        for mark in marks
        if on_grid(mark, zone, step)
        and fits(mark, opened, busy, length=length, before=before, after=after, **EVER)
    ]


@settings(max_examples=200, deadline=None)
@given(zone_and_day(), weekly_windows(), st.data(), st.integers(-100, 2000), st.integers(0, 2000))
def test_notice_and_horizon_only_ever_cut_starts_away(
    where: tuple[ZoneInfo, date], windows: list[WeeklyWindow], data: st.DataObject, earliest: int, span: int
) -> None:
    zone, day = where
    opened = day_windows(day, windows, zone)
    whole = local_day(day, zone)
    busy = data.draw(busy_times(whole))
    bounds: Bounds = {
        "not_before": whole.start + MINUTE * earliest,
        "not_after": whole.start + MINUTE * (earliest + span),
    }
    everything = slot_starts(opened, busy, zone=zone, length=MINUTE * 30, **EVER)
    bounded = slot_starts(opened, busy, zone=zone, length=MINUTE * 30, **bounds)
    assert bounded == [start for start in everything if bounds["not_before"] <= start <= bounds["not_after"]]


@settings(max_examples=300, deadline=None)
@given(zone_and_day(), st.times())
def test_a_wall_time_is_read_back_from_each_of_its_instants(where: tuple[ZoneInfo, date], at: time) -> None:
    zone, day = where
    instants = local_instants(day, at, zone)
    assert instants == sorted(set(instants))
    for instant in instants:
        local = instant.astimezone(zone)
        assert (local.date(), local.time()) == (day, at)
    whole = local_day(day, zone)
    assert all(whole.start <= instant < whole.end for instant in instants)


@settings(max_examples=300, deadline=None)
@given(zone_and_day())
def test_days_follow_one_another_without_gap_or_overlap(where: tuple[ZoneInfo, date]) -> None:
    zone, day = where
    today, tomorrow = local_day(day, zone), local_day(day + timedelta(days=1), zone)
    assert today.end == tomorrow.start
    if today.start < today.end:
        assert today.start.astimezone(zone).date() == day
        assert (today.end - timedelta(microseconds=1)).astimezone(zone).date() == day


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_left_after_subtraction_is_what_was_open_and_not_busy(data: st.DataObject) -> None:
    day = Interval(datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC))
    windows, busy = data.draw(busy_times(day)), data.draw(busy_times(day))
    free = subtract(windows, busy)
    assert all(earlier.end < later.start for earlier, later in pairwise(free))
    for minute in range(-400, 2200, 3):
        instant = day.start + MINUTE * minute

        def covers(intervals: list[Interval], instant: datetime = instant) -> bool:
            return any(each.start <= instant < each.end for each in intervals)

        assert covers(free) == (covers(windows) and not covers(busy))
