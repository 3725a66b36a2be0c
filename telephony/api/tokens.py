"""Who calls the booking API: a JSON Web Token, verified before anything of it is believed (contract, section 5).

HS256 counts with ``JWT_SECRET`` alone, RS256 and ES256 with the issuer's published keys alone, so neither can pass for
the other; ``none`` and everything else is refused. Sources: RFC 7519, RFC 8725 (section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
from django.conf import settings

from telephony.api.signing_keys import ES256, RS256, PublicKey, key_ring
from voxanne.statements import Statement
from voxanne.tenancy.plan_cache import ClinicKey

AUDIENCE = "voxanne"
HS256 = "HS256"
LONGEST_TOKEN = 8192
# What PyJWT raises for tokens made up by hand, beside its own errors.
UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError)

OF_TOKEN = Statement("SELECT org_id, plan_version FROM clinic_of_token(%s::uuid)")


class TokenRefused(Exception):
    """Missing, malformed, expired, not for us, or not signed by whom it should be."""


class ClinicRefused(Exception):
    """A good token that names no active clinic."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """The clinic a good token speaks for, and its subject (blank when it names none)."""

    clinic: ClinicKey
    subject: str
    is_authenticated = True


def bearer_of_token(token: str) -> Bearer:
    """Raises TokenRefused, ClinicRefused, KeysUnavailable, DatabaseError."""
    claims = verified_claims(token)
    org_id = _org_id(claims.get("org_id"))
    row = OF_TOKEN.row([org_id]) if org_id else None
    if row is None:
        raise ClinicRefused
    return Bearer(ClinicKey(*row), str(claims.get("sub") or ""))


def verified_claims(token: str) -> dict[str, Any]:
    """The claims of a token that holds. Raises TokenRefused, KeysUnavailable."""
    if not token or len(token) > LONGEST_TOKEN or not token.isascii():
        raise TokenRefused
    try:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        key = _key_for(algorithm, header.get("kid"))
        if key is None:
            raise TokenRefused
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[str(algorithm)],
            audience=AUDIENCE,
            options={"require": ["exp", "aud"], "verify_iat": False},
        )
    except UNREADABLE as error:
        raise TokenRefused from error
    if isinstance(claims["exp"], bool | str):
        raise TokenRefused
    return claims


def _key_for(algorithm: Any, key_id: Any) -> str | PublicKey | None:
    """The only key with which this algorithm counts; None where there is none."""
    if algorithm == HS256:
        return settings.JWT_SECRET or None
    if algorithm in (RS256, ES256) and settings.JWT_JWKS_URL and isinstance(key_id, str):
        return key_ring().key(key_id, algorithm)
    return None


def _org_id(claimed: Any) -> UUID | None:
    try:
        return UUID(claimed) if isinstance(claimed, str) else None
    except ValueError:
        return None
