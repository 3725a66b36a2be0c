"""Times and ids as the providers write them. Inside the sandbox a moment is a Unix time in seconds."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from email.utils import formatdate


def twilio_sid(prefix: str) -> str:
    """A new SID: two letters and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


def rfc2822(moment: float | None) -> str | None:
    """Twilio's date form in GMT, e.g. ``Tue, 31 Aug 2010 20:36:28 +0000``."""
    return None if moment is None else formatdate(moment)[:-5] + "+0000"


def iso_milliseconds(moment: float | None) -> str | None:
    """RFC 3339 in UTC with milliseconds, as Vapi, Google and the control API write moments."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
