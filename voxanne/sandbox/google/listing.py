"""events.list: filters, pages and sync tokens.

Source: Google Calendar API v3, events.list and "Synchronize resources efficiently".
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import parse_qs

from voxanne.sandbox.formats import iso_milliseconds
from voxanne.sandbox.google.calendars import Calendar, EventBody
from voxanne.sandbox.google.errors import GoogleError
from voxanne.sandbox.google.times import moment, rfc3339

NOT_WITH_SYNC_TOKEN = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)
DEFAULT_PAGE = 250
LARGEST_PAGE = 2500

Query = dict[str, list[str]]


def list_page(calendar: Calendar, query_string: str) -> dict[str, Any]:
    """One page, oldest change first; the last has ``nextSyncToken``. Raises GoogleError 400, 410."""
    query = parse_qs(query_string)
    place = _decode(_one(query, "pageToken")) if "pageToken" in query else None
    since = _since(calendar, query)
    chosen = [
        event
        for event_id, event in calendar.events.items()
        if calendar.changed_at[event_id] > since and _wanted(event, calendar, query, incremental=since >= 0)
    ]
    chosen.sort(key=lambda event: _order(event, calendar, _one(query, "orderBy")))
    size = min(max(int(_one(query, "maxResults") or DEFAULT_PAGE), 1), LARGEST_PAGE)
    start = int(place["start"]) if place else 0
    synced_to = int(place["to"]) if place else calendar.changes
    page = {
        "kind": "calendar#events",
        "etag": f'"p{calendar.changes}"',
        "summary": calendar.id,
        "updated": iso_milliseconds(time.time()),
        "timeZone": calendar.time_zone,
        "accessRole": "owner",
        "defaultReminders": [],
        "items": chosen[start : start + size],
    }
    if start + size < len(chosen):
        page["nextPageToken"] = _encode({"start": start + size, "to": synced_to})
    else:
        page["nextSyncToken"] = _encode({"sync": synced_to})
    return page


def _since(calendar: Calendar, query: Query) -> int:
    """The change number to list from, -1 for everything."""
    token = _one(query, "syncToken")
    if token is None:
        return -1
    mixed = [name for name in NOT_WITH_SYNC_TOKEN if name in query]
    if mixed:
        raise GoogleError(400, "badRequest", f"Sync token cannot be combined with {', '.join(mixed)}.")
    since = _decode(token).get("sync")
    if not isinstance(since, int) or since < calendar.oldest_sync or since > calendar.changes:
        raise GoogleError(410)
    return since


def _wanted(event: EventBody, calendar: Calendar, query: Query, *, incremental: bool) -> bool:
    if event["status"] == "cancelled" and not incremental and _one(query, "showDeleted") != "true":
        return False
    low, high = _one(query, "timeMin"), _one(query, "timeMax")
    if low and moment(event["end"], calendar.time_zone, "end") <= rfc3339(low, "timeMin"):
        return False
    if high and moment(event["start"], calendar.time_zone, "start") >= rfc3339(high, "timeMax"):
        return False
    updated_min = _one(query, "updatedMin")
    if updated_min and rfc3339(event["updated"], "updated") < rfc3339(updated_min, "updatedMin"):
        return False
    uid = _one(query, "iCalUID")
    if uid and event.get("iCalUID") != uid:
        return False
    words = _one(query, "q")
    if words and words.lower() not in f"{event.get('summary', '')} {event.get('description', '')}".lower():
        return False
    return all(
        _has_property(event, side, wanted)
        for side in ("private", "shared")
        for wanted in query.get(f"{side}ExtendedProperty", [])
    )


def _has_property(event: EventBody, side: str, wanted: str) -> bool:
    name, _, value = wanted.partition("=")
    return bool(event.get("extendedProperties", {}).get(side, {}).get(name) == value)


def _order(event: EventBody, calendar: Calendar, order: str | None) -> Any:
    if order == "startTime":
        return moment(event["start"], calendar.time_zone, "start").timestamp()
    return float(calendar.changed_at[event["id"]])


def _one(query: Query, name: str) -> str | None:
    values = query.get(name)
    return values[-1] if values else None


def _encode(content: dict[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _decode(token: str | None) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode((token or "") + "=" * (-len(token or "") % 4)))
    except ValueError as error:
        raise GoogleError(410) from error
    return found if isinstance(found, dict) else {}
