"""What staff answer: sent once, refused in words, and never past a wish, a pause or a missing sender."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from messaging.admin.bubbles import _who
from messaging.contacts import upsert_contact
from messaging.conversation import replies
from messaging.conversation.models import Conversation
from messaging.conversation.replies import ReplyRefused, Sent, reply
from messaging.manners import consent
from messaging.manners.keyword_replies import answer_help
from messaging.models import Contact, InboundMessage, Message, MessagingPolicy, SenderAccount
from messaging.sending import pauses
from messaging.states import MessageKind, MessageState
from tests.clinics import Clinic
from tests.messaging.desk import PATIENT
from tests.messaging.test_inbound import post
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


def send(clinic: Clinic, typed: str = "Yes, 3pm is yours.", **more: Any) -> Sent:
    given: dict[str, Any] = {"number": PATIENT, "key": new_id(), "until": timezone.now(), **more}
    if "answer_shown" not in given:
        with org_scope(clinic.id):
            newest = replies.newest_answer(clinic.id, given["number"])
        given["answer_shown"] = newest.pk if newest else None
    return reply(clinic.id, typed=typed, author=clinic.staff["receptionist"], **given)


def texts(clinic: Clinic) -> list[Message]:
    with org_scope(clinic.id):
        return list(Message.objects.select_related("author").order_by("created_at"))


def untouched(clinic: Clinic) -> bool:
    with org_scope(clinic.id):
        return not (Message.objects.exists() or AuditEntry.objects.exists() or Conversation.objects.exists())


def test_an_answer_goes_through_the_outbox_in_the_names_of_contact_and_author(elm: Clinic) -> None:
    with org_scope(elm.id):
        contact = upsert_contact(elm.id, phone=PATIENT, name="Dana Ruiz")
    sent = send(elm)
    (message,) = texts(elm)
    assert message.pk == sent.message_id
    assert (message.kind, message.state, message.recipient) == (MessageKind.REPLY, "queued", PATIENT)
    assert (message.contact_id, message.author) == (contact, elm.staff["receptionist"])
    assert message.priority == 0
    with org_scope(elm.id):
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.subject) == ("conversation.reply", f"sms_delivery_log:{message.pk}")
        assert "3pm" not in entry.reason


def test_one_press_more_sends_nothing_more(elm: Clinic) -> None:
    key = new_id()
    first, second = send(elm, key=key), send(elm, key=key)
    assert (first.again, second.again, first.message_id) == (False, True, second.message_id)
    assert len(texts(elm)) == 1
    with org_scope(elm.id):
        assert AuditEntry.objects.count() == 1


def test_another_text_from_a_page_gone_back_to_is_not_lost_in_silence(elm: Clinic) -> None:
    key = new_id()
    send(elm, "Yes", key=key)
    with pytest.raises(ReplyRefused, match="Press Send once more"):
        send(elm, "No, sorry", key=key)
    with pytest.raises(ReplyRefused, match="Press Send once more"):
        send(elm, "Yes", key=key, number="+14155550143")
    send(elm, "No, sorry", key=new_id())
    assert sorted(message.body for message in texts(elm)) == ["No, sorry", "Yes"]


def test_the_same_words_twice_on_purpose_are_two_texts(elm: Clinic) -> None:
    send(elm)
    send(elm)
    assert len(texts(elm)) == 2


def test_browsers_line_ends_and_typography_cost_nothing(elm: Clinic) -> None:
    send(elm, "  “Yes” —\r\nsee you…  ")
    (message,) = texts(elm)
    assert (message.body, message.encoding, message.segments) == ('"Yes" -\nsee you...', "GSM-7", 1)


@pytest.mark.parametrize(
    ("typed", "segments", "encoding"),
    [
        ("x" * 1600, 11, "GSM-7"),
        ("😀" * 800, 25, "UCS-2"),
        ("👩‍⚕️ Zoë ł", 1, "UCS-2"),
        ("<b>&amp;</b> {name}", 1, "GSM-7"),
    ],
)
def test_long_texts_and_emoji_are_sent_as_they_are(
    elm: Clinic, typed: str, segments: int, encoding: str
) -> None:
    send(elm, typed)
    (message,) = texts(elm)
    assert (message.body, message.segments, message.encoding) == (typed, segments, encoding)


def test_nobody_answers_past_a_colleague_unawares(elm: Clinic) -> None:
    first = send(elm, "Yes, at 3pm.")
    with pytest.raises(ReplyRefused, match="elm-street-receptionist answered meanwhile"):
        send(elm, "No, we are full.", answer_shown=None)
    send(elm, "At the side door.", answer_shown=first.message_id)
    assert sorted(message.body for message in texts(elm)) == ["At the side door.", "Yes, at 3pm."]


def test_an_answer_to_help_is_nobodys(elm: Clinic) -> None:
    first = send(elm, "Yes, at 3pm.")
    with org_scope(elm.id):
        MessagingPolicy.objects.create(org=elm.org, answers_help=True)
        answer_help(elm.id, "SM1", PATIENT, said_by_twilio="")
        newest = replies.newest_answer(elm.id, PATIENT)
        assert newest is not None
        assert newest.pk == first.message_id
    send(elm, "At the side door.", answer_shown=first.message_id)
    with org_scope(elm.id):
        Message.objects.update(author=None)
    # All are of one moment, that of the test's transaction.
    assert sorted(_who(message, None) for message in texts(elm)) == ["Automatic answer", "Staff", "Staff"]


# Refused, in words, and nothing has changed


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Write something"),
        (" \r\n ", "Write something"),
        ("x" * 1601, "too long"),
        ("Reply CANCEL to cancel your visit", "gets no texts"),
        ("text back quit to leave the list", "gets no texts"),
    ],
)
def test_what_cannot_be_sent_is_refused(elm: Clinic, typed: str, said: str) -> None:
    with pytest.raises(ReplyRefused, match=said):
        send(elm, typed)
    assert untouched(elm)


def opted_out(clinic: Clinic) -> None:
    consent.record(clinic.id, sender=clinic.number, recipient=PATIENT, opted_out=True, source="keyword")


def paused(clinic: Clinic) -> None:
    SenderAccount.objects.update(paused_reason="The account is suspended", paused_at=timezone.now())


def without_sender(clinic: Clinic) -> None:
    SenderAccount.objects.all().delete()


@pytest.mark.parametrize(
    ("bring_about", "said"),
    [
        (opted_out, "asked not to be texted"),
        (paused, r"paused for this clinic\. The account is suspended\. A manager"),
        (without_sender, "no number to text from"),
    ],
)
def test_who_may_not_be_texted_is_not(elm: Clinic, bring_about: Any, said: str) -> None:
    with org_scope(elm.id):
        bring_about(elm)
        assert replies.why_nothing_can_be_sent(elm.id, PATIENT)
    with pytest.raises(ReplyRefused, match=said):
        send(elm)
    assert untouched(elm)


def test_who_stopped_texts_and_writes_by_whatsapp_is_answered_there(elm: Clinic) -> None:
    with org_scope(elm.id):
        SenderAccount.objects.update(whatsapp_number="+14155569900", whatsapp_on=True)
        upsert_contact(elm.id, phone=PATIENT)
        Contact.objects.filter(phone=PATIENT).update(preferred_channel="whatsapp")
        InboundMessage.objects.create(
            org=elm.org,
            provider_sid="SM-by-whatsapp",
            sender=PATIENT,
            recipient="+14155569900",
            channel="whatsapp",
        )
        opted_out(elm)
        assert replies.why_nothing_can_be_sent(elm.id, PATIENT) == ""
    with org_scope(elm.id):
        answer = Message.objects.get(pk=send(elm).message_id)
    assert (answer.channel, answer.state) == ("whatsapp", MessageState.QUEUED)


def test_a_wish_that_comes_in_at_the_last_moment_still_counts(
    elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outbox asks the ledger itself, after the page did."""
    with org_scope(elm.id):
        opted_out(elm)
    monkeypatch.setattr(replies, "why_nothing_can_be_sent", lambda *_: "")
    with pytest.raises(ReplyRefused, match="asked not to be texted"):
        send(elm)
    assert untouched(elm)


@pytest.mark.parametrize("number", ["12345", "AMAZON", "", "+1"])
def test_what_is_no_phone_gets_no_answer(elm: Clinic, number: str) -> None:
    with pytest.raises(ReplyRefused, match="no phone"):
        send(elm, number=number)
    assert untouched(elm)


def test_a_number_of_a_clinic_here_gets_none_either(elm: Clinic, oak: Clinic) -> None:
    with pytest.raises(ReplyRefused, match="straight back"):
        send(elm, number=oak.number)
    assert untouched(elm)


def test_a_pause_lifted_lets_the_next_press_through(elm: Clinic) -> None:
    pauses.pause(elm.id, "Held by a person", by_a_person=True)
    key: UUID = new_id()
    with pytest.raises(ReplyRefused, match="Held by a person"):
        send(elm, key=key)
    pauses.resume(elm.id)
    assert not send(elm, key=key).again


def test_an_answer_answers_what_was_read(elm: Clinic) -> None:
    post(elm, "May I come earlier?")
    send(elm)
    with org_scope(elm.id):
        row = Conversation.objects.get()
        assert (row.waiting_since, row.unread) == (None, 0)
        assert row.newest_at >= texts(elm)[0].created_at
