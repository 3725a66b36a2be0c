"""One line a request, under one id that every other line and the answer carry too."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponseBase

logger = structlog.get_logger("voxanne.request")

ACCEPTED_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
# Probes ask every few seconds; their lines would bury the others.
QUIET_PREFIXES = ("/health", "/metrics", "/admin/static/")


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
        response = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        if not request.path.startswith(QUIET_PREFIXES):
            self._log(request, response, time.perf_counter() - started)
        return response

    def _log(self, request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
        route = request.resolver_match.route if request.resolver_match else "unknown"
        logger.info(
            "request",
            method=request.method,
            route=route,
            status=response.status_code,
            duration_ms=round(seconds * 1000, 1),
        )
