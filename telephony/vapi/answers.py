"""What Vapi waits for: the assistant to use, the tools' results, a number to transfer to.

Shapes from Vapi's OpenAPI document (ServerMessageResponse). A result is one line of text that is itself JSON.
"""

from __future__ import annotations

import json
from typing import Any

from django.utils import timezone

from bookings.plan import clinic_plan
from telephony.call_commands.transfers import GENERAL, AfterHours, NoDestination, destination_for
from telephony.call_records.calls import create_inbound_call_atomically
from telephony.models import Assistant, PhoneNumber
from telephony.tools.answering import APOLOGY
from telephony.tools.runner import Unanswerable, run_tool_call
from telephony.vapi.events import came_in
from telephony.vapi.payload import CallFacts, ServerMessage, ToolCall, tool_calls
from voxanne.tenancy.plan_cache import ClinicKey
from voxanne.tenancy.scope import org_scope

NOT_IN_SERVICE = "I am sorry, this number is not in service."
NOBODY_AVAILABLE = "Nobody is available right now."


def tool_results(clinic: ClinicKey, message: ServerMessage) -> dict[str, Any]:
    """One result for each tool call, in the order they came, each in its own transaction."""
    return {"results": [_result(clinic, message.call, tool_call) for tool_call in tool_calls(message.body)]}


def _result(clinic: ClinicKey, facts: CallFacts, tool_call: ToolCall) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": tool_call.name, "toolCallId": tool_call.id}
    if not facts.vapi_call_id:
        return {**entry, "error": APOLOGY}
    try:
        stored = run_tool_call(clinic, facts, tool_call)
    except Unanswerable as fault:
        return {**entry, "error": str(fault)}
    # The database keeps no order of keys; in this one a repeat is the same line to the letter.
    entry["result"] = json.dumps(stored["result"], sort_keys=True)
    if "message" in stored:
        entry["message"] = stored["message"]
    return entry


def clinic_unknown(message: ServerMessage, sentence: str = NOT_IN_SERVICE) -> dict[str, Any]:
    """What is said when no clinic can be told: an apology for each tool call, an error, or nothing."""
    if message.type == "tool-calls":
        results = [
            {"name": tool_call.name, "toolCallId": tool_call.id, "error": sentence}
            for tool_call in tool_calls(message.body)
        ]
        return {"results": results}
    if message.type in ("assistant-request", "transfer-destination-request"):
        return {"error": sentence}
    return {}


def assistant_answer(clinic: ClinicKey, message: ServerMessage) -> dict[str, Any]:
    """The clinic's assistant, told what today is there; the clinic's line where it has no assistant.

    No patient's name goes into the prompt. Vapi waits 7.5 s at most.
    """
    now = timezone.now()
    with org_scope(clinic.org_id):
        plan = clinic_plan(clinic)
        if message.call.vapi_call_id:
            call = create_inbound_call_atomically(clinic.org_id, message.call)
            came_in(call, message.call, message.body, now)
        assistant = Assistant.objects.filter(org_id=clinic.org_id).order_by("created_at").first()
        if assistant is None:
            return _clinic_line(clinic, message.call)
    today = plan.today(now)
    variables = {
        "clinicName": plan.name,
        "today": today.isoformat(),
        "weekday": f"{today:%A}",
        "timeZone": plan.zone.key,
    }
    return {"assistantId": assistant.vapi_assistant_id, "assistantOverrides": {"variableValues": variables}}


def _clinic_line(clinic: ClinicKey, facts: CallFacts) -> dict[str, Any]:
    numbers = PhoneNumber.objects.filter(org_id=clinic.org_id).exclude(forward_to="")
    number = numbers.filter(number=facts.dialled).first() or numbers.first()
    if number is None:
        return {"error": NOT_IN_SERVICE}
    return {"destination": {"type": "number", "number": number.forward_to, "message": ""}}


def _asked_for_last(clinic: ClinicKey, facts: CallFacts) -> str:
    if not facts.vapi_call_id:
        return ""
    return create_inbound_call_atomically(clinic.org_id, facts).transfer_department


def transfer_answer(clinic: ClinicKey, message: ServerMessage) -> dict[str, Any]:
    """The number of the department asked for last in this call, else of general, within its hours."""
    with org_scope(clinic.org_id):
        department = _asked_for_last(clinic, message.call)
        try:
            number = destination_for(clinic_plan(clinic), department or GENERAL, timezone.now())
        except (AfterHours, NoDestination):
            return {"error": NOBODY_AVAILABLE}
    return {"destination": {"type": "number", "number": number, "message": "Connecting you now."}}
