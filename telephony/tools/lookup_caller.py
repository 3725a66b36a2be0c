"""lookupCaller: greets a known caller, and says what is booked only to someone who knows who they are.

The calling number alone opens nothing: a family shares it. Number and first name, or a confirmation code, do.
"""

from __future__ import annotations

from enum import StrEnum

from bookings.models import Appointment
from bookings.spoken import spoken_date, spoken_time
from telephony.tools.answering import Asking, ToolAnswer, answered
from telephony.tools.asked import Asked
from telephony.tools.own_visits import bears, by_code, calling_contact, first_word, upcoming

MOST_VISITS = 3


class SearchType(StrEnum):
    PHONE = "phone"
    NAME = "name"
    EMAIL = "email"


def lookup_caller(asking: Asking, asked: Asked) -> ToolAnswer:
    coded = by_code(asking, asked.text("searchKey"))
    if coded is not None:
        return _known(asking, first_word(coded.patient_name or coded.contact.name), [coded])
    contact = calling_contact(asking)
    if contact is None:
        return answered("I do not have you in our book yet. May I have your name?", found=False)
    first = _first_name_given(asked)
    if not first:
        return answered("I have your number in our book. May I have your first name?", found=True)
    if not bears(contact, first):
        return answered(
            "I could not find a booking under that name. May I have your confirmation code?", found=False
        )
    return _known(asking, first.title(), upcoming(asking, contact, first, MOST_VISITS))


def _first_name_given(asked: Asked) -> str:
    name = asked.text("patientName")
    if not name and asked.choice("searchType", SearchType, None) is SearchType.NAME:
        name = asked.text("searchKey")
    return first_word(name).lower()


def _known(asking: Asking, first_name: str, visits: list[Appointment]) -> ToolAnswer:
    plan, today = asking.plan, asking.plan.today(asking.now)
    told = [
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
    return answered(say, found=True, firstName=first_name, upcoming=told)
