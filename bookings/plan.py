"""A clinic's plan: who does what, how long it takes, and when. Read once a version, then kept in memory."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils import timezone

from bookings.models import Closure, Provider, ProviderService, Service, WorkingHours
from bookings.slots import Interval, WeeklyWindow, day_windows, subtract
from voxanne.tenancy.models import Organization
from voxanne.tenancy.plan_cache import ClinicKey, PlanCache


@dataclass(frozen=True, slots=True)
class ServicePlan:
    id: UUID
    slug: str
    name: str
    length: timedelta
    shortest: timedelta
    longest: timedelta
    before: timedelta
    after: timedelta
    minimum_notice: timedelta
    horizon_days: int
    is_default: bool

    def allows(self, length: timedelta) -> bool:
        return self.shortest <= length <= self.longest


@dataclass(frozen=True, slots=True)
class ProviderPlan:
    id: UUID
    slug: str
    name: str
    windows: tuple[WeeklyWindow, ...]
    service_ids: frozenset[UUID]
    closures: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class ClinicPlan:
    """Everything that decides what can be booked, except what is already booked."""

    key: ClinicKey
    name: str
    zone: ZoneInfo
    country: str
    services: tuple[ServicePlan, ...]
    providers: tuple[ProviderPlan, ...]

    def service(self, asked: str | None) -> ServicePlan | None:
        """The service of this id, slug or name; the default one when none is asked for; None when unknown."""
        if not asked:
            return next((service for service in self.services if service.is_default), None)
        return _matching(self.services, asked)

    def provider(self, asked: str) -> ProviderPlan | None:
        return _matching(self.providers, asked)

    def doing(self, service: ServicePlan) -> list[ProviderPlan]:
        """The providers who do this service, in the clinic's order."""
        return [provider for provider in self.providers if service.id in provider.service_ids]

    def today(self, now: datetime) -> date:
        return now.astimezone(self.zone).date()

    def open_hours(self, provider: ProviderPlan, day: date) -> list[Interval]:
        """When the provider takes visits on the clinic's local ``day``: hours less closures, in UTC."""
        return subtract(day_windows(day, provider.windows, self.zone), provider.closures)


class Named(Protocol):
    @property
    def id(self) -> UUID: ...
    @property
    def slug(self) -> str: ...
    @property
    def name(self) -> str: ...


NamedPlan = TypeVar("NamedPlan", bound=Named)


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", " ", letters.lower()).strip()


def _matching(rows: Sequence[NamedPlan], asked: str) -> NamedPlan | None:
    wanted = _plain(asked)
    for row in rows:
        if wanted in (_plain(str(row.id)), _plain(row.slug), _plain(row.name)):
            return row
    # "Dr Lee" for "Dr. Amara Lee": good enough when it points at one person only.
    partial = [row for row in rows if wanted and set(wanted.split()) <= set(_plain(row.name).split())]
    return partial[0] if len(partial) == 1 else None


def clinic_plan(key: ClinicKey) -> ClinicPlan:
    """The clinic's plan at this version. Inside the clinic's scope."""
    return _plans.get(key)


def plan_of(org_id: UUID) -> ClinicPlan:
    """The clinic's newest plan, for those who did not get its version with the clinic."""
    version = Organization.objects.values_list("plan_version", flat=True).get(pk=org_id)
    return clinic_plan(ClinicKey(org_id, version))


def _load(org_id: UUID) -> ClinicPlan:
    clinic = Organization.objects.get(pk=org_id)
    services = Service.objects.filter(org_id=org_id, active=True)
    return ClinicPlan(
        key=ClinicKey(org_id, clinic.plan_version),
        name=clinic.name,
        zone=clinic.zone,
        country=clinic.country,
        services=tuple(_service_plan(service) for service in services),
        providers=_load_providers(org_id),
    )


def _service_plan(service: Service) -> ServicePlan:
    length = timedelta(minutes=service.minutes)
    return ServicePlan(
        id=service.pk,
        slug=service.slug,
        name=service.name,
        length=length,
        shortest=timedelta(minutes=service.shortest_minutes or service.minutes),
        longest=timedelta(minutes=service.longest_minutes or service.minutes),
        before=timedelta(minutes=service.buffer_before),
        after=timedelta(minutes=service.buffer_after),
        minimum_notice=timedelta(minutes=service.minimum_notice),
        horizon_days=service.horizon_days,
        is_default=service.is_default,
    )


def _load_providers(org_id: UUID) -> tuple[ProviderPlan, ...]:
    hours: dict[UUID, list[WeeklyWindow]] = {}
    for window in WorkingHours.objects.filter(org_id=org_id):
        hours.setdefault(window.provider_id, []).append(
            WeeklyWindow(window.weekday, window.opens, window.closes)
        )
    offers: dict[UUID, set[UUID]] = {}
    for provider_id, service_id in ProviderService.objects.filter(org_id=org_id).values_list(
        "provider", "service"
    ):
        offers.setdefault(provider_id, set()).add(service_id)
    yesterday = timezone.now() - timedelta(days=1)
    closures = list(Closure.objects.filter(org_id=org_id, ends_at__gt=yesterday))
    return tuple(
        ProviderPlan(
            id=provider.pk,
            slug=provider.slug,
            name=provider.name,
            windows=tuple(hours.get(provider.pk, ())),
            service_ids=frozenset(offers.get(provider.pk, ())),
            closures=tuple(
                Interval(closure.starts_at, closure.ends_at)
                for closure in closures
                if closure.provider_id in (None, provider.pk)
            ),
        )
        for provider in Provider.objects.filter(org_id=org_id, active=True)
    )


_plans: PlanCache[ClinicPlan] = PlanCache(_load)
