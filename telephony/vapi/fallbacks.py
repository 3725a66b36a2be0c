"""Vapi's own record of a number: where it sends a call when we do not answer.

Source: Vapi's OpenAPI document, ``GET /phone-number/{id}``. ``fallbackDestination`` counts only where neither an
assistant nor a squad is fixed on the number.
"""

from __future__ import annotations

from dataclasses import dataclass

from telephony.vapi.rest import PHONE_NUMBER, Vapi


@dataclass(frozen=True, slots=True)
class NumberAtVapi:
    """``fallback`` is the number (E.164) a call goes to; blank where none is set. ``fixed``: it would be ignored."""

    fallback: str
    fixed: bool


def number_at_vapi(phone_number_id: str) -> NumberAtVapi | None:
    """None where Vapi has no such number. Raises VapiFault, also where we have no key to ask with."""
    record = Vapi(tries=1).find(PHONE_NUMBER, phone_number_id)
    if record is None:
        return None
    destination = record.get("fallbackDestination")
    number = destination.get("number") if isinstance(destination, dict) else None
    return NumberAtVapi(
        fallback=number if isinstance(number, str) else "",
        fixed=bool(record.get("assistantId") or record.get("squadId")),
    )
