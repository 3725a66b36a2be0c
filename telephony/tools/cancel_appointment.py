"""cancelAppointment: one of the caller's own visits is called off; the text and the calendar follow."""

from __future__ import annotations

from collections.abc import Sequence

from bookings.booking import BookingRefused, cancel, latest
from bookings.models import Appointment
from bookings.spoken import spoken_time
from bookings.states import AppointmentStatus
from telephony.models import ToolInvocation
from telephony.tools.answering import Asking, ToolAnswer, answered, spoken_on
from telephony.tools.asked import Asked
from telephony.tools.own_visits import first_word, visits_meant
from telephony.vapi.payload import text

TOOL = "cancelAppointment"
BY_THE_PATIENT = "Cancelled by the patient in a call."


def cancel_appointment(asking: Asking, asked: Asked) -> ToolAnswer:
    reason = text(asked.values.get("reason"), 200) or BY_THE_PATIENT
    visit = _repeated(asking, asked) or _next(visits_meant(asking, asked))
    if not cancel(asking.plan, visit, reason=reason):
        visit = latest(visit)
        # It was moved at this very instant: what it became is what the caller wants gone.
        if not cancel(asking.plan, visit, reason=reason) and visit.status != AppointmentStatus.CANCELLED:
            raise BookingRefused("unknown_visit")
    return answered(_sentence(asking, visit), cancelled=True, appointmentId=str(visit.pk))


def _next(visits: Sequence[Appointment]) -> Appointment:
    if not visits:
        raise BookingRefused("unknown_visit")
    return visits[0]


def _repeated(asking: Asking, asked: Asked) -> Appointment | None:
    """The visit that this call has cancelled for this person, where the wish names no visit: heard twice, "cancel my
    next one" must not cancel the one after it. Another visit is cancelled by its id or code."""
    name = first_word(asked.text("patientName")).lower()
    if asked.text("appointmentId") or asked.text("confirmationCode") or not name:
        return None
    earlier = ToolInvocation.objects.filter(
        org_id=asking.plan.key.org_id, call_id=asking.call_id, tool=TOOL, answer__result__cancelled=True
    )
    cancelled = earlier.order_by("-created_at").values_list("answer__result__appointmentId", flat=True)
    for visit in Appointment.objects.select_related("contact").filter(pk__in=list(cancelled)):
        if first_word(visit.patient_name).lower() == name:
            return visit
    return None


def _sentence(asking: Asking, visit: Appointment) -> str:
    plan = asking.plan
    day = visit.starts_at.astimezone(plan.zone).date()
    when = (
        f"{spoken_on(day, plan.today(asking.now))} at {spoken_time(visit.starts_at, plan.zone, plan.country)}"
    )
    return f"Your visit {when} is cancelled."
