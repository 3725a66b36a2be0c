"""Incoming texts in the ledger: known again by Twilio's MessageSid, worked off into the clinic's inbox."""

from __future__ import annotations

from dataclasses import asdict

from messaging import inbound
from messaging.inbound import Received
from telephony.webhooks.ledger import Arrival, Event, Provider, register_handler

INCOMING_TEXT = "incoming-text"


def register() -> None:
    register_handler(Provider.TWILIO, INCOMING_TEXT, keep_text)


def arrival_of(received: Received) -> Arrival:
    """A text whose signature was checked. Twilio's SID names a text for good."""
    return Arrival(Provider.TWILIO, f"{INCOMING_TEXT}:{received.sid}", INCOMING_TEXT, asdict(received))


def keep_text(event: Event) -> None:
    """The text goes into the inbox, and a wish not to be texted into the ledger of opt-outs, once."""
    received = Received(**{**event.payload, "media": tuple(event.payload.get("media", ()))})
    inbound.take_in(event.org_id, received, event.received_at)
