"""Twilio's signature: over our public address as configured, never as a Host header claims it.

Source: Twilio's webhook security page; the package's own validator does the arithmetic.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from twilio.request_validator import RequestValidator

from telephony.twilio import form


def is_signed(request: HttpRequest, auth_token: str) -> bool:
    """Whether Twilio signed this form with ``auth_token``; False for anything that cannot be checked."""
    signature = request.headers.get("X-Twilio-Signature", "")
    if not signature or not auth_token:
        return False
    url = f"{settings.BACKEND_URL}{request.get_full_path()}"
    try:
        return bool(RequestValidator(auth_token).validate(url, request.POST, signature))
    except (TypeError, ValueError, IndexError, AttributeError):
        return False


def signed_by(request: HttpRequest, account_sid: str, auth_token: str) -> bool:
    """Whether the request names this account and is signed by it."""
    return form.account_sid(request) == account_sid and is_signed(request, auth_token)
