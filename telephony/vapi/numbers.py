"""Vapi's own record of a number: where it sends a call when we do not answer.

Source: Vapi's OpenAPI document, ``GET /phone-number/{id}``. ``fallbackDestination`` counts only where neither an
assistant nor a squad is fixed on the number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests
from django.conf import settings


class VapiUnavailable(RuntimeError):
    """Vapi could not be asked, or did not answer properly."""


@dataclass(frozen=True, slots=True)
class NumberAtVapi:
    """``fallback`` is the number (E.164) a call goes to; blank where none is set. ``fixed``: it would be ignored."""

    fallback: str
    fixed: bool


def number_at_vapi(phone_number_id: str) -> NumberAtVapi | None:
    """None where Vapi has no such number. Raises VapiUnavailable, also where we have no key to ask with."""
    if not settings.VAPI_API_KEY:
        raise VapiUnavailable("VAPI_API_KEY is not set")
    try:
        response = requests.get(
            f"{settings.VAPI_API_BASE_URL}/phone-number/{quote(phone_number_id, safe='')}",
            headers={"Authorization": f"Bearer {settings.VAPI_API_KEY}"},
            timeout=settings.VAPI_TIMEOUT,
            allow_redirects=False,
        )
        if response.status_code == 404:
            return None
        if response.status_code != 200:
            raise VapiUnavailable(f"Vapi answered {response.status_code}")
        record = response.json()
    except (requests.RequestException, ValueError) as error:
        raise VapiUnavailable(type(error).__name__) from error
    return _read(record if isinstance(record, dict) else {})


def _read(record: dict[str, Any]) -> NumberAtVapi:
    destination = record.get("fallbackDestination")
    number = destination.get("number") if isinstance(destination, dict) else None
    return NumberAtVapi(
        fallback=number if isinstance(number, str) else "",
        fixed=bool(record.get("assistantId") or record.get("squadId")),
    )
