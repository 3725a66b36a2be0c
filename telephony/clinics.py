"""Which clinic a message belongs to, asked of narrow database functions before any scope is open; and all of them."""

from __future__ import annotations

from uuid import UUID

from telephony.models import PhoneNumber, VapiCredential
from telephony.vapi.payload import CallFacts
from voxanne.statements import Statement
from voxanne.tenancy.models import Organization
from voxanne.tenancy.plan_cache import ClinicKey, PlanCache
from voxanne.tenancy.scope import org_scope, platform_scope

OF_SECRET = Statement("SELECT clinic_of_vapi_secret(%s::text)")
OF_CALL = Statement("SELECT org_id, plan_version FROM clinics_of_vapi_call(%s::text, %s::text, %s::text)")
OF_SLUG = Statement("SELECT org_id, plan_version FROM clinic_of_slug(%s::text)")
IS_PATIENT_NUMBER = Statement("SELECT is_patient_number(%s::text)")


def clinic_of_secret(secret_digest: str) -> UUID | None:
    """The active clinic whose live credential has this digest."""
    row = OF_SECRET.row([secret_digest])
    return row[0] if row else None


def clinic_of_call(facts: CallFacts) -> ClinicKey | None:
    """The active clinic of the assistant, number id and dialled number; None when none is known, or when
    they point at different clinics."""
    rows = OF_CALL.rows([facts.assistant_id, facts.phone_number_id, facts.dialled])
    return ClinicKey(*rows[0]) if len(rows) == 1 else None


def clinic_of_key(slug: str) -> ClinicKey | None:
    """The active clinic that a webhook address names by its key."""
    row = OF_SLUG.row([slug])
    return ClinicKey(*row) if row else None


def _load_secrets(org_id: UUID) -> tuple[str, ...]:
    with org_scope(org_id):
        rows = VapiCredential.objects.filter(org_id=org_id, active=True)
        return tuple(row.secret for row in rows)


_secrets: PlanCache[tuple[str, ...]] = PlanCache(_load_secrets)


def live_secrets(clinic: ClinicKey) -> tuple[str, ...]:
    """The clinic's live Vapi secrets: two while one is being replaced."""
    return _secrets.get(clinic)


def active_clinics(slug: str | None = None) -> list[tuple[UUID, str]]:
    """(id, slug) of every active clinic, or of the one with this slug; empty when there is none such."""
    with platform_scope("name the active clinics"):
        clinics = Organization.objects.filter(active=True).order_by("slug")
        if slug is not None:
            clinics = clinics.filter(slug=slug)
        return list(clinics.values_list("pk", "slug"))


def is_our_number(number: str) -> bool:
    """Whether any clinic's patients dial this number; which clinic's is not told."""
    row = IS_PATIENT_NUMBER.row([number])
    return row is not None and bool(row[0])


def number_patients_dial(org_id: UUID) -> str:
    """The clinic's first number; blank when it has none. Inside the clinic's scope."""
    numbers = PhoneNumber.objects.filter(org_id=org_id).order_by("created_at")
    return numbers.values_list("number", flat=True).first() or ""
