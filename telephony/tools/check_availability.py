"""checkAvailability: which times are free on a day, or on the nearest days when it is full."""

from __future__ import annotations

from dataclasses import replace

from bookings.availability import MOST_SLOTS, Question, alternatives, free_on
from bookings.booking import BookingRefused
from bookings.slots import PartOfDay, spread
from bookings.spoken import spoken_times
from telephony.tools.answering import (
    Asking,
    ToolAnswer,
    answered,
    clock_days,
    clock_times,
    spoken_offer,
    spoken_on,
)
from telephony.tools.asked import Asked


def check_availability(asking: Asking, asked: Asked) -> ToolAnswer:
    question = _question(asking, asked)
    day, today = asked.date("date"), asking.plan.today(asking.now)
    if day < today:
        raise BookingRefused("in_the_past", alternatives(question, today))
    if day > question.last_day:
        raise BookingRefused("too_far_ahead")
    free = free_on(question, day)
    zone, country = asking.plan.zone, asking.plan.country
    slots = spread(free.starts, MOST_SLOTS)
    found = {"date": day.isoformat(), "slots": clock_times(slots, zone), "slotCount": len(free.starts)}
    if slots:
        times = spoken_times(slots[:3], zone, country)
        return answered(f"I have {times} {spoken_on(day, today)}. Which would you like?", **found)
    # Where that part of the day is never free, the caller hears of the others.
    days = alternatives(question, day) or alternatives(replace(question, part=None), day)
    part = f"in the {question.part} " if question.part else ""
    nothing = f"There is nothing free {part}{spoken_on(day, today)}."
    if not days:
        return answered(f"{nothing} Shall I take a message?", alternatives=[], **found)
    return answered(f"{nothing} {spoken_offer(asking, days)}", alternatives=clock_days(days, zone), **found)


def _question(asking: Asking, asked: Asked) -> Question:
    service = asking.plan.service(asked.text("serviceType"))
    if service is None:
        raise BookingRefused("unknown_service")
    provider = None
    if asked.text("provider"):
        provider = asking.plan.provider(asked.text("provider"))
        if provider is None or service.id not in provider.service_ids:
            raise BookingRefused("unknown_provider")
    part = asked.choice("partOfDay", PartOfDay, None)
    return Question(asking.plan, service, provider, service.length, asking.now, part)
