"""Calls as Twilio keeps them, each with a timeline of what happened on it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from voxanne.sandbox.bus import Bus
from voxanne.sandbox.formats import iso_milliseconds, rfc2822, twilio_sid
from voxanne.sandbox.journal import Journal, Record
from voxanne.sandbox.twilio.messages import API_VERSION

ENDED = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
SUBRESOURCES = (
    "events",
    "notifications",
    "payments",
    "recordings",
    "siprec",
    "streams",
    "transcriptions",
    "user_defined_message_subscriptions",
    "user_defined_messages",
)


@dataclass
class Call:
    """One leg. ``duration`` is in whole seconds and None until the leg was answered and has ended."""

    account_sid: str
    to: str
    sender: str
    direction: str
    status: str
    parent_call_sid: str | None = None
    phone_number_sid: str | None = None
    forwarded_from: str | None = None
    answered_by: str | None = None
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    started_at: float | None = None
    ended_at: float | None = None
    duration: int | None = None
    timeline: list[dict[str, Any]] = field(default_factory=list)
    sid: str = field(default_factory=lambda: twilio_sid("CA"))

    def resource(self) -> dict[str, Any]:
        """The Call resource of Twilio's REST API."""
        base = f"/{API_VERSION}/Accounts/{self.account_sid}/Calls/{self.sid}"
        return {
            "account_sid": self.account_sid,
            "answered_by": self.answered_by,
            "api_version": API_VERSION,
            "caller_name": None,
            "date_created": rfc2822(self.created_at),
            "date_updated": rfc2822(self.updated_at),
            "direction": self.direction,
            "duration": None if self.duration is None else str(self.duration),
            "end_time": rfc2822(self.ended_at),
            "forwarded_from": self.forwarded_from,
            "from": self.sender,
            "from_formatted": self.sender,
            "group_sid": None,
            "parent_call_sid": self.parent_call_sid,
            "phone_number_sid": self.phone_number_sid,
            "price": None,
            "price_unit": "USD",
            "queue_time": "0",
            "sid": self.sid,
            "start_time": rfc2822(self.started_at),
            "status": self.status,
            "subresource_uris": {name: f"{base}/{_folder(name)}.json" for name in SUBRESOURCES},
            "to": self.to,
            "to_formatted": self.to,
            "trunk_sid": None,
            "uri": f"{base}.json",
        }

    def on_phone(self) -> dict[str, Any]:
        """The call as the control API and the phone page show it."""
        return {
            "sid": self.sid,
            "parent_call_sid": self.parent_call_sid,
            "from": self.sender,
            "to": self.to,
            "status": self.status,
            "direction": self.direction,
            "duration": self.duration,
            "created_at": iso_milliseconds(self.created_at),
            "ended_at": iso_milliseconds(self.ended_at),
            "timeline": self.timeline,
        }


class Calls:
    """All legs, by SID."""

    def __init__(self, journal: Journal, bus: Bus) -> None:
        self._journal = journal
        self._bus = bus
        self.clear()

    def clear(self) -> None:
        self._by_sid: dict[str, Call] = {}

    def add(self, call: Call) -> Call:
        self._by_sid[call.sid] = call
        self._keep(call)
        return call

    def move(self, call: Call, status: str, duration: int | None = None) -> None:
        """Set a leg's status with its times; an ended leg stays as it is."""
        if call.status in ENDED:
            return
        call.status, call.updated_at = status, time.time()
        if status == "in-progress":
            call.started_at = call.updated_at
        if status in ENDED:
            call.ended_at = call.updated_at
            call.duration = duration
        self._keep(call)

    def note(self, call: Call, kind: str, text: str = "") -> None:
        """A line for the call's timeline."""
        call.timeline.append({"at": iso_milliseconds(time.time()), "type": kind, "text": text})
        self._keep(call)

    def find(self, sid: str) -> Call | None:
        return self._by_sid.get(sid)

    def count(self) -> int:
        """Calls, legs dialled on not counted."""
        return sum(1 for call in self._by_sid.values() if call.parent_call_sid is None)

    def newest_first(self) -> list[Call]:
        return list(reversed(self._by_sid.values()))

    def remove(self, call: Call) -> None:
        del self._by_sid[call.sid]
        self._journal.append("twilio.call_removed", {"sid": call.sid})

    def records(self) -> list[Record]:
        return [("twilio.call", asdict(call)) for call in self._by_sid.values()]

    def restore(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "twilio.call":
            self._by_sid[data["sid"]] = Call(**data)
        else:
            self._by_sid.pop(data["sid"], None)

    def end_interrupted(self) -> None:
        """After a restart nobody plays the open calls any more: they are over."""
        for call in list(self._by_sid.values()):
            if call.status not in ENDED:
                self.move(call, "failed" if call.started_at is None else "completed")

    def _keep(self, call: Call) -> None:
        self._journal.append("twilio.call", asdict(call))
        if self._bus.has_listeners:
            self._bus.tell("call", {"sid": call.sid})


def _folder(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
