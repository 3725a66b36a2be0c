"""Errors with a stable code, and the one shape in which HTTP shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import JsonResponse


class DomainError(Exception):
    """A refusal by a rule. ``code`` is stable; ``message`` is one sentence that says what to do."""

    code = "refused"

    def __init__(
        self, message: str, *, code: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.details = dict(details or {})


def error_body(code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = dict(details)
    return {"error": error}


def error_response(
    status: int,
    code: str,
    message: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """``{"error": {"code", "message", "details"?}}`` with ``status``."""
    return JsonResponse(error_body(code, message, details), status=status, headers=dict(headers or {}))


def api_exception_handler(exception: Exception, context: Mapping[str, Any]) -> Any:
    """Django REST framework's exceptions in the common shape."""
    from rest_framework.exceptions import APIException
    from rest_framework.views import exception_handler

    response = exception_handler(exception, dict(context))
    if response is None or not isinstance(exception, APIException):
        return response
    codes = {
        400: "invalid_request",
        401: "unauthorized",
        403: "forbidden",
        404: "not_found",
        405: "method_not_allowed",
        415: "unsupported_media_type",
        429: "too_many_requests",
    }
    message = (
        exception.detail
        if isinstance(exception.detail, str)
        else "The request has fields that need attention."
    )
    details = None if isinstance(exception.detail, str) else {"fields": exception.detail}
    response.data = error_body(codes.get(response.status_code, "refused"), str(message), details)
    return response
