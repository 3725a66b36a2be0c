"""rescheduleAppointment: one of the caller's own visits, moved to the time they would rather have."""

from __future__ import annotations

from bookings.booking import Booked, BookingRefused, NewTime, reschedule, start_of
from bookings.models import Appointment
from bookings.spoken import spelled, spoken_date, spoken_time
from bookings.states import AppointmentSource
from telephony.tools.answering import Asking, ToolAnswer, answered
from telephony.tools.asked import Asked
from telephony.tools.own_visits import visits_meant


def reschedule_appointment(asking: Asking, asked: Asked) -> ToolAnswer:
    to = NewTime(asked.date("newDate"), asked.time("newTime"), AppointmentSource.VOICE, asking.call_id)
    visit = _meant(asking, visits_meant(asking, asked), to)
    moved = reschedule(asking.plan, visit, to, asking.now)
    return answered(
        _sentence(asking, moved),
        appointmentId=str(moved.appointment_id),
        startsAt=moved.starts_at.astimezone(asking.plan.zone).isoformat(),
        confirmationCode=moved.confirmation_code,
        alreadyBooked=moved.already_booked,
        smsStatus=moved.sms_status,
    )


def _meant(asking: Asking, visits: list[Appointment], to: NewTime) -> Appointment:
    """The next visit; but one that is at the wanted time already is what this wish, heard before, has become."""
    wanted = start_of(asking.plan, to.day, to.at)
    there = [visit for visit in visits if visit.starts_at == wanted]
    chosen = there or visits
    if not chosen:
        raise BookingRefused("unknown_visit")
    return chosen[0]


def _sentence(asking: Asking, moved: Booked) -> str:
    plan = asking.plan
    day = moved.starts_at.astimezone(plan.zone).date()
    when = f"{spoken_date(day, plan.today(asking.now))} at {spoken_time(moved.starts_at, plan.zone, plan.country)}"
    already = "You are already booked for" if moved.already_booked else "Your visit is now"
    sentence = f"{already} {when}. Your confirmation code is {spelled(moved.confirmation_code)}."
    if moved.sms_status == "queued":
        sentence += " I am sending you a text with the new time."
    return sentence
