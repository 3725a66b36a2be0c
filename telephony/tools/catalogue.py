"""The agent's tools: their names, what they do, and the JSON Schema of their arguments, as Vapi is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bookings.slots import PartOfDay
from telephony.models import TransferDestination
from telephony.tools.answering import Asking, ToolAnswer
from telephony.tools.asked import Asked
from telephony.tools.book_appointment import book_appointment
from telephony.tools.cancel_appointment import cancel_appointment
from telephony.tools.check_availability import check_availability
from telephony.tools.end_call import EndReason, end_call
from telephony.tools.lookup_caller import SearchType, lookup_caller
from telephony.tools.reschedule_appointment import reschedule_appointment
from telephony.tools.take_message import Urgency, take_message
from telephony.tools.transfer_call import transfer_call


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    properties: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]
    handle: Callable[[Asking, Asked], ToolAnswer]

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema of the arguments."""
        return {"type": "object", "properties": dict(self.properties), "required": list(self.required)}


def _string(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


DATE = _string("The clinic's local date as YYYY-MM-DD.")
SERVICE = _string("The service asked for, by name; leave out for an ordinary visit.")
PROVIDER = _string("The provider asked for, by name; leave out when anybody will do.")
OWN_VISIT = {
    "appointmentId": _string("The visit's id, as another tool gave it in this call."),
    "confirmationCode": _string("The six-letter confirmation code, if the caller has it."),
    "patientName": _string(
        "The first name the caller gave; with the calling number it finds their next visit."
    ),
}

TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "checkAvailability",
            "Finds free times on a day. Use it before offering any time.",
            {
                "date": DATE,
                "serviceType": SERVICE,
                "provider": PROVIDER,
                "partOfDay": _string("Only this part of the day.", enum=[part.value for part in PartOfDay]),
            },
            ("date",),
            check_availability,
        ),
        Tool(
            "bookClinicAppointment",
            "Books the time the caller chose. Say back what it answers.",
            {
                "appointmentDate": DATE,
                "appointmentTime": _string("The clinic's local time as HH:MM, 24 hours."),
                "patientName": _string("The patient's full name."),
                "patientPhone": _string(
                    "Another number to text than the one calling, if the caller gives one."
                ),
                "patientEmail": _string("The patient's e-mail address, if given."),
                "serviceType": SERVICE,
                "provider": PROVIDER,
                "duration": {
                    "type": "integer",
                    "minimum": 5,
                    "maximum": 240,
                    "description": "Minutes, if asked for.",
                },
            },
            ("appointmentDate", "appointmentTime", "patientName"),
            book_appointment,
        ),
        Tool(
            "lookupCaller",
            "Finds the caller's own visits: by first name with the calling number, or by confirmation code.",
            {
                "searchType": _string("What searchKey is.", enum=[kind.value for kind in SearchType]),
                "searchKey": _string("The name, or the six-letter confirmation code."),
                "patientName": _string("The first name the caller gave."),
            },
            (),
            lookup_caller,
        ),
        Tool(
            "transferCall",
            "Puts the caller through to a person.",
            {
                "department": _string(
                    "Who is wanted.", enum=[department.value for department in TransferDestination.Department]
                ),
                "summary": _string("One sentence for the person who answers."),
            },
            ("summary",),
            transfer_call,
        ),
        Tool(
            "endCall",
            "Says goodbye and ends the call.",
            {
                "reason": _string("Why the call ends.", enum=[reason.value for reason in EndReason]),
                "summary": _string("One sentence on what was done."),
            },
            ("reason",),
            end_call,
        ),
        Tool(
            "rescheduleAppointment",
            "Moves the caller's own visit to another time. Ask for the visit's code, or the caller's first name.",
            {
                "newDate": DATE,
                "newTime": _string("The clinic's local time as HH:MM, 24 hours."),
                **OWN_VISIT,
            },
            ("newDate", "newTime"),
            reschedule_appointment,
        ),
        Tool(
            "cancelAppointment",
            "Cancels the caller's own visit, once they have said that they want this. For a second visit, give its id.",
            {**OWN_VISIT, "reason": _string("Why, in a few words, if the caller says.")},
            (),
            cancel_appointment,
        ),
        Tool(
            "takeMessage",
            "Takes a message for the clinic's staff, when nobody can be reached or the caller would rather leave one.",
            {
                "message": _string("What the caller wants the clinic to know, with their name."),
                "urgency": _string("How soon they need to see it.", enum=[level.value for level in Urgency]),
                "callbackNumber": _string("Another number to call back than the one calling, if given."),
            },
            ("message",),
            take_message,
        ),
    )
}
