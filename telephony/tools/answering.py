"""How a tool answers: an outcome for our figures, and one line of JSON for the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from bookings.availability import DaySlots
from bookings.booking import BookingRefused
from bookings.plan import ClinicPlan
from bookings.spoken import spoken_date, spoken_times
from telephony.vapi.payload import CallFacts

APOLOGY = "I am sorry, I cannot reach our system just now. May I take a message, or put you through?"


@dataclass(frozen=True, slots=True)
class Asking:
    """Whose call a tool answers in: everything is known from the call, nothing from the model."""

    plan: ClinicPlan
    call_id: UUID
    caller: str
    facts: CallFacts
    now: datetime


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """``result`` is what the model reads (``ok``, ``say``, …); ``message``, if any, is spoken by Vapi itself."""

    result: dict[str, Any]
    outcome: str = "ok"
    message: dict[str, Any] | None = field(default=None)


def answered(say: str, **more: Any) -> ToolAnswer:
    return ToolAnswer({"ok": True, "say": say, **more})


def refused(code: str, say: str, **more: Any) -> ToolAnswer:
    return ToolAnswer({"ok": False, "code": code, "say": say, **more}, outcome=code)


def refused_booking(asking: Asking, refusal: BookingRefused) -> ToolAnswer:
    """A booking refusal, with the nearest free times where there are some."""
    if not refusal.alternatives:
        return refused(refusal.code, refusal.message)
    offer = spoken_offer(asking, refusal.alternatives)
    return refused(
        refusal.code,
        f"{refusal.message} {offer}",
        alternatives=clock_days(refusal.alternatives, asking.plan.zone),
    )


def clock_times(starts: Sequence[datetime], zone: ZoneInfo) -> list[str]:
    """Local HH:MM of each start."""
    return [f"{start.astimezone(zone):%H:%M}" for start in starts]


def clock_days(days: Sequence[DaySlots], zone: ZoneInfo) -> list[dict[str, Any]]:
    return [{"date": each.day.isoformat(), "slots": clock_times(each.starts, zone)} for each in days]


def spoken_on(day: date, today: date) -> str:
    """Return "on Tuesday 24 November", or "today, Friday 20 November": nobody says "on today"."""
    said = spoken_date(day, today)
    return said if said.startswith(("today", "tomorrow")) else f"on {said}"


def spoken_offer(asking: Asking, days: Sequence[DaySlots]) -> str:
    """One sentence that offers the first day's times, and the next day's first."""
    plan, today = asking.plan, asking.plan.today(asking.now)
    first = days[0]
    offer = f"I have {spoken_times(first.starts, plan.zone, plan.country)} {spoken_on(first.day, today)}"
    if len(days) > 1:
        second = days[1]
        offer += (
            f", or {spoken_times(second.starts[:1], plan.zone, plan.country)} {spoken_on(second.day, today)}"
        )
    return f"{offer}. Would one of these suit you?"
