"""Everything the sandbox knows, put together once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from voxanne.sandbox.bus import Bus
from voxanne.sandbox.exchange import RequestLog
from voxanne.sandbox.faults import FaultBook
from voxanne.sandbox.google.calendars import Calendars
from voxanne.sandbox.google.channels import Channels
from voxanne.sandbox.google.events import EventsApi
from voxanne.sandbox.google.tokens import Tokens
from voxanne.sandbox.journal import Journal, Record
from voxanne.sandbox.phone.book import PhoneBook
from voxanne.sandbox.server import Gates
from voxanne.sandbox.settings import Settings
from voxanne.sandbox.slack.api import SlackApi
from voxanne.sandbox.twilio.accounts import Accounts
from voxanne.sandbox.twilio.call_player import CallPlayer
from voxanne.sandbox.twilio.calls import Calls
from voxanne.sandbox.twilio.inbound import InboundTexts, OptOuts
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
        self.opt_outs = OptOuts(self.journal)
        self.inbound_texts = InboundTexts(
            self.accounts, self.messages, self.opt_outs, self.twilio_webhooks, self.progress, self.settings
        )
        self.calls = Calls(self.journal, self.bus)
        self.call_player = CallPlayer(self.accounts, self.calls, self.twilio_webhooks)
        self.phone_book = PhoneBook(self.journal, self.bus)
        self.tokens = Tokens(self.journal)
        self.calendars = Calendars(self.journal)
        self.channels = Channels(self.journal, self.webhook_sender)
        self.events = EventsApi(self.calendars, self.channels.changed)
        self.vapi_records = Records(self.journal, self.bus, public_url)
        self.vapi = VapiApi(self.vapi_records)
        self.slack = SlackApi(self.journal)

    def start(self) -> None:
        """Read the journal, shorten it, and let unfinished texts go on."""
        for kind, data in self.journal.replay():
            self._restore(kind, data)
        self.journal.rewrite(self._records())
        self.calls.end_interrupted()
        for message in self.messages.unfinished():
            self.progress.start(message)

    async def stop(self) -> None:
        self.progress.stop()
        self.call_player.stop()
        self.channels.stop_all_posts()
        self.gates.shut_all()
        await self.webhook_sender.close()
        self.journal.close()

    def reset(self) -> None:
        """Forget everything: faults, settings, accounts, texts, calls, events."""
        self.progress.stop()
        self.call_player.stop()
        self.faults.clear()
        self.log.clear()
        self.webhook_sender.recent.clear()
        self.settings.__dict__.update(Settings().__dict__)
        for store in self._stores():
            store.clear()
        self.vapi_records.clear()
        self.vapi.clear()
        self.journal.rewrite(self._records())
        self.bus.tell("resync", {})

    def _stores(self) -> tuple[Store, ...]:
        return (
            self.accounts,
            self.messages,
            self.opt_outs,
            self.calls,
            self.phone_book,
            self.tokens,
            self.calendars,
            self.channels,
            self.slack,
        )

    def _records(self) -> list[Record]:
        return [record for store in self._stores() for record in store.records()] + (
            self.vapi_records.journal_records()
        )

    def _restore(self, kind: str, data: dict[str, Any]) -> None:
        for prefix, store in self._restorers().items():
            if kind.startswith(prefix):
                store.restore(kind, data)
                return

    def _restorers(self) -> dict[str, Restorer]:
        return {
            "twilio.account": self.accounts,
            "twilio.number": self.accounts,
            "twilio.message": self.messages,
            "twilio.opt_out": self.opt_outs,
            "twilio.call": self.calls,
            "phone.": self.phone_book,
            "google.refresh": self.tokens,
            "google.revoked": self.tokens,
            "google.unrevoked": self.tokens,
            "google.channel": self.channels,
            "google.": self.calendars,
            "vapi.": self.vapi_records,
            "slack.": self.slack,
        }


class Restorer(Protocol):
    """What can take a journal record back."""

    def restore(self, kind: str, data: dict[str, Any]) -> None: ...


class Store(Restorer, Protocol):
    """What can be emptied and written down as journal records."""

    def clear(self) -> None: ...

    def records(self) -> list[Record]: ...
