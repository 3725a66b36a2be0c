"""Everything the sandbox knows, put together once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voxanne.sandbox.bus import Bus
from voxanne.sandbox.exchange import RequestLog
from voxanne.sandbox.faults import FaultBook
from voxanne.sandbox.google.calendars import Calendar, Calendars
from voxanne.sandbox.google.events import EventsApi
from voxanne.sandbox.google.tokens import Tokens
from voxanne.sandbox.journal import Journal, Record
from voxanne.sandbox.server import Gates
from voxanne.sandbox.settings import Settings
from voxanne.sandbox.slack.api import SlackApi
from voxanne.sandbox.twilio.accounts import Accounts
from voxanne.sandbox.twilio.messages import Messages
from voxanne.sandbox.twilio.receipts import Progress, TwilioWebhooks
from voxanne.sandbox.vapi.api import VapiApi
from voxanne.sandbox.vapi.records import Records
from voxanne.sandbox.webhooks import WebhookSender


class Sandbox:
    """The state of all four providers, and what they share."""

    def __init__(self, public_url: str, data_dir: Path | None) -> None:
        self.public_url = public_url
        self.journal = Journal(data_dir / "journal.jsonl" if data_dir else None)
        self.bus = Bus()
        self.faults = FaultBook()
        self.log = RequestLog()
        self.settings = Settings()
        self.gates = Gates()
        self.webhook_sender = WebhookSender()
        self.accounts = Accounts(self.journal)
        self.messages = Messages(self.journal, self.bus)
        self.twilio_webhooks = TwilioWebhooks(self.accounts, self.webhook_sender)
        self.progress = Progress(self.messages, self.twilio_webhooks, self.settings)
        self.tokens = Tokens(self.journal)
        self.calendars = Calendars(self.journal, self.bus)
        self.events = EventsApi(self.calendars, self.calendar_changed)
        self.vapi_records = Records(self.journal, self.bus, public_url)
        self.vapi = VapiApi(self.vapi_records)
        self.slack = SlackApi(self.journal)

    def calendar_changed(self, calendar: Calendar) -> None:
        """Tell the channels that watch this calendar."""

    def start(self) -> None:
        """Read the journal, shorten it, and let unfinished texts go on."""
        for kind, data in self.journal.replay():
            self._restore(kind, data)
        self.journal.rewrite(self._records())
        for message in self.messages.unfinished():
            self.progress.start(message)

    async def stop(self) -> None:
        self.progress.stop()
        self.gates.shut_all()
        await self.webhook_sender.close()
        self.journal.close()

    def reset(self) -> None:
        """Forget everything: faults, settings, accounts, texts, calls, events."""
        self.progress.stop()
        self.faults.clear()
        self.log.clear()
        self.webhook_sender.recent.clear()
        fresh = Settings()
        self.settings.__dict__.update(fresh.__dict__)
        for store in (
            self.accounts,
            self.messages,
            self.tokens,
            self.calendars,
            self.vapi_records,
            self.vapi,
            self.slack,
        ):
            store.clear()
        self.journal.rewrite(self._records())
        self.bus.tell("resync", {})

    def _records(self) -> list[Record]:
        stores = (self.accounts, self.messages, self.tokens, self.calendars, self.slack)
        return [
            record for store in stores for record in store.records()
        ] + self.vapi_records.journal_records()

    def _restore(self, kind: str, data: dict[str, Any]) -> None:
        if kind in ("twilio.account", "twilio.number"):
            self.accounts.restore(kind, data)
        elif kind.startswith("twilio.message"):
            self.messages.restore(kind, data)
        elif kind in ("google.refresh", "google.revoked", "google.unrevoked"):
            self.tokens.restore(kind, data)
        elif kind.startswith("google."):
            self.calendars.restore(kind, data)
        elif kind.startswith("vapi."):
            self.vapi_records.restore(kind, data)
        elif kind.startswith("slack."):
            self.slack.restore(kind, data)
