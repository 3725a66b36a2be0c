"""Messages as Twilio keeps them, and what the phones hold."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

from voxanne.sandbox.bus import Bus
from voxanne.sandbox.formats import iso_milliseconds, rfc2822, twilio_sid
from voxanne.sandbox.journal import Journal, Record
from voxanne.sandbox.twilio.errors import MESSAGES
from voxanne.sandbox.twilio.segments import segment_count

FINAL_STATUSES = frozenset({"delivered", "undelivered", "failed", "canceled", "received", "read"})
API_VERSION = "2010-04-01"


@dataclass
class Message:
    """One text. ``outcome`` is where its status will end; ``receipts`` names asked-for receipt faults."""

    account_sid: str
    to: str
    sender: str | None
    body: str
    direction: str
    status: str
    request_received_at: float
    status_callback: str | None = None
    messaging_service_sid: str | None = None
    num_media: int = 0
    outcome: str = "delivered"
    outcome_code: int | None = None
    send_at: float | None = None
    receipts: list[str] = field(default_factory=list)
    keeps_no_body: bool = False
    error_code: int | None = None
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    sent_at: float | None = None
    sid: str = field(default_factory=lambda: twilio_sid("SM"))

    @property
    def phone(self) -> str:
        """The number of the person's handset, whichever way and by whichever channel the text went."""
        return ((self.sender or "") if self.direction == "inbound" else self.to).removeprefix("whatsapp:")

    @property
    def clinic_number(self) -> str:
        return self.to if self.direction == "inbound" else (self.sender or "")

    def resource(self) -> dict[str, Any]:
        """The Message resource of Twilio's REST API."""
        uri = f"/{API_VERSION}/Accounts/{self.account_sid}/Messages/{self.sid}.json"
        waiting_for_sender = self.messaging_service_sid is not None and self.status == "accepted"
        return {
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "body": "" if self.keeps_no_body else self.body,
            "date_created": rfc2822(self.created_at),
            "date_sent": rfc2822(self.sent_at),
            "date_updated": rfc2822(self.updated_at),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": MESSAGES.get(self.error_code) if self.error_code else None,
            "from": None if waiting_for_sender else self.sender,
            "messaging_service_sid": self.messaging_service_sid,
            "num_media": str(self.num_media),
            "num_segments": "0" if waiting_for_sender else str(segment_count(self.body)),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": uri.replace(".json", "/Media.json")},
            "to": self.to,
            "uri": uri,
        }

    def on_phone(self) -> dict[str, Any]:
        """The text as the control API and the phone page show it."""
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "to": self.to,
            "from": self.sender,
            "body": self.body,
            "status": self.status,
            "direction": self.direction,
            "error_code": self.error_code,
            "created_at": iso_milliseconds(self.created_at),
            "request_received_at": iso_milliseconds(self.request_received_at),
            "updated_at": iso_milliseconds(self.updated_at),
        }


class Messages:
    """All texts, findable by SID and by recipient."""

    def __init__(self, journal: Journal, bus: Bus) -> None:
        self._journal = journal
        self._bus = bus
        self.clear()

    def clear(self) -> None:
        self._by_sid: dict[str, Message] = {}
        self._by_recipient: defaultdict[str, list[Message]] = defaultdict(list)

    def add(self, message: Message) -> None:
        self._remember(message)
        self._journal.append("twilio.message", asdict(message))
        self._tell(message)

    def move(self, message: Message, status: str, error_code: int | None = None) -> None:
        """Advance a message's status; the journal keeps only what changed."""
        message.status, message.updated_at = status, time.time()
        message.error_code = error_code
        if status == "sent":
            message.sent_at = message.updated_at
        self._journal.append(
            "twilio.message_status",
            {
                "sid": message.sid,
                "status": status,
                "error_code": error_code,
                "updated_at": message.updated_at,
                "sent_at": message.sent_at,
                "sender": message.sender,
                "body": message.body,
            },
        )
        self._tell(message)

    def remove(self, message: Message) -> None:
        self._forget(message.sid)
        self._journal.append("twilio.message_removed", {"sid": message.sid})
        self._bus.tell("resync", {})

    def find(self, sid: str) -> Message | None:
        return self._by_sid.get(sid)

    def count(self) -> int:
        return len(self._by_sid)

    def newest_first(self, to: str | None = None) -> list[Message]:
        kept = self._by_recipient.get(to, []) if to is not None else list(self._by_sid.values())
        return list(reversed(kept))

    def last_between(self, *, sender: str, to: str) -> Message | None:
        """The newest text from ``sender`` to ``to``, as they are addressed."""
        return next((one for one in reversed(self._by_recipient.get(to, [])) if one.sender == sender), None)

    def unfinished(self) -> list[Message]:
        return [message for message in self._by_sid.values() if message.status not in FINAL_STATUSES]

    def records(self) -> list[Record]:
        return [("twilio.message", asdict(message)) for message in self._by_sid.values()]

    def restore(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "twilio.message":
            self._remember(Message(**data))
        elif kind == "twilio.message_removed":
            self._forget(data["sid"])
        elif (message := self._by_sid.get(data["sid"])) is not None:
            for name in ("status", "error_code", "updated_at", "sent_at", "sender", "body"):
                setattr(message, name, data[name])

    def _remember(self, message: Message) -> None:
        self._by_sid[message.sid] = message
        self._by_recipient[message.to].append(message)

    def _forget(self, sid: str) -> None:
        message = self._by_sid.pop(sid, None)
        if message is not None:
            self._by_recipient[message.to].remove(message)

    def _tell(self, message: Message) -> None:
        if self._bus.has_listeners:
            self._bus.tell("message", {"sid": message.sid})
