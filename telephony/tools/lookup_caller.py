"""lookupCaller: greets a known caller, and says what is booked only to someone who knows who they are.

The calling number alone opens nothing: a family shares it. Number and first name, or a confirmation code, do.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import islice

from bookings.models import Appointment
from bookings.spoken import heard_code, spoken_date, spoken_time
from bookings.states import LIVE_STATES
from messaging.models import Contact
from messaging.phone_numbers import InvalidPhoneNumber, normalise
from telephony.tools.answering import Asking, ToolAnswer, answered
from telephony.tools.asked import Asked

MOST_VISITS = 3


class SearchType(StrEnum):
    PHONE = "phone"
    NAME = "name"
    EMAIL = "email"


def lookup_caller(asking: Asking, asked: Asked) -> ToolAnswer:
    coded = _by_code(asking, asked.text("searchKey"))
    if coded is not None:
        return _known(asking, _first(coded.patient_name or coded.contact.name), [coded])
    contact = _calling_contact(asking)
    if contact is None:
        return answered("I do not have you in our book yet. May I have your name?", found=False)
    first = _first_name_given(asked)
    if not first:
        return answered("I have your number in our book. May I have your first name?", found=True)
    if first not in {_first(name).lower() for name in [contact.name, *contact.names] if name}:
        return answered(
            "I could not find a booking under that name. May I have your confirmation code?", found=False
        )
    return _known(asking, first.title(), _upcoming(asking, contact, first))


def _by_code(asking: Asking, key: str) -> Appointment | None:
    """The upcoming visit of a spoken code; None unless it points at exactly one."""
    code = heard_code(key)
    if code is None:
        return None
    rows = Appointment.objects.filter(
        org_id=asking.plan.key.org_id, confirmation_code=code, status__in=LIVE_STATES, ends_at__gt=asking.now
    ).select_related("contact")[:2]
    return rows[0] if len(rows) == 1 else None


def _calling_contact(asking: Asking) -> Contact | None:
    """The contact of the number that the network says is calling; never one the model names."""
    try:
        phone = normalise(asking.caller, asking.plan.country)
    except InvalidPhoneNumber:
        return None
    return Contact.objects.filter(org_id=asking.plan.key.org_id, phone=phone).first()


def _first_name_given(asked: Asked) -> str:
    name = asked.text("patientName")
    if not name and asked.choice("searchType", SearchType, None) is SearchType.NAME:
        name = asked.text("searchKey")
    return _first(name).lower()


def _first(name: str) -> str:
    return name.strip().partition(" ")[0]


def _upcoming(asking: Asking, contact: Contact, first_name: str) -> list[Appointment]:
    """The next visits of the one of this number's people who bears the first name (in small letters)."""
    rows = Appointment.objects.filter(
        org_id=asking.plan.key.org_id, contact=contact, status__in=LIVE_STATES, ends_at__gt=asking.now
    )
    own = (row for row in rows.order_by("starts_at") if _first(row.patient_name).lower() in ("", first_name))
    return list(islice(own, MOST_VISITS))


def _known(asking: Asking, first_name: str, visits: list[Appointment]) -> ToolAnswer:
    plan, today = asking.plan, asking.plan.today(asking.now)
    upcoming = [
        {
            "appointmentId": str(visit.pk),
            "date": f"{visit.starts_at.astimezone(plan.zone):%Y-%m-%d}",
            "time": f"{visit.starts_at.astimezone(plan.zone):%H:%M}",
        }
        for visit in visits
    ]
    if not visits:
        return answered(
            f"Hello {first_name}. You have nothing booked at the moment.",
            found=True,
            firstName=first_name,
            upcoming=[],
        )
    first = visits[0].starts_at
    day = spoken_date(first.astimezone(plan.zone).date(), today)
    say = f"Hello {first_name}. You are booked for {day} at {spoken_time(first, plan.zone, plan.country)}."
    return answered(say, found=True, firstName=first_name, upcoming=upcoming)
