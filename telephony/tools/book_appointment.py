"""bookClinicAppointment: the visit the caller chose, for the caller's number unless another is given."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from bookings.booking import BookingRefused, Wish, book
from bookings.states import AppointmentSource
from messaging.phone_numbers import InvalidPhoneNumber, normalise
from telephony.tools.answering import Asking, ToolAnswer
from telephony.tools.asked import ArgumentMissing, Asked
from telephony.tools.visit_answer import visit_answered

LONGEST_EMAIL = 254


def book_appointment(asking: Asking, asked: Asked) -> ToolAnswer:
    day, at = asked.date("appointmentDate"), asked.time("appointmentTime")
    wish = Wish(
        day=day,
        at=at,
        source=AppointmentSource.VOICE,
        patient_name=asked.required_text("patientName", "May I have your name for the booking?", longest=120),
        phone=_phone(asking, asked),
        email=_email(asked),
        service=asked.text("serviceType") or None,
        provider=asked.text("provider") or None,
        length=asked.minutes("duration"),
        call_id=asking.call_id,
    )
    booked = book(asking.plan, wish, asking.now)
    return visit_answered(asking, booked, done="You are booked for", texted="the details")


def _email(asked: Asked) -> str:
    """The address in small letters; blank when it is none: a visit is not refused for a misheard address."""
    try:
        address = asked.text("patientEmail", 400).lower()
        validate_email(address)
    except (ArgumentMissing, ValidationError):
        return ""
    return address if len(address) <= LONGEST_EMAIL else ""


def _phone(asking: Asking, asked: Asked) -> str:
    """E.164 of the given number, else of the caller. Raises BookingRefused (invalid_phone)."""
    given = asked.text("patientPhone", 60) or asking.caller
    try:
        return normalise(given, asking.plan.country)
    except InvalidPhoneNumber as error:
        raise BookingRefused("invalid_phone") from error
