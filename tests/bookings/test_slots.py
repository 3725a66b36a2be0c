"""Which starts a day offers, which single start fits, and which of them are said."""

from __future__ import annotations

from datetime import date, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from bookings.slots import (
    PartOfDay,
    day_windows,
    fits,
    in_part_of_day,
    local_start,
    on_grid,
    slot_starts,
    spread,
)
from tests.bookings.days import (
    BERLIN,
    EU_AUTUMN,
    EU_SPRING,
    EVER,
    HALF_HOUR,
    LONDON,
    LORD_HOWE,
    NEW_YORK,
    ORDINARY,
    PHOENIX,
    QUARTER,
    US_AUTUMN,
    US_SPRING,
    Bounds,
    at,
    between,
    every_day,
    wall,
)


def test_an_empty_day_offers_every_quarter_hour_that_ends_in_time() -> None:
    windows = day_windows(ORDINARY, every_day("09:00", "10:30"), NEW_YORK)
    starts = slot_starts(windows, [], zone=NEW_YORK, length=HALF_HOUR, **EVER)
    assert wall(starts, NEW_YORK) == ["09:00", "09:15", "09:30", "09:45", "10:00"]


def test_a_visit_longer_than_the_window_has_no_start() -> None:
    windows = day_windows(ORDINARY, every_day("09:00", "09:20"), NEW_YORK)
    assert slot_starts(windows, [], zone=NEW_YORK, length=HALF_HOUR, **EVER) == []


def test_an_opening_off_the_grid_starts_at_the_next_quarter_hour() -> None:
    windows = day_windows(ORDINARY, every_day("09:05", "10:00"), NEW_YORK)
    starts = slot_starts(windows, [], zone=NEW_YORK, length=HALF_HOUR, **EVER)
    assert wall(starts, NEW_YORK) == ["09:15", "09:30"]


def test_a_visit_does_not_reach_over_a_break() -> None:
    windows = day_windows(ORDINARY, [*every_day("09:00", "10:00"), *every_day("10:15", "11:00")], NEW_YORK)
    starts = slot_starts(windows, [], zone=NEW_YORK, length=timedelta(minutes=45), **EVER)
    assert wall(starts, NEW_YORK) == ["09:00", "09:15", "10:15"]


def test_back_to_back_with_an_appointment_is_allowed_and_overlap_is_not() -> None:
    windows = day_windows(ORDINARY, every_day("09:00", "11:00"), NEW_YORK)
    busy = [between("2026-11-24T14:30", "2026-11-24T15:00")]
    starts = slot_starts(windows, busy, zone=NEW_YORK, length=HALF_HOUR, **EVER)
    assert wall(starts, NEW_YORK) == ["09:00", "10:00", "10:15", "10:30"]


def test_buffers_keep_their_distance_from_appointments_but_may_leave_opening_hours() -> None:
    windows = day_windows(ORDINARY, every_day("09:00", "11:00"), NEW_YORK)
    busy = [between("2026-11-24T14:45", "2026-11-24T15:00")]  # 09:45 to 10:00
    starts = slot_starts(
        windows, busy, zone=NEW_YORK, length=HALF_HOUR, before=QUARTER, after=QUARTER, **EVER
    )
    assert wall(starts, NEW_YORK) == ["09:00", "10:15", "10:30"]


def test_an_appointment_outside_opening_hours_still_meets_the_buffer() -> None:
    windows = day_windows(ORDINARY, every_day("09:00", "10:00"), NEW_YORK)
    early_bird = [between("2026-11-24T13:30", "2026-11-24T14:00")]  # 08:30 to 09:00
    starts = slot_starts(windows, early_bird, zone=NEW_YORK, length=HALF_HOUR, before=QUARTER, **EVER)
    assert wall(starts, NEW_YORK) == ["09:15", "09:30"]


def test_notice_and_horizon_bound_the_starts_and_count_themselves() -> None:
    windows = day_windows(ORDINARY, every_day("09:00", "12:00"), NEW_YORK)
    starts = slot_starts(
        windows,
        [],
        zone=NEW_YORK,
        length=HALF_HOUR,
        not_before=at("2026-11-24T14:50"),
        not_after=at("2026-11-24T15:30"),
    )
    assert wall(starts, NEW_YORK) == ["10:00", "10:15", "10:30"]


def test_the_grid_leaps_over_the_spring_gap() -> None:
    windows = day_windows(US_SPRING, every_day("01:00", "04:00"), NEW_YORK)
    starts = slot_starts(windows, [], zone=NEW_YORK, length=HALF_HOUR, step=HALF_HOUR, **EVER)
    assert wall(starts, NEW_YORK) == ["01:00", "01:30", "03:00", "03:30"]
    assert all(later - earlier == HALF_HOUR for earlier, later in pairwise(starts))


def test_the_repeated_hour_can_be_booked_twice() -> None:
    windows = day_windows(EU_AUTUMN, every_day("00:30", "02:30"), LONDON)
    starts = slot_starts(windows, [], zone=LONDON, length=HALF_HOUR, step=HALF_HOUR, **EVER)
    assert wall(starts, LONDON) == ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    assert starts == sorted(set(starts))


def test_an_hourly_grid_finds_the_wall_clock_again_after_lord_howes_half_hour() -> None:
    day = date(2026, 10, 4)  # 02:00 becomes 02:30
    windows = day_windows(day, every_day("00:00", "06:00"), LORD_HOWE)
    starts = slot_starts(windows, [], zone=LORD_HOWE, length=HALF_HOUR, step=timedelta(hours=1), **EVER)
    assert wall(starts, LORD_HOWE) == ["00:00", "01:00", "03:00", "04:00", "05:00"]


@pytest.mark.parametrize(
    ("day", "zone", "opens_at"),
    [
        (date(2026, 3, 7), NEW_YORK, "2026-03-07T14:00"),
        (US_SPRING, NEW_YORK, "2026-03-08T13:00"),
        (date(2026, 10, 31), NEW_YORK, "2026-10-31T13:00"),
        (US_AUTUMN, NEW_YORK, "2026-11-01T14:00"),
        (date(2026, 3, 28), LONDON, "2026-03-28T09:00"),
        (EU_SPRING, LONDON, "2026-03-29T08:00"),
        (date(2026, 10, 24), LONDON, "2026-10-24T08:00"),
        (EU_AUTUMN, LONDON, "2026-10-25T09:00"),
        (EU_SPRING, BERLIN, "2026-03-29T07:00"),
        (date(2024, 2, 29), NEW_YORK, "2024-02-29T14:00"),
        (date(2028, 2, 29), LONDON, "2028-02-29T09:00"),
        (US_SPRING, PHOENIX, "2026-03-08T16:00"),
    ],
)
def test_a_nine_to_five_day_offers_the_same_wall_times_all_year(
    day: date, zone: ZoneInfo, opens_at: str
) -> None:
    windows = day_windows(day, every_day("09:00", "17:00"), zone)
    starts = slot_starts(windows, [], zone=zone, length=HALF_HOUR, **EVER)
    assert starts[0] == at(opens_at)
    assert (
        wall(starts, zone)
        == [f"{hour:02d}:{minute:02d}" for hour in range(9, 17) for minute in (0, 15, 30, 45)][:31]
    )


@pytest.mark.parametrize(
    "bad", [{"length": timedelta(0)}, {"step": timedelta(0)}, {"before": -QUARTER}, {"after": -QUARTER}]
)
def test_senseless_durations_are_refused(bad: dict[str, timedelta]) -> None:
    with pytest.raises(ValueError, match="must"):
        slot_starts([], [], zone=LONDON, **({"length": HALF_HOUR} | bad | EVER))  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"length": timedelta(0)}, {"before": -QUARTER}, {"after": -QUARTER}])
def test_senseless_durations_fit_nowhere(bad: dict[str, timedelta]) -> None:
    with pytest.raises(ValueError, match="must"):
        fits(EVER["not_before"], [], [], **({"length": HALF_HOUR} | bad | EVER))  # type: ignore[arg-type]


def test_a_grid_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="step must be longer"):
        on_grid(EVER["not_before"], LONDON, timedelta(0))


# One start


def test_any_five_minute_mark_that_fits_may_be_booked() -> None:
    windows = day_windows(ORDINARY, every_day("09:00", "17:00"), NEW_YORK)
    start = at("2026-11-24T14:05")
    assert fits(start, windows, [], length=HALF_HOUR, **EVER)
    assert on_grid(start, NEW_YORK)
    assert not on_grid(start, NEW_YORK, QUARTER)
    assert not on_grid(at("2026-11-24T14:07"), NEW_YORK)
    assert not on_grid(at("2026-11-24T14:05:01"), NEW_YORK)


@pytest.mark.parametrize(
    ("start", "verdict"),
    [
        ("2026-11-24T13:59", False),  # before opening
        ("2026-11-24T14:00", False),  # its buffer meets the appointment that ends at opening
        ("2026-11-24T14:15", True),
        ("2026-11-24T16:30", False),  # visit ends as the busy time starts, its buffer does not
        ("2026-11-24T16:15", True),
        ("2026-11-24T17:00", False),  # inside
        ("2026-11-24T18:00", False),
        ("2026-11-24T18:15", True),
        ("2026-11-24T21:30", True),  # the buffer after it leaves opening hours
        ("2026-11-24T21:35", False),
    ],
)
def test_a_start_fits_only_with_hours_and_buffers_kept(start: str, verdict: bool) -> None:
    windows = day_windows(ORDINARY, every_day("09:00", "17:00"), NEW_YORK)
    busy = [between("2026-11-24T17:00", "2026-11-24T18:00"), between("2026-11-24T13:00", "2026-11-24T14:00")]
    assert fits(at(start), windows, busy, length=HALF_HOUR, before=QUARTER, after=QUARTER, **EVER) is verdict


def test_notice_and_horizon_decide_too() -> None:
    windows = day_windows(ORDINARY, every_day("09:00", "17:00"), NEW_YORK)
    bounds: Bounds = {"not_before": at("2026-11-24T15:00"), "not_after": at("2026-11-24T16:00")}
    verdicts = [
        fits(at(f"2026-11-24T{text}"), windows, [], length=HALF_HOUR, **bounds)
        for text in ("14:55", "15:00", "16:00", "16:05")
    ]
    assert verdicts == [False, True, True, False]


# Choosing what to say


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("00:00", PartOfDay.MORNING),
        ("11:59", PartOfDay.MORNING),
        ("12:00", PartOfDay.AFTERNOON),
        ("16:59", PartOfDay.AFTERNOON),
        ("17:00", PartOfDay.EVENING),
        ("23:45", PartOfDay.EVENING),
    ],
)
def test_every_start_is_in_one_part_of_the_clinics_day(text: str, part: PartOfDay) -> None:
    start = local_start(ORDINARY, time.fromisoformat(text), NEW_YORK)
    assert start is not None
    assert [each for each in PartOfDay if in_part_of_day(start, NEW_YORK, each)] == [part]


def test_a_spread_holds_the_first_the_last_and_even_gaps() -> None:
    starts = [at("2026-11-24T09:00") + QUARTER * turn for turn in range(31)]
    chosen = spread(starts)
    assert [start.strftime("%H:%M") for start in chosen] == [
        "09:00",
        "10:30",
        "12:00",
        "13:30",
        "15:00",
        "16:30",
    ]


@pytest.mark.parametrize("count", range(15))
@pytest.mark.parametrize("limit", range(8))
def test_a_spread_is_never_longer_than_asked_and_never_repeats(count: int, limit: int) -> None:
    starts = [at("2026-11-24T09:00") + QUARTER * turn for turn in range(count)]
    chosen = spread(starts, limit)
    assert len(chosen) == min(count, limit)
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(starts)
    if count and limit > 1:
        assert (chosen[0], chosen[-1]) == (starts[0], starts[-1])


def test_a_spread_does_not_depend_on_order_or_repeats() -> None:
    starts = [at("2026-11-24T09:00") + QUARTER * turn for turn in range(20)]
    assert spread([*reversed(starts), *starts]) == spread(starts)
    assert spread([starts[0]] * 5 + [starts[1]], 3) == starts[:2]
