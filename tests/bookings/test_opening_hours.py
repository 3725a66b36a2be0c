"""Opening hours on known days: ordinary ones, those on which the clocks change, and odd corners."""

from __future__ import annotations

from datetime import date, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from bookings.slots import (
    WeeklyWindow,
    day_windows,
    local_day,
    local_instants,
    local_start,
    subtract,
)
from tests.bookings.days import (
    APIA,
    BERLIN,
    EU_AUTUMN,
    EU_SPRING,
    HAVANA,
    LONDON,
    LORD_HOWE,
    NEW_YORK,
    ORDINARY,
    PHOENIX,
    SAO_PAULO,
    TORONTO,
    US_AUTUMN,
    US_SPRING,
    at,
    between,
    every_day,
    hours_open,
)


def test_an_ordinary_days_hours_become_utc() -> None:
    assert day_windows(ORDINARY, every_day("09:00", "17:00"), NEW_YORK) == [
        between("2026-11-24T14:00", "2026-11-24T22:00")
    ]


def test_only_the_windows_of_that_weekday_count() -> None:
    monday_only = [WeeklyWindow(0, time(9), time(17))]
    assert day_windows(date(2026, 11, 23), monday_only, NEW_YORK)
    assert day_windows(date(2026, 11, 24), monday_only, NEW_YORK) == []


def test_a_break_leaves_two_windows() -> None:
    windows = [*every_day("13:00", "17:00"), *every_day("09:00", "12:30")]
    assert day_windows(ORDINARY, windows, NEW_YORK) == [
        between("2026-11-24T14:00", "2026-11-24T17:30"),
        between("2026-11-24T18:00", "2026-11-24T22:00"),
    ]


def test_touching_and_overlapping_windows_are_joined() -> None:
    windows = [*every_day("09:00", "12:00"), *every_day("12:00", "15:00"), *every_day("14:00", "17:00")]
    assert day_windows(ORDINARY, windows, NEW_YORK) == [between("2026-11-24T14:00", "2026-11-24T22:00")]


def test_closing_at_midnight_means_the_end_of_the_day() -> None:
    assert day_windows(ORDINARY, every_day("22:00", "00:00"), PHOENIX) == [
        between("2026-11-25T05:00", "2026-11-25T07:00")
    ]
    assert hours_open(day_windows(ORDINARY, every_day("00:00", "00:00"), PHOENIX)) == timedelta(hours=24)


@pytest.mark.parametrize(("opens", "closes"), [(time(17), time(9)), (time(9), time(9))])
def test_a_window_that_closes_before_it_opens_is_refused(opens: time, closes: time) -> None:
    with pytest.raises(ValueError, match="split hours that pass midnight"):
        WeeklyWindow(0, opens, closes)


@pytest.mark.parametrize("weekday", [-1, 7])
def test_a_weekday_that_does_not_exist_is_refused(weekday: int) -> None:
    with pytest.raises(ValueError, match="weekday"):
        WeeklyWindow(weekday, time(9), time(17))


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (US_SPRING, NEW_YORK, 23),
        (US_AUTUMN, NEW_YORK, 25),
        (EU_SPRING, LONDON, 23),
        (EU_AUTUMN, LONDON, 25),
        (EU_SPRING, BERLIN, 23),
        (EU_AUTUMN, BERLIN, 25),
        (date(2026, 10, 4), LORD_HOWE, 23.5),
        (date(2026, 4, 5), LORD_HOWE, 24.5),
        (US_SPRING, PHOENIX, 24),
        (date(2024, 2, 29), NEW_YORK, 24),
        (date(2011, 12, 30), APIA, 0),
        (date(2018, 11, 4), SAO_PAULO, 23),
        (date(2018, 2, 17), SAO_PAULO, 25),
        (date(2025, 11, 2), HAVANA, 25),
        (date(2025, 3, 9), HAVANA, 23),
        # The one change on record that leapt over midnight itself, from 23:30 to 00:30.
        (date(1919, 3, 30), TORONTO, 23.5),
        (date(1919, 3, 31), TORONTO, 23.5),
    ],
)
def test_a_day_open_around_the_clock_has_the_hours_that_day_had(
    day: date, zone: ZoneInfo, hours: float
) -> None:
    assert hours_open(day_windows(day, every_day("00:00", "00:00"), zone)) == timedelta(hours=hours)
    whole = local_day(day, zone)
    assert whole.end - whole.start == timedelta(hours=hours)


def test_an_opening_in_the_spring_gap_moves_to_the_first_instant_that_exists() -> None:
    assert day_windows(US_SPRING, every_day("02:30", "05:00"), NEW_YORK) == [
        between("2026-03-08T07:00", "2026-03-08T09:00")
    ]


def test_a_closing_in_the_spring_gap_moves_to_the_first_instant_that_exists() -> None:
    assert day_windows(US_SPRING, every_day("01:00", "02:30"), NEW_YORK) == [
        between("2026-03-08T06:00", "2026-03-08T07:00")
    ]


def test_a_window_wholly_in_the_spring_gap_does_not_open() -> None:
    assert day_windows(US_SPRING, every_day("02:10", "02:50"), NEW_YORK) == []
    assert day_windows(date(2026, 10, 4), every_day("02:00", "02:30"), LORD_HOWE) == []


def test_the_repeated_hour_is_open_twice() -> None:
    assert day_windows(US_AUTUMN, every_day("00:30", "03:00"), NEW_YORK) == [
        between("2026-11-01T04:30", "2026-11-01T08:00")
    ]


def test_a_break_in_the_repeated_hour_is_kept_both_times() -> None:
    windows = [*every_day("00:00", "01:15"), *every_day("01:45", "03:00")]
    assert day_windows(US_AUTUMN, windows, NEW_YORK) == [
        between("2026-11-01T04:00", "2026-11-01T05:15"),
        between("2026-11-01T05:45", "2026-11-01T06:15"),
        between("2026-11-01T06:45", "2026-11-01T08:00"),
    ]


def test_an_opening_in_the_repeated_hour_never_shows_an_earlier_time() -> None:
    windows = day_windows(US_AUTUMN, every_day("01:30", "02:30"), NEW_YORK)
    assert windows == [
        between("2026-11-01T05:30", "2026-11-01T06:00"),
        between("2026-11-01T06:30", "2026-11-01T07:30"),
    ]


def test_midnight_closing_ends_with_the_day_where_midnight_itself_comes_twice() -> None:
    saturday = day_windows(date(2025, 11, 1), every_day("20:00", "00:00"), HAVANA)
    sunday = day_windows(date(2025, 11, 2), every_day("00:00", "04:00"), HAVANA)
    assert saturday == [between("2025-11-02T00:00", "2025-11-02T04:00")]
    assert sunday == [between("2025-11-02T04:00", "2025-11-02T09:00")]


def test_midnight_closing_where_the_last_hour_comes_twice() -> None:
    windows = day_windows(date(2018, 2, 17), every_day("22:00", "00:00"), SAO_PAULO)
    assert hours_open(windows) == timedelta(hours=3)


def test_a_date_that_was_skipped_has_no_hours() -> None:
    assert day_windows(date(2011, 12, 30), every_day("09:00", "17:00"), APIA) == []
    assert local_start(date(2011, 12, 30), time(9), APIA) is None
    assert hours_open(day_windows(date(2011, 12, 29), every_day("22:00", "00:00"), APIA)) == timedelta(
        hours=2
    )


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_ends_of_the_calendar_break_nothing(day: date) -> None:
    for zone in (APIA, LONDON, PHOENIX):
        for window in day_windows(day, every_day("00:00", "00:00"), zone):
            assert window.start < window.end
        for hour in (0, 23):
            local_start(day, time(hour), zone)


# From wall time to instant


def test_an_ordinary_wall_time_is_one_instant() -> None:
    assert local_start(ORDINARY, time(10, 30), NEW_YORK) == at("2026-11-24T15:30")
    assert local_instants(ORDINARY, time(10, 30), NEW_YORK) == [at("2026-11-24T15:30")]


@pytest.mark.parametrize("minute", [0, 30, 59])
def test_a_wall_time_in_the_spring_gap_is_none(minute: int) -> None:
    assert local_start(US_SPRING, time(2, minute), NEW_YORK) is None
    assert local_instants(EU_SPRING, time(1, minute), LONDON) == []


def test_the_edges_of_the_gap_exist() -> None:
    assert local_start(US_SPRING, time(1, 59), NEW_YORK) == at("2026-03-08T06:59")
    assert local_start(US_SPRING, time(3, 0), NEW_YORK) == at("2026-03-08T07:00")


def test_of_a_repeated_wall_time_the_first_is_taken_and_both_are_known() -> None:
    assert local_start(US_AUTUMN, time(1, 30), NEW_YORK) == at("2026-11-01T05:30")
    assert local_instants(US_AUTUMN, time(1, 30), NEW_YORK) == [
        at("2026-11-01T05:30"),
        at("2026-11-01T06:30"),
    ]
    assert local_instants(US_AUTUMN, time(1, 30, fold=1), NEW_YORK)[0] == at("2026-11-01T05:30")


def test_half_an_hour_is_repeated_on_lord_howe() -> None:
    day = date(2026, 4, 5)
    assert len(local_instants(day, time(1, 45), LORD_HOWE)) == 2
    assert len(local_instants(day, time(1, 15), LORD_HOWE)) == 1


# Interval arithmetic


def test_busy_times_are_cut_out_whatever_their_order() -> None:
    day = [between("2026-01-05T09:00", "2026-01-05T17:00")]
    busy = [
        between("2026-01-05T16:30", "2026-01-05T18:00"),
        between("2026-01-05T10:00", "2026-01-05T11:00"),
        between("2026-01-05T10:30", "2026-01-05T12:00"),
        between("2026-01-05T08:00", "2026-01-05T09:15"),
        between("2026-01-05T14:00", "2026-01-05T14:00"),
    ]
    assert subtract(day, busy) == [
        between("2026-01-05T09:15", "2026-01-05T10:00"),
        between("2026-01-05T12:00", "2026-01-05T16:30"),
    ]


def test_one_busy_time_may_cover_several_windows() -> None:
    windows = [
        between("2026-01-05T13:00", "2026-01-05T17:00"),
        between("2026-01-05T09:00", "2026-01-05T12:00"),
    ]
    assert subtract(windows, [between("2026-01-05T11:00", "2026-01-05T14:00")]) == [
        between("2026-01-05T09:00", "2026-01-05T11:00"),
        between("2026-01-05T14:00", "2026-01-05T17:00"),
    ]
    assert subtract(windows, [between("2026-01-05T00:00", "2026-01-06T00:00")]) == []
    assert subtract(windows, []) == sorted(windows)
    assert subtract([], windows) == []
