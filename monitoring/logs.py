"""Structured logs: one JSON object a line in production, coloured lines elsewhere, people's data masked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from monitoring.masking import mask_text

# Names of our own events carry ids, times and counts; only free text needs a second look.
TRUSTED_KEYS = frozenset(
    {"timestamp", "level", "logger", "request_id", "org_id", "duration_ms", "id", "message_id"}
)
# These libraries put phone numbers or whole requests into their INFO lines.
QUIET_LOGGERS = ("twilio.http_client", "urllib3", "kombu", "amqp", "google", "axes", "httpx")


def mask_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key not in TRUSTED_KEYS and isinstance(value, str):
            event[key] = mask_text(value)
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
    renderer: Any = structlog.processors.JSONRenderer()
    if options.get("format") == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=False)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(options.get("level", "INFO"))
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
