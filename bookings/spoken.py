"""Dates, times and codes as a person says them: for the voice, and for texts that read like speech.

English, whatever the process's locale. Instants are aware and in UTC; they are said on the clinic's clock.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

TWELVE_HOUR_COUNTRIES = frozenset(
    {
        "AE", "AG", "AS", "AU", "BB", "BD", "BH", "BM", "BS", "CA", "CO", "DM", "EG", "FJ", "FM", "GD",
        "GH", "GU", "GY", "HK", "IN", "JM", "JO", "KN", "KR", "KW", "KY", "LC", "LR", "LS", "MH", "MP",
        "MW", "MX", "MY", "NZ", "OM", "PG", "PH", "PK", "PR", "PW", "QA", "SA", "SB", "SG", "SL", "SZ",
        "TC", "TO", "TT", "TW", "UM", "US", "VC", "VG", "VI", "VU", "WS", "ZM",
    }
)  # fmt: skip
"""Where people say AM and PM: the likely ones of those to which Unicode CLDR 44 gives the 12-hour clock."""

CODE_LETTERS = "BCGHJKLMRSTWX"
"""Letters of a confirmation code. No vowels, so no words; of letters that sound alike on a telephone, one."""

CODE_LENGTH = 6

_HEARD_AS = str.maketrans("DFNPVZ", "TSMBBC")


def spoken_date(day: date, today: date) -> str:
    """Return "Tuesday 24 November", led by "today" or "tomorrow", with the year where it is another one.

    Both are the clinic's local dates.
    """
    said = f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"
    if day.year != today.year:
        said = f"{said} {day.year}"
    if day == today:
        return f"today, {said}"
    if day - today == timedelta(days=1):
        return f"tomorrow, {said}"
    return said


def written_date(day: date) -> str:
    """Return "Tuesday 24 November 2026": for a text, which may be read on any day."""
    return f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]} {day.year}"


def spoken_time(at: datetime, zone: ZoneInfo, country: str) -> str:
    """Return "10:30 AM" where people say so in `country` (ISO 3166), else "10:30" on the 24-hour clock.

    Twelve o'clock is "12:00 noon" or "12:00 midnight": with AM and PM few are sure which is which.
    """
    local = at.astimezone(zone)
    if country.upper() not in TWELVE_HOUR_COUNTRIES:
        return f"{local.hour:02d}:{local.minute:02d}"
    if local.minute == 0 and local.hour % 12 == 0:
        return "12:00 noon" if local.hour else "12:00 midnight"
    return f"{local.hour % 12 or 12}:{local.minute:02d} {'AM' if local.hour < 12 else 'PM'}"


def spoken_times(starts: Iterable[datetime], zone: ZoneInfo, country: str) -> str:
    """Return "9:00 AM, 10:30 AM or 2:00 PM", in the order given; "" for none at all.

    A time that comes twice because the clocks go back is said once.
    """
    *others, last = dict.fromkeys(spoken_time(start, zone, country) for start in starts) or [""]
    return f"{', '.join(others)} or {last}" if others else last


def new_confirmation_code() -> str:
    """Return six random letters that survive a telephone line, about 3.2 million codes in all.

    No letter stands twice in a row: said aloud, two of them are easily taken for one. Whoever stores the
    code sees to it that it is not in use (``bookings/entering.py``).
    """
    code = secrets.choice(CODE_LETTERS)
    while len(code) < CODE_LENGTH:
        code += secrets.choice(CODE_LETTERS.replace(code[-1], ""))
    return code


def spelled(code: str) -> str:
    """Return "K, T, M, B, R, X": a code as it is read out, letter by letter."""
    return ", ".join(code.upper())


def heard_code(text: str) -> str | None:
    """Return the confirmation code somebody read out, or None where `text` cannot be one.

    Case, spaces and punctuation do not matter. Letters no code has are read as those they sound like.
    """
    letters = "".join(char for char in text.upper() if char.isalpha()).translate(_HEARD_AS)
    if len(letters) != CODE_LENGTH or not set(letters) <= set(CODE_LETTERS):
        return None
    return letters
