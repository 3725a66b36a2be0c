"""How the booking API says no: the status and the sentence of each refusal. (Voices have sentences of their own.)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bookings.booking import BookingRefused
from bookings.plan import ClinicPlan
from telephony.tools.answering import clock_days

CONFLICT, NOT_FOUND, REFUSED = 409, 404, 422
UNKNOWN_PATIENT = "unknown_patient"
UNKNOWN_PROVIDER = "unknown_provider"
STATUSES: Mapping[str, int] = {
    "slot_unavailable": CONFLICT,
    UNKNOWN_PROVIDER: NOT_FOUND,
    UNKNOWN_PATIENT: NOT_FOUND,
}
MESSAGES: Mapping[str, str] = {
    "slot_unavailable": "That time is taken; details.alternatives names the nearest free ones.",
    "outside_hours": "The provider takes no visit of that length at that time.",
    "in_the_past": "That time has passed.",
    "too_far_ahead": "That day is further ahead than the service may be booked.",
    "too_soon": "That time is nearer than the service's minimum notice.",
    "invalid_date": "There is no such date.",
    "invalid_time": "There is no such time on that day, or it is no five-minute mark.",
    "invalid_phone": "The phone number is not complete: give it as E.164, such as +14155550142.",
    "invalid_duration": "The service cannot be booked for that length.",
    "unknown_service": "The clinic has no such service.",
    UNKNOWN_PROVIDER: "The clinic has no provider with this id who does this service.",
    UNKNOWN_PATIENT: "The clinic has no patient with this id.",
}


class Refusal(Exception):
    """One refusal by a rule, as HTTP shows it."""

    def __init__(self, code: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(code)
        self.answer = Refused(code, details or {})


@dataclass(frozen=True, slots=True)
class Refused:
    code: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return STATUSES.get(self.code, REFUSED)

    @property
    def message(self) -> str:
        return MESSAGES[self.code]


def refused_booking(refusal: BookingRefused, plan: ClinicPlan) -> Refused:
    """The door's refusal, with the nearest free times where there are some."""
    days = clock_days(refusal.alternatives, plan.zone)
    return Refused(refusal.code, {"alternatives": days} if days or refusal.code == "slot_unavailable" else {})
