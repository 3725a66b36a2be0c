"""What WhatsApp did not deliver goes by text: the same row, once; and nothing else does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.manners import consent
from messaging.manners.budget import used_in
from messaging.manners.policy import HELD_BY_BUDGET, let_go
from messaging.models import Contact, Message, SenderAccount
from messaging.providers.answers import TryOutcome
from messaging.providers.twilio.codes import CODES, Fault
from messaging.providers.twilio.outcomes import outcome_of_receipt
from messaging.sending import whatsapp
from messaging.sending.delivery import SMS_DELIVERY, settle_late
from messaging.sending.waits import RETRY_WAITS
from messaging.states import MessageState
from messaging.undelivered.dead_letters import Redriven, redrive
from monitoring import alerts
from tests.messaging.desk import PATIENT, Desk, later
from tests.messaging.test_budget import limit, redis
from tests.messaging.whatsapp import (
    OURS,
    THEIRS,
    VALUES,
    approve,
    channels,
    got,
    is_by,
    prefers,
    report,
    sent_forms,
    switch_on,
    wrote,
)
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

__all__ = ["redis"]

pytestmark = pytest.mark.django_db

CERTAIN = sorted(whatsapp.NOT_DELIVERED)
OPEN = sorted(
    code
    for code, known in CODES.items()
    if 63_000 <= code < 64_000
    and known.fault in (Fault.OPT_OUT, Fault.AMBIGUOUS, Fault.TRANSIENT, Fault.LIMIT)
)


@pytest.fixture
def wa(desk: Desk) -> Desk:
    """Elm Street with WhatsApp, and a person who wrote there just now."""
    switch_on(desk)
    prefers(desk)
    wrote(desk)
    desk.sandbox.control("/settings", {"step_seconds": 60.0})
    return desk


@pytest.fixture
def alerted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(alerts, "aside", lambda name, act: None)
    monkeypatch.setattr(
        whatsapp, "alert", lambda severity, fingerprint, title, **facts: told.append(fingerprint)
    )
    return told


def sender(desk: Desk) -> SenderAccount:
    with org_scope(desk.clinic.id):
        return SenderAccount.objects.get()


def preference(desk: Desk) -> str:
    with org_scope(desk.clinic.id):
        return Contact.objects.get(phone=PATIENT).preferred_channel


# When the answer says so


@pytest.mark.parametrize("code", CERTAIN)
def test_a_text_that_whatsapp_refuses_goes_by_text(wa: Desk, alerted: list[str], code: int) -> None:
    wa.sandbox.fault("refused_permanent", code=code, match={"to": THEIRS})
    message = wa.write()
    wa.send(message)
    waiting = wa.now(message)
    assert (waiting.state, is_by(waiting), waiting.attempts) == (MessageState.QUEUED, "sms", 0)
    assert (waiting.sender, waiting.recipient, waiting.segments) == (wa.clinic.number, PATIENT, 1)
    assert wa.tries(message)[0].error_code == code
    wa.send(message)
    sent = wa.now(message)
    assert (sent.state, sent.attempts, sent.error_code) == (MessageState.SENT, 1, None)
    assert channels(wa, message) == ["whatsapp", "sms"]
    assert got(wa) == [message.body]


@pytest.mark.usefixtures("redis")
def test_a_text_that_goes_on_by_text_counts_then_and_once(wa: Desk) -> None:
    """By WhatsApp it used nothing of the budget; by SMS it passes no budget that is spent."""
    limit(wa.clinic, monthly_segments=3)
    message = wa.write("A long one. " * 20)
    wa.send(message)
    report(wa, message, "undelivered", 63016)
    waiting = wa.now(message)
    assert (waiting.state, is_by(waiting), waiting.segments) == (MessageState.QUEUED, "sms", 2)
    assert segments_used(wa) == 0
    plain = [wa.write(f"{serial}", recipient="+14155550177") for serial in range(2)]
    for text in plain:
        wa.send(text)
    assert segments_used(wa) == 2
    wa.send(message)
    held = wa.now(message)
    assert (held.state, held.last_error.startswith(HELD_BY_BUDGET)) == (MessageState.QUEUED, True)
    limit(wa.clinic, monthly_segments=4)
    with org_scope(wa.clinic.id):
        assert let_go(wa.clinic.id) == 1
    wa.send(message)
    assert wa.now(message).state == MessageState.SENT
    assert segments_used(wa) == 4


def segments_used(desk: Desk) -> int:
    with org_scope(desk.clinic.id):
        return used_in(desk.clinic.id, timezone.now() - timedelta(days=1))


@pytest.mark.parametrize("code", [63014, 63033, 21610])
def test_who_blocked_the_clinic_there_is_not_followed_elsewhere(wa: Desk, code: int) -> None:
    wa.sandbox.fault("refused_permanent", code=code)
    message = wa.write()
    wa.send(message)
    assert wa.now(message).state == MessageState.SUPPRESSED
    assert wa.ledger() == [(OURS, PATIENT, True, "carrier")], "the pair of this channel, not the other"
    assert is_by(wa.write("Another.")) == "sms"


@pytest.mark.parametrize("code", [21211, 21617, 29999])
def test_what_a_text_would_meet_as_well_is_a_dead_letter(wa: Desk, code: int) -> None:
    wa.sandbox.fault("refused_permanent", code=code)
    message = wa.write()
    wa.send(message)
    dead = wa.now(message)
    assert (dead.state, is_by(dead)) == (MessageState.DEAD_LETTER, "whatsapp")


def test_a_fault_of_the_whole_account_pauses_everything_as_ever(wa: Desk) -> None:
    wa.sandbox.fault("refused_permanent", code=20003, status=401)
    message = wa.write()
    wa.send(message)
    assert wa.now(message).state == MessageState.DEAD_LETTER
    assert sender(wa).paused_reason


def test_a_text_refused_for_now_is_tried_there_until_its_tries_are_over(wa: Desk) -> None:
    wa.sandbox.fault("refused_permanent", code=63018, match={"to": THEIRS})
    message = wa.write()
    for turn in range(len(RETRY_WAITS)):
        with later(60 * turn):
            wa.send(message)
        assert is_by(wa.now(message)) == "whatsapp"
    with later(600):
        wa.send(message)
        waiting = wa.now(message)
        assert (waiting.state, is_by(waiting), waiting.attempts) == (MessageState.QUEUED, "sms", 0)
        wa.send(message)
    assert got(wa) == [message.body]


def test_what_is_twilios_limit_is_no_reason_for_another_way(wa: Desk) -> None:
    wa.sandbox.fault("rate_limited")
    message = wa.write()
    for turn in range(len(RETRY_WAITS) + 1):
        with later(60 * turn):
            wa.send(message)
    dead = wa.now(message)
    assert (dead.state, is_by(dead)) == (MessageState.DEAD_LETTER, "whatsapp")


def test_the_text_it_becomes_has_tries_of_its_own_and_stays_a_text(wa: Desk) -> None:
    wa.sandbox.fault("refused_permanent", code=63003, match={"to": THEIRS})
    wa.sandbox.fault("refused_permanent", code=63003, match={"to": PATIENT})
    message = wa.write()
    wa.send(message)
    wa.send(message)
    dead = wa.now(message)
    assert (dead.state, is_by(dead), dead.error_code) == (MessageState.DEAD_LETTER, "sms", 63003)
    wa.sandbox.control("/faults", method="DELETE")
    assert redrive(message.pk) is Redriven.DONE
    wa.send(message)
    assert sent_forms(wa)[-1]["To"] == PATIENT
    assert got(wa) == [message.body]


def test_the_ledger_is_asked_again_for_the_text_it_becomes(wa: Desk) -> None:
    wa.sandbox.control("/twilio/opt-outs", {"number": wa.clinic.number, "phone": PATIENT, "out": True})
    with org_scope(wa.clinic.id):
        consent.record(
            wa.clinic.id, sender=wa.clinic.number, recipient=PATIENT, opted_out=True, source="keyword"
        )
    wa.sandbox.fault("refused_permanent", code=63024)
    message = wa.write()
    wa.send(message)
    wa.send(message)
    assert wa.now(message).state == MessageState.SUPPRESSED
    assert [form["To"] for form in sent_forms(wa)] == [THEIRS]


def test_a_text_whose_time_is_over_does_not_change_its_way(wa: Desk) -> None:
    message = wa.write(expires_at=timezone.now() + timedelta(seconds=30))
    wa.send(message)
    with later(31):
        report(wa, message, "failed", 63016)
    dead = wa.now(message)
    assert (dead.state, is_by(dead), dead.error_code) == (MessageState.DEAD_LETTER, "whatsapp", 63016)


# When the receipt says so


@pytest.mark.parametrize("status", ["failed", "undelivered"])
@pytest.mark.parametrize("code", CERTAIN)
def test_a_text_that_whatsapp_did_not_deliver_goes_by_text_once(
    wa: Desk, alerted: list[str], status: str, code: int
) -> None:
    message = wa.write()
    wa.send(message)
    first = wa.now(message).provider_sid
    assert report(wa, message, status, code)
    waiting = wa.now(message)
    assert (waiting.state, is_by(waiting), waiting.sent_at) == (MessageState.QUEUED, "sms", None)
    assert not report(wa, message, status, code, sid=first), "said before"
    wa.send(message)
    for late in (status, "sent", "failed"):
        report(wa, message, late, code, sid=first)
    sent = wa.now(message)
    assert (sent.state, is_by(sent)) == (MessageState.SENT, "sms")
    assert sent.provider_sid != first
    assert channels(wa, message) == ["whatsapp", "sms"]
    assert [one.error_code for one in wa.tries(message)] == [code, None], "why it went on is to be seen"
    assert [form["To"] for form in sent_forms(wa)] == [THEIRS, PATIENT]
    report(wa, message, "delivered")
    assert wa.now(message).state == MessageState.DELIVERED


# Faults that pass: another try by WhatsApp may help, and no text is sent beside it.
PASSES = {code for code in OPEN if outcome_of_receipt("failed", code).outcome is TryOutcome.REFUSED_FOR_NOW}


@pytest.mark.parametrize("code", [*OPEN, None, 30410, 69999])
def test_no_text_follows_where_the_fate_is_open_or_the_person_said_no(wa: Desk, code: int | None) -> None:
    message = wa.write()
    wa.send(message)
    report(wa, message, "undelivered", code)
    ended = wa.now(message)
    tried_there_again = {MessageState.QUEUED} if code in PASSES else set()
    assert ended.state in {MessageState.DEAD_LETTER, MessageState.SUPPRESSED} | tried_there_again
    assert is_by(ended) == "whatsapp"
    assert work.claim(SMS_DELIVERY, wa.clinic.id, message.pk) is None


def test_going_on_by_text_after_a_refusal_asks_the_database_nothing(wa: Desk) -> None:
    """Whoever sends has no connection of its own: the clinic's number came with the claim."""
    message = wa.write()
    wa.sandbox.fault("refused_permanent", code=63024)
    claimed = work.claim(SMS_DELIVERY, wa.clinic.id, message.pk)
    assert claimed is not None
    with CaptureQueriesContext(connection) as asked:
        settlement = SMS_DELIVERY.perform(claimed.row, claimed.prepared)
    assert settlement.columns["channel"] == "sms"
    assert settlement.columns["sender"] == wa.clinic.number
    assert asked.captured_queries == []


def test_a_receipt_that_overtakes_the_answer_leads_to_one_text(wa: Desk) -> None:
    message = wa.write()
    claimed = work.claim(SMS_DELIVERY, wa.clinic.id, message.pk)
    assert claimed is not None
    settlement = SMS_DELIVERY.perform(claimed.row, claimed.prepared)
    sid = str(settlement.columns["provider_sid"])
    assert report(wa, message, "failed", 63016, sid=sid)
    assert not work.settle(claimed.row, settlement), "the receipt was first"
    with org_scope(wa.clinic.id):
        settle_late(claimed.row, settlement)
    assert (wa.now(message).state, is_by(wa.now(message))) == (MessageState.QUEUED, "sms")
    wa.send(message)
    assert [form["To"] for form in sent_forms(wa)] == [THEIRS, PATIENT]


def test_a_read_receipt_counts_as_arrived(wa: Desk) -> None:
    message = wa.write()
    wa.send(message)
    assert report(wa, message, "read")
    assert (wa.now(message).state, wa.now(message).provider_status) == (MessageState.DELIVERED, "read")
    assert not report(wa, message, "delivered")
    assert not report(wa, message, "failed", 63016)
    assert wa.now(message).state == MessageState.DELIVERED


def test_what_was_delivered_first_and_read_then_keeps_both(wa: Desk) -> None:
    message = wa.write()
    wa.send(message)
    report(wa, message, "delivered")
    delivered_at = wa.now(message).delivered_at
    report(wa, message, "read")
    assert (wa.now(message).provider_status, wa.now(message).delivered_at) == ("read", delivered_at)


def test_a_withdrawn_text_does_not_come_back_as_another(wa: Desk) -> None:
    message = wa.write(about="appointment:1")
    wa.send(message)
    with org_scope(wa.clinic.id):
        Message.objects.update(state=MessageState.CANCELED)
    report(wa, message, "failed", 63016)
    assert (wa.now(message).state, is_by(wa.now(message))) == (MessageState.CANCELED, "whatsapp")


def test_a_text_that_a_person_is_to_look_at_does_not_leave_by_itself(wa: Desk) -> None:
    """Given up in doubt: Twilio may hold more than the one that this receipt speaks of."""
    message = wa.write()
    with org_scope(wa.clinic.id):
        Message.objects.update(state=MessageState.DEAD_LETTER)
    report(wa, message, "failed", 63016, sid="SM" + "9" * 32)
    assert (wa.now(message).state, is_by(wa.now(message))) == (MessageState.DEAD_LETTER, "whatsapp")


# When Twilio's list says so


def test_a_lost_answer_is_looked_up_under_the_channels_own_addresses(wa: Desk) -> None:
    wa.sandbox.fault("accepted_then_lost", count=1)
    message = wa.write()
    assert wa.lose(message).state == MessageState.UNKNOWN
    wa.look_up()
    found = wa.now(message)
    assert (found.state, is_by(found)) == (MessageState.SENT, "whatsapp")
    asked = wa.sandbox.control("/requests?service=twilio")[0]["query"]
    assert (asked["To"], asked["From"]) == (THEIRS, OURS)


def test_a_template_whose_answer_was_lost_is_known_by_its_time(desk: Desk) -> None:
    switch_on(desk)
    prefers(desk)
    approve(desk)
    desk.sandbox.fault("accepted_then_lost", count=1)
    message = desk.write(template_values=VALUES)
    desk.lose(message)
    desk.look_up()
    assert desk.now(message).state == MessageState.SENT
    assert len(sent_forms(desk)) == 1


def test_a_lost_text_that_whatsapp_did_not_deliver_goes_by_text(wa: Desk) -> None:
    wa.sandbox.control("/settings", {"step_seconds": 0.02})
    wa.sandbox.fault("accepted_then_lost", count=1)
    wa.sandbox.fault("failed", code=63024, count=1)
    message = wa.write()
    wa.lose(message)
    wa.sandbox.wait_for(
        lambda: wa.sandbox.control("/twilio/messages?direction=outbound-api")[0]["error_code"]
    )
    wa.look_up()
    assert (wa.now(message).state, is_by(wa.now(message))) == (MessageState.QUEUED, "sms")
    wa.send(message)
    assert got(wa) == [message.body]


# What the next text learns from it


@pytest.mark.parametrize("code", sorted(whatsapp.OF_RECIPIENT))
def test_who_is_not_found_there_is_not_looked_for_again(wa: Desk, code: int) -> None:
    message = wa.write()
    wa.send(message)
    report(wa, message, "failed", code)
    assert preference(wa) == ""
    assert is_by(wa.write("Another.")) == "sms"


def test_a_closed_window_is_no_reason_to_give_whatsapp_up(wa: Desk) -> None:
    message = wa.write()
    wa.send(message)
    report(wa, message, "failed", 63016)
    assert preference(wa) == "whatsapp"


@pytest.mark.parametrize("by_receipt", [False, True])
def test_a_fault_of_the_whatsapp_sender_pauses_whatsapp_alone_and_alerts_once(
    wa: Desk, alerted: list[str], by_receipt: bool, django_capture_on_commit_callbacks: Any
) -> None:
    if not by_receipt:
        wa.sandbox.fault("refused_permanent", code=63007, match={"to": THEIRS})
    messages = [wa.write("One."), wa.write("Two.")]
    with django_capture_on_commit_callbacks(execute=True):
        for message in messages:
            wa.send(message)
            if by_receipt:
                report(wa, message, "failed", 63007)
    assert alerted == [f"whatsapp_paused:{wa.clinic.id}"]
    assert sender(wa).whatsapp_paused_reason
    assert sender(wa).paused_reason == ""
    assert is_by(wa.write("Three.")) == "sms"
    for message in messages:
        if wa.now(message).state == MessageState.QUEUED:
            wa.send(message)
    assert sorted(wa.phone()) == ["One.", "Two."]
    assert whatsapp.resume(wa.clinic.id)
    assert is_by(wa.write("Four.")) == "whatsapp"


def test_a_refused_template_is_told_of(
    desk: Desk, alerted: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    switch_on(desk)
    prefers(desk)
    approve(desk)
    desk.sandbox.fault("refused_permanent", code=63040, match={"to": THEIRS})
    with django_capture_on_commit_callbacks(execute=True):
        desk.send(desk.write(template_values=VALUES))
    assert alerted == [f"whatsapp_template:{desk.clinic.id}:confirmation"]


def test_every_code_of_whatsapps_leads_somewhere_on_purpose() -> None:
    of_whatsapp = {code for code in CODES if 63_000 <= code < 64_000}
    media = {63019}
    assert of_whatsapp - whatsapp.NOT_DELIVERED - media == set(OPEN)
