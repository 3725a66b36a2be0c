"""takeMessage: what the caller wants the clinic to know, written down where staff see it and take it on."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from uuid import UUID

from bookings.booking import BookingRefused
from messaging.phone_numbers import InvalidPhoneNumber, is_withheld, normalise
from messaging.staff_tasks import LONGEST_TEXT, tell_staff
from messaging.states import TaskKind
from telephony.tools.answering import Asking, ToolAnswer, answered
from telephony.tools.asked import Asked
from telephony.tools.own_visits import calling_contact


class Urgency(StrEnum):
    NORMAL = "normal"
    URGENT = "urgent"


def take_message(asking: Asking, asked: Asked) -> ToolAnswer:
    message = asked.required_text("message", "What may I tell them?", longest=LONGEST_TEXT)
    number = _callback_number(asking, asked)
    contact = calling_contact(asking)
    tell_staff(
        asking.plan.key.org_id,
        kind=TaskKind.CALLER_MESSAGE,
        text=message,
        dedupe_key=_dedupe_key(asking.call_id, message, number),
        urgent=asked.choice("urgency", Urgency, Urgency.NORMAL) is Urgency.URGENT,
        from_number=asking.caller,
        callback_number=number,
        call_id=asking.call_id,
        contact_id=contact.pk if contact else None,
    )
    return answered(_sentence(asking, number), taken=True)


def _callback_number(asking: Asking, asked: Asked) -> str:
    """E.164 of the number given, else of the caller; blank when it is withheld. Raises BookingRefused (invalid_phone)
    for a number that was given and is not complete: nobody could call back."""
    given = asked.text("callbackNumber", 60)
    if not given and is_withheld(asking.caller or None):
        return ""
    try:
        return normalise(given or asking.caller, asking.plan.country)
    except InvalidPhoneNumber as error:
        if given:
            raise BookingRefused("invalid_phone") from error
        return ""


def _dedupe_key(call_id: UUID, message: str, number: str) -> str:
    """The same words in the same call are one message, however often the model hands them in."""
    digest = hashlib.sha256(f"{message}\n{number}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"call-message:{call_id}:{digest[:32]}"


def _sentence(asking: Asking, number: str) -> str:
    told = f"I have passed your message on to {asking.plan.name}."
    return told if number else f"{told} If you would like them to call you, which number may they use?"
