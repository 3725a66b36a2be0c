"""A clinic's texts as a test handles them: written, sent, looked up, and what the phone shows of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any
from urllib.parse import quote

import time_machine
from django.db import connection
from django.utils import timezone

from messaging import outbox
from messaging.models import DeliveryAttempt, Message, OptOut
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageKind
from tests.clinics import Clinic
from tests.sandbox.running import RunningSandbox
from voxanne.durable import resolving, work
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope

PATIENT = "+14155550142"
_serial = count(1)


def later(seconds: float) -> time_machine.travel:
    """The clock that much further on, for the length of a block."""
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds))


def until_somebody_waits() -> None:
    """For a row that this transaction has in hand."""
    waits = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    )
    with connection.cursor() as cursor:
        for _ in range(3000):
            cursor.execute(waits)
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")


@dataclass
class Desk:
    clinic: Clinic
    sandbox: RunningSandbox
    gate_port: int

    def write(self, body: str = "See you at nine.", **more: Any) -> Message:
        """A text in the outbox."""
        given = {
            "kind": MessageKind.CONFIRMATION,
            "recipient": PATIENT,
            "dedupe_key": f"text-{next(_serial)}",
            "expires_at": timezone.now() + timedelta(days=1),
            **more,
        }
        with org_scope(self.clinic.id):
            written = outbox.enqueue(org_id=self.clinic.id, body=body, **given)
            assert written.message_id is not None
            found: Message = Message.objects.get(pk=written.message_id)
        return found

    def send(self, message: Message) -> Settlement:
        """One try, as a worker makes it."""
        claimed = work.claim(SMS_DELIVERY, self.clinic.id, message.pk)
        assert claimed is not None, "it is not due"
        settlement = work.perform(SMS_DELIVERY, claimed)
        assert settlement is not None
        return settlement

    def lose(self, message: Message) -> Message:
        """A try whose answer gets lost; ``message`` is then unknown."""
        self.send(message)
        return self.now(message)

    def look_up(self) -> int:
        """What the sweeper does about unknown texts."""
        return resolving.resolve_due(SMS_DELIVERY)

    def now(self, message: Message) -> Message:
        with org_scope(self.clinic.id):
            found: Message = Message.objects.get(pk=message.pk)
        return found

    def tries(self, message: Message) -> list[DeliveryAttempt]:
        with org_scope(self.clinic.id):
            return list(DeliveryAttempt.objects.filter(message=message).order_by("started_at"))

    def ledger(self) -> list[tuple[str, str, bool, str]]:
        with org_scope(self.clinic.id):
            rows = OptOut.objects.order_by("created_at")
            return list(rows.values_list("sender", "recipient", "opted_out", "source"))

    def phone(self, number: str = PATIENT) -> list[str]:
        """The texts on the phone, oldest first."""
        return [str(text["body"]) for text in self.sandbox.control(f"/twilio/messages?to={quote(number)}")]

    def sids(self) -> list[str]:
        return [str(text["sid"]) for text in self.sandbox.control(f"/twilio/messages?to={quote(PATIENT)}")]

    def shut(self) -> None:
        """Connecting to Twilio is refused from now on."""
        self.sandbox.control(f"/gates/{self.gate_port}/shut", {})

    def open(self) -> None:
        self.sandbox.control(f"/gates/{self.gate_port}/open", {})

    def lists_asked_for(self) -> int:
        asked = self.sandbox.control("/requests?service=twilio&limit=1000")
        return sum(request["method"] == "GET" for request in asked)
