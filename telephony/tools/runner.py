"""One tool call, once: the claim, the work and the stored answer are one transaction.

A repeat of the same call and tool-call id waits on the claim's unique key until the first one is through,
then reads its answer. A fault rolls the claim back with everything else, so Vapi's next try starts afresh.
"""

from __future__ import annotations

from typing import Any

import structlog
from django.db import DatabaseError, connection
from django.utils import timezone

from bookings.booking import BookingRefused
from bookings.plan import clinic_plan
from telephony.calls import call_of
from telephony.models import Call, ToolInvocation
from telephony.tools.answering import APOLOGY, Asking, ToolAnswer, refused, refused_booking
from telephony.tools.asked import ArgumentMissing, Asked
from telephony.tools.catalogue import TOOLS, Tool
from telephony.vapi.payload import CallFacts, ToolCall
from voxanne.tenancy.plan_cache import ClinicKey
from voxanne.tenancy.scope import org_scope

logger = structlog.get_logger(__name__)

NOT_UNDERSTOOD = "I did not quite get that. Could you say it again?"
UNKNOWN_TOOL = "I cannot do that here. May I take a message?"


class Unanswerable(Exception):
    """The call cannot be answered by its tool; the message is a sentence to speak."""


def run_tool_call(clinic: ClinicKey, facts: CallFacts, tool_call: ToolCall) -> dict[str, Any]:
    """The answer to one tool call, as it was or will be stored: ``{"result": {…}, "message"?: {…}}``.

    Raises Unanswerable with a sentence to speak for an unknown tool, arguments that are no object, or a fault.
    """
    tool = TOOLS.get(tool_call.name)
    if tool is None:
        raise Unanswerable(UNKNOWN_TOOL)
    if tool_call.arguments is None:
        raise Unanswerable(NOT_UNDERSTOOD)
    try:
        with org_scope(clinic.org_id):
            return _once(clinic, facts, tool_call, tool, Asked(tool_call.arguments))
    except DatabaseError as error:
        logger.exception("tool_call_failed", tool=tool.name, kind=type(error).__name__)
        raise Unanswerable(APOLOGY) from error


def _once(
    clinic: ClinicKey, facts: CallFacts, tool_call: ToolCall, tool: Tool, asked: Asked
) -> dict[str, Any]:
    call = call_of(clinic.org_id, facts)
    claim = ToolInvocation(org_id=clinic.org_id, call=call, tool_call_id=tool_call.id, tool=tool.name)
    if not _claimed(claim):
        return _answer_given(clinic, call, tool_call)
    plan = clinic_plan(clinic)
    asking = Asking(plan=plan, call=call, caller=call.from_number or facts.caller, now=timezone.now())
    answer = _handle(tool, asking, asked)
    stored: dict[str, Any] = {"result": answer.result}
    if answer.message is not None:
        stored["message"] = answer.message
    ToolInvocation.objects.filter(pk=claim.pk).update(answer=stored, outcome=answer.outcome)
    return stored


def _claimed(claim: ToolInvocation) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tool_invocations (id, org_id, call_id, tool_call_id, tool, outcome, created_at)"
            " VALUES (%s, %s, %s, %s, %s, '', now()) ON CONFLICT ON CONSTRAINT one_answer_a_tool_call DO NOTHING"
            " RETURNING id",
            [claim.pk, claim.org_id, claim.call_id, claim.tool_call_id, claim.tool],
        )
        return cursor.fetchone() is not None


def _answer_given(clinic: ClinicKey, call: Call, tool_call: ToolCall) -> dict[str, Any]:
    row = ToolInvocation.objects.get(org_id=clinic.org_id, call=call, tool_call_id=tool_call.id)
    answer: dict[str, Any] = row.answer or {}
    if not answer or row.tool != tool_call.name:
        raise Unanswerable(NOT_UNDERSTOOD)
    return answer


def _handle(tool: Tool, asking: Asking, asked: Asked) -> ToolAnswer:
    try:
        return tool.handle(asking, asked)
    except BookingRefused as refusal:
        return refused_booking(asking, refusal)
    except ArgumentMissing as missing:
        return refused("missing_argument", str(missing))
