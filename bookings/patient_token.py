"""The token that opens a patient's own page for one visit: ``/a/<token>``.

The visit's id, then the first ten bytes of an HMAC-SHA256 over that id and the visit's token version, in base64url
(RFC 4648, section 5): 35 characters. It can be made again at any time, is stored nowhere, and ceases to hold
when the version rises. Eighty bits cannot be guessed through a page that counts its visitors.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from uuid import UUID

from django.conf import settings
from django.db.models import F
from django.utils.crypto import salted_hmac

from bookings.models import Appointment

SALT = "voxanne.bookings.patient_token"
ID_BYTES, SEAL_BYTES = 16, 10
TOKEN_LENGTH = 35


def token_for(appointment_id: UUID, token_version: int) -> str:
    """The token of this visit at this version."""
    return _written(appointment_id.bytes + _seal(appointment_id, token_version, settings.SECRET_KEY))


def link_for(appointment_id: UUID, token_version: int) -> str:
    """The address of the patient's page, as a text carries it."""
    return f"{settings.BACKEND_URL}/a/{token_for(appointment_id, token_version)}"


def claimed_visit(token: str) -> UUID | None:
    """The id of the visit that a token claims to open, before its seal is looked at; None for what is no token."""
    whole = _read(token)
    return UUID(bytes=whole[:ID_BYTES]) if whole is not None else None


def opens(token: str, appointment_id: UUID, token_version: int) -> bool:
    """Whether the token's seal is that of this visit at this version, under the secret key or one it replaced."""
    whole = _read(token)
    if whole is None or whole[:ID_BYTES] != appointment_id.bytes:
        return False
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    matches = [
        hmac.compare_digest(_seal(appointment_id, token_version, key), whole[ID_BYTES:]) for key in keys
    ]
    return any(matches)


def revoke_links(appointment: Appointment) -> None:
    """Every link that leads to this visit ceases to work, also those from before it was moved. Inside the
    clinic's scope."""
    earlier: Appointment | None = appointment
    while earlier is not None:
        Appointment.objects.filter(pk=earlier.pk).update(token_version=F("token_version") + 1)
        earlier = earlier.rescheduled_from


def _seal(appointment_id: UUID, token_version: int, key: str | bytes) -> bytes:
    """The key is derived from the secret key and our salt, so that no other signature of ours can stand in for it."""
    message = appointment_id.bytes + token_version.to_bytes(4, "big")
    return salted_hmac(SALT, message, secret=key, algorithm="sha256").digest()[:SEAL_BYTES]


def _written(whole: bytes) -> str:
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


def _read(token: str) -> bytes | None:
    """The bytes of a token that is written as we write it; one token has one form."""
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    try:
        whole = base64.b64decode(token + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return whole if len(whole) == ID_BYTES + SEAL_BYTES and _written(whole) == token else None
