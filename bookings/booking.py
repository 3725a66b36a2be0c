"""The single door to the clinic's day: an appointment is made or cancelled here, by whoever asks.

The database decides who gets a time: the row is entered with ``ON CONFLICT … DO NOTHING``, and no row
means taken. (A plain INSERT under an exclusion constraint deadlocks for seconds when callers fight.)
Locks are taken in one order, contact, then appointment, and a transaction that has its appointment waits
for nobody, so callers queue but never wait on each other in a ring.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from bookings.availability import DaySlots, Question, alternatives
from bookings.calendars.push import queue_push
from bookings.confirmation import queue_text, withdraw_texts
from bookings.models import Appointment
from bookings.plan import ClinicPlan, ProviderPlan, ServicePlan
from bookings.slots import local_start, on_grid, within_hours
from bookings.spoken import new_confirmation_code
from bookings.states import LIVE_STATES, AppointmentSource, AppointmentStatus
from messaging.contacts import upsert_contact
from messaging.states import MessageKind
from monitoring.errors import DomainError
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id

# Callers are refused over a visit that staff overlapped knowingly and over a busy block of the provider's own
# calendar, in the statement that enters the row; the constraint refuses the rest.
INSERT_APPOINTMENT = Statement("""
INSERT INTO appointments
    (id, org_id, provider_id, service_id, contact_id, patient_name, starts_at, ends_at, blocked_from, blocked_until,
     status, source, overlaps_knowingly, confirmation_code, token_version, call_id, rescheduled_from_id,
     cancel_reason, notes, created_at, updated_at)
SELECT %(id)s, %(org)s, %(provider)s, %(service)s, %(contact)s, %(patient_name)s, %(starts_at)s, %(ends_at)s,
       %(blocked_from)s, %(blocked_until)s, 'confirmed', %(source)s, %(overlaps_knowingly)s, %(code)s, 1,
       %(call_id)s::uuid, %(rescheduled_from)s::uuid, '', '', now(), now()
WHERE %(overlaps_knowingly)s OR (
    NOT EXISTS (
        SELECT 1 FROM appointments a
        WHERE a.org_id = %(org)s AND a.provider_id = %(provider)s AND a.overlaps_knowingly
          AND a.status IN ('held', 'confirmed') AND a.starts_at > %(blocked_from)s - interval '1 day'
          AND a.starts_at < %(blocked_until)s + interval '1 day'
          AND a.blocked_from < %(blocked_until)s AND a.blocked_until > %(blocked_from)s)
    AND NOT EXISTS (
        SELECT 1 FROM busy_blocks b
        WHERE b.org_id = %(org)s AND b.provider_id = %(provider)s
          AND b.starts_at < %(blocked_until)s AND b.ends_at > %(blocked_from)s)
    AND NOT EXISTS (
        SELECT 1 FROM appointments w
        WHERE w.org_id = %(org)s AND w.contact_id = %(contact)s AND w.starts_at = %(starts_at)s
          AND w.status IN ('held', 'confirmed')
          AND (w.provider_id = %(provider)s OR %(any_provider)s)
          AND (w.provider_id = %(provider)s OR %(first_name)s IN ('', split_part(lower(w.patient_name), ' ', 1))
               OR w.patient_name = '')))
ON CONFLICT ON CONSTRAINT no_overlap DO NOTHING
RETURNING id
""")

REFUSALS = {
    "slot_unavailable": "That time has just been taken.",
    "outside_hours": "We are not open for that visit at that time.",
    "in_the_past": "That time has already passed.",
    "too_far_ahead": "That is further ahead than we can book.",
    "too_soon": "That is too soon for us to prepare.",
    "invalid_date": "I did not catch a date that exists. Which day would you like?",
    "invalid_time": "I did not catch a time we can book. Which time would you like?",
    "invalid_phone": "I did not catch a phone number that is complete. Could you repeat it?",
    "invalid_duration": "That visit cannot be booked for that length of time.",
    "unknown_service": "We do not offer that service.",
    "unknown_provider": "I do not know a provider of that name here.",
}


class BookingRefused(DomainError):
    """A refusal by a rule: its ``code`` is a key of ``REFUSALS``; ``alternatives`` are the nearest free times."""

    def __init__(self, code: str, offered: Sequence[DaySlots] = ()) -> None:
        super().__init__(REFUSALS[code], code=code)
        self.alternatives = list(offered)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked to book: local date and time, and who it is for.

    ``overlaps_knowingly`` is for staff who place a visit over another on purpose; callers never set it.
    ``phone`` is E.164; without one an e-mail address is needed, and no text is sent. ``provider`` and
    ``service`` are an id, slug or name; without them anybody, and the clinic's default service.
    """

    day: date
    at: time
    source: AppointmentSource
    patient_name: str = ""
    phone: str | None = None
    email: str = ""
    service: str | None = None
    provider: str | None = None
    length: timedelta | None = None
    call_id: UUID | None = None
    overlaps_knowingly: bool = False


@dataclass(frozen=True, slots=True)
class Booked:
    """A booking that stands; ``already_booked`` when this wish had been granted before."""

    appointment_id: UUID
    starts_at: datetime
    provider_id: UUID
    confirmation_code: str
    already_booked: bool
    sms_status: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A wish that passed every rule but the race for the time."""

    question: Question
    starts_at: datetime

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + self.question.length

    @property
    def blocked_from(self) -> datetime:
        return self.starts_at - self.question.service.before

    @property
    def blocked_until(self) -> datetime:
        return self.ends_at + self.question.service.after


def book(plan: ClinicPlan, wish: Wish, now: datetime | None = None) -> Booked:
    """Books the wish, its confirmation text and its calendar event, in the caller's transaction and scope.

    The same wish again (contact, start, and provider where one is named) gives the first booking again.
    Raises BookingRefused; nothing of the visit is written then.
    """
    visit = plan_visit(plan, wish, now or timezone.now())
    contact_id = upsert_contact(plan.key.org_id, phone=wish.phone, name=wish.patient_name, email=wish.email)
    for provider in _open_candidates(visit):
        booked = _enter(visit, wish, provider, contact_id)
        if booked is not None:
            return booked
    known = _granted_before(visit, wish, contact_id)
    if known is not None:
        return known
    raise BookingRefused("slot_unavailable", alternatives(visit.question, wish.day))


def plan_visit(plan: ClinicPlan, wish: Wish, now: datetime) -> Visit:
    """Checks the wish against the clinic's rules. Raises BookingRefused."""
    service = plan.service(wish.service)
    if service is None:
        raise BookingRefused("unknown_service")
    length = wish.length or service.length
    if not service.allows(length):
        raise BookingRefused("invalid_duration")
    question = Question(plan, service, _named_provider(plan, wish, service), length, now)
    starts_at = local_start(wish.day, wish.at, plan.zone)
    if starts_at is None or not on_grid(starts_at, plan.zone):
        raise BookingRefused("invalid_time")
    visit = Visit(question, starts_at)
    _check_moment(visit, wish.day)
    return visit


def _named_provider(plan: ClinicPlan, wish: Wish, service: ServicePlan) -> ProviderPlan | None:
    if not wish.provider:
        return None
    provider = plan.provider(wish.provider)
    if provider is None or service.id not in provider.service_ids:
        raise BookingRefused("unknown_provider")
    return provider


def _check_moment(visit: Visit, day: date) -> None:
    question = visit.question
    if visit.starts_at < question.now:
        raise BookingRefused("in_the_past")
    if day > question.last_day:
        raise BookingRefused("too_far_ahead")
    if visit.starts_at < question.earliest:
        raise BookingRefused("too_soon", alternatives(question, day))
    if not any(True for _ in _open_candidates(visit)):
        raise BookingRefused("outside_hours", alternatives(question, day))


def _open_candidates(visit: Visit) -> Iterable[ProviderPlan]:
    """Those of the asked-for providers whose hours the visit fits; closures are closed hours."""
    question = visit.question
    day = visit.starts_at.astimezone(question.plan.zone).date()
    for provider in question.candidates:
        if within_hours(visit.starts_at, question.plan.open_hours(provider, day), length=question.length):
            yield provider


def _enter(visit: Visit, wish: Wish, provider: ProviderPlan, contact_id: UUID) -> Booked | None:
    """Enters the row and what follows from it; None when the database says the time is taken."""
    plan, appointment_id, code = visit.question.plan, new_id(), new_confirmation_code()
    values: dict[str, Any] = {
        "id": appointment_id, "org": plan.key.org_id, "provider": provider.id, "service": visit.question.service.id,
        "contact": contact_id, "patient_name": wish.patient_name, "starts_at": visit.starts_at,
        "ends_at": visit.ends_at, "blocked_from": visit.blocked_from, "blocked_until": visit.blocked_until,
        "source": wish.source.value, "overlaps_knowingly": wish.overlaps_knowingly, "code": code,
        "call_id": wish.call_id, "rescheduled_from": None, "any_provider": visit.question.provider is None,
        "first_name": wish.patient_name.lower().partition(" ")[0],
    }  # fmt: skip
    if INSERT_APPOINTMENT.row(values) is None:
        return None
    queue_push(plan.key.org_id, appointment_id)
    sms_status = queue_text(
        plan,
        MessageKind.CONFIRMATION,
        appointment_id=appointment_id,
        contact_id=contact_id,
        recipient=wish.phone,
        starts_at=visit.starts_at,
        code=code,
    )
    return Booked(appointment_id, visit.starts_at, provider.id, code, False, sms_status)


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
            return Booked(row.pk, row.starts_at, row.provider_id, row.confirmation_code, True, "skipped")
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
        )
    return True
