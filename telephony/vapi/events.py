"""How Vapi's messages are worked off: what each says about its call goes onto the call's record.

Each runs in the ledger's settling transaction, sees its message once or again after a replay, and in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from telephony.call_records import calls
from telephony.call_records.calls import Happening
from telephony.models import Call, CallEvent
from telephony.vapi import arrivals
from telephony.vapi.moments import instant
from telephony.vapi.payload import CallFacts, ServerMessage, message_of, text
from telephony.vapi.reports import Completion, completion_of, recording_of
from telephony.webhooks.ledger import Event, Provider, event_id, register_handler

Kind = CallEvent.Kind
LONGEST_LINE = 8_000
STATUSES = {
    "ringing": Call.Status.RINGING,
    "in-progress": Call.Status.IN_PROGRESS,
    "forwarding": Call.Status.FORWARDING,
    "ended": Call.Status.ENDED,
}

Recorder = Callable[[Event, ServerMessage], None]


def register() -> None:
    for event_type, recorder in RECORDERS.items():
        register_handler(Provider.VAPI, event_type, _of_a_call(recorder))


def came_in(call: Call, facts: CallFacts, body: Mapping[str, Any], received_at: datetime) -> None:
    """Notes that a call was announced; for the request that is answered at once and not stored."""
    at = instant(body.get("timestamp")) or received_at
    calls.add_event(call, Happening(event_id(facts.vapi_call_id, "assistant-request"), Kind.INCOMING, at))


def remember_line(org_id: UUID, message: ServerMessage) -> None:
    """Keeps, encrypted with the call, the address at which a call under way takes commands: what the ledger stores
    is without it. Not asked of reports, which are large and come when there is nothing left to command."""
    status = STATUSES.get(text(message.body.get("status")))
    under_way = message.type == arrivals.STATUS_UPDATE and status not in (None, Call.Status.ENDED)
    if under_way and message.call.vapi_call_id and message.call.control_url:
        calls.create_inbound_call_atomically(org_id, message.call)


def _of_a_call(recorder: Recorder) -> Callable[[Event], None]:
    """What names no call has no row to go to. The call's control address was redacted before it was stored."""

    def handle(event: Event) -> None:
        message = message_of(event.payload)
        if message.call.vapi_call_id:
            recorder(event, replace(message, call=replace(message.call, control_url="")))

    return handle


def status_changed(event: Event, message: ServerMessage) -> None:
    status = STATUSES.get(text(message.body.get("status")))
    if status is None:
        return
    at = _at(event, message)
    if status == Call.Status.ENDED:
        ended = Completion(ended_reason=text(message.body.get("endedReason"), 120), ended_at=_told(message))
        call = calls.update_call_completed_atomically(event.org_id, message.call, ended)
    else:
        call = calls.create_inbound_call_atomically(event.org_id, message.call)
        calls.advance(call, status)
    if status == Call.Status.IN_PROGRESS:
        calls.fill_blank(call, started_at=_told(message))
    calls.add_event(call, Happening(event.event_id, Kind.STATUS, at, text=status.value))


def reported(event: Event, message: ServerMessage) -> None:
    completion = completion_of(message.body, event.origin)
    call = calls.update_call_completed_atomically(event.org_id, message.call, completion)
    recording = recording_of(message.body)
    calls.update_call_with_recording_atomically(event.org_id, message.call.vapi_call_id, recording)
    at = completion.ended_at or _at(event, message)
    calls.add_event(call, Happening(event.event_id, Kind.REPORT, at, text=completion.ended_reason))


def said(event: Event, message: ServerMessage) -> None:
    body = message.body
    words = text(body.get("transcript"), LONGEST_LINE)
    if not words:
        return
    call = calls.create_inbound_call_atomically(event.org_id, message.call)
    final = message.type == arrivals.FINAL_TRANSCRIPT or text(body.get("transcriptType")) != "partial"
    line = Happening(
        event.event_id,
        Kind.TRANSCRIPT,
        _at(event, message),
        text=words,
        role=text(body.get("role"), 20),
        final=final,
    )
    calls.add_event(call, line)


def transferred(event: Event, message: ServerMessage) -> None:
    """To whom is not written down: the number may be a person's own."""
    call = calls.create_inbound_call_atomically(event.org_id, message.call)
    destination = message.body.get("destination")
    kind = text(destination.get("type"), 40) if isinstance(destination, dict) else ""
    calls.add_event(call, Happening(event.event_id, Kind.TRANSFER, _at(event, message), text=kind))


def kept_waiting(event: Event, message: ServerMessage) -> None:
    call = calls.create_inbound_call_atomically(event.org_id, message.call)
    calls.add_event(call, Happening(event.event_id, Kind.HANG, _at(event, message)))


RECORDERS: Mapping[str, Recorder] = {
    arrivals.STATUS_UPDATE: status_changed,
    arrivals.REPORT: reported,
    arrivals.TRANSCRIPT: said,
    arrivals.FINAL_TRANSCRIPT: said,
    arrivals.TRANSFER_UPDATE: transferred,
    arrivals.HANG: kept_waiting,
}


def _told(message: ServerMessage) -> datetime | None:
    return instant(message.body.get("timestamp"))


def _at(event: Event, message: ServerMessage) -> datetime:
    """The message's own time; where it tells none, when it came in first."""
    return _told(message) or event.received_at
