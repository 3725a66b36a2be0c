"""A visit is entered: the statement in which the database decides who gets a time, and what follows from it.

For the door alone (``bookings/booking.py``): everybody else asks there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db import IntegrityError

from bookings.calendars import push
from bookings.confirmation import queue_text
from bookings.models import Appointment
from bookings.plan import ProviderPlan
from bookings.rules import Visit, Wish
from bookings.spoken import new_confirmation_code
from messaging.states import MessageKind
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id

Result = TypeVar("Result")

# Callers are refused over a visit that staff overlapped knowingly and over a busy block of the provider's own
# calendar, in the statement that enters the row; the constraint refuses the rest. Its event is queued with it: a
# caller waits for each round trip.
#
# Other visits are looked for by provider and by contact alone, which are of one clinic: with the clinic's id
# PostgreSQL may read all its visits instead, where it does not know yet how many there are.
INSERT_APPOINTMENT = Statement(f"""
WITH visit AS (
    INSERT INTO appointments
        (id, org_id, provider_id, service_id, contact_id, patient_name, starts_at, ends_at, blocked_from,
         blocked_until, status, source, overlaps_knowingly, confirmation_code, token_version, call_id,
         rescheduled_from_id, cancel_reason, notes, created_at, updated_at)
    SELECT %(id)s, %(org)s, %(provider)s, %(service)s, %(contact)s, %(patient_name)s, %(starts_at)s, %(ends_at)s,
           %(blocked_from)s, %(blocked_until)s, 'confirmed', %(source)s, %(overlaps_knowingly)s, %(code)s, 1,
           %(call_id)s::uuid, %(rescheduled_from)s::uuid, '', '', now(), now()
    WHERE %(overlaps_knowingly)s OR (
        NOT EXISTS (
            SELECT 1 FROM appointments a
            WHERE a.provider_id = %(provider)s AND a.overlaps_knowingly AND a.status IN ('held', 'confirmed')
              AND a.starts_at > %(blocked_from)s - interval '1 day'
              AND a.starts_at < %(blocked_until)s + interval '1 day'
              AND a.blocked_from < %(blocked_until)s AND a.blocked_until > %(blocked_from)s)
        AND NOT EXISTS (
            SELECT 1 FROM busy_blocks b
            WHERE b.org_id = %(org)s AND b.provider_id = %(provider)s
              AND b.starts_at < %(blocked_until)s AND b.ends_at > %(blocked_from)s)
        AND NOT EXISTS (
            SELECT 1 FROM appointments w
            WHERE w.contact_id = %(contact)s AND w.starts_at = %(starts_at)s AND w.status IN ('held', 'confirmed')
              AND (w.provider_id = %(provider)s OR %(any_provider)s)
              AND (w.provider_id = %(provider)s OR %(first_name)s IN ('', split_part(lower(w.patient_name), ' ', 1))
                   OR w.patient_name = '')))
    ON CONFLICT ON CONSTRAINT no_overlap DO NOTHING
    RETURNING id, org_id, provider_id
), push AS (
    {push.QUEUED_FOR.format(visits="visit")}
    RETURNING id
)
SELECT push.id FROM visit LEFT JOIN push ON true
""")  # noqa: S608  (the text of a statement of ours)
# A clinic with 10,000 visits to come has one code in 300 in use. Looking first would cost every booking what
# repeating costs one in 300, and two at one instant would still not see each other: the key decides.
CODE_GUARD = "one_live_code_a_clinic"
MOST_TIMES = 5


@dataclass(frozen=True, slots=True)
class Booked:
    """A booking that stands; ``already_booked`` when this wish had been granted before."""

    appointment_id: UUID
    starts_at: datetime
    provider_id: UUID
    confirmation_code: str
    already_booked: bool
    sms_status: str
    token_version: int = 1


def standing(visit: Appointment) -> Booked:
    """A visit that was there already, as the answer to the wish that made it."""
    return Booked(
        visit.pk,
        visit.starts_at,
        visit.provider_id,
        visit.confirmation_code,
        True,
        "skipped",
        visit.token_version,
    )


def enter(
    visit: Visit, wish: Wish, provider: ProviderPlan, contact_id: UUID, moved_from: Appointment | None = None
) -> Booked | None:
    """Enters the row and what follows from it; None when the database says the time is taken.

    A visit that was moved keeps the code the patient knows.
    """
    plan, appointment_id = visit.question.plan, new_id()
    code = moved_from.confirmation_code if moved_from else new_confirmation_code()
    values: dict[str, Any] = {
        "id": appointment_id, "push": new_id(), "org": plan.key.org_id, "provider": provider.id,
        "service": visit.question.service.id, "contact": contact_id, "patient_name": wish.patient_name,
        "starts_at": visit.starts_at, "ends_at": visit.ends_at,
        "blocked_from": visit.blocked_from, "blocked_until": visit.blocked_until,
        "source": wish.source.value, "overlaps_knowingly": wish.overlaps_knowingly, "code": code,
        "call_id": wish.call_id, "rescheduled_from": moved_from.pk if moved_from else None,
        "any_provider": visit.question.provider is None,
        "first_name": wish.patient_name.lower().partition(" ")[0],
    }  # fmt: skip
    entered = INSERT_APPOINTMENT.row(values)
    if entered is None:
        return None
    (push_id,) = entered
    if push_id is not None:
        push.wake(plan.key.org_id, push_id)
    sms_status = queue_text(
        plan,
        MessageKind.RESCHEDULED if moved_from else MessageKind.CONFIRMATION,
        appointment_id=appointment_id,
        contact_id=contact_id,
        recipient=wish.phone,
        starts_at=visit.starts_at,
        code=code,
    )
    return Booked(appointment_id, visit.starts_at, provider.id, code, False, sms_status)


def until_code_is_free(transaction: Callable[[], Result]) -> Result:
    """Runs a whole transaction (or savepoint) that books, and again with another code when a live visit of the clinic
    bears the one that was drawn.

    Raises what it raises, IntegrityError after several such accidents.
    """
    for _ in range(MOST_TIMES - 1):
        try:
            return transaction()
        except IntegrityError as error:
            if CODE_GUARD not in str(error):
                raise
    return transaction()
