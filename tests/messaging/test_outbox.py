"""How a text comes to be: once, to somebody who may be texted, with its size known beforehand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.manners import consent
from messaging.models import Message, SenderAccount
from messaging.outbox import Enqueued, cancel_about, enqueue
from messaging.states import MessageKind, MessageState
from tests.clinics import Clinic
from tests.messaging.desk import PATIENT
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db


def write(clinic: Clinic, body: str = "See you at nine.", **more: Any) -> Enqueued:
    given = {
        "kind": MessageKind.CONFIRMATION,
        "recipient": PATIENT,
        "dedupe_key": "confirmation:1",
        "expires_at": timezone.now() + timedelta(hours=1),
        **more,
    }
    with org_scope(clinic.id):
        return enqueue(org_id=clinic.id, body=body, **given)


def texts(clinic: Clinic) -> list[Message]:
    with org_scope(clinic.id):
        return list(Message.objects.order_by("created_at", "dedupe_key"))


def numbers_of(clinic: Clinic) -> list[str]:
    """The clinic's line, and a number that it texts from and takes no calls on."""
    with platform_scope("test data"):
        SenderAccount.objects.filter(org=clinic.org).update(number="+14155550123")
    return [clinic.number, "+14155550123"]


def opted(clinic: Clinic, out: bool, *, sender: str = "", recipient: str = PATIENT) -> None:
    with org_scope(clinic.id):
        consent.record(
            clinic.id, sender=sender or clinic.number, recipient=recipient, opted_out=out, source="keyword"
        )


def test_a_text_waits_in_the_outbox_with_its_sender_and_size(elm: Clinic) -> None:
    written = write(elm, about="appointment:1", priority=1)
    (text,) = texts(elm)
    assert written == Enqueued("queued", text.pk)
    assert (text.state, text.attempts, text.sender) == (MessageState.QUEUED, 0, elm.number)
    assert (text.about, text.priority) == ("appointment:1", 1)
    assert (text.encoding, text.segments) == ("GSM-7", 1)
    assert text.next_attempt_at <= timezone.now()


@pytest.mark.parametrize(
    ("body", "encoding", "segments"),
    [("x" * 160, "GSM-7", 1), ("x" * 161, "GSM-7", 2), ("я" * 70, "UCS-2", 1), ("я" * 71, "UCS-2", 2)],
)
def test_what_a_text_will_cost_is_known_before_it_is_sent(
    elm: Clinic, body: str, encoding: str, segments: int
) -> None:
    write(elm, body)
    assert (texts(elm)[0].encoding, texts(elm)[0].segments) == (encoding, segments)


def test_typography_does_not_double_a_texts_price(elm: Clinic) -> None:
    write(elm, "You’re booked – see you at nine…")
    assert (texts(elm)[0].body, texts(elm)[0].encoding) == ("You're booked - see you at nine...", "GSM-7")


def test_the_same_thing_is_said_once(elm: Clinic) -> None:
    first, again = write(elm), write(elm, "Other words.")
    assert again == Enqueued("skipped", None)
    assert [text.pk for text in texts(elm)] == [first.message_id]


def test_two_clinics_may_say_the_same_thing(elm: Clinic, oak: Clinic) -> None:
    assert write(elm).status == write(oak).status == "queued"


def test_a_clinic_without_a_number_texts_nobody(elm: Clinic) -> None:
    with platform_scope("test"):
        SenderAccount.objects.filter(org=elm.org).delete()
    assert write(elm) == Enqueued("skipped", None)
    assert texts(elm) == []


def test_a_clinic_does_not_text_itself(elm: Clinic) -> None:
    assert write(elm, recipient=elm.number) == Enqueued("skipped", None)
    assert texts(elm) == []


def test_a_text_for_later_waits_for_its_time(elm: Clinic) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    assert write(elm, not_before=tomorrow).status == "queued"
    assert texts(elm)[0].next_attempt_at == tomorrow


# Consent


def test_a_text_to_somebody_who_opted_out_is_written_down_and_not_sent(elm: Clinic) -> None:
    opted(elm, True)
    written = write(elm)
    assert written.status == "suppressed"
    assert [(text.pk, text.state) for text in texts(elm)] == [(written.message_id, MessageState.SUPPRESSED)]


def test_who_opts_in_again_is_texted_again(elm: Clinic) -> None:
    opted(elm, True)
    opted(elm, False)
    assert write(elm).status == "queued"
    opted(elm, True)
    assert write(elm, dedupe_key="confirmation:2").status == "suppressed"


def test_a_wish_counts_for_its_pair_of_numbers_alone(elm: Clinic, oak: Clinic) -> None:
    opted(elm, True, sender="+14155550198")
    opted(elm, True, recipient="+14155550143")
    opted(oak, True)
    assert write(elm).status == "queued"


def test_the_newest_line_of_the_ledger_decides(elm: Clinic) -> None:
    pair = {"sender": elm.number, "recipient": PATIENT}
    with org_scope(elm.id):
        assert not consent.has_opted_out(elm.id, **pair)
    for wish in (True, False, True):
        opted(elm, wish)
        with org_scope(elm.id):
            assert consent.has_opted_out(elm.id, **pair) == wish


# Withdrawing


@pytest.mark.parametrize("state", list(MessageState))
def test_what_still_waits_about_a_subject_is_withdrawn_and_nothing_else(
    elm: Clinic, state: MessageState
) -> None:
    write(elm, about="appointment:1")
    write(elm, about="appointment:2", dedupe_key="confirmation:2")
    with org_scope(elm.id):
        Message.objects.filter(about="appointment:1").update(state=state)
        withdrawn = cancel_about(elm.id, "appointment:1")
    mine, other = texts(elm)
    assert withdrawn == (1 if state == MessageState.QUEUED else 0)
    assert mine.state == (MessageState.CANCELED if state == MessageState.QUEUED else state)
    assert ("no longer stands" in mine.last_error) == (state == MessageState.QUEUED)
    assert other.state == MessageState.QUEUED
    assert other.expires_at > timezone.now()


@pytest.mark.parametrize("state", [MessageState.SENDING, MessageState.UNKNOWN])
def test_what_is_under_way_about_a_subject_is_not_sent_again(elm: Clinic, state: MessageState) -> None:
    write(elm, about="appointment:1")
    with org_scope(elm.id):
        Message.objects.update(state=state)
        cancel_about(elm.id, "appointment:1")
    assert texts(elm)[0].expires_at <= timezone.now()


def test_a_withdrawal_reaches_its_own_clinics_texts_alone(elm: Clinic, oak: Clinic) -> None:
    write(oak, about="appointment:1")
    with org_scope(elm.id):
        assert cancel_about(elm.id, "appointment:1") == 0
    assert texts(oak)[0].state == MessageState.QUEUED


def test_no_text_goes_to_a_number_of_ours_whichever_clinics_it_is(elm: Clinic, oak: Clinic) -> None:
    """Two machines would answer each other; and one clinic's patients are not told of in another's inbox."""
    for ours in (elm.number, *numbers_of(oak)):
        assert write(elm, recipient=ours, dedupe_key=f"to-{ours}") == Enqueued("skipped", None), ours
    assert texts(elm) == []
    assert write(elm).status == "queued"
