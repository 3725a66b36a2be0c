"""A Twilio in memory, for properties over thousands of runs; everything else is tested against the sandbox.

It takes texts or loses answers as it is told, and lists what it took.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from django.utils import timezone

from messaging.providers.answers import Answer, Listed, ListingFailed, TryOutcome

PATH = "/sms-status/"


@dataclass
class Taken:
    """A text that Twilio took, and how far its receipts have come."""

    sid: str
    message_id: UUID
    recipient: str
    body: str
    arrives: bool
    at: datetime
    status: str = "queued"

    @property
    def path(self) -> list[str]:
        return ["sending", "sent", "delivered" if self.arrives else "undelivered"]


@dataclass
class PretendTwilio:
    taken: list[Taken] = field(default_factory=list)
    how: str = "accepted"
    arrives: bool = True
    lists: bool = True
    keeps_bodies: bool = True
    # What happens between Twilio's taking of the text and the answer's reaching us.
    meanwhile: Callable[[], None] | None = None
    _serial: Any = field(default_factory=lambda: count(1))

    def send(self, account: Any, *, sender: str, recipient: str, body: str, status_callback: str,
             validity: timedelta, content: Any = None) -> Answer:  # fmt: skip
        match self.how:
            case "never connected":
                return Answer(TryOutcome.NEVER_CONNECTED)
            case "refused for now":
                return Answer(TryOutcome.REFUSED_FOR_NOW, error_code=20429)
            case "refused for good":
                return Answer(TryOutcome.REFUSED_FOR_GOOD, error_code=21614)
            case "lost before":
                return Answer(TryOutcome.LOST)
            case "raised before":
                raise RuntimeError("a fault of ours, before the request left")
        text = self._take(recipient, body, status_callback)
        if self.meanwhile is not None:
            self.meanwhile()
        if self.how == "lost after":
            return Answer(TryOutcome.LOST)
        if self.how == "raised after":
            raise RuntimeError("a fault of ours, after the request left")
        return Answer(TryOutcome.ACCEPTED, sid=text.sid, status="queued", http_status=201)

    def _take(self, recipient: str, body: str, status_callback: str) -> Taken:
        sid = f"SM{next(self._serial):032d}"
        message_id = UUID(status_callback.rpartition(PATH)[2].partition("#")[0])
        text = Taken(sid, message_id, recipient, body, self.arrives, timezone.now())
        self.taken.append(text)
        return text

    def sent_to(self, account: Any, *, recipient: str, sender: str, since: datetime) -> list[Listed]:
        if not self.lists:
            raise ListingFailed("a test says so")
        found = [text for text in self.taken if text.recipient == recipient and text.at >= since]
        return [
            Listed(text.sid, text.status, text.body if self.keeps_bodies else "", text.at)
            for text in reversed(found)
        ]
