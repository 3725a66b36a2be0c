"""Twilio's error answers: ``{"code", "message", "more_info", "status"}``."""

from __future__ import annotations

import json

from starlette.responses import JSONResponse

from voxanne.sandbox.fault import Fault

MESSAGES = {
    20001: "A parameter is missing or wrong",
    20003: "Authenticate",
    20403: "Forbidden",
    20404: "The requested resource was not found",
    20409: "Conflict",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    20503: "Service Unavailable",
    21211: "Invalid 'To' phone number",
    21408: "Permission to send an SMS has not been enabled for the region of the 'To' number",
    21602: "Message body is required",
    21603: "A 'From' phone number is required",
    21604: "A 'To' phone number is required",
    21606: "The 'From' phone number is not a valid, message-capable number of this account",
    21609: "The 'StatusCallback' address is not valid",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The 'To' number is not currently reachable from the 'From' number",
    21614: "The 'To' number is not a valid mobile number",
    21617: "The message body exceeds the 1600 character limit",
    21655: "The ContentSid is invalid",
    21656: "The ContentVariables are invalid",
    21703: "The Messaging Service has no phone numbers available to send a message",
    21910: "Invalid 'From' and 'To' pair: both should be of the same channel",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    63003: "Channel could not find To address",
    63007: "Channel could not find From address",
    63016: "Failed to send freeform message because it is outside the allowed window; use a template",
    63024: "Invalid message recipient",
    63032: "User is part of an experiment of Meta's",
    63033: "The recipient has blocked the sender",
}
HTTP_STATUS = {20003: 401, 20403: 403, 20404: 404, 20409: 409, 20429: 429, 20500: 500, 20503: 503, 21408: 403}


class TwilioError(Exception):
    """A request Twilio refuses; ``code`` is Twilio's error code."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(message or MESSAGES.get(code, "Request refused"))
        self.code = code

    def response(self) -> JSONResponse:
        status = HTTP_STATUS.get(self.code, 400)
        return JSONResponse(error_body(self.code, status, str(self)), status_code=status)


def error_body(code: int, status: int, message: str | None = None) -> dict[str, object]:
    return {
        "code": code,
        "message": message or MESSAGES.get(code, "Request refused"),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


def refusal(fault: Fault) -> tuple[int, dict[str, str], bytes]:
    """The answer for an asked-for refusal."""
    if fault.kind == "server_error":
        body = b"<html><body><h1>upstream connect error</h1></body></html>"
        return fault.status or 503, {"content-type": "text/html"}, body
    headers = {"content-type": "application/json"}
    if fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    code, status = _code_and_status(fault)
    return status, headers, json.dumps(error_body(code, status)).encode()


def _code_and_status(fault: Fault) -> tuple[int, int]:
    if fault.kind == "rate_limited":
        return fault.code or 20429, fault.status or 429
    if fault.kind == "server_error_with_body":
        return fault.code or 20500, fault.status or 500
    code = fault.code or 21211
    return code, fault.status or HTTP_STATUS.get(code, 400)
