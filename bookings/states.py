"""The states of an appointment, and of its event on a calendar."""

from __future__ import annotations

from django.db import models

from voxanne.durable.lifecycle import Lifecycle


class AppointmentStatus(models.TextChoices):
    HELD = "held", "Held"
    CONFIRMED = "confirmed", "Confirmed"
    COMPLETED = "completed", "Completed"
    CANCELLED = "cancelled", "Cancelled"
    NO_SHOW = "no_show", "No show"


# These take a provider's time.
LIVE_STATES = [AppointmentStatus.HELD.value, AppointmentStatus.CONFIRMED.value]


class AppointmentSource(models.TextChoices):
    VOICE = "voice", "Voice agent"
    API = "api", "Booking API"
    STAFF = "staff", "Staff"
    PATIENT = "patient", "Patient page"


class PushState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    PUSHING = "pushing", "Being written"
    DONE = "done", "On the calendar"
    DEAD = "dead", "Given up"
    SKIPPED = "skipped", "No calendar connected"


# Writing an event twice under one id changes nothing, so a lost lease simply waits again.
PUSH_LIFECYCLE = Lifecycle(
    waiting=PushState.QUEUED,
    claimed=PushState.PUSHING,
    lost=PushState.QUEUED,
    dead=PushState.DEAD,
    transitions={
        PushState.QUEUED: frozenset({PushState.PUSHING, PushState.SKIPPED}),
        PushState.PUSHING: frozenset({PushState.QUEUED, PushState.DONE, PushState.DEAD, PushState.SKIPPED}),
        PushState.DONE: frozenset({PushState.QUEUED}),
        PushState.DEAD: frozenset({PushState.QUEUED}),
        PushState.SKIPPED: frozenset({PushState.QUEUED}),
    },
)
