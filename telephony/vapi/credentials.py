"""Who calls: Vapi's credentials, one secret a clinic and one for the platform, in each form Vapi can send.

Sources: Vapi's server authentication page (bearer, legacy X-Vapi-Secret, HMAC over ``{timestamp}.{body}``).
A bearer secret is found by its digest. An HMAC names no owner, so the caller passes the few secrets to try.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LONGEST_AGE_SECONDS = 300
SMALLEST_MILLISECONDS = 10_000_000_000
SIGNATURE_HEADERS = (("x-vapi-signature", "x-vapi-timestamp"), ("x-signature", "x-timestamp"))


@dataclass(frozen=True, slots=True)
class Signature:
    """An HMAC as it was sent: hex digest, and the text of its timestamp."""

    hex_digest: str
    timestamp: str


def presented_secret(headers: Mapping[str, str]) -> str:
    """The secret in ``X-Vapi-Secret`` or ``Authorization: Bearer``; blank when there is none."""
    secret = headers.get("X-Vapi-Secret", "").strip()
    if secret:
        return secret
    scheme, _, token = headers.get("Authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def presented_signature(headers: Mapping[str, str]) -> Signature | None:
    for signature_header, timestamp_header in SIGNATURE_HEADERS:
        signature, timestamp = headers.get(signature_header, ""), headers.get(timestamp_header, "")
        if signature and timestamp:
            return Signature(signature.strip().lower(), timestamp.strip())
    return None


def digest(secret: str) -> str:
    """The hex SHA-256 under which a secret is indexed; the secrets are long and random, so no salt is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def is_fresh(signature: Signature, now: float | None = None) -> bool:
    """At most 300 s old or ahead; the stamp may be in seconds or in milliseconds."""
    try:
        stamp = float(signature.timestamp)
    except ValueError:
        return False
    seconds = stamp / 1000 if stamp > SMALLEST_MILLISECONDS else stamp
    return abs((now if now is not None else time.time()) - seconds) <= LONGEST_AGE_SECONDS


def is_signed_by_one_of(signature: Signature, body: bytes, secrets: Iterable[str]) -> bool:
    """Whether one of ``secrets`` signed ``body``; all are compared, each in constant time, blank ones never."""
    signed = signature.timestamp.encode("utf-8", "surrogateescape") + b"." + body
    given = signature.hex_digest.encode("utf-8", "surrogateescape")
    matches = [
        hmac.compare_digest(hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode(), given)
        for secret in secrets
        if secret
    ]
    return any(matches)


def same_secret(given: str, known: str) -> bool:
    """Compares in constant time; a blank known secret matches nothing."""
    return bool(known) and hmac.compare_digest(digest(given), digest(known))
