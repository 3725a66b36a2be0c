"""rescheduleAppointment: one of the caller's own visits, moved to the time they would rather have."""

from __future__ import annotations

from bookings.booking import BookingRefused, NewTime, reschedule, start_of
from bookings.models import Appointment
from bookings.states import AppointmentSource
from telephony.tools.answering import Asking, ToolAnswer
from telephony.tools.asked import Asked
from telephony.tools.own_visits import visits_meant
from telephony.tools.visit_answer import visit_answered


def reschedule_appointment(asking: Asking, asked: Asked) -> ToolAnswer:
    to = NewTime(asked.date("newDate"), asked.time("newTime"), AppointmentSource.VOICE, asking.call_id)
    visit = _meant(asking, visits_meant(asking, asked), to)
    moved = reschedule(asking.plan, visit, to, asking.now)
    return visit_answered(asking, moved, done="Your visit is now", texted="the new time")


def _meant(asking: Asking, visits: list[Appointment], to: NewTime) -> Appointment:
    """The next visit; but one that is at the wanted time already is what this wish, heard before, has become."""
    wanted = start_of(asking.plan, to.day, to.at)
    there = [visit for visit in visits if visit.starts_at == wanted]
    chosen = there or visits
    if not chosen:
        raise BookingRefused("unknown_visit")
    return chosen[0]
