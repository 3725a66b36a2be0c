"""Test data: clinics that can be called, booked and texted, made through the real models."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time, timedelta
from uuid import UUID

from django.utils import timezone

from bookings.models import Provider, ProviderService, Service, WorkingHours
from bookings.plan import ClinicPlan, plan_of
from messaging.models import SenderAccount
from telephony.models import Assistant, PhoneNumber, VapiCredential
from telephony.vapi.credentials import digest
from voxanne.tenancy.models import Membership, Organization, Role, User
from voxanne.tenancy.scope import org_scope

_numbers = iter(range(1_000_000))


@dataclass
class Clinic:
    """A clinic and what a test needs to talk to it."""

    org: Organization
    providers: list[Provider]
    service: Service
    number: str
    secret: str
    assistant_id: str
    phone_number_id: str
    staff: dict[str, User] = field(default_factory=dict)

    @property
    def id(self) -> UUID:
        return self.org.pk

    def plan(self) -> ClinicPlan:
        with org_scope(self.id):
            return plan_of(self.id)

    def next_weekday(self, offset: int = 0) -> date:
        """A weekday at least a week ahead, in the clinic's zone."""
        day = timezone.now().astimezone(self.org.zone).date() + timedelta(days=7)
        while day.weekday() > 4:
            day += timedelta(days=1)
        for _ in range(offset):
            day += timedelta(days=1)
            while day.weekday() > 4:
                day += timedelta(days=1)
        return day


def make_clinic(
    slug: str, *, timezone: str = "America/New_York", country: str = "US", providers: int = 2
) -> Clinic:
    """A clinic open on weekdays 09:00–17:00, with staff of every role. Inside a platform scope."""
    org = Organization.objects.create(
        name=slug.replace("-", " ").title(), slug=slug, timezone=timezone, country=country
    )
    service = Service.objects.create(org=org, name="Consultation", slug="consultation", minutes=30, is_default=True,
                                     shortest_minutes=5, longest_minutes=240)  # fmt: skip
    people = [_provider(org, service, index) for index in range(providers)]
    serial = next(_numbers)
    number = f"+1415556{serial % 10000:04d}"
    clinic = Clinic(
        org, people, service, number, f"secret-of-{slug}-{serial}", f"assistant-{slug}", f"number-{slug}"
    )
    # As fast as any sender may be: tests of something else wait for no place in a line.
    SenderAccount.objects.create(org=org, number=number, segments_per_second=1000)
    PhoneNumber.objects.create(
        org=org, number=number, forward_to="+14155550199", vapi_phone_number_id=clinic.phone_number_id
    )
    Assistant.objects.create(org=org, vapi_assistant_id=clinic.assistant_id, name=slug)
    VapiCredential.objects.create(org=org, digest=digest(clinic.secret), secret=clinic.secret)
    for role in Role:
        user = User.objects.create_user(
            f"{slug}-{role.value}", password="correct horse battery", is_staff=True
        )
        Membership.objects.create(org=org, user=user, role=role)
        clinic.staff[role.value] = user
    return clinic


def _provider(org: Organization, service: Service, index: int) -> Provider:
    name = ("Dr. Amara Lee", "Dr. Tom Berg", "Dr. Ines Roy", "Dr. Max Iwu")[index % 4]
    provider = Provider.objects.create(org=org, name=name, slug=f"provider-{index}", position=index)
    ProviderService.objects.create(org=org, provider=provider, service=service)
    for weekday in range(5):
        WorkingHours.objects.create(
            org=org, provider=provider, weekday=weekday, opens=time(9), closes=time(17)
        )
    return provider
