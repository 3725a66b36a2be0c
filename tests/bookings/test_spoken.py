from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings.spoken import (
    CODE_LETTERS,
    heard_code,
    new_confirmation_code,
    spelled,
    spoken_date,
    spoken_time,
    spoken_times,
    written_date,
)

NEW_YORK = ZoneInfo("America/New_York")
LONDON = ZoneInfo("Europe/London")
TODAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (date(2026, 11, 20), "today, Friday 20 November"),
        (date(2026, 11, 21), "tomorrow, Saturday 21 November"),
        (date(2026, 11, 24), "Tuesday 24 November"),
        (date(2026, 11, 19), "Thursday 19 November"),
        (date(2027, 1, 4), "Monday 4 January 2027"),
        (date(2028, 2, 29), "Tuesday 29 February 2028"),
    ],
)
def test_a_date_is_said_as_people_say_it(day: date, said: str) -> None:
    assert spoken_date(day, TODAY) == said


def test_tomorrow_may_be_next_year() -> None:
    assert spoken_date(date(2027, 1, 1), date(2026, 12, 31)) == "tomorrow, Friday 1 January 2027"


@pytest.mark.parametrize("today", [date.min, date.max])
def test_the_ends_of_the_calendar_can_be_said(today: date) -> None:
    assert spoken_date(today, today).startswith("today, ")


def test_a_written_date_has_its_year() -> None:
    assert written_date(date(2026, 11, 24)) == "Tuesday 24 November 2026"


@given(st.dates())
def test_names_agree_with_the_calendar(day: date) -> None:
    assert written_date(day) == f"{day:%A} {day.day} {day:%B} {day.year}"


@pytest.mark.parametrize(
    ("local", "american", "british"),
    [
        ("00:00", "12:00 midnight", "00:00"),
        ("00:05", "12:05 AM", "00:05"),
        ("09:00", "9:00 AM", "09:00"),
        ("10:30", "10:30 AM", "10:30"),
        ("11:55", "11:55 AM", "11:55"),
        ("12:00", "12:00 noon", "12:00"),
        ("12:15", "12:15 PM", "12:15"),
        ("14:00", "2:00 PM", "14:00"),
        ("23:45", "11:45 PM", "23:45"),
    ],
)
def test_a_time_is_said_the_countrys_way(local: str, american: str, british: str) -> None:
    at = datetime.fromisoformat(f"2026-11-24T{local}").replace(tzinfo=NEW_YORK).astimezone(UTC)
    assert spoken_time(at, NEW_YORK, "US") == american
    assert spoken_time(at, NEW_YORK, "us") == american
    assert spoken_time(at, NEW_YORK, "GB") == british


def test_a_time_is_said_on_the_clinics_clock_in_summer_and_winter() -> None:
    assert spoken_time(datetime(2026, 7, 1, 9, 30, tzinfo=UTC), LONDON, "GB") == "10:30"
    assert spoken_time(datetime(2026, 12, 1, 9, 30, tzinfo=UTC), LONDON, "GB") == "09:30"


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        ([], ""),
        ([0], "9:00 AM"),
        ([0, 90], "9:00 AM or 10:30 AM"),
        ([0, 90, 300], "9:00 AM, 10:30 AM or 2:00 PM"),
    ],
)
def test_several_times_are_said_as_a_choice(minutes: list[int], said: str) -> None:
    opening = datetime(2026, 11, 24, 14, tzinfo=UTC)
    assert spoken_times([opening + timedelta(minutes=each) for each in minutes], NEW_YORK, "US") == said


def test_a_time_that_comes_twice_is_said_once() -> None:
    first = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert spoken_times([first, first + timedelta(hours=1)], NEW_YORK, "US") == "1:30 AM"


def test_codes_are_six_letters_without_vowels_or_doubles() -> None:
    for _ in range(2_000):
        code = new_confirmation_code()
        assert re.fullmatch(f"[{CODE_LETTERS}]{{6}}", code)
        assert not set(code) & set("AEIOUYQ")
        assert all(earlier != later for earlier, later in pairwise(code))


def test_codes_use_all_letters_and_hardly_repeat() -> None:
    codes = [new_confirmation_code() for _ in range(2_000)]
    letters = Counter("".join(codes))
    assert set(letters) == set(CODE_LETTERS)
    assert min(letters.values()) > 12_000 / len(CODE_LETTERS) / 2
    # With 3.2 million codes, 2,000 draws repeat 0.6 times on average.
    assert len(set(codes)) > 1_985


def test_no_two_letters_of_a_code_are_heard_as_one_another() -> None:
    alike = ["BDPV", "CZ", "FS", "MN", "TD", "IY", "QU"]
    assert all(len(set(group) & set(CODE_LETTERS)) <= 1 for group in alike)


def test_a_code_is_read_out_letter_by_letter() -> None:
    assert spelled("KTMBRX") == "K, T, M, B, R, X"
    assert spelled("ktm") == "K, T, M"


@pytest.mark.parametrize(
    "heard", ["KTMBRX", "ktmbrx", "K, T, M, B, R, X", "k t m b r x.", "KDNPRX", "k-t-n-v-r-x"]
)
def test_a_code_is_known_however_it_was_heard(heard: str) -> None:
    assert heard_code(heard) == "KTMBRX"


@pytest.mark.parametrize(
    "heard", ["", "KTM", "KTMBRXK", "KTMBRA", "123456", "K1MBRX", "ÄTMBRX", "ﬁMBRX", "x" * 10_000]
)
def test_what_cannot_be_a_code_is_none(heard: str) -> None:
    assert heard_code(heard) is None


def test_every_new_code_is_heard_as_itself() -> None:
    for _ in range(500):
        code = new_confirmation_code()
        assert heard_code(spelled(code)) == code
