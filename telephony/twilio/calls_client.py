"""Twilio's Calls resource by the real client: the legs that a call dialled, and the call itself.

Source: Twilio's API 2010-04-01, Calls (``ParentCallSid`` names the call that a leg was dialled for).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twilio.base.exceptions import TwilioRestException

from messaging.providers.twilio.client import Account, client_of

MOST_LEGS = 20
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Leg:
    """``seconds`` is None where the leg was not taken, ``ended_at`` while it goes on."""

    sid: str
    status: str
    seconds: int | None
    ended_at: datetime | None


class CallUnknown(LookupError):
    """Twilio knows no such call."""


class CallsUnavailable(RuntimeError):
    """Twilio could not be asked, or did not answer properly; asking again later may help."""


def dialled_legs(account: Account, call_sid: str) -> list[Leg]:
    """The legs that were dialled for this call, the first one first. Raises CallsUnavailable."""
    try:
        found = client_of(account).calls.list(parent_call_sid=call_sid, limit=MOST_LEGS, page_size=MOST_LEGS)
    # Whatever it raised, the next round asks again: nothing was changed by asking.
    except Exception as error:
        raise CallsUnavailable(type(error).__name__) from error
    return [_leg(call) for call in reversed(found)]


def status_of(account: Account, call_sid: str) -> str:
    """The call's own status. Raises CallUnknown or CallsUnavailable."""
    try:
        return str(client_of(account).calls(call_sid).fetch().status)
    except TwilioRestException as error:
        if error.status == NOT_FOUND:
            raise CallUnknown("Twilio knows no such call.") from error
        raise CallsUnavailable(f"status {error.status}") from error
    except Exception as error:
        raise CallsUnavailable(type(error).__name__) from error


def _leg(call: Any) -> Leg:
    seconds = str(call.duration or "")
    return Leg(
        sid=str(call.sid),
        status=str(call.status),
        seconds=int(seconds) if seconds.isdigit() else None,
        ended_at=call.end_time,
    )
