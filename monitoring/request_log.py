"""The outermost layer: one line, one figure and one shape of errors a request, under one id.

Every other line of the request and its answer carry that id too.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponseBase

from monitoring.errors import in_common_shape, response_to
from monitoring.metrics import observe_http_request

logger = structlog.get_logger("voxanne.request")

ACCEPTED_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}\Z")
# Probes ask every few seconds; their lines would bury the others.
QUIET_PREFIXES = ("/health", "/metrics", "/admin/static/")
UNMATCHED = "unmatched"


class RequestLogMiddleware:
    """Binds the request id to the log context and returns it as ``X-Request-ID``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if ACCEPTED_ID.match(given) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        response = in_common_shape(request, self.get_response(request))
        response.headers["X-Request-ID"] = request_id
        self._note(request, response, time.perf_counter() - started)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """What a view refused by raising; the rest goes on to Django's own handling."""
        return response_to(exception)

    def _note(self, request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
        route = request.resolver_match.route if request.resolver_match else UNMATCHED
        observe_http_request(route, response.status_code, seconds)
        if not request.path.startswith(QUIET_PREFIXES):
            logger.info(
                "request",
                method=request.method,
                route=route,
                status=response.status_code,
                duration_ms=round(seconds * 1000, 1),
            )
