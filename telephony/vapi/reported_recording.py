"""Where an end-of-call report says that the recording is. The places differ by the report's age and the account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telephony.vapi.payload import text

PLACES = (
    ("artifact", "recording", "mono", "combinedUrl"),
    ("artifact", "presignedMonoUrl"),
    ("artifact", "recordingUrl"),
    ("recordingUrl",),
)
LONGEST_ADDRESS = 4000


def reported_address(report: Mapping[str, Any]) -> str:
    """The first address that the report names; blank where it names none."""
    return next((found for found in (_at(report, place) for place in PLACES) if found), "")


def _at(report: Any, place: tuple[str, ...]) -> str:
    for name in place:
        report = report.get(name) if isinstance(report, dict) else None
    # A longer one is cut nowhere that leaves it an address.
    found = text(report, LONGEST_ADDRESS + 1)
    return found if len(found) <= LONGEST_ADDRESS else ""
