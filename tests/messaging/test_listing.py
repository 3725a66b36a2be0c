"""Twilio's list of what a phone was sent: read whole, by either clock, also where a service is the sender."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from messaging.fates.reconciliation import LONGEST_LOOK, UNPROVED
from messaging.models import Message, SenderAccount
from messaging.providers.answers import Listed, ListingFailed
from messaging.providers.twilio import client as twilio
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.messaging.broken_servers import answering, serving
from tests.messaging.desk import PATIENT, Desk, later
from tests.messaging.test_reconciliation import GAP, lost_after_it_was_taken, lost_before_it_was_taken
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

SERVICE = "MG" + "7" * 32
ACCOUNT = twilio.Account("AC" + "5" * 32, "token")
OUT = (MessageState.SENT, MessageState.DELIVERED)


def answer(messages: Iterable[dict[str, Any]], date: datetime | None = None) -> bytes:
    body = json.dumps({"messages": list(messages), "next_page_uri": None}).encode()
    clock = f"Date: {format_datetime(date.astimezone(UTC), usegmt=True)}\r\n" if date else ""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{clock}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def entry(made: datetime, letter: str = "a", **more: Any) -> dict[str, Any]:
    made_at = format_datetime(made.astimezone(UTC))
    return {"sid": "SM" + letter * 32, "status": "sent", "body": "Hello.", "date_created": made_at, **more}


def listed(settings: Any, raw: bytes, sender: str = "+14155550100") -> list[Listed]:
    """What the real client makes of this answer, looking for a text of now."""
    with serving(answering(raw)) as base:
        settings.TWILIO_API_BASE_URL = base
        since = twilio.earliest_listing(timezone.now())
        return twilio.sent_to(ACCOUNT, recipient=PATIENT, sender=sender, since=since)


# Pages


def test_a_text_on_a_later_page_is_found(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio, "PAGE_SIZE", 2)
    message = lost_after_it_was_taken(desk)
    for serial in range(5):
        desk.send(desk.write(f"Another, number {serial}."))
    desk.look_up()
    assert desk.now(message).provider_sid == desk.sids()[0]
    assert desk.lists_asked_for() == 3


def test_a_list_that_breaks_off_after_its_first_page_is_not_an_empty_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio, "PAGE_SIZE", 2)
    message = lost_after_it_was_taken(desk)
    for serial in range(5):
        desk.send(desk.write(f"Another, number {serial}."))
    desk.sandbox.fault("server_error", count=1, skip=1, match={"method": "GET"})
    desk.look_up()
    assert (desk.now(message).state, desk.now(message).first_empty_list_at) == (MessageState.UNKNOWN, None)
    with later(16):
        desk.look_up()
    assert desk.now(message).state in OUT


def test_a_list_without_an_end_is_not_an_empty_one(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio, "MOST_LISTED", 3)
    now = timezone.now()
    with pytest.raises(ListingFailed, match="too long"):
        listed(settings, answer([entry(now, letter, body="Another.") for letter in "abcde"]))
    assert len(listed(settings, answer([entry(now, letter) for letter in "abc"]))) == 3


def test_a_list_need_not_have_the_newest_first(settings: Any) -> None:
    now = timezone.now()
    old = entry(now - timedelta(days=2), "a")
    assert [one.sid[2] for one in listed(settings, answer([old, entry(now, "b"), old]))] == ["b"]


def test_what_is_too_old_is_not_read_for_ever(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio, "PAGE_SIZE", 2)
    now = timezone.now()
    old = [entry(now - timedelta(days=2), letter) for letter in "abc"]
    assert listed(settings, answer([*old, entry(now, "d")])) == []


# Clocks


@pytest.mark.parametrize("minutes", [-60, -10, 0, 10, 60])
def test_a_clock_that_goes_wrong_hides_no_text(settings: Any, minutes: int) -> None:
    """Ours or Twilio's: its answers tell by how much they differ."""
    theirs = timezone.now() + timedelta(minutes=minutes)
    (one,) = listed(settings, answer([entry(theirs)], theirs))
    assert one.ours_at is not None
    assert abs(one.ours_at - timezone.now()) < timedelta(seconds=5)


def test_an_answer_without_a_date_leaves_the_clocks_as_they_are(settings: Any) -> None:
    made = timezone.now()
    (one,) = listed(settings, answer([entry(made)]))
    assert one.ours_at == one.created_at


def test_a_try_written_down_by_a_clock_that_was_ahead_hides_no_text(desk: Desk) -> None:
    message = lost_after_it_was_taken(desk)
    with org_scope(desk.clinic.id):
        ahead = timezone.now() + timedelta(hours=5)
        Message.objects.filter(pk=message.pk).update(first_attempted_at=ahead)
    desk.look_up()
    assert desk.now(message).state in OUT


def test_a_text_without_words_is_in_doubt_where_the_clocks_disagree_about_its_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.messaging.test_texts_without_words import account

    account(desk, keeps_no_bodies=True)
    message = lost_after_it_was_taken(desk)
    monkeypatch.setattr(twilio, "_ahead", lambda date: timedelta(minutes=20))
    desk.look_up()
    row = desk.now(message)
    assert (row.state, row.first_empty_list_at) == (MessageState.UNKNOWN, None)


# A messaging service as the sender


def from_service(desk: Desk, body: str = "See you at nine.") -> Message:
    message = desk.write(body)
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=message.pk).update(sender=SERVICE)
    return desk.now(message)


def test_a_service_is_named_as_one_when_a_text_is_sent(desk: Desk) -> None:
    message = from_service(desk)
    desk.send(message)
    form = desk.sandbox.control("/requests?service=twilio")[0]["form"]
    assert form["MessagingServiceSid"] == SERVICE
    assert "From" not in form
    assert desk.now(message).state == MessageState.SENT


def test_a_lost_text_of_a_service_is_found_under_the_number_that_twilio_picked(desk: Desk) -> None:
    desk.sandbox.fault("accepted_then_lost", count=1)
    message = desk.lose(from_service(desk))
    desk.look_up()
    assert desk.now(message).state in OUT
    assert len(desk.phone()) == 1


def test_a_text_of_the_clinics_number_is_not_taken_for_one_of_its_service(desk: Desk) -> None:
    stranger = lost_after_it_was_taken(desk)
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=stranger.pk).delete()
    desk.sandbox.fault("connection_reset", count=1)
    message = desk.lose(from_service(desk))
    desk.look_up()
    assert desk.now(message).first_empty_list_at is not None


def test_before_twilio_picks_a_number_the_text_is_found_too(settings: Any) -> None:
    waiting = {**entry(timezone.now(), messaging_service_sid=SERVICE), "status": "accepted", "from": None}
    other = entry(timezone.now(), "b", messaging_service_sid="MG" + "8" * 32)
    assert [one.sid[2] for one in listed(settings, answer([waiting, other]), SERVICE)] == ["a"]


# Equal words to one person, many at once


@pytest.mark.parametrize("taken", [0, 2, 5])
def test_of_five_equal_texts_as_many_are_sent_as_are_missing(desk: Desk, taken: int) -> None:
    for serial in range(5):
        (lost_after_it_was_taken if serial < taken else lost_before_it_was_taken)(desk)
    for turn in range(4):
        with later((GAP + 1) * turn):
            desk.look_up()
            while (claimed := work.claim_next(SMS_DELIVERY)) is not None:
                work.perform(SMS_DELIVERY, claimed)
    with org_scope(desk.clinic.id):
        states = set(Message.objects.values_list("state", flat=True))
        sids = set(Message.objects.values_list("provider_sid", flat=True))
    assert states <= set(OUT)
    assert (len(sids), len(desk.phone())) == (5, 5)


# Unproven past its use


def give_up(desk: Desk, message: Message, after: timedelta) -> Message:
    desk.shut()
    with later(after.total_seconds()):
        desk.look_up()
    desk.open()
    return desk.now(message)


def test_a_text_that_could_not_be_looked_up_is_left_to_a_person_when_its_time_is_over(desk: Desk) -> None:
    message = lost_before_it_was_taken(desk)
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=message.pk).update(expires_at=timezone.now() + timedelta(minutes=30))
    assert give_up(desk, message, timedelta(minutes=45)).state == MessageState.UNKNOWN
    row = give_up(desk, message, LONGEST_LOOK + timedelta(minutes=5))
    assert (row.state, row.last_error) == (MessageState.DEAD_LETTER, UNPROVED)
    assert row.in_doubt_since is not None
    assert desk.phone() == []


def test_a_text_that_is_still_of_use_is_looked_up_for_as_long_as_it_takes(desk: Desk) -> None:
    message = lost_before_it_was_taken(desk)
    assert give_up(desk, message, timedelta(hours=20)).state == MessageState.UNKNOWN


def test_lists_that_fail_for_one_clinic_after_another_rest_for_a_while(desk: Desk, oak: Clinic) -> None:
    lost = []
    for serial in range(4):
        lost.append(lost_before_it_was_taken(desk, f"Number {serial}."))
        desk.send(desk.write("One that Twilio takes."))
    asked = desk.lists_asked_for()
    desk.sandbox.fault("server_error", match={"method": "GET"})
    desk.look_up()
    assert desk.lists_asked_for() - asked == 3, "the fourth was not asked for"
    row = desk.now(lost[3])
    assert (row.state, row.first_empty_list_at) == (MessageState.UNKNOWN, None)
    assert row.next_attempt_at > timezone.now() + timedelta(seconds=20)


def test_a_text_whose_account_cannot_be_read_is_left_to_a_person_when_its_time_is_over(desk: Desk) -> None:
    message = lost_after_it_was_taken(desk)
    with org_scope(desk.clinic.id), connection.cursor() as cursor:
        SenderAccount.objects.update(account_sid="AC" + "9" * 32)
        cursor.execute("UPDATE sender_accounts SET auth_token = 'v1:rubbish'")
    desk.look_up()
    assert "cannot be read" in desk.now(message).last_error
    assert give_up(desk, message, timedelta(days=40)).state == MessageState.DEAD_LETTER
