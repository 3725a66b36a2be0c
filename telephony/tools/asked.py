"""A tool's arguments, read strictly: what is not of its form is a refusal that can be spoken, never a guess."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from bookings.booking import BookingRefused
from telephony.vapi.payload import text

DATE_FORM = re.compile(r"^\d{4}-\d{2}-\d{2}$")
TIME_FORM = re.compile(r"^\d{2}:\d{2}(:00)?$")
SHORTEST_MINUTES, LONGEST_MINUTES = 5, 240
UNREADABLE = "I did not quite get that. Could you say it again?"

Choice = TypeVar("Choice", bound=StrEnum)


class ArgumentMissing(ValueError):
    """A required argument is missing or not of its form; the message is a sentence to speak."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of one tool call."""

    values: Mapping[str, Any]

    def text(self, name: str, longest: int = 120) -> str:
        """Blank when missing. Whole numbers are read as text: a model may send a phone number so.

        Raises ArgumentMissing for any other kind of value.
        """
        value = self.values.get(name)
        if value is None:
            return ""
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)[:longest]
        if not isinstance(value, str):
            raise ArgumentMissing(UNREADABLE)
        return text(value, longest)

    def required_text(self, name: str, question: str, longest: int = 500) -> str:
        try:
            value = self.text(name, longest)
        except ArgumentMissing:
            value = ""
        if not value:
            raise ArgumentMissing(question)
        return value

    def date(self, name: str) -> date:
        """A local date as YYYY-MM-DD. Raises BookingRefused (invalid_date)."""
        try:
            value = self.text(name)
            if DATE_FORM.match(value):
                return date.fromisoformat(value)
        except ValueError:
            pass
        raise BookingRefused("invalid_date")

    def time(self, name: str) -> time:
        """A local time as HH:MM. Raises BookingRefused (invalid_time)."""
        try:
            value = self.text(name)
            if TIME_FORM.match(value):
                return time.fromisoformat(value)
        except ValueError:
            pass
        raise BookingRefused("invalid_time")

    def minutes(self, name: str) -> timedelta | None:
        """A length of 5 to 240 minutes; None when missing. Raises BookingRefused (invalid_duration)."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            value = int(value.strip()[:4])
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if (
            not isinstance(value, int)
            or isinstance(value, bool)
            or not SHORTEST_MINUTES <= value <= LONGEST_MINUTES
        ):
            raise BookingRefused("invalid_duration")
        return timedelta(minutes=value)

    def choice(self, name: str, choices: type[Choice], default: Choice | None) -> Choice | None:
        """One of ``choices`` in any case; ``default`` when missing or unknown."""
        try:
            return choices(self.text(name).lower())
        except ValueError:
            return default
