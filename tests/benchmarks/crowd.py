"""A clinic with many providers and a full book, written straight into the tables."""

from __future__ import annotations

import random
from datetime import UTC, datetime, time, timedelta
from typing import Any

from bookings.models import Appointment, Provider, ProviderService, Service, WorkingHours
from bookings.states import AppointmentSource
from messaging.models import Contact
from voxanne.tenancy.scope import platform_scope

VISIT = timedelta(minutes=30)
VISITS_A_DAY = 16
LENGTH = timedelta(minutes=20)


def crowded_clinic(clinic: dict[str, Any], *, providers: int, visits: int) -> dict[str, Any]:
    """Adds providers and future visits to a seeded clinic, and returns its description."""
    org_id = clinic["org_id"]
    with platform_scope("benchmark"):
        service = Service.objects.get(org_id=org_id, is_default=True)
        people = [_provider(org_id, service, index) for index in range(providers)]
        contact, _ = Contact.objects.get_or_create(org_id=org_id, phone="+14155550111")
        Appointment.objects.bulk_create(
            [_visit(org_id, people, service, contact, index) for index in range(visits)],
            batch_size=1000,
            ignore_conflicts=True,
        )
    return clinic


def _provider(org_id: str, service: Service, index: int) -> Provider:
    provider = Provider.objects.create(
        org_id=org_id, name=f"Dr. Crowd {index}", slug=f"crowd-{index}", position=50 + index
    )
    ProviderService.objects.create(org_id=org_id, provider=provider, service=service)
    WorkingHours.objects.bulk_create(
        WorkingHours(org_id=org_id, provider=provider, weekday=weekday, opens=time(9), closes=time(17))
        for weekday in range(5)
    )
    return provider


def _visit(
    org_id: str, people: list[Provider], service: Service, contact: Contact, index: int
) -> Appointment:
    day, place = divmod(index // len(people), VISITS_A_DAY)
    noon = datetime.now(UTC).replace(hour=13, minute=0, second=0, microsecond=0)
    starts_at = noon + timedelta(days=2 + day) + place * VISIT + timedelta(minutes=random.choice((0, 5, 10)))
    return Appointment(
        org_id=org_id, provider=people[index % len(people)], service=service, contact=contact, starts_at=starts_at,
        ends_at=starts_at + LENGTH, blocked_from=starts_at, blocked_until=starts_at + LENGTH,
        source=AppointmentSource.VOICE, confirmation_code=f"{index:06d}",
    )  # fmt: skip
