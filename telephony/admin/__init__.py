"""Staff pages for calls, and for the lines they come in on."""

from __future__ import annotations

from telephony.admin import api_requests, calls, lines

__all__ = ["api_requests", "calls", "lines"]
