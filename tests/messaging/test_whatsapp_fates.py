"""The same mishaps, in whatever order, where texts go by WhatsApp and on by SMS: on the phone once all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from messaging.contacts import upsert_contact
from messaging.models import Contact, DeliveryAttempt, InboundMessage, Message, SenderAccount
from tests.clinics import Clinic
from tests.messaging.fates import LIVES, PHONE, WORDS, Fates
from tests.messaging.pretend_twilio import Exchange, PretendTwilio, Taken, serving
from tests.messaging.test_fates import EVERYDAY, play
from tests.messaging.whatsapp import NUMBER
from voxanne.durable import work
from voxanne.durable.work import Claimed
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True)

NOT_THERE = 63016


class PretendWhatsApp(PretendTwilio):
    """What it refuses, or does not deliver, by WhatsApp, it refuses in WhatsApp's words."""

    def create(self, form: dict[str, str]) -> tuple[int | None, Any, str]:
        status, said, retry_after = super().create(form)
        if status == 400 and form["To"].startswith("whatsapp:"):
            said = {"code": NOT_THERE, "message": "No.", "status": 400}
        return status, said, retry_after

    def _read(self, form: dict[str, str]) -> Taken:
        text = super()._read(form)
        if text.fails_with and text.recipient.startswith("whatsapp:"):
            text.fails_with = NOT_THERE
        return text


class WhatsAppFates(Fates):
    """To somebody who wrote by WhatsApp a moment ago."""

    went_on: ClassVar[list[bool]]

    def __init__(self) -> None:
        super().__init__()
        self.twilio = self.exchange.twilio = PretendWhatsApp(keeps_bodies=self.keeps_bodies)
        with org_scope(self.clinic.id):
            SenderAccount.objects.update(whatsapp_number=NUMBER, whatsapp_on=True, whatsapp_paused_reason="")
            upsert_contact(self.clinic.id, phone=PHONE)
            Contact.objects.update(preferred_channel="whatsapp")
            InboundMessage.objects.create(
                org_id=self.clinic.id, provider_sid="SM1", sender=PHONE, recipient=NUMBER, channel="whatsapp",
                body="Hi",
            )  # fmt: skip

    @initialize(words=WORDS, life=LIVES, refused=st.booleans())
    def write_the_first(self, words: str, life: int, refused: bool) -> None:
        """WhatsApp refuses the first text of every other run: too few would go on by chance."""
        self.write(words, life)
        if refused:
            self.work_off("refused", None, wait=0)

    def claim(self, wait: int) -> Claimed[Message] | None:
        """Who takes no texts may take WhatsApp, and the other way round: consent is tested elsewhere."""
        self.shift(wait)
        return work.claim_next(self.kind)

    def hear(self, word: str) -> None:
        """Nobody says anything."""

    def come_to_rest(self) -> None:
        """The last receipts may send texts on by SMS: these come to rest too."""
        super().come_to_rest()
        super().come_to_rest()

    def all_is_told(self) -> None:
        super().all_is_told()
        with org_scope(self.clinic.id):
            gone_on = Message.objects.filter(channel="sms").values_list("pk", flat=True)
            tried_there = DeliveryAttempt.objects.filter(message__in=list(gone_on), channel="whatsapp")
            self.went_on.append(tried_there.exists())


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with serving() as found:
        yield found


@pytest.mark.parametrize("keeps_bodies", [True, False], ids=["bodies listed", "bodies hidden"])
def test_no_text_is_doubled_by_going_on_as_a_text(
    elm: Clinic, exchange: Exchange, keeps_bodies: bool
) -> None:
    went_on: list[bool] = []
    given = {"clinic": elm, "exchange": exchange, "keeps_bodies": keeps_bodies, "went_on": went_on}
    play(type("ThisClinicsFates", (WhatsAppFates,), given), EVERYDAY)
    assert sum(went_on) > 5, "too few runs that went on by text to prove anything"
