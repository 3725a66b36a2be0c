"""The same mishaps, in whatever order, where texts go by WhatsApp and on by SMS: on the phone once all the same."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from messaging.contacts import upsert_contact
from messaging.models import Contact, DeliveryAttempt, InboundMessage, Message, SenderAccount
from messaging.providers.answers import Answer, TryOutcome
from messaging.providers.twilio import client as twilio
from messaging.receipts import Receipt, apply_receipt
from tests.clinics import Clinic
from tests.messaging.pretend_twilio import PretendTwilio, Taken
from tests.messaging.test_fates import PHONE, Fates
from tests.messaging.whatsapp import NUMBER
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

NOT_FOUND_THERE = 63016


def by_whatsapp(text: Taken) -> bool:
    return text.recipient.startswith("whatsapp:")


class PretendWhatsApp(PretendTwilio):
    """What it refuses, or does not deliver, by WhatsApp, it refuses in WhatsApp's words."""

    def send(self, account: Any, *, recipient: str, **given: Any) -> Answer:
        if recipient.startswith("whatsapp:") and self.how == "refused for good":
            return Answer(TryOutcome.REFUSED_FOR_GOOD, error_code=NOT_FOUND_THERE, http_status=400)
        return super().send(account, recipient=recipient, **given)


class WhatsAppFates(Fates):
    """To somebody who wrote by WhatsApp a moment ago."""

    went_on = 0

    def __init__(self) -> None:
        super().__init__()
        self.twilio = PretendWhatsApp(keeps_bodies=self.keeps_bodies)
        self.patch.setattr(twilio, "send", self.twilio.send)
        self.patch.setattr(twilio, "sent_to", self.twilio.sent_to)
        org = self.clinic.org
        with org_scope(self.clinic.id):
            SenderAccount.objects.update(whatsapp_number=NUMBER, whatsapp_on=True)
            upsert_contact(org.pk, phone=PHONE)
            Contact.objects.update(preferred_channel="whatsapp")
            InboundMessage.objects.create(
                org=org, provider_sid="SM1", sender=PHONE, recipient=NUMBER, channel="whatsapp", body="Hi"
            )

    def tell(self, text: Taken, step: int) -> None:
        status = text.path[step]
        text.status = text.path[max(step, text.path.index(text.status) if text.status in text.path else 0)]
        code = (NOT_FOUND_THERE if by_whatsapp(text) else 30003) if status == "undelivered" else None
        apply_receipt(self.clinic.id, text.message_id, Receipt(text.sid, status, code))

    @invariant()
    def nothing_is_on_a_phone_twice_unasked(self) -> None:
        """What WhatsApp did not deliver is on no phone."""
        allowed: Counter[str] = Counter()
        for pk, said in self.written.items():
            allowed[said] += 1 + self.redriven[pk]
        there = Counter(text.body for text in self.twilio.taken if text.arrives or not by_whatsapp(text))
        assert all(there[said] <= allowed[said] for said in there), (there, allowed)

    def come_to_rest(self) -> None:
        """The last receipts may send texts on by SMS: these come to rest too."""
        super().come_to_rest()
        super().come_to_rest()

    def all_is_told(self) -> None:
        super().all_is_told()
        with org_scope(self.clinic.id):
            gone_on = Message.objects.filter(channel="sms").values_list("pk", flat=True)
            tried_there = DeliveryAttempt.objects.filter(message__in=list(gone_on), channel="whatsapp")
            type(self).went_on += tried_there.exists()


@pytest.mark.parametrize("keeps_bodies", [True, False], ids=["bodies listed", "bodies hidden"])
def test_no_text_is_doubled_by_going_on_as_a_text(elm: Clinic, keeps_bodies: bool) -> None:
    WhatsAppFates.clinic, WhatsAppFates.keeps_bodies, WhatsAppFates.went_on = elm, keeps_bodies, 0
    run_state_machine_as_test(
        WhatsAppFates,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            phases=[Phase.generate],
        ),
    )
    assert WhatsAppFates.went_on > 10, "too few runs that went on by text to prove anything"
