"""The demo clinics: two countries, one zone with daylight saving time, everything a call needs. Idempotent.

Their credentials are derived from the development secrets, so that every run prints the same ones; none of
this exists in production.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import jwt
from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.text import slugify

from bookings.models import CalendarConnection, Provider, ProviderService, Service, WorkingHours
from messaging.models import SenderAccount
from telephony.models import Assistant, PhoneNumber, TransferDestination, VapiCredential
from telephony.vapi.credentials import digest
from voxanne.tenancy.models import Membership, Organization, Role, User
from voxanne.tenancy.scope import platform_scope

OPERATOR = "operator"
TOKEN_DAYS = 365
SERVICES = (("Consultation", 30), ("Check-up", 20), ("Follow-up", 15))


@dataclass(frozen=True)
class DemoClinic:
    slug: str
    name: str
    timezone: str
    country: str
    number: str
    forward_to: str
    providers: tuple[str, ...]

    @property
    def vapi_secret(self) -> str:
        return derived("vapi-secret", self.slug)

    @property
    def vapi_assistant_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"assistant.{self.slug}.voxanne.example"))

    @property
    def vapi_phone_number_id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"number.{self.slug}.voxanne.example"))


CLINICS = (
    DemoClinic("elm-street", "Elm Street Clinic", "America/New_York", "US", "+14155550100", "+14155550199",
               ("Dr. Amara Lee", "Dr. Tomas Berg", "Dr. Ines Roy")),
    DemoClinic("oak-road", "Oak Road Practice", "Europe/London", "GB", "+442079460100", "+442079460199",
               ("Dr. Priya Shah", "Dr. Owen Hughes")),
)  # fmt: skip


def twilio_number(clinic: DemoClinic, backend_url: str) -> dict[str, str]:
    """The clinic's number as the sandbox's Twilio is told of it."""
    return {
        "number": clinic.number,
        "name": clinic.name,
        "voice_url": f"{backend_url}/api/webhooks/twilio/voice",
        "sms_url": f"{backend_url}/api/webhooks/twilio/sms",
        "status_url": f"{backend_url}/api/webhooks/twilio/call-status",
    }


def derived(purpose: str, name: str) -> str:
    """A credential that is the same on every run of this installation."""
    return hashlib.sha256(f"{settings.SECRET_KEY}:{purpose}:{name}".encode()).hexdigest()[:40]


def password_of(username: str) -> str:
    return f"demo-{derived('password', username)[:10]}"


def refuse_in_production() -> None:
    """Raises CommandError in production: demo logins and calls have no place among real patients."""
    if settings.PRODUCTION:
        raise CommandError("This is production: demo data and simulated calls stay out of it.")


def seed() -> dict[str, Any]:
    """Makes what is missing and returns the description that ``seed_demo --json`` prints."""
    refuse_in_production()
    with platform_scope("demo data"):
        _operator()
        described = [_seed_clinic(clinic) for clinic in CLINICS]
    return {
        "backend_url": settings.BACKEND_URL,
        "ws_url": settings.WS_URL,
        "sandbox_url": settings.SANDBOX_URL,
        "platform": {
            "username": OPERATOR,
            "password": password_of(OPERATOR),
            "monitoring_token": settings.MONITORING_TOKEN,
            "cron_secret": settings.CRON_SECRET,
            "vapi_webhook_secret": settings.VAPI_WEBHOOK_SECRET,
            "twilio_account_sid": settings.TWILIO_ACCOUNT_SID,
            "twilio_auth_token": settings.TWILIO_AUTH_TOKEN,
        },
        "clinics": described,
    }


def _operator() -> None:
    if not User.objects.filter(username=OPERATOR).exists():
        User.objects.create_superuser(OPERATOR, password=password_of(OPERATOR))


def _seed_clinic(clinic: DemoClinic) -> dict[str, Any]:
    org, _ = Organization.objects.get_or_create(
        slug=clinic.slug,
        defaults={"name": clinic.name, "timezone": clinic.timezone, "country": clinic.country},
    )
    services = [_service(org, name, minutes) for name, minutes in SERVICES]
    providers = [_provider(org, services, name, position) for position, name in enumerate(clinic.providers)]
    _telephony(org, clinic)
    staff = [_member(org, clinic, role) for role in Role]
    return {
        "slug": clinic.slug,
        "org_id": str(org.pk),
        "name": org.name,
        "timezone": org.timezone,
        "vapi_secret": clinic.vapi_secret,
        "vapi_assistant_id": clinic.vapi_assistant_id,
        "vapi_phone_number_id": clinic.vapi_phone_number_id,
        "number": clinic.number,
        "forward_to": clinic.forward_to,
        "booking_jwt": _booking_token(org),
        "providers": [{"id": str(provider.pk), "name": provider.name} for provider in providers],
        "services": [{"slug": service.slug, "minutes": service.minutes} for service in services],
        "staff": staff,
    }


def _service(org: Organization, name: str, minutes: int) -> Service:
    # The horizon of a year ends a year from today; the default visit may be as long as anybody asks.
    defaults = {
        "name": name,
        "minutes": minutes,
        "is_default": minutes == SERVICES[0][1],
        "horizon_days": 366,
    }
    if defaults["is_default"]:
        defaults |= {"shortest_minutes": 5, "longest_minutes": 240}
    service, _ = Service.objects.get_or_create(org=org, slug=slugify(name), defaults=defaults)
    return service


def _provider(org: Organization, services: Sequence[Service], name: str, position: int) -> Provider:
    provider, made = Provider.objects.get_or_create(
        org=org, slug=slugify(name), defaults={"name": name, "position": position}
    )
    if made:
        ProviderService.objects.bulk_create(
            ProviderService(org=org, provider=provider, service=service) for service in services
        )
        WorkingHours.objects.bulk_create(
            WorkingHours(org=org, provider=provider, weekday=weekday, opens=time(9), closes=time(17))
            for weekday in range(5)
        )
        CalendarConnection.objects.create(
            org=org,
            provider=provider,
            calendar_id=f"{provider.slug}@{org.slug}.example",
            refresh_token=derived("google", f"{org.slug}/{provider.slug}"),
        )
    return provider


def _telephony(org: Organization, clinic: DemoClinic) -> None:
    PhoneNumber.objects.get_or_create(
        org=org,
        number=clinic.number,
        defaults={
            "label": "Main line",
            "mode": PhoneNumber.Mode.FORWARD_THEN_ASSISTANT,
            "forward_to": clinic.forward_to,
            "assistant_address": f"sip:{clinic.slug}@sip.vapi.ai",
            "vapi_phone_number_id": clinic.vapi_phone_number_id,
        },
    )
    if not Assistant.objects.filter(org=org).exists():
        Assistant.objects.create(org=org, vapi_assistant_id=clinic.vapi_assistant_id, name=clinic.name)
    VapiCredential.objects.get_or_create(
        org=org, digest=digest(clinic.vapi_secret), defaults={"secret": clinic.vapi_secret}
    )
    # A short code's pace: the sandbox's phones take texts as fast as they come, and nobody watches a demo wait.
    SenderAccount.objects.get_or_create(
        org=org, defaults={"number": clinic.number, "segments_per_second": 100}
    )
    for department in TransferDestination.Department:
        TransferDestination.objects.get_or_create(
            org=org,
            department=department,
            defaults={
                "number": clinic.forward_to,
                "weekdays": list(range(7)),
                "opens": time(0),
                "closes": time(0),
            },
        )


def restore_assistants() -> None:
    """Gives each demo clinic's assistant its known id back: a sync against an emptied sandbox gave it another."""
    with platform_scope("demo data"):
        for clinic in CLINICS:
            rows = Assistant.objects.filter(org__slug=clinic.slug).order_by("created_at")
            oldest = rows.first()
            if oldest is not None and not rows.filter(vapi_assistant_id=clinic.vapi_assistant_id).exists():
                rows.filter(pk=oldest.pk).update(vapi_assistant_id=clinic.vapi_assistant_id)


def _member(org: Organization, clinic: DemoClinic, role: Role) -> dict[str, str]:
    username = f"{role.value}@{clinic.slug}"
    user = User.objects.filter(username=username).first()
    if user is None:
        user = User.objects.create_user(
            username,
            password=password_of(username),
            is_staff=True,
            first_name=role.label,
            last_name=clinic.name,
        )
    Membership.objects.get_or_create(org=org, user=user, defaults={"role": role})
    return {"username": username, "password": password_of(username), "role": role.value}


def _booking_token(org: Organization) -> str:
    """A token for the booking API; its end is rounded to the day, so a second run on a day prints the same."""
    midnight = datetime.combine(timezone.now().date(), time(0), UTC)
    claims = {
        "aud": "voxanne",
        "org_id": str(org.pk),
        "sub": f"demo@{org.slug}",
        "exp": midnight + timedelta(days=TOKEN_DAYS),
    }
    return jwt.encode(claims, settings.JWT_SECRET, algorithm="HS256") if settings.JWT_SECRET else ""
