"""The addresses Vapi calls. Nothing of a body is acted on, stored or logged before its credential holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from monitoring import metrics
from monitoring.errors import error_response
from telephony.clinics import clinic_of_call
from telephony.tools.answering import APOLOGY
from telephony.vapi.answers import assistant_answer, clinic_unknown, tool_results, transfer_answer
from telephony.vapi.arrivals import arrival_of
from telephony.vapi.away import line_as_destination
from telephony.vapi.door import Door, door_of
from telephony.vapi.events import remember_line
from telephony.vapi.payload import MalformedPayload, ServerMessage, parse
from telephony.webhooks import ledger
from telephony.webhooks.database_faults import OUTAGE, answer_to
from voxanne.tenancy.plan_cache import ClinicKey

logger = structlog.get_logger(__name__)

MOST_BYTES = 6 * 1024 * 1024
TOOL_CALLS = "tool-calls"

Answerer = Callable[[ClinicKey, ServerMessage], dict[str, Any]]
REPLIES: Mapping[str, Answerer] = {
    TOOL_CALLS: tool_results,
    "assistant-request": assistant_answer,
    "transfer-destination-request": transfer_answer,
}


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Every Vapi server message: replies where Vapi waits for one, else 200 with ``{}``."""
    return _timed(request, only_tools=False)


@csrf_exempt
@require_POST
def tools(request: HttpRequest) -> HttpResponse:
    """Tool calls alone, by the same handler."""
    return _timed(request, only_tools=True)


def _timed(request: HttpRequest, *, only_tools: bool) -> HttpResponse:
    began = time.perf_counter()
    response = _answer(request, only_tools=only_tools)
    if response.status_code == 200:
        metrics.observe_webhook_ack("vapi", time.perf_counter() - began)
    return response


def _answer(request: HttpRequest, *, only_tools: bool) -> HttpResponse:
    length = _announced_bytes(request)
    if length is None:
        return error_response(400, "invalid_request", "The Content-Length must be a whole number.")
    if length > MOST_BYTES:
        return error_response(413, "too_large", f"The body may have at most {MOST_BYTES} bytes.")
    body = request.body
    try:
        door = door_of(request, body)
        if door is None:
            return error_response(401, "unauthorized", "The credential is missing or wrong.")
        message = door.message or parse(body)
        if only_tools and message.type != TOOL_CALLS:
            raise MalformedPayload("Only tool-calls messages are taken at this address.")
        return JsonResponse(_reply(door, message))
    except MalformedPayload as error:
        return error_response(400, "invalid_request", str(error))
    except DatabaseError as error:
        return _without_the_database(request, body, error)


def _announced_bytes(request: HttpRequest) -> int | None:
    """The length the sender announces, 0 for none; None for what is no number, which Django cannot read either."""
    try:
        return int(request.headers.get("Content-Length") or 0)
    except ValueError:
        return None


def _reply(door: Door, message: ServerMessage) -> dict[str, Any]:
    clinic = door.clinic or clinic_of_call(message.call)
    if clinic is None or not door.opens(clinic):
        return clinic_unknown(message)
    answer = REPLIES.get(message.type)
    if answer is not None:
        return answer(clinic, message)
    remember_line(clinic.org_id, message)
    ledger.take_in(clinic.org_id, arrival_of(message))
    return {}


def _without_the_database(request: HttpRequest, body: bytes, error: DatabaseError) -> HttpResponse:
    """What Vapi can do when nothing can be looked up or kept: ring the clinic, else speak. It ignores every status but
    200, so where it waits for an answer it gets one, whatever the fault."""
    try:
        message = parse(body)
    except MalformedPayload as malformed:
        return error_response(400, "invalid_request", str(malformed))
    if message.type not in REPLIES:
        return answer_to(error)
    level = logger.warning if isinstance(error, OUTAGE) else logger.error
    level("vapi_message_failed", type=message.type, kind=type(error).__name__)
    destination = line_as_destination(request, body, message) if message.type == "assistant-request" else None
    return JsonResponse(destination or clinic_unknown(message, APOLOGY))
