"""What a token opens: one visit, as its patient may see it. Clinic, day, time and provider; never the service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from bookings.models import Appointment
from bookings.moving import MOST_MOVES, latest
from bookings.patient_page.line import line_of
from bookings.patient_token import claimed_visit, opens
from bookings.states import LIVE_STATES, AppointmentStatus
from voxanne.statements import Statement
from voxanne.tenancy.scope import org_scope

CLINIC_OF_VISIT = Statement("SELECT org_id FROM clinic_of_visit(%s::uuid)")


class Standing(StrEnum):
    """How a visit stands, in its patient's eyes."""

    BOOKED = "booked"
    CANCELLED = "cancelled"
    PAST = "past"


@dataclass(frozen=True, slots=True)
class PatientVisit:
    """``first_id`` and ``first_made_at`` are those of the visit before it was ever moved: one event in a calendar,
    however often it moves."""

    clinic: str
    country: str
    zone: ZoneInfo
    provider: str
    line: str
    starts_at: datetime
    ends_at: datetime
    standing: Standing
    was_moved: bool
    made_at: datetime
    changed_at: datetime
    first_id: UUID
    first_made_at: datetime


def visit_of(token: str, now: datetime) -> PatientVisit | None:
    """The visit this token opens, as it stands now, also where it was moved since; None for a token that opens
    nothing: none of ours, forged or revoked, or of a clinic that is closed."""
    appointment_id = claimed_visit(token)
    row = CLINIC_OF_VISIT.row([appointment_id]) if appointment_id is not None else None
    if appointment_id is None or row is None:
        return None
    with org_scope(row[0]):
        named = Appointment.objects.filter(pk=appointment_id).first()
        if named is None or not opens(token, named.pk, named.token_version):
            return None
        return _shown(named, now)


def _shown(named: Appointment, now: datetime) -> PatientVisit:
    visit = Appointment.objects.select_related("org", "provider").get(pk=latest(named).pk)
    first = _first(named)
    return PatientVisit(
        clinic=visit.org.name,
        country=visit.org.country,
        zone=visit.org.zone,
        provider=visit.provider.name,
        line=line_of(visit.org_id),
        starts_at=visit.starts_at,
        ends_at=visit.ends_at,
        standing=_standing(visit, now),
        was_moved=visit.pk != named.pk,
        made_at=visit.created_at,
        changed_at=visit.updated_at,
        first_id=first.pk,
        first_made_at=first.created_at,
    )


def _first(visit: Appointment) -> Appointment:
    for _ in range(MOST_MOVES):
        if visit.rescheduled_from is None:
            break
        visit = visit.rescheduled_from
    return visit


def _standing(visit: Appointment, now: datetime) -> Standing:
    if visit.status == AppointmentStatus.CANCELLED:
        return Standing.CANCELLED
    return Standing.BOOKED if visit.status in LIVE_STATES and visit.ends_at > now else Standing.PAST
