"""When a visit can start: opening hours, busy times and the clinic's clock, in pure arithmetic.

Opening hours are local wall times. They become UTC first, and every step after that is taken in UTC, because
adding hours to local times is wrong on the days the clocks change: a wall time may not exist (spring), or
come twice (autumn). PEP 495 gives the rule for telling the two apart.

Every `datetime` here is aware and in UTC unless its name says `local`; every interval is half-open.
Nothing here reads the clock, the database or the settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from zoneinfo import ZoneInfo

GRID_STEP = timedelta(minutes=15)
"""How far apart the starts are that callers are offered."""

BOOKING_STEP = timedelta(minutes=5)
"""A caller may ask for any start on this finer grid."""

MIDNIGHT = time(0, 0)
NOON = time(12, 0)
EVENING_BEGINS = time(17, 0)

_ONE_DAY = timedelta(days=1)
_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The instants from `start` up to, but not including, `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class WeeklyWindow:
    """Opening hours of one weekday, in local wall time; a break is the space between two windows.

    `closes` at 00:00 means midnight at the end of that day. Raises `ValueError` for a window that would
    close before it opens: hours past midnight are written as two windows.
    """

    weekday: int
    opens: time
    closes: time

    def __post_init__(self) -> None:
        if not 0 <= self.weekday <= 6:
            raise ValueError(f"weekday runs from 0 (Monday) to 6 (Sunday), not {self.weekday}")
        if self.closes != MIDNIGHT and self.closes <= self.opens:
            raise ValueError(
                f"a window must close after it opens, not {self.opens} to {self.closes}; "
                "split hours that pass midnight into one window for each day"
            )


class PartOfDay(StrEnum):
    """Morning is before 12:00, afternoon from 12:00 to 17:00, evening from 17:00, on the clinic's clock."""

    MORNING = "morning"
    AFTERNOON = "afternoon"
    EVENING = "evening"


def day_windows(day: date, windows: Sequence[WeeklyWindow], zone: ZoneInfo) -> list[Interval]:
    """Return the instants of `day` at which the clinic's clock stands inside one of `windows`.

    `day` is the clinic's local date; windows of other weekdays are passed over. The intervals come sorted,
    and those that touch or overlap are joined. An edge that the spring change leaps over moves forward to
    the first instant that exists. In the hour that autumn repeats, both passes count as open where the
    wall clock reads open, so a break in that hour is kept twice and no start ever reads as outside hours.
    """
    pieces = [
        piece
        for window in windows
        if window.weekday == day.weekday()
        for piece in _instants_of(day, window.opens, window.closes, zone)
    ]
    return _merged(pieces)


def local_day(day: date, zone: ZoneInfo) -> Interval:
    """Return all instants whose local date is `day`: 23, 24 or 25 hours, none at all for a skipped date.

    Raises `OverflowError` for the first and last date Python knows.
    """
    return Interval(_first_instant(day, zone), _first_instant(day + _ONE_DAY, zone))


def local_start(day: date, at: time, zone: ZoneInfo) -> datetime | None:
    """Return the instant at which the clinic's clock reads `at` on `day`; the first one where it does twice.

    None where the clock never reads so: the time falls into the spring gap, or beyond Python's calendar.
    """
    instants = local_instants(day, at, zone)
    return instants[0] if instants else None


def local_instants(day: date, at: time, zone: ZoneInfo) -> list[datetime]:
    """Return every instant at which the clinic's clock reads `at` on `day`: one, or none, or two."""
    wall = datetime.combine(day, at)
    try:
        before, after = _offsets_around(wall, zone)
        if before < after:
            return []
        first = _at_offset(wall, before)
        return [first] if before == after else [first, _at_offset(wall, after)]
    except OverflowError:
        return []


def subtract(windows: Iterable[Interval], busy: Iterable[Interval]) -> list[Interval]:
    """Return what is left of `windows` outside `busy`, sorted and joined; neither needs to be sorted."""
    taken = _merged(busy)
    free: list[Interval] = []
    index = 0
    for window in _merged(windows):
        start = window.start
        while index < len(taken) and taken[index].end <= start:
            index += 1
        following = index
        while following < len(taken) and taken[following].start < window.end:
            if taken[following].start > start:
                free.append(Interval(start, taken[following].start))
            start = max(start, taken[following].end)
            following += 1
        if start < window.end:
            free.append(Interval(start, window.end))
    return free


def slot_starts(
    windows: Sequence[Interval],
    busy: Sequence[Interval],
    *,
    zone: ZoneInfo,
    length: timedelta,
    before: timedelta = _NOTHING,
    after: timedelta = _NOTHING,
    step: timedelta = GRID_STEP,
    not_before: datetime,
    not_after: datetime,
) -> list[datetime]:
    """Return every start on the clinic's grid that `fits`, sorted.

    `windows` are opening hours as `day_windows` gives them; `busy` are the times already blocked for this
    provider (appointments with *their* buffers, outside calendars, closures), in any order. The grid is the
    wall clock's: minutes since local midnight are a multiple of `step`, also after a change of clocks.
    """
    _require_positive(length=length, step=step)
    _require_not_negative(before=before, after=after)
    # A start is refused if and only if it lies strictly inside one of these.
    refused = [Interval(taken.start - length - after, taken.end + before) for taken in _merged(busy)]
    starts: list[datetime] = []
    for window in windows:
        latest = min(window.end - length, not_after)
        earliest = max(window.start, not_before)
        if earliest > latest:
            continue
        for stretch, offset in _stretches_of_one_offset(earliest, latest + timedelta.resolution, zone):
            starts.extend(_unrefused_ticks(stretch, offset, step, refused))
    return starts if len(windows) <= 1 else sorted(starts)


def fits(
    start: datetime,
    windows: Sequence[Interval],
    busy: Iterable[Interval],
    *,
    length: timedelta,
    before: timedelta = _NOTHING,
    after: timedelta = _NOTHING,
    not_before: datetime,
    not_after: datetime,
) -> bool:
    """Say whether a visit of `length` may start at `start`, on the grid or off it.

    Four things are checked: `not_before <= start <= not_after`; the visit `[start, start + length)` lies
    inside one of `windows`; the time it blocks, `[start - before, start + length + after)`, overlaps nothing
    in `busy`; and nothing else. Buffers may reach outside opening hours and past `not_before`. Whether the
    start is a mark that callers may ask for is `on_grid`'s to say.
    """
    _require_positive(length=length)
    _require_not_negative(before=before, after=after)
    if not not_before <= start <= not_after:
        return False
    if not within_hours(start, windows, length=length):
        return False
    blocked_from, blocked_until = start - before, start + length + after
    return not any(taken.start < blocked_until and blocked_from < taken.end for taken in busy)


def within_hours(start: datetime, windows: Sequence[Interval], *, length: timedelta) -> bool:
    """Say whether the visit `[start, start + length)` lies inside one of `windows`, buffers left aside."""
    return any(window.start <= start and start + length <= window.end for window in windows)


def on_grid(start: datetime, zone: ZoneInfo, step: timedelta = BOOKING_STEP) -> bool:
    """Say whether the clinic's clock reads a multiple of `step` since midnight at `start`."""
    _require_positive(step=step)
    return not _since_midnight(start.astimezone(zone).replace(tzinfo=None)) % step


def in_part_of_day(start: datetime, zone: ZoneInfo, part: PartOfDay) -> bool:
    """Say whether the clinic's clock stands in that part of the day at `start`."""
    at = start.astimezone(zone).time()
    if part is PartOfDay.MORNING:
        return at < NOON
    if part is PartOfDay.AFTERNOON:
        return NOON <= at < EVENING_BEGINS
    return at >= EVENING_BEGINS


def spread(starts: Iterable[datetime], limit: int = 6) -> list[datetime]:
    """Return at most `limit` of `starts`, evenly chosen, the first and the last among them.

    Repeats (several providers free at once) count once. The same starts always give the same choice.
    """
    distinct = sorted(set(starts))
    if len(distinct) <= limit:
        return distinct
    if limit <= 1:
        return distinct[: max(limit, 0)]
    gaps = limit - 1
    last = len(distinct) - 1
    return [distinct[(2 * last * turn + gaps) // (2 * gaps)] for turn in range(limit)]


def _instants_of(day: date, opens: time, closes: time, zone: ZoneInfo) -> list[Interval]:
    """Return the instants whose local date is `day` and whose wall time lies in `[opens, closes)`."""
    try:
        wall_opens = datetime.combine(day, opens)
        wall_closes = datetime.combine(day + _ONE_DAY if closes == MIDNIGHT else day, closes)
        offsets = {*_offsets_around(wall_opens, zone), *_offsets_around(wall_closes, zone)}
        earliest = _at_offset(wall_opens, max(offsets))
        latest = _at_offset(wall_closes, min(offsets))
    except OverflowError:
        return []
    if len(offsets) == 1:
        return [Interval(earliest, latest)]
    pieces: list[Interval] = []
    for stretch, offset in _stretches_of_one_offset(earliest, latest, zone):
        start = max(stretch.start, _at_offset(wall_opens, offset))
        end = min(stretch.end, _at_offset(wall_closes, offset))
        if start < end:
            pieces.append(Interval(start, end))
    return pieces


def _unrefused_ticks(
    stretch: Interval, offset: timedelta, step: timedelta, refused: Sequence[Interval]
) -> Iterator[datetime]:
    """Walk the wall clock's grid through `stretch`, leaping over `refused` (sorted, ends too)."""
    tick = _next_tick(stretch.start, offset, step)
    index = 0
    while tick < stretch.end:
        while index < len(refused) and refused[index].end <= tick:
            index += 1
        if index < len(refused) and refused[index].start < tick:
            tick += step * -((tick - refused[index].end) // step)
            continue
        yield tick
        tick += step


def _next_tick(instant: datetime, offset: timedelta, step: timedelta) -> datetime:
    """Return the first instant from `instant` on whose wall time is a multiple of `step` since midnight."""
    overshoot = _since_midnight((instant + offset).replace(tzinfo=None)) % step
    return instant + (step - overshoot) if overshoot else instant


def _since_midnight(local: datetime) -> timedelta:
    return timedelta(
        hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond
    )


def _stretches_of_one_offset(
    start: datetime, end: datetime, zone: ZoneInfo
) -> Iterator[tuple[Interval, timedelta]]:
    """Cut `[start, end)` where the zone changes its offset from UTC, and give each piece's offset."""
    while start < end:
        offset = _offset_at(start, zone)
        if _offset_at(end, zone) == offset:
            yield Interval(start, end), offset
            return
        change = _first_change(start, end, zone)
        yield Interval(start, change), offset
        start = change


@lru_cache(maxsize=256)  # all of a clinic's providers ask for the same day
def _first_change(start: datetime, end: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant in `(start, end]` at which the offset stops being what it is at `start`.

    The offset at `end` must be another one. Zones change on whole seconds.
    """
    offset = _offset_at(start, zone)
    unchanged = start.replace(microsecond=0)
    changed = end if not end.microsecond else end.replace(microsecond=0) + timedelta(seconds=1)
    while changed - unchanged > timedelta(seconds=1):
        middle = unchanged + timedelta(seconds=(changed - unchanged) // timedelta(seconds=2))
        if _offset_at(middle, zone) == offset:
            unchanged = middle
        else:
            changed = middle
    return min(changed, end)


def _first_instant(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant at which the local date is `day` or later."""
    midnight = datetime.combine(day, MIDNIGHT)
    before, after = _offsets_around(midnight, zone)
    first = _at_offset(midnight, before)
    if before >= after:
        return first
    return _first_change(_at_offset(midnight, after) - timedelta(seconds=1), first, zone)


def _offsets_around(wall: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Return the offsets a naive wall time has on its first and second reading (PEP 495).

    They differ only at a change of clocks: the first is the smaller one in a gap, the larger in a repeat.
    """
    first = wall.replace(tzinfo=zone, fold=0).utcoffset()
    second = wall.replace(tzinfo=zone, fold=1).utcoffset()
    assert first is not None
    assert second is not None
    return first, second


def _offset_at(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _at_offset(wall: datetime, offset: timedelta) -> datetime:
    return (wall - offset).replace(tzinfo=UTC)


def _merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Return `intervals` sorted, those that touch or overlap joined, the empty ones dropped."""
    merged: list[Interval] = []
    for interval in sorted(intervals, key=attrgetter("start")):
        if interval.start >= interval.end:
            continue
        if merged and interval.start <= merged[-1].end:
            if interval.end > merged[-1].end:
                merged[-1] = Interval(merged[-1].start, interval.end)
        else:
            merged.append(interval)
    return merged


def _require_positive(**durations: timedelta) -> None:
    for name, duration in durations.items():
        if duration <= _NOTHING:
            raise ValueError(f"{name} must be longer than nothing, not {duration}")


def _require_not_negative(**durations: timedelta) -> None:
    for name, duration in durations.items():
        if duration < _NOTHING:
            raise ValueError(f"{name} must not be negative, not {duration}")
