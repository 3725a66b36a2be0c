"""The single door to the clinic's day: an appointment is made, moved or cancelled here, by whoever asks.

The database decides who gets a time: the row is entered with ``ON CONFLICT … DO NOTHING``, and no row
means taken. (A plain INSERT under an exclusion constraint deadlocks for seconds when callers fight.)
Locks are taken in one order, contact, then appointment, and a transaction that has its appointment waits
for nobody, so callers queue but never wait on each other in a ring.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.utils import timezone

from bookings.availability import alternatives
from bookings.calendars.push import queue_push
from bookings.confirmation import queue_text, withdraw_texts
from bookings.entering import INSERT_APPOINTMENT, Booked, enter, standing, until_code_is_free
from bookings.models import Appointment
from bookings.moving import NewTime, latest, reschedule
from bookings.plan import ClinicPlan
from bookings.rules import REFUSALS, BookingRefused, Visit, Wish, open_candidates, plan_visit, start_of
from bookings.states import LIVE_STATES, AppointmentSource, AppointmentStatus
from messaging.contacts import upsert_contact
from messaging.states import ConsentSource, MessageKind

__all__ = [
    "INSERT_APPOINTMENT",
    "REFUSALS",
    "Booked",
    "BookingRefused",
    "NewTime",
    "Wish",
    "book",
    "cancel",
    "latest",
    "reschedule",
    "start_of",
    "until_code_is_free",
]


# Who books with a number is told of the visit there.
CONSENT = {
    AppointmentSource.VOICE: ConsentSource.PHONE_CALL,
    AppointmentSource.API: ConsentSource.API,
    AppointmentSource.STAFF: ConsentSource.STAFF,
    AppointmentSource.PATIENT: ConsentSource.PATIENT_PAGE,
}


def book(plan: ClinicPlan, wish: Wish, now: datetime | None = None) -> Booked:
    """Books the wish, its confirmation text and its calendar event, in the caller's transaction and scope.

    The same wish again (contact, start, and provider where one is named) gives the first booking again.
    Raises BookingRefused; nothing of the visit is written then. Raises IntegrityError once in a great while, when
    its confirmation code is in use: ``until_code_is_free`` runs the transaction again.
    """
    visit = plan_visit(plan, wish, now or timezone.now())
    contact_id = upsert_contact(
        plan.key.org_id,
        phone=wish.phone,
        name=wish.patient_name,
        email=wish.email,
        consent=CONSENT[wish.source],
    )
    for provider in open_candidates(visit):
        booked = enter(visit, wish, provider, contact_id)
        if booked is not None:
            return booked
    known = _granted_before(visit, wish, contact_id)
    if known is not None:
        return known
    raise BookingRefused("slot_unavailable", alternatives(visit.question, wish.day))


def _granted_before(visit: Visit, wish: Wish, contact_id: UUID) -> Booked | None:
    """The live visit that this wish made earlier. The contact's row is locked, so a twin has finished."""
    rows = Appointment.objects.filter(
        org_id=visit.question.plan.key.org_id,
        contact_id=contact_id,
        starts_at=visit.starts_at,
        status__in=LIVE_STATES,
    )
    if visit.question.provider is not None:
        rows = rows.filter(provider_id=visit.question.provider.id)
    first = wish.patient_name.lower().partition(" ")[0]
    for row in rows:
        named = visit.question.provider is not None
        if named or not first or row.patient_name.lower().partition(" ")[0] in ("", first):
            return standing(row)
    return None


def cancel(plan: ClinicPlan, appointment: Appointment, *, reason: str, tell_patient: bool = True) -> bool:
    """Cancels a live visit: its time is free at once, texts that still wait are withdrawn, the calendar event
    goes, and the patient is told. False when it was not live any more. In the caller's scope."""
    moved = Appointment.objects.filter(pk=appointment.pk, status__in=LIVE_STATES).update(
        status=AppointmentStatus.CANCELLED, cancel_reason=reason[:200], updated_at=timezone.now()
    )
    if not moved:
        return False
    withdraw_texts(plan.key.org_id, appointment.pk)
    queue_push(plan.key.org_id, appointment.pk)
    if tell_patient and appointment.starts_at > timezone.now():
        queue_text(
            plan,
            MessageKind.CANCELLED,
            appointment_id=appointment.pk,
            contact_id=appointment.contact_id,
            recipient=appointment.contact.phone,
            starts_at=appointment.starts_at,
            code=appointment.confirmation_code,
            token_version=appointment.token_version,
        )
    return True
