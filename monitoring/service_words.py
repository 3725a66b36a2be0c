"""The breaker's services, levels and states in words for people: alerts, the Circuits page, the readiness report."""

from __future__ import annotations

from uuid import UUID

from monitoring.circuits import PLATFORM, CircuitState, Level

# What it is called, and what waits while it fails.
SERVICES = {
    "twilio_sms": ("Twilio (texts)", "texts"),
    "twilio_whatsapp": ("Twilio (WhatsApp)", "WhatsApp messages"),
    "twilio_api": ("Twilio (questions)", "questions to Twilio"),
    "google_calendar_freebusy": ("Google Calendar (busy times)", "looks at calendars"),
    "google_calendar_events": ("Google Calendar (events)", "calendar entries"),
    "vapi_api": ("Vapi", "questions to Vapi"),
}
LEVELS = {Level.SERVICE.value: "Every clinic", Level.CLINIC.value: "One clinic"}
STATES = {
    CircuitState.CLOSED.value: "Works",
    CircuitState.OPEN.value: "Failing",
    CircuitState.HALF_OPEN.value: "Being tried",
}


def name_of(service: str) -> str:
    """ "Twilio (texts)"."""
    return SERVICES[service][0] if service in SERVICES else service


def what_waits(service: str) -> str:
    """ "texts"."""
    return SERVICES[service][1] if service in SERVICES else "calls"


def name_of_clinic(org_id: UUID) -> str:
    """The clinic's name, in the scope at hand; its id where there is no such row."""
    # The models of the floor below are not there yet while the breaker is first imported.
    from voxanne.tenancy.models import Organization

    name: str | None = Organization.objects.filter(pk=org_id).values_list("name", flat=True).first()
    return name or f"clinic {org_id}"


def whose_circuit(clinic: str | None) -> str:
    """ "every clinic", "our own questions" or the clinic's name; ``clinic`` as in a CircuitReport."""
    if clinic is None:
        return "every clinic"
    return "our own questions" if clinic == PLATFORM else name_of_clinic(UUID(clinic))
