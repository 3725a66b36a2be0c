"""bookClinicAppointment: the visit the caller chose, for the caller's number unless another is given."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from bookings.booking import Booked, BookingRefused, Wish, book
from bookings.spoken import spelled, spoken_date, spoken_time
from bookings.states import AppointmentSource
from messaging.phone_numbers import InvalidPhoneNumber, normalise
from telephony.tools.answering import Asking, ToolAnswer, answered
from telephony.tools.asked import ArgumentMissing, Asked

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
    return answered(
        _sentence(asking, booked),
        appointmentId=str(booked.appointment_id),
        startsAt=booked.starts_at.astimezone(asking.plan.zone).isoformat(),
        confirmationCode=booked.confirmation_code,
        alreadyBooked=booked.already_booked,
        smsStatus=booked.sms_status,
    )


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


def _sentence(asking: Asking, booked: Booked) -> str:
    plan = asking.plan
    day = booked.starts_at.astimezone(plan.zone).date()
    when = f"{spoken_date(day, plan.today(asking.now))} at {spoken_time(booked.starts_at, plan.zone, plan.country)}"
    already = "You are already booked for" if booked.already_booked else "You are booked for"
    sentence = f"{already} {when}. Your confirmation code is {spelled(booked.confirmation_code)}."
    if booked.sms_status == "queued":
        sentence += " I am sending you a text with the details."
    return sentence
