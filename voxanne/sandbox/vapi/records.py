"""Vapi's records: tools, assistants, phone numbers and calls, with what was done to each call."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from voxanne.sandbox.bus import Bus
from voxanne.sandbox.formats import iso_milliseconds
from voxanne.sandbox.journal import Journal
from voxanne.sandbox.journal import Record as JournalRecord

KINDS = ("tool", "assistant", "phone-number", "call")
ORGANISATION = "5a11db0c-0000-4000-8000-000000000001"
ENDED = "ended"

VapiRecord = dict[str, Any]


class Records:
    """One store a kind, keyed by id, in order of creation."""

    def __init__(self, journal: Journal, bus: Bus, public_url: str) -> None:
        self._journal = journal
        self._bus = bus
        self._public_url = public_url
        self.clear()

    def clear(self) -> None:
        self._kinds: dict[str, dict[str, VapiRecord]] = {kind: {} for kind in KINDS}
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._commands: dict[str, list[dict[str, Any]]] = {}

    def all(self, kind: str) -> list[VapiRecord]:
        return list(self._kinds[kind].values())

    def find(self, kind: str, record_id: str) -> VapiRecord | None:
        return self._kinds[kind].get(record_id)

    def call_of_provider(self, provider_id: str) -> VapiRecord | None:
        """The call that rides on this Twilio leg."""
        calls = self._kinds["call"].values()
        return next((call for call in calls if call.get("phoneCallProviderId") == provider_id), None)

    def create(self, kind: str, body: dict[str, Any]) -> VapiRecord:
        """A new record with the server's own members; an ``id`` in the body is kept (control API only)."""
        now = iso_milliseconds(time.time())
        record = {
            **body,
            "id": body.get("id") or str(uuid4()),
            "orgId": ORGANISATION,
            "createdAt": now,
            "updatedAt": now,
        }
        if kind == "call":
            record.setdefault("monitor", {"controlUrl": f"{self._public_url}/vapi/control/{record['id']}"})
        return self.keep(kind, record)

    def recording_url(self, call_id: str) -> str:
        return f"{self._public_url}/vapi/recordings/{call_id}.wav"

    def keep(self, kind: str, record: VapiRecord) -> VapiRecord:
        record["updatedAt"] = iso_milliseconds(time.time())
        self._kinds[kind][record["id"]] = record
        self._journal.append("vapi.record", {"kind": kind, "record": record})
        if kind == "call":
            self._bus.tell("vapi", {"id": record["id"]})
        return record

    def remove(self, kind: str, record_id: str) -> None:
        del self._kinds[kind][record_id]
        self._journal.append("vapi.removed", {"kind": kind, "id": record_id})

    def add_event(self, call_id: str, event: dict[str, Any]) -> dict[str, Any]:
        """Append to a call's timeline: ``{type, role?, text?, at?}`` and whatever else is given."""
        kept = {"at": iso_milliseconds(time.time()), **event}
        self._events.setdefault(call_id, []).append(kept)
        self._journal.append("vapi.event", {"call": call_id, "event": kept})
        self._bus.tell("vapi", {"id": call_id})
        return kept

    def add_command(self, call_id: str, command: dict[str, Any]) -> None:
        """Remember a live-control command, also as a line of the timeline."""
        kept = {"at": iso_milliseconds(time.time()), **command}
        self._commands.setdefault(call_id, []).append(kept)
        self._journal.append("vapi.command", {"call": call_id, "command": kept})
        text = command.get("content") or (command.get("destination") or {}).get("number") or ""
        self.add_event(call_id, {"type": f"control:{command.get('type')}", "role": "system", "text": text})

    def commands(self, call_id: str | None = None) -> list[dict[str, Any]]:
        ids = [call_id] if call_id is not None else list(self._commands)
        return [{"call_id": one, **command} for one in ids for command in self._commands.get(one, [])]

    def describe_call(self, call: VapiRecord) -> dict[str, Any]:
        """A call with its timeline and the commands it was given."""
        call_id = call["id"]
        return {**call, "events": self._events.get(call_id, []), "commands": self._commands.get(call_id, [])}

    def journal_records(self) -> list[JournalRecord]:
        kept: list[JournalRecord] = []
        for kind, records in self._kinds.items():
            kept += [("vapi.record", {"kind": kind, "record": record}) for record in records.values()]
        for call_id, events in self._events.items():
            kept += [("vapi.event", {"call": call_id, "event": event}) for event in events]
        for call_id, commands in self._commands.items():
            kept += [("vapi.command", {"call": call_id, "command": command}) for command in commands]
        return kept

    def restore(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "vapi.record":
            self._kinds[data["kind"]][data["record"]["id"]] = data["record"]
        elif kind == "vapi.removed":
            self._kinds[data["kind"]].pop(data["id"], None)
        elif kind == "vapi.event":
            self._events.setdefault(data["call"], []).append(data["event"])
        elif kind == "vapi.command":
            self._commands.setdefault(data["call"], []).append(data["command"])
