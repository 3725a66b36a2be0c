"""The door: what a presented credential opens, before anything of the body is acted on, stored or logged."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest

from telephony.clinics import clinic_of_call, clinic_of_key, clinic_of_secret, live_secrets
from telephony.vapi import credentials
from telephony.vapi.payload import MalformedPayload, ServerMessage, glimpsed_ids, parse, text
from voxanne.tenancy.plan_cache import ClinicKey


@dataclass(frozen=True, slots=True)
class Door:
    """One clinic, or every clinic for the platform's own secret (``org_id`` None).

    ``message`` and ``clinic`` are what an HMAC's check had to read on its way, so that it is read once.
    """

    org_id: UUID | None
    message: ServerMessage | None = None
    clinic: ClinicKey | None = None

    def opens(self, clinic: ClinicKey) -> bool:
        return self.org_id is None or self.org_id == clinic.org_id


PLATFORM_DOOR = Door(None)
# Tool calls are far smaller; only reports with long transcripts are larger.
MOST_PARSED_UNSEEN = 256 * 1024


def door_of(request: HttpRequest, body: bytes) -> Door | None:
    """What the presented credential opens; None when it opens nothing. Raises DatabaseError."""
    secret = credentials.presented_secret(request.headers)
    if secret:
        return _door_of_secret(secret)
    signature = credentials.presented_signature(request.headers)
    if signature is None or not credentials.is_fresh(signature):
        return None
    if request.GET.get("clinic"):
        clinic = clinic_of_key(text(request.GET["clinic"], 60))
        return _door_of_clinic(clinic, signature, body)
    return _door_of_named_clinic(signature, body)


def _door_of_secret(secret: str) -> Door | None:
    if credentials.same_secret(secret, settings.VAPI_WEBHOOK_SECRET):
        return PLATFORM_DOOR
    owner = clinic_of_secret(credentials.digest(secret))
    return Door(owner) if owner else None


def _door_of_named_clinic(signature: credentials.Signature, body: bytes) -> Door | None:
    """An HMAC names no owner: the ids in the still untrusted body choose whose few secrets to try.

    A large body is not parsed for a stranger: its ids are looked for in the bytes, which costs little.
    """
    if len(body) > MOST_PARSED_UNSEEN:
        return _door_of_clinic(clinic_of_call(glimpsed_ids(body)), signature, body)
    try:
        message = parse(body)
    except MalformedPayload:
        return _door_of_clinic(None, signature, body)
    clinic = clinic_of_call(message.call)
    door = _door_of_clinic(clinic, signature, body)
    return door and Door(door.org_id, message, clinic)


def _door_of_clinic(clinic: ClinicKey | None, signature: credentials.Signature, body: bytes) -> Door | None:
    """Each secret tried is a digest of the whole body: the clinic's own come first, for Vapi presents them wherever
    there are any."""
    if clinic and credentials.is_signed_by_one_of(signature, body, live_secrets(clinic)):
        return Door(clinic.org_id)
    if credentials.is_signed_by_one_of(signature, body, [settings.VAPI_WEBHOOK_SECRET]):
        return PLATFORM_DOOR
    return None
