"""What the caller hears of a visit that stands: when it is, its code, and the text that is on its way."""

from __future__ import annotations

from bookings.booking import Booked
from bookings.spoken import spelled, spoken_date, spoken_time
from telephony.tools.answering import Asking, ToolAnswer, answered


def visit_answered(asking: Asking, booked: Booked, *, done: str, texted: str) -> ToolAnswer:
    """``done`` begins the sentence where this call brought it about, ``texted`` says what the text is about."""
    return answered(
        _sentence(asking, booked, "You are already booked for" if booked.already_booked else done, texted),
        appointmentId=str(booked.appointment_id),
        startsAt=booked.starts_at.astimezone(asking.plan.zone).isoformat(),
        confirmationCode=booked.confirmation_code,
        alreadyBooked=booked.already_booked,
        smsStatus=booked.sms_status,
    )


def _sentence(asking: Asking, booked: Booked, begun: str, texted: str) -> str:
    plan = asking.plan
    day = booked.starts_at.astimezone(plan.zone).date()
    when = f"{spoken_date(day, plan.today(asking.now))} at {spoken_time(booked.starts_at, plan.zone, plan.country)}"
    sentence = f"{begun} {when}. Your confirmation code is {spelled(booked.confirmation_code)}."
    if booked.sms_status == "queued":
        sentence += f" I am sending you a text with {texted}."
    return sentence
