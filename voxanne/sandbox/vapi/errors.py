"""Vapi's error answers: ``{"message", "error", "statusCode"}``."""

from __future__ import annotations

import json

from starlette.responses import JSONResponse

from voxanne.sandbox.fault import Fault

NAMES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    410: "Gone",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class VapiError(Exception):
    """A request Vapi refuses; ``messages`` is one sentence or the list of validation faults."""

    def __init__(self, status: int, messages: str | list[str]) -> None:
        super().__init__(str(messages))
        self.status = status
        self.messages = messages

    def response(self) -> JSONResponse:
        body = {"message": self.messages, "error": NAMES.get(self.status, "Error"), "statusCode": self.status}
        return JSONResponse(body, status_code=self.status)


def refusal(fault: Fault) -> tuple[int, dict[str, str], bytes]:
    """The answer for an asked-for refusal."""
    status = fault.status or {"rate_limited": 429, "refused_permanent": 400}.get(fault.kind, 503)
    if fault.kind == "server_error":
        return status, {"content-type": "text/html"}, b"<html><title>upstream unavailable</title></html>"
    headers = {"content-type": "application/json; charset=utf-8"}
    if fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    name = NAMES.get(status, "Error")
    body = {"message": fault.reason or name, "error": name, "statusCode": status}
    return status, headers, json.dumps(body).encode()
