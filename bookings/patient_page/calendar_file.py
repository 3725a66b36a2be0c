"""A visit as an iCalendar file (RFC 5545), for the patient's own calendar.

Adding it again changes the event that is there: the UID is that of the visit before it was ever moved, and the
SEQUENCE rises with every change. The file names what the page names, and nothing more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime

from bookings.patient_page.visit import PatientVisit, Standing
from messaging.phone_numbers import spaced

CONTENT_TYPE = "text/calendar; charset=utf-8; method=PUBLISH"
PRODUCT = "-//Voxanne//Patient page//EN"
# Octets of a line without its end (section 3.1).
LONGEST_LINE = 75


def calendar_file(visit: PatientVisit, now: datetime) -> bytes:
    """The file's bytes; ``now`` is its DTSTAMP."""
    return b"".join(line + b"\r\n" for text in _lines(visit, now) for line in folded(text))


def _lines(visit: PatientVisit, now: datetime) -> Iterator[str]:
    cancelled = visit.standing is Standing.CANCELLED
    yield "BEGIN:VCALENDAR"
    yield "VERSION:2.0"
    yield f"PRODID:{PRODUCT}"
    yield "CALSCALE:GREGORIAN"
    yield "METHOD:PUBLISH"
    yield "BEGIN:VEVENT"
    yield f"UID:{visit.first_id}@voxanne"
    yield f"SEQUENCE:{max(0, int((visit.changed_at - visit.first_made_at).total_seconds()))}"
    yield f"DTSTAMP:{in_utc(now)}"
    yield f"CREATED:{in_utc(visit.made_at)}"
    yield f"LAST-MODIFIED:{in_utc(visit.changed_at)}"
    yield f"DTSTART:{in_utc(visit.starts_at)}"
    yield f"DTEND:{in_utc(visit.ends_at)}"
    yield f"SUMMARY:{escaped(f'Visit at {visit.clinic}')}"
    yield f"LOCATION:{escaped(visit.clinic)}"
    yield f"DESCRIPTION:{escaped(_description(visit))}"
    yield f"STATUS:{'CANCELLED' if cancelled else 'CONFIRMED'}"
    yield f"TRANSP:{'TRANSPARENT' if cancelled else 'OPAQUE'}"
    yield "CLASS:PRIVATE"
    yield "END:VEVENT"
    yield "END:VCALENDAR"


def _description(visit: PatientVisit) -> str:
    known = f"With {visit.provider}."
    return f"{known}\nTo change it, call {spaced(visit.line)}." if visit.line else known


def in_utc(moment: datetime) -> str:
    """Form 2 of a date with time (section 3.3.5)."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def escaped(text: str) -> str:
    """TEXT (section 3.3.11): what has a meaning of its own is escaped, other control characters are left out."""
    plain = "".join(
        char for char in text.replace("\r\n", "\n") if char == "\n" or unicodedata.category(char) != "Cc"
    )
    for char in ("\\", ";", ","):
        plain = plain.replace(char, f"\\{char}")
    return plain.replace("\n", "\\n")


def folded(text: str) -> Iterator[bytes]:
    """The lines of at most 75 octets that a long one is folded into; no character is cut in two (section 3.1)."""
    line = b""
    for char in text:
        octets = char.encode("utf-8", "replace")
        if len(line) + len(octets) > LONGEST_LINE:
            yield line
            line = b" "
        line += octets
    yield line
