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
class Content:
    """An approved template, and what its places are filled with: JSON, or blank where it has none."""

    sid: str
    variables: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One try's outcome; ``retry_after`` in seconds when the provider named one. ``outage``: the provider failed, not
    the request (time-outs, broken and refused connections, 429, 5xx). ``error`` is in our own words: the
    provider's may name people and quote the text, and are left behind where they are read."""

    outcome: TryOutcome
    sid: str = ""
    status: str = ""
    http_status: int | None = None
    error_code: int | None = None
    error: str = ""
    retry_after: float | None = None
    outage: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """A message that the provider says it has. ``ours_at`` is ``created_at`` by our clock, where the provider's goes
    differently."""

    sid: str
    status: str
    body: str
    created_at: datetime | None
    error_code: int | None = None
    ours_at: datetime | None = None


class ListingFailed(RuntimeError):
    """The provider could not be asked what it has; ask again later. ``outage``: it failed itself."""

    def __init__(self, said: str, *, outage: bool = False) -> None:
        super().__init__(said)
        self.outage = outage
