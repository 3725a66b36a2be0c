"""Calendars and their events, with the change counter that sync tokens count by."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from voxanne.sandbox.formats import iso_milliseconds
from voxanne.sandbox.journal import Journal, Record

EventBody = dict[str, Any]


@dataclass
class Calendar:
    """One calendar; ``fault``: ``missing`` or ``forbidden``; ``freebusy_error``: what freeBusy reports."""

    id: str
    time_zone: str = "UTC"
    fault: str = ""
    freebusy_error: str = ""
    changes: int = 0
    oldest_sync: int = 0
    events: dict[str, EventBody] = field(default_factory=dict)
    changed_at: dict[str, int] = field(default_factory=dict)


class Calendars:
    """Every calendar exists as soon as it is asked for, unless it was made missing."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.clear()

    def clear(self) -> None:
        self._calendars: dict[str, Calendar] = {}

    def get(self, calendar_id: str) -> Calendar:
        calendar = self._calendars.get(calendar_id)
        if calendar is None:
            calendar = self._calendars[calendar_id] = Calendar(calendar_id)
        return calendar

    def all(self) -> list[Calendar]:
        return list(self._calendars.values())

    def configure(self, calendar_id: str, asked: dict[str, Any]) -> Calendar:
        calendar = self.get(calendar_id)
        for name in ("time_zone", "fault", "freebusy_error"):
            setattr(calendar, name, str(asked.get(name, getattr(calendar, name))))
        self._journal.append("google.calendar", _settings_of(calendar))
        return calendar

    def expire_sync_tokens(self) -> None:
        for calendar in self._calendars.values():
            calendar.changes += 1
            calendar.oldest_sync = calendar.changes
            self._journal.append("google.calendar", _settings_of(calendar))

    def store(self, calendar: Calendar, event: EventBody) -> EventBody:
        """Keep an event as changed now: new etag, ``updated`` and change number."""
        calendar.changes += 1
        event["updated"] = iso_milliseconds(time.time())
        digest = hashlib.sha256(f"{calendar.id} {event['id']} {calendar.changes}".encode()).hexdigest()
        event["etag"] = f'"{digest[:16]}"'
        calendar.events[event["id"]] = event
        calendar.changed_at[event["id"]] = calendar.changes
        self._journal.append(
            "google.event", {"calendar": calendar.id, "event": event, "change": calendar.changes}
        )
        return event

    def records(self) -> list[Record]:
        kept: list[Record] = []
        for calendar in self._calendars.values():
            for event_id, change in sorted(calendar.changed_at.items(), key=lambda pair: pair[1]):
                event = calendar.events[event_id]
                kept.append(("google.event", {"calendar": calendar.id, "event": event, "change": change}))
            kept.append(("google.calendar", _settings_of(calendar)))
        return kept

    def restore(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "google.calendar":
            calendar = self.get(data["id"])
            for name, value in data.items():
                setattr(calendar, name, value)
            return
        calendar = self.get(data["calendar"])
        calendar.events[data["event"]["id"]] = data["event"]
        calendar.changed_at[data["event"]["id"]] = calendar.changes = data["change"]


def _settings_of(calendar: Calendar) -> dict[str, Any]:
    names = ("id", "time_zone", "fault", "freebusy_error", "changes", "oldest_sync")
    return {name: getattr(calendar, name) for name in names}
