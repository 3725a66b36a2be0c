"""The record of a call: made by whichever message comes first, completed by those that follow."""

from __future__ import annotations

from uuid import UUID

from telephony.models import Call
from telephony.vapi.payload import CallFacts


def call_of(org_id: UUID, facts: CallFacts) -> Call:
    """The row of this call, made when new. Inside the clinic's scope.

    Entered with DO NOTHING: two first messages at once make one row, and neither waits on the other's locks.
    """
    known = Call.objects.filter(org_id=org_id, vapi_call_id=facts.vapi_call_id).first()
    if known is None:
        fresh = Call(
            org_id=org_id,
            vapi_call_id=facts.vapi_call_id,
            twilio_call_sid=facts.twilio_call_sid,
            from_number=facts.caller,
            to_number=facts.dialled[:20],
        )
        Call.objects.bulk_create([fresh], ignore_conflicts=True)
        known = Call.objects.get(org_id=org_id, vapi_call_id=facts.vapi_call_id)
    remember_control_url(known.pk, facts)
    return known


def remember_control_url(call_id: UUID, facts: CallFacts) -> None:
    """Keeps the address at which the call takes commands, the first time it is told."""
    if facts.control_url:
        Call.objects.filter(pk=call_id, control_url="").update(control_url=facts.control_url)
