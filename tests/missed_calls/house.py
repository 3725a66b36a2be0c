"""A clinic behind a real web server and a real (local) Twilio: people ring it, and their phones are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from django.utils import timezone

from messaging.models import Message
from messaging.sending.delivery import SMS_DELIVERY
from telephony.models import ActiveCall
from tests.clinics import Clinic
from tests.sandbox.running import RunningSandbox
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

CALLER = "+14155550142"


@dataclass
class House:
    clinic: Clinic
    sandbox: RunningSandbox
    url: str

    def connect_number(self, **more: Any) -> None:
        """Twilio is told where the clinic's number leads, as an operator would set it."""
        number = {
            "number": self.clinic.number,
            "voice_url": f"{self.url}/api/webhooks/twilio/voice",
            "status_url": f"{self.url}/api/webhooks/twilio/call-status",
            **more,
        }
        self.sandbox.control("/numbers", number)

    def rings(self, outcome: str = "no-answer", caller: str = CALLER, **script: Any) -> dict[str, Any]:
        """Plays a call to its end; what Twilio knows of it."""
        call = {
            "from": caller,
            "to": self.clinic.number,
            "ring_seconds": 0.05,
            "talk_seconds": 0.05,
            "wait": True,
        }
        chosen = {} if "outcomes" in script else {"outcome": outcome}
        played: dict[str, Any] = self.sandbox.control("/twilio/inbound-call", {**call, **chosen, **script})
        return played

    def deliver(self) -> None:
        """What a worker does about texts that are due."""
        while (claimed := work.claim_next(SMS_DELIVERY)) is not None:
            work.perform(SMS_DELIVERY, claimed)

    def phone(self, number: str = CALLER) -> list[str]:
        """The texts on the caller's phone, once everything due was sent."""
        self.deliver()
        return [str(text["body"]) for text in self.sandbox.control(f"/twilio/messages?to={quote(number)}")]

    def grow_older(self, **span: float) -> None:
        """All calls rang so much earlier."""
        with org_scope(self.clinic.id):
            for call in ActiveCall.objects.all():
                ActiveCall.objects.filter(pk=call.pk).update(created_at=call.created_at - timedelta(**span))

    def calls(self) -> list[ActiveCall]:
        with org_scope(self.clinic.id):
            return list(ActiveCall.objects.order_by("created_at"))

    def call(self) -> ActiveCall:
        (found,) = self.calls()
        return found

    def texts(self) -> list[Message]:
        with org_scope(self.clinic.id):
            return list(Message.objects.order_by("created_at"))

    def make_due(self) -> None:
        """Texts that wait for another try are due now."""
        with org_scope(self.clinic.id):
            Message.objects.filter(state="queued").update(next_attempt_at=timezone.now())
