"""Staff pages for calls, and for the lines they come in on."""

from __future__ import annotations

from telephony.admin import (
    api_requests,
    calls,
    fire_drills,
    lines,
    missed_calls,
    recordings,
    tool_registrations,
    webhooks,
)

__all__ = [
    "api_requests",
    "calls",
    "fire_drills",
    "lines",
    "missed_calls",
    "recordings",
    "tool_registrations",
    "webhooks",
]
