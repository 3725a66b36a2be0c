"""A clinic with WhatsApp, and a person who uses it, as the tests of it need them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from messaging.channels import Channel
from messaging.contacts import upsert_contact
from messaging.fates.receipts import Receipt, apply_receipt
from messaging.models import Contact, InboundMessage, Message, SenderAccount, WhatsAppTemplate
from tests.messaging.desk import PATIENT, Desk
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.scope import org_scope

NUMBER = "+14155569900"
OURS, THEIRS = f"whatsapp:{NUMBER}", f"whatsapp:{PATIENT}"
TEMPLATE = "HX" + "c" * 32
VALUES = {"clinic": "Elm", "date": "Monday", "time": "9 AM", "code": "BCGHJK", "link": "https://a.example/x"}


def switch_on(desk: Desk, **more: Any) -> None:
    """The clinic uses WhatsApp, from a number of its own."""
    with org_scope(desk.clinic.id):
        SenderAccount.objects.update(whatsapp_number=NUMBER, whatsapp_on=True)
        sender = SenderAccount.objects.get()
        for name, value in more.items():
            setattr(sender, name, value)
        sender.save()


def prefers(desk: Desk, channel: str = "whatsapp") -> None:
    """The person takes WhatsApp."""
    with org_scope(desk.clinic.id):
        upsert_contact(desk.clinic.id, phone=PATIENT)
        Contact.objects.filter(phone=PATIENT).update(preferred_channel=channel)


def approve(desk: Desk, kind: str = "confirmation", *variables: str) -> None:
    """WhatsApp has approved a template for this kind."""
    with org_scope(desk.clinic.id):
        WhatsAppTemplate.objects.create(
            org=desk.clinic.org,
            kind=kind,
            content_sid=TEMPLATE,
            variables=list(variables or ("clinic", "time")),
        )


def wrote(desk: Desk, at: datetime | None = None, **changes: Any) -> None:
    """The person wrote by WhatsApp; now, or ``at`` that time. Twilio knows of it too."""
    values = {"sender": PATIENT, "recipient": NUMBER, "channel": "whatsapp", "body": "Hello", **changes}
    with org_scope(desk.clinic.id):
        row = InboundMessage.objects.create(org=desk.clinic.org, provider_sid=str(new_id()), **values)
        if at is not None:
            InboundMessage.objects.filter(pk=row.pk).update(created_at=at)
    if at is None:
        desk.sandbox.control("/numbers", {"number": OURS})
        desk.sandbox.control("/twilio/inbound-text", {"from": PATIENT, "to": OURS, "body": "Hello"})


def sent_forms(desk: Desk) -> list[dict[str, str]]:
    """The requests to send that reached Twilio, oldest first."""
    asked = desk.sandbox.control("/requests?service=twilio&limit=1000")
    return [one["form"] for one in reversed(asked) if one["method"] == "POST"]


def got(desk: Desk) -> list[str]:
    """What arrived on the phone, by either channel."""
    shown = desk.sandbox.control("/twilio/messages?direction=outbound-api")
    return [one["body"] for one in shown if one["to"] in (PATIENT, THEIRS) and one["status"] != "failed"]


def report(desk: Desk, message: Message, status: str, code: int | None = None, sid: str = "") -> bool:
    """A receipt for the message."""
    known = sid or desk.now(message).provider_sid
    return apply_receipt(desk.clinic.id, message.pk, Receipt(known, status, code))


def channels(desk: Desk, message: Message) -> list[str]:
    """The channel of each of its tries."""
    return [one.channel for one in desk.tries(message)]


def is_by(message: Message) -> Channel:
    return Channel(message.channel)
