"""What any text provider tells us about one try."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TryOutcome(StrEnum):
    """How one try ended (contract, section 6)."""

    ACCEPTED = "accepted"
    NEVER_CONNECTED = "never_connected"
    REFUSED_FOR_NOW = "refused_for_now"
    REFUSED_FOR_GOOD = "refused_for_good"
    OPTED_OUT = "opted_out"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Answer:
    """One try's outcome; ``retry_after`` in seconds when the provider named one. ``said`` is the provider's own
    sentence, which may name people: only a masked copy of it is kept (``messaging/provider_copies.py``)."""

    outcome: TryOutcome
    sid: str = ""
    status: str = ""
    http_status: int | None = None
    error_code: int | None = None
    error: str = ""
    retry_after: float | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A message that the provider says it has."""

    sid: str
    status: str
    body: str
    created_at: datetime | None
    error_code: int | None = None


class ListingFailed(RuntimeError):
    """The provider could not be asked what it has; ask again later."""
