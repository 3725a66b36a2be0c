"""What Vapi is answered while the database is away: a new call goes to the clinic's last-known line.

The credential is checked all the same: the platform's, or one of the clinic's that are kept beside the line.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from telephony.never_dead import last_known
from telephony.never_dead.last_known import LastKnown
from telephony.vapi import credentials
from telephony.vapi.payload import CallFacts, ServerMessage


def line_as_destination(request: HttpRequest, body: bytes, message: ServerMessage) -> dict[str, Any] | None:
    """``{"destination": …}``; None where no line is known of the call, or the credential does not open its clinic."""
    entry = _entry_of(message.call)
    if entry is None or not entry.line or not _believed(request, body, entry):
        return None
    return {"destination": {"type": "number", "number": entry.line, "message": ""}}


def _entry_of(facts: CallFacts) -> LastKnown | None:
    """By the number first: an assistant's id says no more than whose it is."""
    return (
        last_known.of_vapi_ids([facts.phone_number_id])
        or last_known.of_number(facts.dialled)
        or last_known.of_vapi_ids([facts.assistant_id])
    )


def _believed(request: HttpRequest, body: bytes, entry: LastKnown) -> bool:
    secrets = [settings.VAPI_WEBHOOK_SECRET, *entry.vapi_secrets]
    given = credentials.presented_secret(request.headers)
    if given:
        return any(credentials.same_secret(given, secret) for secret in secrets)
    signature = credentials.presented_signature(request.headers)
    return (
        signature is not None
        and credentials.is_fresh(signature)
        and credentials.is_signed_by_one_of(signature, body, secrets)
    )
