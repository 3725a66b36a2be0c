"""One booking by the API: the key's claim, the visit and the stored answer are one transaction."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from datetime import time as clock_time
from typing import Any
from uuid import UUID

from bookings.booking import Booked, BookingRefused, Wish, book, until_code_is_free
from bookings.models import LONGEST_VISIT, SHORTEST_VISIT
from bookings.patient_token import token_for
from bookings.plan import ClinicPlan, clinic_plan
from bookings.states import AppointmentSource
from messaging.models import Contact
from messaging.phone_numbers import InvalidPhoneNumber, normalise
from monitoring.errors import error_body
from telephony.api import idempotency
from telephony.api.refusals import (
    CONFLICT,
    UNKNOWN_PATIENT,
    UNKNOWN_PROVIDER,
    Refusal,
    Refused,
    refused_booking,
)
from telephony.api.tokens import Bearer
from voxanne.tenancy.scope import org_scope

CREATED, OK = 201, 200


@dataclass(frozen=True, slots=True)
class Done:
    """What is answered, what came of it for our figures, and whether it was answered before."""

    status: int
    body: dict[str, Any]
    outcome: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Patient:
    phone: str | None
    email: str
    name: str


def book_once(
    bearer: Bearer, request: idempotency.Request | None, asked: Mapping[str, Any], began: float
) -> Done:
    """Books what was asked; once a key, where ``request`` names one. ``began``: the request's perf_counter().

    A refusal that waiting will not change is remembered like a booking. Raises Refusal (409: nothing of it is
    remembered), KeyReused, DatabaseError.
    """
    return until_code_is_free(lambda: _in_scope(bearer, request, asked, began))


def _in_scope(
    bearer: Bearer, request: idempotency.Request | None, asked: Mapping[str, Any], began: float
) -> Done:
    with org_scope(bearer.clinic.org_id):
        if request is None:
            return _done(_attempt(bearer, asked), None, began)
        claimed = idempotency.claim(bearer, request)
        if isinstance(claimed, idempotency.FirstAnswer):
            return _again(claimed)
        return _done(_attempt(bearer, asked), claimed, began)


def _attempt(bearer: Bearer, asked: Mapping[str, Any]) -> tuple[ClinicPlan, Booked | Refused]:
    """Raises Refusal for a conflict, which rolls everything back: the time may come free."""
    plan = clinic_plan(bearer.clinic)
    try:
        return plan, book(plan, _wish(plan, asked))
    except BookingRefused as error:
        answer = refused_booking(error, plan)
    except Refusal as error:
        answer = error.answer
    if answer.status == CONFLICT:
        raise Refusal(answer.code, answer.details)
    return plan, answer


def _done(attempt: tuple[ClinicPlan, Booked | Refused], claim_id: UUID | None, began: float) -> Done:
    plan, came_of_it = attempt
    if isinstance(came_of_it, Refused):
        body = {"success": False, **error_body(came_of_it.code, came_of_it.message, came_of_it.details)}
        if claim_id is not None:
            idempotency.store_answer(claim_id, came_of_it.status, body)
        return Done(came_of_it.status, body, came_of_it.code)
    facts = {
        "appointment_id": str(came_of_it.appointment_id),
        "token_version": came_of_it.token_version,
        "starts_at": came_of_it.starts_at.astimezone(plan.zone).isoformat(),
        "latency_ms": round((time.perf_counter() - began) * 1000, 1),
    }
    if claim_id is not None:
        idempotency.store_answer(claim_id, CREATED, facts)
    outcome = "already_booked" if came_of_it.already_booked else "booked"
    return Done(OK if came_of_it.already_booked else CREATED, _booked(facts), outcome)


def _again(first: idempotency.FirstAnswer) -> Done:
    if first.status == CREATED:
        return Done(OK, _booked(first.answer), "repeated", repeated=True)
    return Done(first.status, first.answer, "repeated", repeated=True)


def _booked(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a booking. The token is made anew each time: it is stored nowhere."""
    return {
        "success": True,
        "appointment_id": facts["appointment_id"],
        "confirmation_token": token_for(UUID(facts["appointment_id"]), facts["token_version"]),
        "starts_at": facts["starts_at"],
        "latency_ms": facts["latency_ms"],
    }


def _wish(plan: ClinicPlan, asked: Mapping[str, Any]) -> Wish:
    """Raises Refusal."""
    provider_id = asked["provider_id"].lower()
    if not any(str(provider.id) == provider_id for provider in plan.providers):
        raise Refusal(UNKNOWN_PROVIDER)
    patient = _patient(plan, asked)
    return Wish(
        day=_date(asked["appointment_date"]),
        at=_time(asked["appointment_time"]),
        source=AppointmentSource.API,
        patient_name=patient.name,
        phone=patient.phone,
        email=patient.email,
        service=asked.get("service") or None,
        provider=provider_id,
        length=_length(asked.get("duration_minutes")),
    )


def _patient(plan: ClinicPlan, asked: Mapping[str, Any]) -> Patient:
    """A known contact when its id is given, else the phone number, else the e-mail address. Raises Refusal."""
    name = re.sub(r"\s+", " ", asked.get("patient_name") or "")
    if asked.get("patient_id"):
        contact = Contact.objects.filter(org_id=plan.key.org_id, pk=asked["patient_id"]).first()
        if contact is None:
            raise Refusal(UNKNOWN_PATIENT)
        return Patient(contact.phone, contact.email, name or contact.name)
    email = asked.get("patient_email") or ""
    if not asked.get("patient_phone"):
        return Patient(None, email, name)
    try:
        return Patient(normalise(asked["patient_phone"], plan.country), email, name)
    except InvalidPhoneNumber as error:
        raise Refusal("invalid_phone") from error


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refusal("invalid_date") from error


def _time(text: str) -> clock_time:
    try:
        return clock_time.fromisoformat(text)
    except ValueError as error:
        raise Refusal("invalid_time") from error


def _length(minutes: int | None) -> timedelta | None:
    if minutes is None:
        return None
    if not SHORTEST_VISIT <= minutes <= LONGEST_VISIT:
        raise Refusal("invalid_duration")
    return timedelta(minutes=minutes)
