"""In which time zones a phone's owner may be, going by the number."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import NumberParseException


@lru_cache(maxsize=4096)
def zones_of(number: str) -> tuple[ZoneInfo, ...]:
    """Every zone of the number's area, or of its whole country where the number names no area; none where nothing is
    known of it. ``number`` is E.164, with or without the name of a channel before it."""
    # Its tables take 8 MB a process: only clinics with quiet hours need them.
    from phonenumbers import timezone as number_zones

    try:
        parsed = phonenumbers.parse(number.rpartition(":")[2], None)
    except NumberParseException:
        return ()
    names = number_zones.time_zones_for_number(parsed)
    return tuple(zone for name in names if (zone := _zone(name)) is not None)


def _zone(name: str) -> ZoneInfo | None:
    """None for the table's word for an unknown zone, and for one that this machine does not know."""
    if name == phonenumbers.timezone.UNKNOWN_TIMEZONE:
        return None
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        return None
