"""The record of a call: made by whichever message comes first, completed by those that follow.

Every function is one transaction in the clinic's scope and may be called again with the same or less: a status only
moves forward, a value is never replaced by nothing, and what a report says stands over what a mere status said,
whichever came first. A call's end never touches an appointment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from telephony.call_records.feed import ADVANCED, on_call_event
from telephony.call_records.outcome import conclude
from telephony.models import Call, CallEvent
from telephony.vapi.payload import CallFacts
from telephony.vapi.reports import Completion, RecordingFacts, ended_group
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.scope import org_scope

ORDER = list(Call.Status.values)
# What the first message may have left out, a later one fills in.
FACTS = ("twilio_call_sid", "from_number", "to_number", "control_url")

ADD_EVENT = Statement("""
INSERT INTO call_events (id, org_id, call_id, event_id, kind, at, role, text, final, created_at)
VALUES (%(id)s, %(org)s, %(call)s, %(event_id)s, %(kind)s, %(at)s, %(role)s, %(text)s, %(final)s, now())
ON CONFLICT ON CONSTRAINT one_row_a_call_event DO NOTHING
RETURNING id
""")

RecordingListener = Callable[[UUID, UUID, RecordingFacts], None]
_recording_listeners: list[RecordingListener] = []


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened in a call; ``event_id`` is that of the message it came by."""

    event_id: str
    kind: CallEvent.Kind
    at: datetime
    text: str = field(default="", repr=False)
    role: str = ""
    final: bool = True


def register_recording_listener(listener: RecordingListener) -> None:
    """``listener(org_id, call_id, facts)`` runs in the transaction that learns of a recording, the first time."""
    if listener not in _recording_listeners:
        _recording_listeners.append(listener)


def create_inbound_call_atomically(org_id: UUID, facts: CallFacts) -> Call:
    """The row of this call, made when new, with what the message adds to it; locked until the transaction ends, so
    that a call's events are applied one after another.

    Entered with DO NOTHING: two first messages at once make one row, and neither waits on the other's locks.
    """
    with org_scope(org_id):
        known = _locked(org_id, facts.vapi_call_id)
        if known is None:
            fresh = Call(org_id=org_id, vapi_call_id=facts.vapi_call_id, **_told(facts))
            Call.objects.bulk_create([fresh], ignore_conflicts=True)
            known = _locked(org_id, facts.vapi_call_id)
            assert known is not None
        _fill(known, {name: value for name, value in _told(facts).items() if not getattr(known, name)})
    return known


def update_call_completed_atomically(org_id: UUID, facts: CallFacts, completion: Completion) -> Call:
    """The call has ended; what ``completion`` says of it goes onto its row, which is made when it is new."""
    with org_scope(org_id):
        call = create_inbound_call_atomically(org_id, facts)
        is_new = call.status != Call.Status.ENDED
        _fill(call, _completed(call, completion))
        CallEvent.objects.filter(call=call, final=False).delete()
        conclude(org_id, call.pk)
        if is_new:
            on_call_event(org_id, call.pk, ADVANCED, {})
    return call


def update_call_with_recording_atomically(org_id: UUID, vapi_call_id: str, facts: RecordingFacts) -> bool:
    """Notes where the call's recording lies, if the report said so, and tells those who fetch it; False where that is
    known already, or the call is not."""
    with org_scope(org_id):
        call = _locked(org_id, vapi_call_id)
        if call is None or call.recording_url:
            return False
        _fill(call, {"recording_url": facts.url})
        for listener in _recording_listeners:
            listener(org_id, call.pk, facts)
    return True


def advance(call: Call, status: Call.Status) -> bool:
    """Moves a locked call forward to ``status``; False where it has come further already."""
    if ORDER.index(status) <= ORDER.index(call.status):
        return False
    _fill(call, {"status": status})
    on_call_event(call.org_id, call.pk, ADVANCED, {})
    return True


def fill_blank(call: Call, **values: Any) -> None:
    """Writes those of ``values`` that are something onto a locked call, where it has nothing yet."""
    _fill(call, _with_duration(call, {name: getattr(call, name) or value for name, value in values.items()}))


def add_event(call: Call, happening: Happening) -> bool:
    """Adds a line to the call's course, once; whoever listens is told when it has committed."""
    if not happening.final and call.status == Call.Status.ENDED:
        return False
    values = {
        "id": new_id(), "org": call.org_id, "call": call.pk, "event_id": happening.event_id,
        "kind": happening.kind.value, "at": happening.at, "role": happening.role, "text": happening.text,
        "final": happening.final,
    }  # fmt: skip
    if ADD_EVENT.row(values) is None:
        return False
    told = {"at": happening.at, "role": happening.role, "text": happening.text, "final": happening.final}
    on_call_event(call.org_id, call.pk, happening.kind.value, told)
    return True


def remember_control_url(call_id: UUID, facts: CallFacts) -> None:
    """Keeps the address at which the call takes commands, the first time it is told."""
    if facts.control_url:
        Call.objects.filter(pk=call_id, control_url="").update(control_url=facts.control_url)


def _locked(org_id: UUID, vapi_call_id: str) -> Call | None:
    rows = Call.objects.filter(org_id=org_id, vapi_call_id=vapi_call_id)
    # Not the key: tool calls that refer to the row go on meanwhile.
    call: Call | None = rows.select_for_update(no_key=True).first()
    return call


def _told(facts: CallFacts) -> dict[str, str]:
    return {
        "twilio_call_sid": facts.twilio_call_sid,
        "from_number": facts.caller,
        "to_number": facts.dialled[:20],
        "control_url": facts.control_url,
    }


def _fill(call: Call, values: dict[str, Any]) -> None:
    """Writes what is something and differs from the row as it stands."""
    told = {name: value for name, value in values.items() if value not in (None, "")}
    changed = {name: value for name, value in told.items() if getattr(call, name) != value}
    if not changed:
        return
    for name, value in changed.items():
        setattr(call, name, value)
    call.save(update_fields=[*changed, "updated_at"])


def _completed(call: Call, completion: Completion) -> dict[str, Any]:
    """The columns that an end changes. A report's values stand; a status fills what is blank."""
    values: dict[str, Any] = {
        "ended_reason": completion.ended_reason,
        "started_at": completion.started_at,
        "ended_at": completion.ended_at,
        "summary": completion.summary,
        "transcript": completion.transcript,
        "sentiment": completion.sentiment,
        "report_learnt": call.report_learnt or completion.reported,
    }
    known = {name: getattr(call, name) for name in values}
    if completion.reported and not call.report_learnt:
        values = {name: value or known[name] for name, value in values.items()}
    else:
        values = {name: known[name] or value for name, value in values.items()}
    if completion.cost is not None and call.cost is None:
        values["cost"] = completion.cost
    values["ended_group"] = ended_group(values["ended_reason"])
    values["status"] = Call.Status.ENDED
    return _with_duration(call, values)


def _with_duration(call: Call, values: dict[str, Any]) -> dict[str, Any]:
    """The same, and the length that the call has with them."""
    began = values.get("started_at", call.started_at)
    ended = values.get("ended_at", call.ended_at)
    if not began or not ended or ended < began:
        return values
    return {**values, "duration_seconds": round((ended - began).total_seconds())}
