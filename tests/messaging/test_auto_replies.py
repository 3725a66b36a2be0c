"""The answer a clinic gives by itself while it is closed: if it wants to, once a person in so many hours, and never to
who did not ask or to what is no person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone

from bookings.models import Provider
from messaging.conversation import book, opening
from messaging.conversation.models import Conversation, ReplySettings
from messaging.manners import consent
from messaging.models import Contact, Message, MessageTemplate, SenderAccount
from messaging.sending.priorities import can_wait
from tests.clinics import Clinic
from tests.messaging.desk import PATIENT
from tests.messaging.test_inbound import post
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

NEW_YORK = ZoneInfo("America/New_York")
# A Sunday, and the Monday after it within hours.
CLOSED = datetime(2026, 11, 29, 14, 0, tzinfo=NEW_YORK)
WHATSAPP = "+14155569900"
OPEN = datetime(2026, 11, 30, 10, 0, tzinfo=NEW_YORK)


def wish(clinic: Clinic, **chosen: Any) -> None:
    with org_scope(clinic.id):
        ReplySettings.objects.create(org=clinic.org, **{"auto_reply": True, "auto_reply_hours": 12, **chosen})


def text_in(clinic: Clinic, body: str = "Are you there?", at: datetime = CLOSED, **more: str) -> None:
    with time_machine.travel(at):
        post(clinic, body, **{"sid": f"SM{at.timestamp():.0f}{body[:9]}", **more})


def replies(clinic: Clinic) -> list[str]:
    with org_scope(clinic.id):
        return list(
            Message.objects.filter(kind="auto_reply").order_by("created_at").values_list("body", flat=True)
        )


def test_it_is_off_unless_the_clinic_wants_it(elm: Clinic) -> None:
    text_in(elm)
    wish(elm, auto_reply=False)
    text_in(elm, "Again")
    assert replies(elm) == []


def test_while_closed_a_text_is_answered_and_goes_on_waiting_for_a_person(elm: Clinic) -> None:
    wish(elm)
    text_in(elm)
    assert len(replies(elm)) == 1
    assert replies(elm)[0].startswith("Elm Street: thank you for your text. We are closed now")
    with org_scope(elm.id):
        row = Conversation.objects.get()
        assert (row.unread, row.waiting_since is None) == (1, False)


def test_while_open_it_is_left_to_people(elm: Clinic) -> None:
    wish(elm)
    text_in(elm, at=OPEN)
    assert replies(elm) == []


def test_where_nobody_knows_the_hours_nothing_is_said(elm: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_known", [])
    wish(elm)
    text_in(elm)
    assert replies(elm) == []


def test_a_clinic_that_gave_no_hours_is_never_closed(elm: Clinic) -> None:
    with org_scope(elm.id):
        for provider in Provider.objects.all():
            provider.hours.all().delete()
    wish(elm)
    text_in(elm)
    assert replies(elm) == []


def test_it_says_it_once_a_person_in_so_many_hours(elm: Clinic) -> None:
    wish(elm, auto_reply_hours=6)
    for minutes in (0, 1, 5 * 60 + 59):
        text_in(elm, f"Text {minutes}", CLOSED + timedelta(minutes=minutes))
    assert len(replies(elm)) == 1
    text_in(elm, "Another's", From="+14155550143")
    assert len(replies(elm)) == 2
    text_in(elm, "Later", CLOSED + timedelta(hours=6, minutes=1))
    assert len(replies(elm)) == 3


def test_it_uses_the_clinics_own_words(elm: Clinic) -> None:
    wish(elm)
    with org_scope(elm.id):
        MessageTemplate.objects.create(org=elm.org, kind="auto_reply", body="{clinic} rests. Back on Monday.")
    text_in(elm)
    assert replies(elm) == ["Elm Street rests. Back on Monday."]


@pytest.mark.parametrize("word", ["STOP", "START", "HELP", "Stop.", "cancel", "Stop texting me"])
def test_never_to_a_word_for_the_carrier_nor_to_a_wish_like_it(elm: Clinic, word: str) -> None:
    wish(elm)
    text_in(elm, word)
    assert replies(elm) == []


def test_never_to_twilio_s_own_verdict(elm: Clinic) -> None:
    wish(elm)
    text_in(elm, "arrêt", OptOutType="STOP")
    assert replies(elm) == []


def test_never_to_who_opted_out_and_no_row_is_left_of_it(elm: Clinic) -> None:
    wish(elm)
    with org_scope(elm.id):
        consent.record(elm.id, sender=elm.number, recipient=PATIENT, opted_out=True, source="staff")
    text_in(elm)
    with org_scope(elm.id):
        assert not Message.objects.exists()


def test_it_stands_behind_what_people_asked_for_and_waits_for_no_morning(elm: Clinic) -> None:
    wish(elm)
    text_in(elm)
    with org_scope(elm.id):
        answer = Message.objects.get(kind="auto_reply")
    assert answer.priority == 2
    assert not can_wait(answer), "who wrote is awake"


ABROAD = "+4915112345678"


@pytest.mark.parametrize("sender", [ABROAD, "+18765550142", "+447700900123"])
def test_a_stranger_abroad_costs_nothing(elm: Clinic, sender: str) -> None:
    wish(elm)
    text_in(elm, From=sender)
    text_in(elm, "Again", CLOSED + timedelta(minutes=1), From=sender)
    assert replies(elm) == []


def test_a_contact_abroad_is_answered_and_who_became_one_by_their_text_is_not(
    elm: Clinic, oak: Clinic
) -> None:
    for clinic in (elm, oak):
        wish(clinic)
    with org_scope(elm.id):
        Contact.objects.create(org=elm.org, phone=ABROAD, name="Dana Ruiz")
    text_in(elm, From=ABROAD)
    assert len(replies(elm)) == 1
    with org_scope(oak.id):
        SenderAccount.objects.update(whatsapp_number=WHATSAPP, whatsapp_on=True)
    text_in(oak, From=f"whatsapp:{ABROAD}", To=f"whatsapp:{WHATSAPP}")
    text_in(oak, "By text", CLOSED + timedelta(minutes=1), From=ABROAD)
    with org_scope(oak.id):
        assert Contact.objects.filter(phone=ABROAD).exists()
    assert replies(oak) == []


def test_a_contact_of_before_their_first_text_is_known_without_a_name(elm: Clinic) -> None:
    wish(elm)
    with org_scope(elm.id):
        known = Contact.objects.create(org=elm.org, phone=ABROAD)
        Contact.objects.filter(pk=known.pk).update(created_at=timezone.now() - timedelta(days=1))
    text_in(elm, From=ABROAD)
    assert len(replies(elm)) == 1


def test_numbers_without_end_cost_so_many_answers_an_hour(
    elm: Clinic, oak: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "MOST_TURNS_AN_HOUR", 3)
    for clinic in (elm, oak):
        wish(clinic)
    for serial in range(6):
        text_in(elm, f"Pump {serial}", From=f"+1415555{serial:04}")
    assert len(replies(elm)) == 3
    text_in(oak, From="+447700900123")
    assert len(replies(oak)) == 1, "each clinic has its own"
    text_in(elm, "An hour later", CLOSED + timedelta(minutes=61), From="+14155550005")
    assert len(replies(elm)) == 4


@pytest.mark.parametrize("sender", ["72975", "AMAZON", "+18005550100", "+442079460018"])
def test_never_to_what_no_person_texts_from(elm: Clinic, sender: str) -> None:
    wish(elm)
    text_in(elm, From=sender)
    assert replies(elm) == []


def test_two_clinics_that_text_each_other_do_not_begin_to_talk(elm: Clinic, oak: Clinic) -> None:
    wish(elm)
    text_in(elm, From=oak.number)
    assert replies(elm) == []


def test_two_answering_machines_end_after_one_word_each(elm: Clinic) -> None:
    """The other side answers each of our texts at once, and is no number of ours."""
    wish(elm)
    for turn in range(20):
        said = len(replies(elm))
        text_in(elm, f"Automatic answer {turn}", CLOSED + timedelta(seconds=turn))
        if len(replies(elm)) == said and turn:
            break
    assert len(replies(elm)) == 1


def test_a_text_worked_off_twice_is_answered_once(elm: Clinic) -> None:
    wish(elm, auto_reply_hours=1)
    text_in(elm, sid="SM1")
    text_in(elm, at=CLOSED + timedelta(hours=2), sid="SM1")
    assert len(replies(elm)) == 1
