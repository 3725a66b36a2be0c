"""When things happened, as Vapi writes it: ISO 8601 text, or milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from telephony.vapi.payload import text

# Years that every zone's calendar can show.
PLAUSIBLE_YEARS = range(2000, 2101)


def instant(value: Any) -> datetime | None:
    """The moment in UTC; None for what is none, or lies outside the years that can be read back."""
    try:
        utc = _from_number(value) if isinstance(value, int | float) else _from_text(text(value))
    except (ValueError, OverflowError, OSError):
        return None
    return utc if utc is not None and utc.year in PLAUSIBLE_YEARS else None


def _from_number(milliseconds: float) -> datetime | None:
    if isinstance(milliseconds, bool):
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _from_text(written: str) -> datetime | None:
    moment = parse_datetime(written)
    return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
