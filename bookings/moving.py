"""A visit is moved to another time: the old one is cancelled and the new one entered, or nothing changes at all.

Locks: contact, then the providers whose time is changed, in one order, then the appointment. The providers' rows
let one mover at a time through: two who swap their times would otherwise each wait for the other's old visit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from bookings.availability import Question, alternatives
from bookings.calendars.push import queue_push
from bookings.confirmation import withdraw_texts
from bookings.entering import Booked, enter, standing
from bookings.models import Appointment, Provider
from bookings.plan import ClinicPlan
from bookings.rules import BookingRefused, Visit, Wish, check_moment, open_candidates, start_of
from bookings.states import LIVE_STATES, AppointmentSource, AppointmentStatus
from messaging.models import Contact

MOVED = "Moved to another time."
# How many moves of one visit are followed; nobody moves one more often.
MOST_MOVES = 50


@dataclass(frozen=True, slots=True)
class NewTime:
    """The local date and time somebody would rather have, and who asks."""

    day: date
    at: time
    source: AppointmentSource
    call_id: UUID | None = None


class _Taken(Exception):
    """The new time is taken: undoes the cancellation of the old visit."""


def reschedule(
    plan: ClinicPlan, appointment: Appointment, to: NewTime, now: datetime | None = None
) -> Booked:
    """Moves a visit, in the caller's transaction and scope: same patient, service, length, code and, while that
    one does it, provider. The patient gets one text, the old ones are withdrawn, both calendar events follow.

    The same wish again gives the first answer: an id whose visit was moved meanwhile means the visit it became.
    Raises BookingRefused; the old visit then stands as it was.
    """
    moment = now or timezone.now()
    starts_at = start_of(plan, to.day, to.at)
    Contact.objects.select_for_update(no_key=True).get(pk=appointment.contact_id)
    old = latest(appointment)
    if old.status not in LIVE_STATES or old.ends_at <= moment:
        raise BookingRefused("unknown_visit")
    if old.starts_at == starts_at:
        return standing(old)
    visit = Visit(_question(plan, old, moment), starts_at)
    check_moment(visit, to.day)
    wish = Wish(
        day=to.day, at=to.at, source=to.source, patient_name=old.patient_name, phone=old.contact.phone,
        call_id=to.call_id,
    )  # fmt: skip
    _one_mover_at_a_time(visit, old)
    try:
        with transaction.atomic():
            return _move(visit, wish, old)
    except _Taken:
        raise BookingRefused("slot_unavailable", alternatives(visit.question, to.day)) from None


def latest(appointment: Appointment) -> Appointment:
    """What became of a visit: the newest of those it was moved to, read anew; itself where it never was."""
    found = Appointment.objects.select_related("contact").get(pk=appointment.pk)
    for _ in range(MOST_MOVES):
        if found.status in LIVE_STATES:
            break
        following = Appointment.objects.select_related("contact").filter(rescheduled_from=found).first()
        if following is None:
            break
        found = following
    return found


def _question(plan: ClinicPlan, old: Appointment, now: datetime) -> Question:
    """The old visit asked for anew; anybody will do where its provider does not do this any more."""
    service = plan.service(str(old.service_id))
    if service is None:
        raise BookingRefused("unknown_service")
    provider = next((each for each in plan.doing(service) if each.id == old.provider_id), None)
    return Question(plan, service, provider, old.ends_at - old.starts_at, now)


def _one_mover_at_a_time(visit: Visit, old: Appointment) -> None:
    concerned = {old.provider_id, *(provider.id for provider in visit.question.candidates)}
    rows = Provider.objects.filter(pk__in=concerned).order_by("pk").select_for_update(no_key=True)
    list(rows.values_list("pk"))


def _move(visit: Visit, wish: Wish, old: Appointment) -> Booked:
    org_id = visit.question.plan.key.org_id
    given_up = Appointment.objects.filter(pk=old.pk, status__in=LIVE_STATES).update(
        status=AppointmentStatus.CANCELLED, cancel_reason=MOVED, updated_at=timezone.now()
    )
    if not given_up:
        # Staff cancelled it at this instant; the contact's lock holds off everyone who moves.
        raise BookingRefused("unknown_visit")
    for provider in open_candidates(visit):
        booked = enter(visit, wish, provider, old.contact_id, moved_from=old)
        if booked is None:
            continue
        withdraw_texts(org_id, old.pk)
        queue_push(org_id, old.pk)
        if old.notes:
            Appointment.objects.filter(pk=booked.appointment_id).update(notes=old.notes)
        return booked
    raise _Taken
