"""Staff pages for calls, and for the lines they come in on."""

from __future__ import annotations

from telephony.admin import calls, lines, recordings

__all__ = ["calls", "lines", "recordings"]
