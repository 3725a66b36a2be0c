"""Visits as the tests of the tools make and read them."""

from __future__ import annotations

from typing import Any

from bookings.models import Appointment
from bookings.states import LIVE_STATES
from tests.clinics import Clinic
from tests.telephony.vapi_client import VapiCaller
from voxanne.tenancy.scope import org_scope

STRANGER = "+14155550177"
NOT_FOUND = "I could not find that visit. May I have its confirmation code?"


def book(call: VapiCaller, name: str = "Dana Ruiz", start: str = "10:00", **more: Any) -> dict[str, Any]:
    """A visit booked through its tool on the clinic's next weekday."""
    wish = {
        "appointmentDate": call.clinic.next_weekday().isoformat(),
        "appointmentTime": start,
        "patientName": name,
        **more,
    }
    booked = call.use("bookClinicAppointment", **wish)
    assert booked["ok"], booked
    return booked


def live(clinic: Clinic) -> list[str]:
    """The starts of the clinic's live visits on its clock, in order."""
    with org_scope(clinic.id):
        starts = list(
            Appointment.objects.filter(status__in=LIVE_STATES)
            .order_by("starts_at")
            .values_list("starts_at", flat=True)
        )
    return [f"{start.astimezone(clinic.org.zone):%H:%M}" for start in starts]


def visit(clinic: Clinic, appointment_id: str) -> Appointment:
    with org_scope(clinic.id):
        return Appointment.objects.get(pk=appointment_id)
