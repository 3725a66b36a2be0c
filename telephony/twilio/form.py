"""What Twilio's voice requests say, read from their form; blank or None where they say nothing."""

from __future__ import annotations

from django.http import HttpRequest

from telephony.missed_calls.dial_outcomes import Ended
from telephony.missed_calls.settling import Incoming
from telephony.vapi.payload import text

LONGEST_SID = 40
MOST_SECONDS = 5


def incoming(request: HttpRequest) -> Incoming:
    return Incoming(
        call_sid=text(request.POST.get("CallSid"), LONGEST_SID),
        caller=text(request.POST.get("From"), 40),
        dialled=dialled(request),
    )


def dialled(request: HttpRequest) -> str:
    return text(request.POST.get("To"), 40)


def account_sid(request: HttpRequest) -> str:
    return text(request.POST.get("AccountSid"), LONGEST_SID)


def call_status(request: HttpRequest) -> str:
    return text(request.POST.get("CallStatus"), 20).lower()


def dial_leg(request: HttpRequest) -> tuple[str, Ended]:
    """The dialled leg's id, and how it ended."""
    bridged = text(request.POST.get("DialBridged"), 10).lower()
    seconds = text(request.POST.get("DialCallDuration"), 10)
    return text(request.POST.get("DialCallSid"), LONGEST_SID), Ended(
        status=text(request.POST.get("DialCallStatus"), 20).lower(),
        bridged={"true": True, "false": False}.get(bridged),
        seconds=int(seconds)
        if seconds.isascii() and seconds.isdigit() and len(seconds) <= MOST_SECONDS
        else None,
    )
