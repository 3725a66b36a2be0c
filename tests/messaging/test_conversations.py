"""One phone, one thread: what waits for an answer, in which order both sides stand, and which pictures are kept."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from messaging.conversation import book, thread
from messaging.conversation.media import LONGEST_URL, MOST, Medium, kept, media_of
from messaging.conversation.models import Conversation
from messaging.conversation.thread import BadPlace, Place
from messaging.models import InboundMessage, Message, StaffTask
from messaging.states import MessageKind, TaskKind
from tests.clinics import Clinic
from tests.messaging.desk import PATIENT, Desk
from tests.messaging.test_inbound import post
from tests.sandbox.running import RunningSandbox
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

ACCOUNT = "AC" + "1" * 32
MEDIUM = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/MM{'2' * 32}/Media/ME{'3' * 32}"


@pytest.fixture
def desk(elm: Clinic) -> Desk:
    """Nothing is sent here, so no Twilio is needed."""
    return Desk(elm, RunningSandbox.__new__(RunningSandbox), 0)


def conversation(clinic: Clinic, number: str = PATIENT) -> Conversation:
    with org_scope(clinic.id):
        return Conversation.objects.get(number=number)


def received(clinic: Clinic) -> list[InboundMessage]:
    with org_scope(clinic.id):
        return list(InboundMessage.objects.order_by("created_at"))


def answer(clinic: Clinic, until: Any) -> Conversation:
    with org_scope(clinic.id):
        row = book.begun(clinic.id, PATIENT)
        book.answered(row, until, clinic.staff["receptionist"])
    return conversation(clinic)


# What waits


def test_texts_that_come_in_wait_and_are_counted_until_somebody_answers(elm: Clinic) -> None:
    for at in range(3):
        post(elm, f"Question {at}", sid=f"SM{at}")
    row, texts = conversation(elm), received(elm)
    assert (row.unread, row.waiting_since, row.newest_at) == (3, texts[0].created_at, texts[2].created_at)
    row = answer(elm, texts[2].created_at)
    assert (row.unread, row.waiting_since) == (0, None)


def test_the_same_text_twice_counts_once(elm: Clinic) -> None:
    for _ in range(2):
        post(elm, "Question", sid="SM1")
    assert conversation(elm).unread == 1


def test_a_text_that_came_in_while_somebody_wrote_goes_on_waiting_with_its_task(elm: Clinic) -> None:
    for at in range(2):
        post(elm, f"Question {at}", sid=f"SM{at}")
    first, second = received(elm)
    row = answer(elm, first.created_at)
    assert (row.unread, row.waiting_since) == (1, second.created_at)
    with org_scope(elm.id):
        assert StaffTask.objects.get().acknowledged_at is None, "it tells of the second as well"
    answer(elm, second.created_at)
    with org_scope(elm.id):
        task = StaffTask.objects.get()
        assert (task.dedupe_key, task.note) == ("text:SM1", "Answered by text.")
        acts = AuditEntry.objects.values_list("action", "actor__username")
        assert list(acts) == [("staff_task.acknowledge", "elm-street-receptionist")]


def test_an_answer_sees_to_this_phones_texts_alone(elm: Clinic) -> None:
    post(elm, "Question", sid="SM1")
    post(elm, "Another's", sid="SM2", From="+14155550143")
    with org_scope(elm.id):
        StaffTask.objects.create(
            org=elm.org, kind=TaskKind.CALLER_MESSAGE, text="Ring me", from_number=PATIENT, dedupe_key="call"
        )
    answer(elm, timezone.now())
    with org_scope(elm.id):
        left = StaffTask.objects.filter(acknowledged_at=None).values_list("dedupe_key", flat=True)
        assert set(left) == {"text:SM2", "call"}


@pytest.mark.parametrize("word", ["STOP", "START", "HELP"])
def test_a_word_for_the_carrier_stands_in_the_thread_and_waits_for_nobody(elm: Clinic, word: str) -> None:
    post(elm, word)
    row = conversation(elm)
    assert (row.unread, row.waiting_since) == (0, None)
    assert [entry.received.keyword for entry in page(elm).entries if entry.received] == [word]


def test_what_was_seen_is_no_longer_new_and_still_waits(elm: Clinic) -> None:
    for at in range(2):
        post(elm, f"Question {at}", sid=f"SM{at}")
    first, _ = received(elm)
    with org_scope(elm.id):
        assert book.seen(elm.id, PATIENT, first.created_at)
        assert not book.seen(elm.id, PATIENT, first.created_at)
    row = conversation(elm)
    assert (row.unread, row.waiting_since) == (1, first.created_at)


def test_two_clinics_have_two_conversations_with_one_phone(elm: Clinic, oak: Clinic) -> None:
    post(elm, "At Elm", sid="SM1")
    post(oak, "At Oak", sid="SM2")
    assert [entry.received.body for entry in page(elm).entries if entry.received] == ["At Elm"]
    answer(elm, timezone.now())
    assert conversation(oak).unread == 1


def test_a_task_leads_to_its_conversation(elm: Clinic) -> None:
    post(elm, "Question")
    with org_scope(elm.id):
        assert StaffTask.objects.get().about == f"conversation:{conversation(elm).pk}"


def test_texts_from_before_there_were_conversations_wait_where_their_task_is_open(elm: Clinic) -> None:
    so_far = import_module("messaging.migrations.0091_conversations_so_far").SO_FAR
    for number, sid in ((PATIENT, "SM1"), (PATIENT, "SM2"), ("+14155550143", "SM3")):
        post(elm, "Question", sid=sid, From=number)
        # As it was then: a task for each text.
        with org_scope(elm.id):
            StaffTask.objects.update(about="")
    with org_scope(elm.id), connection.cursor() as cursor:
        StaffTask.objects.exclude(dedupe_key="text:SM2").update(acknowledged_at=timezone.now())
        Conversation.objects.all().delete()
        cursor.execute(so_far)
        second = InboundMessage.objects.get(provider_sid="SM2")
        assert list(
            Conversation.objects.order_by("number").values_list("number", "waiting_since", "unread")
        ) == [
            (PATIENT, second.created_at, 0),
            ("+14155550143", None, 0),
        ]


# The thread


def page(clinic: Clinic, **where: Place) -> thread.Page:
    with org_scope(clinic.id):
        if "before" in where:
            return thread.before(clinic.id, PATIENT, where["before"])
        if "since" in where:
            return thread.since(clinic.id, PATIENT, where["since"])
        return thread.newest(clinic.id, PATIENT)


def words(shown: thread.Page) -> list[str]:
    return [entry.message.body if entry.message else entry.received.body for entry in shown.entries if entry]  # type: ignore[union-attr]


def both_sides(desk: Desk, texts: int) -> list[str]:
    """Texts of both sides in turn, two of them in the very same instant; what they say, oldest first."""
    base = timezone.now() - timedelta(days=1)
    for at in range(texts):
        moment = base + timedelta(minutes=at // 2)
        if at % 2:
            message = desk.write(f"{at}")
            with org_scope(desk.clinic.id):
                Message.objects.filter(pk=message.pk).update(created_at=moment + timedelta(seconds=at % 4))
        else:
            post(desk.clinic, f"{at}", sid=f"SM{at}")
            with org_scope(desk.clinic.id):
                InboundMessage.objects.filter(provider_sid=f"SM{at}").update(created_at=moment)
    return [f"{at}" for at in range(texts)]


def test_both_sides_stand_in_order_and_pages_leave_nothing_out(desk: Desk) -> None:
    said = both_sides(desk, 2 * thread.A_PAGE + 5)
    last = page(desk.clinic)
    assert (words(last), last.more) == (said[-thread.A_PAGE :], True)
    assert last.first is not None
    middle = page(desk.clinic, before=last.first)
    assert (words(middle), middle.more) == (said[5 : thread.A_PAGE + 5], True)
    assert middle.first is not None
    first = page(desk.clinic, before=middle.first)
    assert (words(first), first.more) == (said[:5], False)


def test_texts_of_one_instant_are_shown_once_each(desk: Desk) -> None:
    both_sides(desk, thread.A_PAGE + 10)
    moment = timezone.now() - timedelta(hours=1)
    with org_scope(desk.clinic.id):
        Message.objects.update(created_at=moment)
        InboundMessage.objects.update(created_at=moment)
    last = page(desk.clinic)
    assert last.first is not None
    first = page(desk.clinic, before=last.first)
    assert sorted(words(first) + words(last), key=int) == [f"{at}" for at in range(thread.A_PAGE + 10)]


def test_an_open_page_asks_for_what_came_since_and_keeps_what_it_had(desk: Desk) -> None:
    said = both_sides(desk, thread.A_PAGE)
    first = page(desk.clinic).first
    assert first is not None
    post(desk.clinic, "new", sid="SMnew")
    since = page(desk.clinic, since=first)
    assert (words(since), since.more) == ([*said, "new"], False)


def test_a_text_stands_where_it_left_not_where_it_was_written(desk: Desk) -> None:
    reminder = desk.write("Reminder", kind=MessageKind.REMINDER)
    post(desk.clinic, "Earlier")
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=reminder.pk).update(
            created_at=F("created_at") - timedelta(days=60), sent_at=timezone.now() + timedelta(seconds=1)
        )
    assert words(page(desk.clinic)) == ["Earlier", "Reminder"]


@pytest.mark.parametrize(
    "text", ["", "x", "1-", "-1-0", "1-zz", f"{'9' * 40}-{'0' * 32}", "١-" + "0" * 32, "1 OR 1=1"]
)
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadPlace):
        Place.read(text)


def test_a_place_is_read_as_it_was_written() -> None:
    place = Place(timezone.now(), UUID(int=7))
    assert Place.read(str(place)) == place


# Pictures


def test_a_picture_without_words_is_kept_as_a_link_and_told_to_staff(elm: Clinic, settings: Any) -> None:
    address = MEDIUM.replace(ACCOUNT, settings.TWILIO_ACCOUNT_SID)
    more = {"NumMedia": "1", "MediaUrl0": address, "MediaContentType0": "image/jpeg"}
    assert post(elm, "", **more) == 200
    assert received(elm)[0].media == [{"url": address, "type": "image/jpeg"}]
    with org_scope(elm.id):
        assert StaffTask.objects.get().text == "A picture or file, without words."


@pytest.mark.parametrize(
    "url",
    [
        MEDIUM.replace("https", "http"),
        MEDIUM.replace("api.twilio.com", "evil.example"),
        MEDIUM.replace("api.twilio.com", "api.twilio.com.evil.example"),
        MEDIUM.replace("api.twilio.com", "eviltwilio.com"),
        MEDIUM.replace("api.twilio.com", "api.twilio.com@evil.example"),
        MEDIUM.replace("api.twilio.com", "api.twilio.com:8443"),
        MEDIUM.replace(ACCOUNT, "AC" + "9" * 32),
        MEDIUM + "?next=https://evil.example",
        MEDIUM + "#x",
        MEDIUM + "/../../..",
        "https://api.twilio.com/login",
        "javascript:alert(1)",
        "https://[",
        MEDIUM + "3" * LONGEST_URL,
        "",
    ],
)
def test_what_does_not_lie_in_the_account_at_twilio_is_not_kept(url: str) -> None:
    assert kept([(url, "image/jpeg"), (MEDIUM, "image/png")], ACCOUNT) == [
        {"url": MEDIUM, "type": "image/png"}
    ]


def test_a_type_that_is_none_is_that_of_any_file() -> None:
    said = ["image/jpeg; charset=x", "<script>", "", "Application/PDF"]
    types = [row["type"] for row in kept([(MEDIUM, kind) for kind in said], ACCOUNT)]
    assert types == ["image/jpeg", "application/octet-stream", "application/octet-stream", "application/pdf"]


def test_no_more_pictures_are_kept_than_a_text_can_have() -> None:
    assert len(kept([(MEDIUM, "image/png")] * 50, ACCOUNT)) == MOST


def test_media_are_named_for_people() -> None:
    stored = [
        {"url": "u", "type": "image/png"},
        {"url": "u", "type": "text/x-vcard"},
        {"url": "u", "type": "a/b"},
        7,
    ]
    assert [medium.name for medium in media_of(stored)] == ["Picture", "Contact card", "File"]
    assert media_of({"not": "a list"}) == []
    assert media_of([{"url": "u", "type": "t"}]) == [Medium("u", "t")]
