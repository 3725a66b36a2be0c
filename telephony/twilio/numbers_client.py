"""Twilio's own record of a number: what it calls when nothing of ours answers.

Source: Twilio's API 2010-04-01, IncomingPhoneNumbers (``VoiceFallbackUrl``); TwiML Bins are served from one host.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from django.conf import settings

from messaging.providers.twilio.client import Account, client_of

TWIML_BINS = "handler.twilio.com"
MOST_TWIML = 10_000


class NumberUnknown(LookupError):
    """The account has no such number."""


class NumbersUnavailable(RuntimeError):
    """Twilio could not be asked, or did not answer properly."""


def voice_fallback(account: Account, number: str) -> str:
    """The number's ``voice_fallback_url``, blank where none is set. Raises NumberUnknown or NumbersUnavailable."""
    try:
        found = client_of(account).incoming_phone_numbers.list(phone_number=number, limit=20, page_size=20)
    except Exception as error:
        raise NumbersUnavailable(type(error).__name__) from error
    exact = [one for one in found if one.phone_number == number]
    if not exact:
        raise NumberUnknown("Twilio's account has no such number.")
    return str(exact[0].voice_fallback_url or "")


def readable_twiml(address: str) -> str | None:
    """The document at a fallback address; None where it cannot be read. Only Twilio's own TwiML Bins are asked, and
    outside production the sandbox: the address is a setting somebody else may have made."""
    asked = urlsplit(address)
    origin = f"{asked.scheme}://{asked.netloc}"
    of_sandbox = not settings.PRODUCTION and origin in (settings.SANDBOX_URL, settings.BACKEND_URL)
    if not of_sandbox and (asked.scheme, asked.netloc) != ("https", TWIML_BINS):
        return None
    try:
        response = requests.post(address, timeout=settings.TWILIO_TIMEOUT, allow_redirects=False)
    except requests.RequestException:
        return None
    return response.text[:MOST_TWIML] if response.status_code == 200 else None
