"""Whose phone is whose: names for numbers, shown on the phone page."""

from __future__ import annotations

from typing import Any

from voxanne.sandbox.bus import Bus
from voxanne.sandbox.journal import Journal, Record


class PhoneBook:
    """A name a number; only for people's phones (our own numbers are named where they are configured)."""

    def __init__(self, journal: Journal, bus: Bus) -> None:
        self._journal = journal
        self._bus = bus
        self.clear()

    def clear(self) -> None:
        self.names: dict[str, str] = {}

    def name(self, number: str, name: str) -> None:
        self.names[number] = name
        self._journal.append("phone.name", {"number": number, "name": name})
        self._bus.tell("resync", {})

    def records(self) -> list[Record]:
        return [("phone.name", {"number": number, "name": name}) for number, name in self.names.items()]

    def restore(self, kind: str, data: dict[str, Any]) -> None:
        self.names[data["number"]] = data["name"]
