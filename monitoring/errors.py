"""Errors with a stable code, and the one shape in which HTTP shows them.

``{"error": {"code", "message", "details"?}}``, for what our own code refuses, for what Django and Django REST
framework refuse, and for what goes wrong. Staff and patients get a plain page instead.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import structlog
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    UnreadablePostError,
)
from django.utils.html import format_html
from django.views import defaults

logger = structlog.get_logger(__name__)

CODES: Mapping[int, str] = {
    400: "invalid_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
    406: "not_acceptable", 409: "conflict", 411: "length_required", 413: "too_large", 414: "address_too_long",
    415: "unsupported_media_type", 422: "refused", 426: "upgrade_required", 429: "too_many_requests",
    500: "internal_error", 503: "unavailable",
}  # fmt: skip
MESSAGES: Mapping[int, str] = {
    400: "The request cannot be read: check its syntax and its fields.",
    401: "The credential is missing or wrong.",
    403: "You may not do this.",
    404: "There is nothing at this address.",
    405: "This address does not take this method; see the Allow header.",
    413: "The body is too large.",
    415: "Send the body as application/json.",
    500: "Something went wrong on our side; X-Request-ID names it in our logs.",
    503: "A service that this needs is away; try again soon.",
}
# People look at these; everything else is read by programs.
PEOPLES_PREFIXES = ("/admin/", "/a/", "/oauth/")
RETRY_AFTER_SECONDS = "2"


class DomainError(Exception):
    """A refusal by a rule. ``code`` is stable; ``message`` is one sentence that says what to do; ``status``
    is the HTTP status where nobody maps it otherwise."""

    code = "refused"
    status: ClassVar[int] = 422

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


def standard_response(status: int, headers: Mapping[str, str] | None = None) -> JsonResponse:
    """The answer for a status that needs no words of its own."""
    return error_response(
        status, CODES.get(status, "refused"), MESSAGES.get(status, MESSAGES[400]), headers=headers
    )


def unauthorized(message: str = MESSAGES[401]) -> JsonResponse:
    return error_response(401, "unauthorized", message, headers={"WWW-Authenticate": "Bearer"})


def database_unavailable() -> JsonResponse:
    return error_response(
        503,
        "database_unavailable",
        "The database cannot be reached; try again soon.",
        headers={"Retry-After": RETRY_AFTER_SECONDS},
    )


def response_to(exception: BaseException | None) -> JsonResponse | None:
    """The answer to an exception that left a view; None for one that is a fault of ours."""
    match exception:
        case DomainError():
            return error_response(exception.status, exception.code, exception.message, exception.details)
        case OperationalError() | InterfaceError():
            logger.warning("database_unavailable", reason=type(exception).__name__)
            return database_unavailable()
        case RequestDataTooBig():
            return standard_response(413)
        case DataError():
            # Views check what they are given; this is the net under them.
            logger.warning("unreadable_value_reached_the_database", exc_info=exception)
            return standard_response(400)
        case BadRequest() | SuspiciousOperation() | UnreadablePostError():
            return standard_response(400)
        case _:
            return None


def in_common_shape(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """A refusal without a body (405 and its like) in the common shape; every other response as it is."""
    bare = response.status_code >= 400 and isinstance(response, HttpResponse) and not response.content
    if not bare or for_people(request):
        return response
    kept = {
        name: value
        for name, value in response.items()
        if name.lower() not in ("content-type", "content-length")
    }
    return standard_response(response.status_code, kept)


def for_people(request: HttpRequest) -> bool:
    return request.path.startswith(PEOPLES_PREFIXES)


# --- Django's handlers: named in voxanne/urls.py and, for CSRF, in the settings ------------------


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    answer = response_to(exception) or standard_response(400)
    return defaults.bad_request(request, exception) if for_people(request) else answer


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return defaults.permission_denied(request, exception) if for_people(request) else standard_response(403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return defaults.page_not_found(request, exception) if for_people(request) else standard_response(404)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Also reached by what middleware raises, such as a session that cannot be read from a database away."""
    answer = response_to(sys.exc_info()[1]) or standard_response(500)
    return _page(answer) if for_people(request) else answer


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    answer = error_response(
        403,
        "csrf_failed",
        "The form is out of date, or was sent from another site: reload the page and try again.",
    )
    return (
        _page(answer, "The form is out of date: go back, reload the page and try again.")
        if for_people(request)
        else answer
    )


PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>{}</title><body style='font:1rem/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem'>"
    "<h1>{}</h1><p>{}</p></body></html>"
)
TITLES: Mapping[int, str] = {403: "Not accepted", 503: "Back in a moment"}


def _page(answer: JsonResponse, sentence: str = "") -> HttpResponse:
    """The plainest page there is: it must come out whatever else is broken."""
    status = answer.status_code
    title = TITLES.get(status, "Something went wrong")
    text = sentence or MESSAGES.get(status, MESSAGES[500])
    headers = {"Retry-After": RETRY_AFTER_SECONDS} if status == 503 else {}
    return HttpResponse(format_html(PAGE, title, title, text), status=status, headers=headers)


def api_exception_handler(exception: Exception, context: Mapping[str, Any]) -> Any:
    """Django REST framework's exceptions in the common shape; None for those that are not refusals."""
    from rest_framework.exceptions import APIException, ParseError
    from rest_framework.views import exception_handler

    response = exception_handler(exception, dict(context))
    if response is None:
        return None
    status = response.status_code
    message, details = MESSAGES.get(status, MESSAGES[400]), None
    # A parser's own words quote what was sent.
    if isinstance(exception, APIException) and not isinstance(exception, ParseError):
        if isinstance(exception.detail, str):
            message = f"{str(exception.detail).rstrip('.')}."
        else:
            message, details = "The request has fields that need attention.", {"fields": exception.detail}
    response.data = error_body(CODES.get(status, "refused"), message, details)
    return response
