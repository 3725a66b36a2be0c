"""Error reports to Sentry: scrubbed here, before anything leaves, by key and by pattern, at any depth.

Source of the event's shape: Sentry's event payload documentation. Local variables, request bodies, cookies
and query strings are never collected, so scrubbing is the second line.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import sentry_sdk
from django.conf import settings
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.logging import LoggingIntegration

from monitoring.errors import DomainError
from monitoring.masking import HIDDEN, mask, mask_text

Event = MutableMapping[str, Any]

# Parts that are filled with values from our own code or from requests.
FREE_PARTS = ("extra", "contexts", "tags", "spans")
# Written by the SDK about itself and the platform; masking by key would blank their names.
SYSTEM_CONTEXTS = frozenset({"runtime", "trace", "os", "device", "cloud_resource"})
KEPT_OF_USER = ("id",)
KEPT_OF_REQUEST = ("method", "url", "env")
KEPT_HEADERS = frozenset({"content-type", "content-length", "user-agent", "host", "x-request-id"})


def start() -> bool:
    """Begins to report when ``SENTRY_DSN`` is set; returns whether it did."""
    if not settings.SENTRY_DSN:
        return False
    sentry_sdk.init(dsn=settings.SENTRY_DSN, **options())
    return True


def options() -> dict[str, Any]:
    """Everything but the address: also for a trial run against another one."""
    return {
        "environment": settings.VOXANNE_ENV,
        "release": f"voxanne@{settings.VERSION}",
        "include_local_variables": False,
        "include_source_context": True,
        "max_request_body_size": "never",
        "traces_sample_rate": 0.0,
        "max_breadcrumbs": 30,
        "before_send": scrub_event,
        "before_breadcrumb": scrub_breadcrumb,
        "ignore_errors": [DomainError],
        "default_integrations": True,
        "auto_enabling_integrations": False,
        "integrations": [
            DjangoIntegration(middleware_spans=False, signals_spans=False, cache_spans=False),
            CeleryIntegration(propagate_traces=False),
            LoggingIntegration(level=None, event_level=40),
        ],
    }


def scrub_event(event: Event, hint: Any) -> Event:
    """The event as it may leave: ids and stack frames stay, people's data and credentials do not."""
    for part in FREE_PARTS:
        if part in event:
            event[part] = _scrub_contexts(event[part]) if part == "contexts" else mask(event[part])
    if isinstance(event.get("message"), str):
        event["message"] = mask_text(event["message"])
    if isinstance(event.get("transaction"), str):
        event["transaction"] = mask_text(event["transaction"])
    _scrub_log_entry(event.get("logentry"))
    for exception in _values(event.get("exception")):
        exception["value"] = mask_text(str(exception.get("value") or ""))
        _scrub_frames(exception.get("stacktrace"))
    for thread in _values(event.get("threads")):
        _scrub_frames(thread.get("stacktrace"))
    for breadcrumb in _values(event.get("breadcrumbs")):
        scrub_breadcrumb(breadcrumb, None)
    if isinstance(event.get("request"), dict):
        event["request"] = _scrub_request(event["request"])
    if isinstance(event.get("user"), dict):
        event["user"] = {key: event["user"][key] for key in KEPT_OF_USER if key in event["user"]}
    return event


def scrub_breadcrumb(breadcrumb: Event, hint: Any) -> Event:
    if "message" in breadcrumb:
        breadcrumb["message"] = mask_text(str(breadcrumb["message"] or ""))
    if "data" in breadcrumb:
        breadcrumb["data"] = mask(breadcrumb["data"])
    return breadcrumb


def _values(part: Any) -> list[Event]:
    values = part.get("values") if isinstance(part, dict) else part
    return [value for value in values or [] if isinstance(value, dict)]


def _scrub_contexts(contexts: Any) -> Any:
    if not isinstance(contexts, dict):
        return HIDDEN
    return {name: inner if name in SYSTEM_CONTEXTS else mask(inner) for name, inner in contexts.items()}


def _scrub_log_entry(entry: Any) -> None:
    if not isinstance(entry, dict):
        return
    for key in ("message", "formatted"):
        if key in entry:
            entry[key] = mask_text(str(entry[key]))
    if "params" in entry:
        entry["params"] = mask(entry["params"])


def _scrub_frames(stacktrace: Any) -> None:
    frames = stacktrace.get("frames") if isinstance(stacktrace, dict) else None
    for frame in frames or []:
        frame.pop("vars", None)


def _scrub_request(request: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: request[key] for key in KEPT_OF_REQUEST if key in request}
    if "url" in kept:
        kept["url"] = mask_text(str(kept["url"]).partition("?")[0])
    if "env" in kept:
        kept["env"] = mask(kept["env"])
    headers = request.get("headers")
    if isinstance(headers, dict):
        kept["headers"] = {
            name: mask_text(str(value)) for name, value in headers.items() if name.lower() in KEPT_HEADERS
        }
    return kept
