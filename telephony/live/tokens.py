"""A clinic's token, as its own programs present it to a socket: verified as for the booking API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from telephony.api import tokens
from telephony.api.signing_keys import KeysUnavailable
from voxanne.tenancy.models import Role


class InvalidToken(ValueError):
    """The token is not ours, or no longer; why is not told."""


@dataclass(frozen=True, slots=True)
class Claims:
    """``org_id`` is None where the token names no clinic; ``role`` is what the bearer may do as a member of
    staff, if the token says so."""

    org_id: UUID | None
    subject: str
    expires_at: datetime
    role: Role | None = None


def verified_claims(token: str) -> Claims:
    """What a rightly signed token that still holds says. Raises InvalidToken."""
    try:
        return _claims(tokens.verified_claims(token))
    except (tokens.TokenRefused, KeysUnavailable, ValueError, OverflowError, TypeError) as error:
        raise InvalidToken(type(error).__name__) from error


def _claims(found: dict[str, Any]) -> Claims:
    role = found.get("role")
    return Claims(
        org_id=UUID(str(found["org_id"])) if found.get("org_id") else None,
        subject=str(found.get("sub") or "")[:120],
        expires_at=datetime.fromtimestamp(int(found["exp"]), UTC),
        role=Role(role) if role in Role.values else None,
    )
