"""What Twilio says of a text after somebody decided: withdrew it, discarded it, counted it as sent, or asked for texts
again."""

from __future__ import annotations

import pytest
from django.utils import timezone

from messaging import inbound, outbox
from messaging.fates.deciding import Decided, mark_sent
from messaging.manners import consent
from messaging.models import Message
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageState
from messaging.undelivered import dead_letters
from tests.messaging.desk import PATIENT, Desk, later
from tests.messaging.test_receipts import FIRST, put, tried, word
from tests.messaging.test_reconciliation import GAP, lost_after_it_was_taken
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

ABOUT = "appointment:7"
PASSES, LASTS, BLOCKED = 30017, 30005, 30004


@pytest.fixture
def withdrawn(desk: Desk) -> Message:
    """Its answer was lost, Twilio's list showed it nowhere, and before it went out again its visit was cancelled."""
    desk.sandbox.fault("connection_reset", count=1)
    lost = desk.lose(desk.write(about=ABOUT))
    for passed in (0, GAP + 1):
        with later(passed):
            desk.look_up()
    assert desk.now(lost).state == MessageState.QUEUED
    with org_scope(desk.clinic.id):
        assert outbox.cancel_about(desk.clinic.id, ABOUT) == 1
    return desk.now(lost)


def send_what_is_due(desk: Desk, message: Message) -> None:
    with later(3600):
        claimed = work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
        if claimed is not None:
            work.perform(SMS_DELIVERY, claimed)


@pytest.mark.parametrize("code", [PASSES, LASTS])
def test_a_withdrawn_text_that_had_left_after_all_is_not_sent_again(
    desk: Desk, withdrawn: Message, code: int
) -> None:
    assert word(desk, withdrawn, "sent")
    assert word(desk, withdrawn, "undelivered", code=code)
    assert dead_letters.redrive(withdrawn.pk, "Try again") is not dead_letters.Redriven.DONE
    send_what_is_due(desk, withdrawn)
    assert desk.phone() == []


def test_a_discarded_text_that_had_left_after_all_is_not_sent_again(desk: Desk) -> None:
    message = tried(desk, desk.write(), "")
    put(desk, message, MessageState.DEAD_LETTER, in_doubt_since=timezone.now(), provider_sid="")
    assert dead_letters.discard(desk.now(message), reason="Rang them", actor=None)
    assert word(desk, message, "sent")
    assert word(desk, message, "undelivered", code=PASSES)
    send_what_is_due(desk, message)
    assert desk.phone() == []


@pytest.mark.parametrize("first", [[], ["sent"], ["queued", "sent"]])
@pytest.mark.parametrize("code", [PASSES, LASTS, BLOCKED])
def test_of_a_text_that_a_person_counted_as_sent_the_carriers_word_still_counts(
    desk: Desk, first: list[str], code: int
) -> None:
    message = lost_after_it_was_taken(desk)
    assert mark_sent(desk.now(message), reason="It is in the log", actor=None) is Decided.DONE
    (sid,) = desk.sids()
    for status in first:
        word(desk, message, status, sid)
    assert word(desk, message, "undelivered", sid, code=code)
    assert desk.now(message).state != MessageState.SENT
    assert desk.now(message).provider_sid == sid


@pytest.mark.parametrize("first", [[], ["sent"]])
def test_the_same_where_an_earlier_try_had_ended_badly(desk: Desk, first: list[str]) -> None:
    message = tried(desk, desk.write(), FIRST)
    assert word(desk, message, "undelivered", code=PASSES)
    desk.sandbox.fault("accepted_then_lost", count=1)
    with later(3600):
        desk.lose(message)
        assert mark_sent(desk.now(message), reason="It is in the log", actor=None) is Decided.DONE
        (sid,) = desk.sids()
        assert not word(desk, message, "undelivered", code=PASSES), "of the first it was told before"
        for status in first:
            word(desk, message, status, sid)
        assert word(desk, message, "undelivered", sid, code=LASTS)
    assert desk.now(message).state == MessageState.DEAD_LETTER


def test_a_block_that_is_told_of_late_does_not_outweigh_a_later_start(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr(consent, "tell_of_opt_out", told.append)
    message = tried(desk, desk.write(), FIRST)
    put(desk, message, MessageState.SENT, sent_at=timezone.now())
    for passed, said in ((60, "STOP"), (120, "START")):
        with later(passed):
            text = inbound.Received(f"SM-{said}", PATIENT, desk.clinic.number, said)
            inbound.take_in(desk.clinic.id, text)
    told.clear()
    with later(3 * 3600):
        assert word(desk, message, "undelivered", code=BLOCKED)
        with org_scope(desk.clinic.id):
            assert not consent.has_opted_out(desk.clinic.id, sender=desk.clinic.number, recipient=PATIENT)
    assert told == [], "staff would read that the patient takes no texts"
