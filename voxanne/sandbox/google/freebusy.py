"""freeBusy, and the few reads of calendars themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.responses import JSONResponse, Response

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.google.calendars import Calendar, Calendars
from voxanne.sandbox.google.errors import GoogleError
from voxanne.sandbox.google.times import moment, rfc3339

MOST_CALENDARS = 50

Interval = tuple[datetime, datetime]


class FreeBusyApi:
    """Faults of single calendars come inside a 200 answer, as Google sends them."""

    def __init__(self, calendars: Calendars) -> None:
        self._calendars = calendars

    async def query(self, exchange: Exchange, email: str) -> Response:
        body = exchange.json if isinstance(exchange.json, dict) else {}
        low, high = rfc3339(body.get("timeMin"), "timeMin"), rfc3339(body.get("timeMax"), "timeMax")
        if high <= low:
            raise GoogleError(400, "timeRangeEmpty")
        zone = _zone(body.get("timeZone"))
        items = body.get("items") or []
        answers = {
            str(item["id"]): self._answer(str(item["id"]), email, (low, high), zone, place)
            for place, item in enumerate(items)
            if isinstance(item, dict) and "id" in item
        }
        times = {"timeMin": _written(low, zone), "timeMax": _written(high, zone)}
        return JSONResponse({"kind": "calendar#freeBusy", **times, "calendars": answers})

    def _answer(self, name: str, email: str, window: Interval, zone: ZoneInfo, place: int) -> dict[str, Any]:
        calendar = self._calendars.get(email if name == "primary" else name)
        reason = "notFound" if calendar.fault else calendar.freebusy_error
        if place >= MOST_CALENDARS:
            reason = "tooManyCalendarsRequested"
        if reason:
            return {"errors": [{"domain": "global", "reason": reason}], "busy": []}
        busy = [{"start": _written(a, zone), "end": _written(b, zone)} for a, b in _busy(calendar, window)]
        return {"busy": busy}

    async def calendar(
        self, exchange: Exchange, calendar: Calendar, path: dict[str, str], email: str
    ) -> Response:
        return JSONResponse(
            {
                "kind": "calendar#calendar",
                "etag": f'"c{calendar.changes}"',
                "id": calendar.id,
                "summary": calendar.id,
                "timeZone": calendar.time_zone,
            }
        )

    async def calendar_list(self, exchange: Exchange, email: str) -> Response:
        own = self._calendars.get(email)
        items = [
            {
                "kind": "calendar#calendarListEntry",
                "etag": f'"c{calendar.changes}"',
                "id": calendar.id,
                "summary": calendar.id,
                "timeZone": calendar.time_zone,
                "accessRole": "owner",
                "primary": calendar is own,
            }
            for calendar in self._calendars.all()
            if not calendar.fault
        ]
        return JSONResponse({"kind": "calendar#calendarList", "etag": '"l1"', "items": items})


def _busy(calendar: Calendar, window: Interval) -> list[Interval]:
    """The opaque, living events inside the window, cut to it and merged where they touch."""
    low, high = window
    found = []
    for event in calendar.events.values():
        if event["status"] == "cancelled" or event.get("transparency") == "transparent":
            continue
        start = moment(event["start"], calendar.time_zone, "start")
        end = moment(event["end"], calendar.time_zone, "end")
        if start < high and end > low:
            found.append((max(start, low), min(end, high)))
    merged: list[Interval] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(str(name or "UTC"))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise GoogleError(400, "invalid", "Invalid time zone") from error


def _written(when: datetime, zone: ZoneInfo) -> str:
    local = when.astimezone(zone)
    return (
        local.isoformat().replace("+00:00", "Z")
        if local.utcoffset() == UTC.utcoffset(None)
        else local.isoformat()
    )
