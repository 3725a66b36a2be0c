"""One tool call, once: the claim, the work and the stored answer are one transaction."""

from __future__ import annotations

import time
from typing import Any

import structlog
from django.db import DatabaseError
from django.utils import timezone

from bookings.booking import BookingRefused, until_code_is_free
from bookings.plan import clinic_plan
from monitoring import metrics
from telephony.call_records.feed import TOOL, on_call_event
from telephony.call_records.outcome import conclude
from telephony.tools import claims
from telephony.tools.answering import APOLOGY, Asking, ToolAnswer, refused, refused_booking
from telephony.tools.asked import ArgumentMissing, Asked
from telephony.tools.catalogue import TOOLS, Tool
from telephony.vapi.payload import CallFacts, ToolCall
from voxanne.tenancy.plan_cache import ClinicKey
from voxanne.tenancy.scope import org_scope

logger = structlog.get_logger(__name__)

NOT_UNDERSTOOD = "I did not quite get that. Could you say it again?"
# Outcomes for our figures, beside the answers' own codes.
FAULT, REPEATED = "error", "repeated"
BOOKING_TOOL = "bookClinicAppointment"
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
    began = time.perf_counter()
    outcome = FAULT
    try:
        stored, outcome = until_code_is_free(lambda: _in_scope(clinic, facts, tool_call, tool))
        return stored
    except (DatabaseError, LookupError) as error:
        logger.exception("tool_call_failed", tool=tool.name, kind=type(error).__name__)
        raise Unanswerable(APOLOGY) from error
    finally:
        _observe(tool.name, outcome, time.perf_counter() - began)


def _in_scope(
    clinic: ClinicKey, facts: CallFacts, tool_call: ToolCall, tool: Tool
) -> tuple[dict[str, Any], str]:
    with org_scope(clinic.org_id):
        return _once(clinic, facts, tool_call, tool, Asked(tool_call.arguments or {}))


def _observe(tool: str, outcome: str, seconds: float) -> None:
    metrics.observe_tool_call(tool, outcome, seconds)
    if tool == BOOKING_TOOL and outcome != REPEATED:
        metrics.observe_booking("booked" if outcome == "ok" else outcome, seconds)


def _once(
    clinic: ClinicKey, facts: CallFacts, tool_call: ToolCall, tool: Tool, asked: Asked
) -> tuple[dict[str, Any], str]:
    """The answer, and what came of the call for our figures."""
    claim = claims.claim(clinic.org_id, facts, tool_call)
    if claim.id is None:
        given = claims.answer_given(clinic.org_id, claim.call_id, tool_call)
        if given is None:
            raise Unanswerable(NOT_UNDERSTOOD)
        metrics.count_duplicate("tool_call")
        return given, REPEATED
    caller = claim.caller or facts.caller
    asking = Asking(clinic_plan(clinic), claim.call_id, caller, facts, timezone.now())
    answer = _handle(tool, asking, asked)
    stored: dict[str, Any] = {"result": answer.result}
    if answer.message is not None:
        stored["message"] = answer.message
    claims.store_answer(claim.id, stored, answer.outcome)
    if claim.call_ended:
        conclude(clinic.org_id, claim.call_id)
    used = {"vapiCallId": facts.vapi_call_id, "tool": tool.name, "outcome": answer.outcome}
    on_call_event(clinic.org_id, claim.call_id, TOOL, used)
    return stored, answer.outcome


def _handle(tool: Tool, asking: Asking, asked: Asked) -> ToolAnswer:
    try:
        return tool.handle(asking, asked)
    except BookingRefused as refusal:
        return refused_booking(asking, refusal)
    except ArgumentMissing as missing:
        return refused("missing_argument", str(missing))
