"""Google's error answers: ``{"error": {"errors": [{"domain", "reason", "message"}], "code", "message"}}``."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse

from voxanne.sandbox.fault import Fault

REASONS = {
    400: "badRequest",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    409: "duplicate",
    410: "fullSyncRequired",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
    500: "backendError",
    502: "backendError",
    503: "backendError",
    504: "backendError",
}
MESSAGES = {
    "authError": "Invalid Credentials",
    "backendError": "Backend Error",
    "conditionNotMet": "Precondition Failed",
    "deleted": "Resource has been deleted",
    "duplicate": "The requested identifier already exists.",
    "forbidden": "Forbidden",
    "fullSyncRequired": "Sync token is no longer valid, a full sync is required.",
    "notFound": "Not Found",
    "rateLimitExceeded": "Rate Limit Exceeded",
    "timeRangeEmpty": "The specified time range is empty.",
    "userRateLimitExceeded": "User Rate Limit Exceeded",
}


class GoogleError(Exception):
    """A request Google refuses."""

    def __init__(self, status: int, reason: str | None = None, message: str | None = None) -> None:
        self.status = status
        self.reason = reason or REASONS.get(status, "invalid")
        super().__init__(message or MESSAGES.get(self.reason, "Bad Request"))

    def response(self) -> JSONResponse:
        return JSONResponse(error_body(self.status, self.reason, str(self)), status_code=self.status)


def error_body(status: int, reason: str, message: str) -> dict[str, Any]:
    return {
        "error": {
            "errors": [{"domain": "global", "reason": reason, "message": message}],
            "code": status,
            "message": message,
        }
    }


def refusal(fault: Fault) -> tuple[int, dict[str, str], bytes]:
    """The answer for an asked-for refusal; ``status`` and ``reason`` of the fault choose among Google's."""
    status = fault.status or {"rate_limited": 429, "refused_permanent": 403}.get(fault.kind, 503)
    if fault.kind == "server_error":
        return status, {"content-type": "text/html"}, b"<html><title>Error (Server Error)!!1</title></html>"
    reason = fault.reason or REASONS.get(status, "invalid")
    headers = {"content-type": "application/json; charset=UTF-8"}
    if fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    return (
        status,
        headers,
        json.dumps(error_body(status, reason, MESSAGES.get(reason, "Request refused"))).encode(),
    )
