"""Zones, days and short ways of writing instants, for the tests of slots."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TypedDict
from zoneinfo import ZoneInfo

from bookings.slots import Interval, WeeklyWindow


class Bounds(TypedDict):
    not_before: datetime
    not_after: datetime


NEW_YORK = ZoneInfo("America/New_York")
LONDON = ZoneInfo("Europe/London")
BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
PHOENIX = ZoneInfo("America/Phoenix")
APIA = ZoneInfo("Pacific/Apia")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
HAVANA = ZoneInfo("America/Havana")
TORONTO = ZoneInfo("America/Toronto")

US_SPRING = date(2026, 3, 8)
US_AUTUMN = date(2026, 11, 1)
EU_SPRING = date(2026, 3, 29)
EU_AUTUMN = date(2026, 10, 25)
ORDINARY = date(2026, 11, 24)

HALF_HOUR = timedelta(minutes=30)
QUARTER = timedelta(minutes=15)
EVER: Bounds = {"not_before": datetime(1980, 1, 1, tzinfo=UTC), "not_after": datetime(2080, 1, 1, tzinfo=UTC)}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(start: str, end: str) -> Interval:
    return Interval(at(start), at(end))


def every_day(opens: str, closes: str) -> list[WeeklyWindow]:
    return [WeeklyWindow(day, time.fromisoformat(opens), time.fromisoformat(closes)) for day in range(7)]


def wall(starts: list[datetime], zone: ZoneInfo) -> list[str]:
    return [start.astimezone(zone).strftime("%H:%M") for start in starts]


def hours_open(windows: list[Interval]) -> timedelta:
    return sum((window.end - window.start for window in windows), timedelta())
