"""Which words a missed caller gets: those for the clinic's hours, or those for when it is closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bookings.opening import is_open
from tests.clinics import Clinic

pytestmark = pytest.mark.django_db

NEW_YORK = ZoneInfo("America/New_York")


def at(clock: str) -> datetime:
    """A time of Tuesday 24 November 2026 in New York, or of the day named."""
    return datetime.fromisoformat(clock if "T" in clock else f"2026-11-24T{clock}").replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("clock", "opened"),
    [
        ("08:59:59", False),
        ("09:00", True),
        ("16:59:59", True),
        ("17:00", False),
        ("23:30", False),
        ("2026-11-22T11:00", False),
    ],
)
def test_the_clinics_own_clock_decides(elm: Clinic, clock: str, opened: bool) -> None:
    assert is_open(elm.plan(), at(clock)) is opened


def test_a_clinic_that_gave_no_hours_counts_as_open(elm: Clinic) -> None:
    plan = elm.plan()
    silent = replace(plan, providers=tuple(replace(one, windows=()) for one in plan.providers))
    assert is_open(silent, at("03:00"))
    assert is_open(replace(plan, providers=()), at("03:00"))


def test_one_provider_at_work_is_enough(elm: Clinic) -> None:
    plan = elm.plan()
    first, second = plan.providers
    assert is_open(replace(plan, providers=(replace(first, windows=()), second)), at("10:00"))


def test_a_closed_day_is_closed(elm: Clinic) -> None:
    from bookings.slots import Interval

    plan = elm.plan()
    shut = Interval(at("00:00"), at("00:00") + timedelta(days=1))
    closed = tuple(replace(one, closures=(shut,)) for one in plan.providers)
    assert not is_open(replace(plan, providers=closed), at("10:00"))
