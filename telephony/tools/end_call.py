"""endCall: says goodbye; the call ends after that is spoken."""

from __future__ import annotations

from enum import StrEnum

from telephony.call_commands.commands import queue_end
from telephony.call_records.calls import remember_control_url
from telephony.models import Call
from telephony.tools.answering import Asking, ToolAnswer
from telephony.tools.asked import Asked
from telephony.vapi.payload import text


class EndReason(StrEnum):
    COMPLETED = "completed"
    TIME_LIMIT = "time_limit"
    PATIENT_REQUEST = "patient_request"
    TRANSFER_NEEDED = "transfer_needed"


GOODBYES = {
    EndReason.COMPLETED: "Thank you for calling {clinic}. Goodbye.",
    EndReason.TIME_LIMIT: "I am sorry, this call has reached its time limit. Please call {clinic} again. Goodbye.",
    EndReason.PATIENT_REQUEST: "Thank you for calling {clinic}. Goodbye.",
    EndReason.TRANSFER_NEEDED: "Somebody from {clinic} will call you back. Goodbye.",
}


def end_call(asking: Asking, asked: Asked) -> ToolAnswer:
    reason = asked.choice("reason", EndReason, EndReason.COMPLETED) or EndReason.COMPLETED
    goodbye = GOODBYES[reason].format(clinic=asking.plan.name)
    # Whatever kind of value it is, a summary never keeps a call from ending.
    summary = text(asked.values.get("summary"), 1000)
    if summary:
        Call.objects.filter(pk=asking.call_id, summary="").update(summary=summary)
    remember_control_url(asking.call_id, asking.facts)
    queue_end(asking.plan.key.org_id, asking.call_id)
    # Vapi speaks this itself and hangs up after it; the queued command is the net under that.
    message = {"type": "request-complete", "content": goodbye, "endCallAfterSpokenEnabled": True}
    return ToolAnswer({"ok": True, "say": goodbye, "goodbye": goodbye}, message=message)
