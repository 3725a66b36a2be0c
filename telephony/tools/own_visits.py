"""Which visits a caller may hear of and change: their own, and never a hint about anybody else's.

The calling number alone opens nothing: a family shares it. Number and first name, or a confirmation code, do. An
appointment's id does where it is a visit of the calling number, or was found earlier in the same call: the model
holds ids only because we told it them, but what it says is checked all the same.
"""

from __future__ import annotations

from itertools import islice
from uuid import UUID

from django.db.models import Q

from bookings.booking import BookingRefused, latest
from bookings.models import Appointment
from bookings.spoken import heard_code
from bookings.states import LIVE_STATES, AppointmentStatus
from messaging.models import Contact
from messaging.phone_numbers import InvalidPhoneNumber, normalise
from telephony.models import ToolInvocation
from telephony.tools.answering import Asking
from telephony.tools.asked import ArgumentMissing, Asked

WHO = "May I have your first name, or your confirmation code?"


def first_word(name: str) -> str:
    return name.strip().partition(" ")[0]


def by_code(asking: Asking, key: str) -> Appointment | None:
    """The upcoming visit of a spoken code."""
    code = heard_code(key)
    if code is None:
        return None
    found = Appointment.objects.filter(
        org_id=asking.plan.key.org_id, confirmation_code=code, status__in=LIVE_STATES, ends_at__gt=asking.now
    )
    return found.select_related("contact").first()


def calling_contact(asking: Asking) -> Contact | None:
    """The contact of the number that the network says is calling; never one the model names."""
    try:
        phone = normalise(asking.caller, asking.plan.country)
    except InvalidPhoneNumber:
        return None
    return Contact.objects.filter(org_id=asking.plan.key.org_id, phone=phone).first()


def bears(contact: Contact, first_name: str) -> bool:
    """Whether one of the people behind this number has this first name (in small letters)."""
    return first_name in {first_word(name).lower() for name in [contact.name, *contact.names] if name}


def upcoming(asking: Asking, contact: Contact, first_name: str, most: int) -> list[Appointment]:
    """The next visits of the one of this number's people who bears the first name (in small letters)."""
    rows = Appointment.objects.filter(
        org_id=asking.plan.key.org_id, contact=contact, status__in=LIVE_STATES, ends_at__gt=asking.now
    )
    own = (
        row
        for row in rows.select_related("contact").order_by("starts_at")
        if first_word(row.patient_name).lower() in ("", first_name)
    )
    return list(islice(own, most))


def visits_meant(asking: Asking, asked: Asked) -> list[Appointment]:
    """What the caller may mean by appointmentId, else confirmationCode, else calling number and first name: the
    visit, or with a name alone their next ones in order.

    An id or a code may belong to a visit that was moved or cancelled meanwhile: it is given as it stands.
    Raises BookingRefused (unknown_visit) in the same words whether there is such a visit or not, ArgumentMissing
    where nothing says whose it is.
    """
    named = _id_given(asked)
    if named is not None:
        return [_by_id(asking, named)]
    if asked.text("confirmationCode"):
        return [_by_code_whatever_became(asking, asked.text("confirmationCode"))]
    first_name = first_word(asked.text("patientName")).lower()
    if not first_name:
        raise ArgumentMissing(WHO)
    contact = calling_contact(asking)
    if contact is None or not bears(contact, first_name):
        raise BookingRefused("unknown_visit")
    return upcoming(asking, contact, first_name, most=20)


def _id_given(asked: Asked) -> UUID | None:
    """None also for what is no id at all: a model that has none sometimes says "next"."""
    try:
        return UUID(asked.text("appointmentId"))
    except ValueError:
        return None


def _by_id(asking: Asking, appointment_id: UUID) -> Appointment:
    visit = Appointment.objects.select_related("contact").filter(pk=appointment_id).first()
    if visit is None:
        raise BookingRefused("unknown_visit")
    contact = calling_contact(asking)
    own = contact is not None and visit.contact_id == contact.pk
    if not own and not _told_in_this_call(asking, str(appointment_id)):
        raise BookingRefused("unknown_visit")
    now_it_is = latest(visit)
    if now_it_is.ends_at <= asking.now:
        raise BookingRefused("unknown_visit")
    return now_it_is


def _told_in_this_call(asking: Asking, appointment_id: str) -> bool:
    told = Q(answer__result__appointmentId=appointment_id) | Q(
        answer__result__upcoming__contains=[{"appointmentId": appointment_id}]
    )
    return (
        ToolInvocation.objects.filter(org_id=asking.plan.key.org_id, call_id=asking.call_id)
        .filter(told)
        .exists()
    )


def _by_code_whatever_became(asking: Asking, spoken: str) -> Appointment:
    """The live visit of the code; else the one, to come, that was cancelled under it."""
    live = by_code(asking, spoken)
    if live is not None:
        return live
    gone = Appointment.objects.filter(
        org_id=asking.plan.key.org_id, confirmation_code=heard_code(spoken) or "", rescheduled_to=None,
        status=AppointmentStatus.CANCELLED, ends_at__gt=asking.now,
    ).select_related("contact")[:2]  # fmt: skip
    if len(gone) != 1:
        raise BookingRefused("unknown_visit")
    return gone[0]
