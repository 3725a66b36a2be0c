"""Structured logs: one JSON object a line in production, readable lines elsewhere, people's data masked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog

from monitoring.masking import HIDDEN, is_private, mask, mask_text

# Names of our own events carry ids, times and counts; only free text needs a second look.
TRUSTED_KEYS = frozenset(
    {"timestamp", "level", "logger", "request_id", "org_id", "duration_ms", "id", "message_id", "route"}
)
# In our own lines this is the name of an exception or of a rule, never a patient's.
OWN_KEYS = frozenset({"reason"})
HARMLESS = (int, float, bool, UUID, date, timedelta, Decimal, type(None))
# These libraries put phone numbers or whole requests into their INFO lines.
QUIET_LOGGERS = ("twilio.http_client", "urllib3", "kombu", "amqp", "google", "axes", "httpx")
# The request's own line says it already, without its path.
SILENT_BELOW_ERROR = ("django.request", "django.security")


def mask_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hides private keys and masks every value, whatever its type; a structlog processor."""
    event.pop("request", None)
    for key, value in event.items():
        if key in TRUSTED_KEYS or key.startswith("_"):
            continue
        if key not in OWN_KEYS and is_private(key):
            event[key] = HIDDEN
        elif isinstance(value, str):
            event[key] = mask_text(value)
        elif not isinstance(value, HARMLESS):
            known = isinstance(value, Mapping | list | tuple | set | frozenset)
            event[key] = mask(value) if known else mask_text(repr(value))
    return event


def configure(options: Mapping[str, Any]) -> None:
    """Django's LOGGING_CONFIG hook; ``options`` are ``format`` (json or console) and ``level``."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_values,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _route_everything_to(_formatter(shared, str(options.get("format"))), options.get("level", "INFO"))


def _formatter(shared: list[Any], shape: str) -> logging.Formatter:
    renderer: Any = structlog.processors.JSONRenderer()
    if shape == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=False)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _route_everything_to(formatter: logging.Formatter, level: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT_BELOW_ERROR:
        logging.getLogger(name).setLevel(logging.ERROR)
    # Django's own handlers would write every error a second time, unmasked.
    for name in ("django", "django.server"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
