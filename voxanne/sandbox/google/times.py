"""The ``start`` and ``end`` of events as moments."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from voxanne.sandbox.google.errors import GoogleError


def moment(boundary: Any, calendar_zone: str, name: str) -> datetime:
    """An event's ``start`` or ``end``: ``dateTime`` with offset, or local with ``timeZone``; or ``date``.

    Raises GoogleError 400 when it is none of these.
    """
    if not isinstance(boundary, dict) or not (boundary.get("dateTime") or boundary.get("date")):
        raise GoogleError(400, "required", f"Missing {name} time.")
    try:
        found = datetime.fromisoformat(str(boundary.get("dateTime") or boundary["date"]))
        if found.tzinfo is None:
            found = found.replace(tzinfo=ZoneInfo(boundary.get("timeZone") or calendar_zone))
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise GoogleError(400, "invalid", f"Invalid value for: {name}") from error
    return found


def rfc3339(text: str | None, name: str) -> datetime:
    """A moment in a query or body; the offset is mandatory. Raises GoogleError 400."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise GoogleError(400, "badRequest", f"Bad Request: {name}") from error
    if found.tzinfo is None:
        raise GoogleError(400, "badRequest", f"Bad Request: {name} needs an offset")
    return found
