"""One try at a text, by the real client over real sockets: what each answer leads to (contract, section 6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as product
from django.utils import timezone

from messaging.manners import consent
from messaging.models import Message, SenderAccount
from messaging.sending.delivery import SMS_DELIVERY, status_callback_url
from messaging.sending.waits import JITTER, RETRY_WAITS, retry_wait
from messaging.states import MessageState
from tests.messaging.desk import PATIENT, Desk, later
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


def outcomes(desk: Desk, message: Message) -> list[str]:
    return [one.outcome for one in desk.tries(message)]


# Accepted


def test_an_accepted_text_is_sent_and_keeps_its_number_at_the_provider(desk: Desk) -> None:
    message = desk.write()
    desk.send(message)
    sent = desk.now(message)
    assert (sent.state, sent.attempts, sent.provider_sid) == (MessageState.SENT, 1, desk.sids()[0])
    assert sent.sent_at is not None
    assert sent.first_attempted_at is not None
    assert desk.phone() == ["See you at nine."]


def test_the_try_is_kept_with_what_came_of_it(desk: Desk) -> None:
    message = desk.write()
    desk.send(message)
    (one,) = desk.tries(message)
    assert (one.outcome, one.http_status, one.provider_sid) == ("accepted", 201, desk.sids()[0])
    assert one.finished_at is not None
    assert one.finished_at >= one.started_at


def test_the_request_carries_our_id_home_and_how_long_the_text_is_good_for(desk: Desk) -> None:
    message = desk.write(expires_at=timezone.now() + timedelta(minutes=30))
    desk.send(message)
    form = desk.sandbox.control("/requests?service=twilio")[0]["form"]
    assert form["StatusCallback"] == status_callback_url(message.pk)
    assert str(message.pk) in form["StatusCallback"]
    assert 1790 <= int(form["ValidityPeriod"]) <= 1800
    assert (form["From"], form["To"], form["Body"]) == (desk.clinic.number, PATIENT, message.body)


def test_a_text_that_is_good_for_long_keeps_to_twilios_bounds(desk: Desk) -> None:
    desk.send(desk.write(expires_at=timezone.now() + timedelta(days=300)))
    assert desk.sandbox.control("/requests?service=twilio")[0]["form"]["ValidityPeriod"] == "36000"


def test_the_clinics_own_account_sends_where_it_has_one(desk: Desk) -> None:
    account = {"sid": "AC" + "1" * 32, "auth_token": "elm-streets-own"}
    desk.sandbox.control("/twilio/accounts", account)
    with org_scope(desk.clinic.id):
        SenderAccount.objects.update(account_sid=account["sid"], auth_token="")
        sender = SenderAccount.objects.get()
        sender.auth_token = account["auth_token"]
        sender.save(update_fields=["auth_token"])
    desk.send(desk.write())
    texts = desk.sandbox.control("/twilio/messages")
    assert [text["account_sid"] for text in texts] == [account["sid"]]


def test_texts_go_to_the_tester_where_they_are_redirected(desk: Desk, settings: Any) -> None:
    settings.SMS_REDIRECT_TO = "+14155550199"
    message = desk.write()
    desk.send(message)
    assert desk.phone() == []
    assert desk.phone("+14155550199") == [message.body]
    assert desk.now(message).recipient == PATIENT


# Refused for now


def refuse_for_now(desk: Desk, **more: Any) -> None:
    desk.sandbox.fault("rate_limited", **more)


def test_a_text_refused_for_now_waits_one_two_four_eight_and_sixteen_seconds(desk: Desk) -> None:
    refuse_for_now(desk)
    message = desk.write()
    waits = []
    for turn in range(5):
        with later(60 * turn):
            waits.append(desk.send(message).wait.total_seconds())
        assert desk.now(message).state == MessageState.QUEUED
    assert all(base <= wait <= base * (1 + JITTER) for base, wait in zip(RETRY_WAITS, waits, strict=True))
    with later(600):
        desk.send(message)
    given_up = desk.now(message)
    assert (given_up.state, given_up.attempts, given_up.error_code) == (MessageState.DEAD_LETTER, 6, 20429)
    assert given_up.dead_lettered_at is not None
    assert outcomes(desk, message) == ["refused_for_now"] * 6
    assert desk.phone() == []


def test_a_text_refused_for_now_is_sent_once_it_is_taken(desk: Desk) -> None:
    refuse_for_now(desk, count=2)
    message = desk.write()
    for turn in range(3):
        with later(60 * turn):
            desk.send(message)
    assert desk.now(message).state == MessageState.SENT
    assert desk.now(message).error_code is None
    assert desk.phone() == [message.body]


def test_the_provider_may_ask_for_a_longer_wait(desk: Desk) -> None:
    refuse_for_now(desk, retry_after=45, count=1)
    message = desk.write()
    assert desk.send(message).wait == timedelta(seconds=45)
    assert work.claim(SMS_DELIVERY, desk.clinic.id, message.pk) is None
    with later(46):
        desk.send(message)
    assert desk.now(message).state == MessageState.SENT


def test_an_earlier_answers_wish_does_not_count_for_the_next(desk: Desk) -> None:
    refuse_for_now(desk, retry_after=45, count=1)
    desk.send(desk.write())
    desk.sandbox.fault("server_error_with_body", code=20503, status=503, count=1)
    assert desk.send(desk.write("Another.")).wait < timedelta(seconds=2)


def test_a_wait_is_never_shorter_than_its_step_nor_than_was_asked_for() -> None:
    assert timedelta(seconds=1) <= retry_wait(0, None) <= timedelta(seconds=1.2)
    assert retry_wait(0, 7.0) == timedelta(seconds=7)
    assert retry_wait(4, 0.5) >= timedelta(seconds=16)


def test_a_5xx_in_twilios_own_words_was_not_processed(desk: Desk) -> None:
    desk.sandbox.fault("server_error_with_body", code=20503, status=503, count=1)
    message = desk.write()
    desk.send(message)
    assert desk.now(message).state == MessageState.QUEUED
    assert desk.now(message).attempts == 1


def test_a_text_that_would_be_tried_again_too_late_expires(desk: Desk) -> None:
    refuse_for_now(desk, retry_after=45)
    message = desk.write(expires_at=timezone.now() + timedelta(seconds=30))
    desk.send(message)
    assert (desk.now(message).state, desk.now(message).attempts) == (MessageState.EXPIRED, 1)


# Refused for good


@pytest.mark.parametrize("code", [21211, 21606, 21614, 21617, 29999])
def test_a_text_refused_for_good_is_a_dead_letter_at_once(desk: Desk, code: int) -> None:
    desk.sandbox.fault("refused_permanent", code=code)
    message = desk.write()
    desk.send(message)
    dead = desk.now(message)
    assert (dead.state, dead.attempts, dead.error_code) == (MessageState.DEAD_LETTER, 1, code)
    assert dead.last_error
    assert PATIENT not in dead.last_error
    assert desk.tries(message)[0].error_code == code


def test_one_dead_letter_does_not_keep_the_next_text_from_its_phone(desk: Desk) -> None:
    desk.sandbox.fault("refused_permanent", code=21614, match={"to": PATIENT})
    desk.send(desk.write())
    desk.send(desk.write(recipient="+14155550177"))
    assert desk.phone("+14155550177") == ["See you at nine."]


def test_an_account_that_is_not_let_in_is_a_dead_letter_that_says_so(desk: Desk) -> None:
    with org_scope(desk.clinic.id):
        sender = SenderAccount.objects.get()
        sender.account_sid, sender.auth_token = product.TWILIO_ACCOUNT_SID, "wrong"
        sender.save(update_fields=["account_sid", "auth_token"])
    desk.sandbox.control(
        "/twilio/accounts", {"sid": product.TWILIO_ACCOUNT_SID, "auth_token": product.TWILIO_AUTH_TOKEN}
    )
    message = desk.write()
    desk.send(message)
    assert desk.now(message).state == MessageState.DEAD_LETTER
    assert "credentials" in desk.now(message).last_error


# Opted out


def test_a_persons_block_at_the_carrier_enters_the_ledger_and_stops_the_next_text(desk: Desk) -> None:
    desk.sandbox.control("/twilio/opt-outs", {"number": desk.clinic.number, "phone": PATIENT, "out": True})
    message = desk.write()
    waiting = desk.write("Another.")
    desk.send(message)
    assert (desk.now(message).state, desk.now(message).error_code) == (MessageState.SUPPRESSED, 21610)
    assert desk.ledger() == [(desk.clinic.number, PATIENT, True, "carrier")]
    asked = len(desk.sandbox.control("/requests?service=twilio"))
    desk.send(waiting)
    assert desk.now(waiting).state == MessageState.SUPPRESSED
    assert len(desk.sandbox.control("/requests?service=twilio")) == asked, "Twilio was not asked again"
    assert desk.phone() == []


def test_who_opts_out_while_a_text_waits_does_not_get_it(desk: Desk) -> None:
    message = desk.write()
    with org_scope(desk.clinic.id):
        consent.record(
            desk.clinic.id, sender=desk.clinic.number, recipient=PATIENT, opted_out=True, source="keyword"
        )
    desk.send(message)
    suppressed = desk.now(message)
    assert (suppressed.state, suppressed.attempts) == (MessageState.SUPPRESSED, 0)
    assert desk.tries(message) == []
    assert desk.phone() == []


# Never connected


def test_a_provider_that_cannot_be_reached_costs_no_attempt(desk: Desk) -> None:
    desk.shut()
    message = desk.write()
    for turn in range(8):
        with later(60 * turn):
            assert desk.send(message).wait == timedelta(seconds=10)
        row = desk.now(message)
        assert (row.state, row.attempts) == (MessageState.QUEUED, 0)
    desk.open()
    with later(600):
        desk.send(message)
    assert desk.now(message).state == MessageState.SENT
    assert outcomes(desk, message) == ["never_connected"] * 8 + ["accepted"]
    assert desk.phone() == [message.body]


def test_a_provider_that_cannot_be_reached_until_the_texts_time_is_over_lets_it_expire(desk: Desk) -> None:
    desk.shut()
    message = desk.write(expires_at=timezone.now() + timedelta(seconds=90))
    desk.send(message)
    assert desk.now(message).state == MessageState.QUEUED
    with later(85):
        desk.send(message)
    assert desk.now(message).state == MessageState.EXPIRED
    assert desk.now(message).attempts == 0
    desk.open()
    assert desk.phone() == []


def test_a_text_whose_time_has_passed_is_not_sent(desk: Desk) -> None:
    message = desk.write(expires_at=timezone.now() + timedelta(seconds=5))
    with later(6):
        desk.send(message)
    assert desk.now(message).state == MessageState.EXPIRED
    assert desk.tries(message) == []
    assert desk.phone() == []


# What the worker itself may do wrong


def test_a_credential_that_no_key_opens_keeps_its_clinics_texts_but_nobody_elses(
    desk: Desk, oak: Any
) -> None:
    message = desk.write()
    theirs = Desk(oak, desk.sandbox, desk.gate_port).write("From Oak Road.")
    with org_scope(desk.clinic.id):
        SenderAccount.objects.update(account_sid="AC" + "2" * 32)
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("UPDATE sender_accounts SET auth_token = 'not encrypted by us'")
    claimed = work.claim_next(SMS_DELIVERY)
    assert claimed is not None
    assert claimed.row.pk == theirs.pk
    left = desk.now(message)
    assert left.state == MessageState.QUEUED
    assert "UnreadableCredential" in left.last_error


def test_a_try_that_never_ended_is_ended_by_the_next(desk: Desk) -> None:
    message = desk.write()
    work.claim(SMS_DELIVERY, desk.clinic.id, message.pk)
    with org_scope(desk.clinic.id):
        Message.objects.update(state=MessageState.QUEUED, claim_token=None)
    desk.send(message)
    assert outcomes(desk, message) == ["lost", "accepted"]
    assert all(one.finished_at for one in desk.tries(message))
