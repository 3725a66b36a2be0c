"""The events collection: insert, get, list, update, patch, delete."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse, Response

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.formats import iso_milliseconds
from voxanne.sandbox.google.calendars import Calendar, Calendars, EventBody
from voxanne.sandbox.google.errors import GoogleError
from voxanne.sandbox.google.listing import list_page
from voxanne.sandbox.google.times import moment

EVENT_ID = re.compile(r"[a-v0-9]{5,1024}")
READ_ONLY = ("kind", "etag", "htmlLink", "created", "updated", "creator", "organizer")


class EventsApi:
    """Handlers; each is given the calendar, already checked, and the principal's address."""

    def __init__(self, calendars: Calendars, changed: Callable[[Calendar], None]) -> None:
        self._calendars = calendars
        self._changed = changed

    async def insert(
        self, exchange: Exchange, calendar: Calendar, path: dict[str, str], email: str
    ) -> Response:
        body = _body(exchange)
        event_id = body.get("id") or secrets.token_hex(13)
        if not isinstance(event_id, str) or not EVENT_ID.fullmatch(event_id):
            raise GoogleError(400, "invalid", "Invalid resource id value.")
        if event_id in calendar.events:
            raise GoogleError(409)
        return JSONResponse(self.create(calendar, {**body, "id": event_id}, email))

    def create(self, calendar: Calendar, body: EventBody, email: str) -> EventBody:
        """Store a new event. Raises GoogleError 400 for a missing or empty time range."""
        _check_times(body, calendar)
        event = {
            **{name: value for name, value in body.items() if name not in READ_ONLY},
            "kind": "calendar#event",
            "status": body.get("status", "confirmed"),
            "htmlLink": f"https://www.google.com/calendar/event?eid={body['id']}",
            "created": iso_milliseconds(time.time()),
            "creator": {"email": email},
            "organizer": {"email": calendar.id, "self": True},
            "iCalUID": body.get("iCalUID") or f"{body['id']}@google.com",
            "sequence": body.get("sequence", 0),
            "reminders": body.get("reminders", {"useDefault": True}),
            "eventType": body.get("eventType", "default"),
        }
        stored = self._calendars.store(calendar, event)
        self._changed(calendar)
        return stored

    async def get(self, exchange: Exchange, calendar: Calendar, path: dict[str, str], email: str) -> Response:
        return JSONResponse(_find(calendar, path))

    async def list(
        self, exchange: Exchange, calendar: Calendar, path: dict[str, str], email: str
    ) -> Response:
        return JSONResponse(list_page(calendar, exchange.query_string))

    async def patch(
        self, exchange: Exchange, calendar: Calendar, path: dict[str, str], email: str
    ) -> Response:
        event = _find(calendar, path)
        return JSONResponse(self._write(exchange, calendar, event, merged(event, _writable(_body(exchange)))))

    async def update(
        self, exchange: Exchange, calendar: Calendar, path: dict[str, str], email: str
    ) -> Response:
        event = _find(calendar, path)
        kept = {
            name: event[name] for name in (*READ_ONLY, "id", "iCalUID", "status", "sequence") if name in event
        }
        return JSONResponse(self._write(exchange, calendar, event, {**kept, **_writable(_body(exchange))}))

    async def delete(
        self, exchange: Exchange, calendar: Calendar, path: dict[str, str], email: str
    ) -> Response:
        event = _find(calendar, path)
        if event["status"] == "cancelled":
            raise GoogleError(410, "deleted")
        _check_etag(exchange, event)
        self._calendars.store(calendar, {**event, "status": "cancelled"})
        self._changed(calendar)
        return Response(status_code=204)

    def _write(self, exchange: Exchange, calendar: Calendar, old: EventBody, new: EventBody) -> EventBody:
        _check_etag(exchange, old)
        _check_times(new, calendar)
        if (old.get("start"), old.get("end")) != (new.get("start"), new.get("end")):
            new["sequence"] = int(old.get("sequence", 0)) + 1
        stored = self._calendars.store(calendar, new)
        self._changed(calendar)
        return stored


def merged(old: EventBody, changes: EventBody) -> EventBody:
    """Patch semantics: objects merge, arrays and values are replaced, null removes."""
    result = dict(old)
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        else:
            result[name] = value
    return result


def _body(exchange: Exchange) -> dict[str, Any]:
    if not isinstance(exchange.json, dict):
        raise GoogleError(400, "parseError", "Parse Error")
    return exchange.json


def _writable(body: EventBody) -> EventBody:
    return {name: value for name, value in body.items() if name not in (*READ_ONLY, "id")}


def _find(calendar: Calendar, path: dict[str, str]) -> EventBody:
    event = calendar.events.get(path["event_id"])
    if event is None:
        raise GoogleError(404)
    return event


def _check_etag(exchange: Exchange, event: EventBody) -> None:
    wanted = exchange.headers.get("if-match")
    if wanted not in (None, "*", event["etag"]):
        raise GoogleError(412)


def _check_times(event: EventBody, calendar: Calendar) -> None:
    start = moment(event.get("start"), calendar.time_zone, "start")
    end = moment(event.get("end"), calendar.time_zone, "end")
    if end < start:
        raise GoogleError(400, "timeRangeEmpty")
