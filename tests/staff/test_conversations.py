"""The pages of conversations: who sees a thread, who may answer, what is refused, and that nothing a patient wrote
becomes markup."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from messaging.contacts import upsert_contact
from messaging.conversation.models import Conversation, ReplySettings
from messaging.manners import consent
from messaging.models import Contact, InboundMessage, Message, SenderAccount, StaffTask
from tests.clinics import Clinic
from tests.messaging.test_inbound import PATIENT, post
from tests.staff.conftest import SignIn
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.models import AuditEntry, Membership, User
from voxanne.tenancy.scope import org_scope, platform_scope

LIST = "/admin/messaging/conversation/"
NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7 }}"
ACTS = ("reply", "seen", "settle", "make_contact")


@pytest.fixture
def row(elm: Clinic) -> Conversation:
    """A text of somebody unknown."""
    post(elm, "May I come earlier?", sid="SM1")
    with org_scope(elm.id):
        found: Conversation = Conversation.objects.get()
    return found


@pytest.fixture
def client(elm: Clinic, sign_in: SignIn) -> Client:
    return sign_in(elm.staff["receptionist"])


def address(row: Any, page: str = "change") -> str:
    return f"{LIST}{row.pk}/{page}/"


def form_of(page: str) -> dict[str, str]:
    """The fields that a browser would send back."""
    return {
        name: html.unescape(value)
        for name, value in re.findall(r'name="(key|until|shown)" value="([^"]*)"', page)
    }


def read(client: Client, where: str) -> str:
    answer = client.get(where)
    assert answer.status_code == 200, where
    return answer.content.decode()


def answer(client: Client, row: Any, words: str = "Yes, at 3pm.", **more: str) -> Any:
    return client.post(address(row, "reply"), {**form_of(read(client, address(row))), "body": words, **more})


def sent(clinic: Clinic) -> list[str]:
    with org_scope(clinic.id):
        return list(Message.objects.values_list("body", flat=True))


def now_is(row: Conversation) -> Conversation:
    with platform_scope("check"):
        return Conversation.objects.get(pk=row.pk)


# Who sees it, and who may act


def test_another_clinic_never_sees_a_thread(row: Conversation, oak: Clinic, sign_in: SignIn) -> None:
    with platform_scope("test data"):
        contact = Contact.objects.create(org_id=row.org_id, phone=row.number, name="Dana Ruiz")
    for role in ("owner", "viewer"):
        stranger = sign_in(oak.staff[role])
        assert "May I come earlier?" not in read(stranger, LIST)
        for named in (row, contact):
            for page in ("change", "texts", *ACTS):
                for method in (stranger.get, stranger.post):
                    refused = method(address(named, page), {"body": "x", "key": str(new_id()), "name": "x"})
                    assert refused.status_code == 404, page
                    assert b"earlier?" not in refused.content
    with platform_scope("check"):
        assert not Message.objects.exists()
        assert Conversation.objects.get().unread == 1


def test_one_phone_at_two_clinics_shows_each_its_own(row: Conversation, oak: Clinic, sign_in: SignIn) -> None:
    post(oak, "At Oak", sid="SM2")
    with org_scope(oak.id):
        at_oak = Conversation.objects.get()
    page = read(sign_in(oak.staff["receptionist"]), address(at_oak))
    assert "At Oak" in page
    assert "earlier?" not in page


def test_a_viewer_reads_and_does_nothing(row: Conversation, elm: Clinic, sign_in: SignIn) -> None:
    viewer = sign_in(elm.staff["viewer"])
    page = read(viewer, address(row))
    assert "May I come earlier?" in page
    assert "answering it takes another role" in page
    assert "thread-write" not in page
    assert "415-555-0142" not in page, "the number is masked"
    assert 'data-seen=""' in page
    for act in ACTS:
        given = {"body": "x", "key": str(new_id()), "until": "", "name": "x"}
        assert viewer.post(address(row, act), given).status_code == 403, act
    assert sent(elm) == []
    with org_scope(elm.id):
        assert not Contact.objects.exists()
        assert Conversation.objects.get().unread == 1


def test_a_viewer_there_who_is_a_receptionist_here_stays_one_there(
    row: Conversation, elm: Clinic, oak: Clinic, sign_in: SignIn
) -> None:
    person: User = oak.staff["receptionist"]
    with platform_scope("test data"):
        Membership.objects.create(org=elm.org, user=person, role="viewer")
    given = {"body": "x", "key": str(new_id()), "until": ""}
    assert sign_in(person).post(address(row, "reply"), given).status_code == 403
    assert sent(elm) == []


def test_nothing_is_done_by_looking(row: Conversation, client: Client, elm: Clinic) -> None:
    for act in ACTS:
        assert client.get(address(row, act)).status_code == 302
    assert (sent(elm), now_is(row).unread) == ([], 1)
    with org_scope(elm.id):
        assert not AuditEntry.objects.exists()


def test_a_forged_post_is_refused(row: Conversation, elm: Clinic) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(elm.staff["owner"], backend="voxanne.tenancy.permissions.MembershipBackend")
    for act in ACTS:
        assert strict.post(address(row, act), {"body": "x", "key": str(new_id())}).status_code == 403
    assert sent(elm) == []


# Answering


def test_an_answer_is_sent_once_however_often_it_is_pressed(
    row: Conversation, client: Client, elm: Clinic
) -> None:
    given = {**form_of(read(client, address(row))), "body": "Yes, at 3pm."}
    assert given["until"]
    for _ in range(2):
        assert client.post(address(row, "reply"), given).status_code == 302
    page = read(client, address(row))
    assert sent(elm) == ["Yes, at 3pm."]
    assert "not sent twice" in page
    assert page.count("Yes, at 3pm.") == 1
    assert (now_is(row).waiting_since, now_is(row).unread) == (None, 0)
    with org_scope(elm.id):
        task = StaffTask.objects.get()
        assert (task.acknowledged_by, task.note) == (elm.staff["receptionist"], "Answered by text.")
        acts = set(AuditEntry.objects.values_list("action", flat=True))
        assert acts == {"conversation.reply", "staff_task.acknowledge"}


def test_who_wrote_and_what_became_of_it_stand_in_the_bubble(
    row: Conversation, client: Client, elm: Clinic, sign_in: SignIn
) -> None:
    answer(client, row)
    with org_scope(elm.id):
        Message.objects.update(state="dead_letter", last_error="The number is no longer in use (30005).")
    mine, anothers = read(client, address(row)), read(sign_in(elm.staff["owner"]), address(row))
    assert "<span>You</span>" in mine
    assert "<span>elm-street-receptionist</span>" in anothers
    for page in (mine, anothers):
        assert "Not delivered" in page
        assert "The number is no longer in use (30005)." in page


@pytest.mark.parametrize(
    ("bring_about", "said"),
    [
        (lambda clinic: consent.record(
            clinic.id, sender=clinic.number, recipient=PATIENT, opted_out=True, source="keyword"
        ), "asked not to be texted"),
        (lambda clinic: SenderAccount.objects.update(paused_reason="Suspended"), "Sending is paused"),
        (lambda clinic: SenderAccount.objects.all().delete(), "no number to text from"),
    ],
)  # fmt: skip
def test_what_is_refused_is_said_and_what_was_typed_is_kept(
    row: Conversation, client: Client, elm: Clinic, bring_about: Any, said: str
) -> None:
    before = form_of(read(client, address(row)))
    with org_scope(elm.id):
        bring_about(elm)
    page = client.post(address(row, "reply"), {**before, "body": "Yes, at 3pm."}).content.decode()
    assert said in page
    assert "\nYes, at 3pm.</textarea>" in page, "what was typed is there to be kept"
    assert 'id="thread-write">' in page, "and is to be seen"
    later = read(client, address(row))
    assert said in later, "who comes later is told before writing"
    assert 'id="thread-write" hidden>' in later
    assert said in read(client, address(row, "texts")), "and so is the page that is open already"
    assert sent(elm) == []
    assert now_is(row).unread == 1


def test_a_text_too_long_comes_back_to_be_shortened(row: Conversation, client: Client, elm: Clinic) -> None:
    page = answer(client, row, "é" * 1601).content.decode()
    assert "too long" in page
    assert "é" * 1601 in page
    assert sent(elm) == []


@pytest.mark.parametrize("more", [{"key": "no-uuid"}, {"key": ""}, {"body": "a\x00b"}])
def test_what_cannot_be_read_is_not_sent(
    row: Conversation, client: Client, elm: Clinic, more: dict[str, str]
) -> None:
    assert "could not be read" in answer(client, row, **more).content.decode()
    assert sent(elm) == []


@pytest.mark.parametrize("until", ["", "x", f"{'9' * 30}-{'0' * 32}"])
def test_a_place_made_up_answers_nothing(row: Conversation, client: Client, until: str) -> None:
    answer(client, row, until=until)
    assert now_is(row).unread in (0, 1)
    assert client.get(address(row, "texts"), {"since": until, "before": until}).status_code == 200


def test_the_price_is_known_before_sending_where_the_clinic_named_it(
    row: Conversation, client: Client, elm: Clinic
) -> None:
    assert '"price": null' in read(client, address(row))
    with org_scope(elm.id):
        ReplySettings.objects.create(org=elm.org, segment_price="0.0079", currency="USD")
    page = read(client, address(row))
    assert '"price": "0.0079", "currency": "USD"' in page


# Nothing a patient wrote becomes markup


def test_bodies_names_and_types_are_shown_as_they_are(client: Client, elm: Clinic) -> None:
    with org_scope(elm.id):
        upsert_contact(elm.id, phone=PATIENT, name=NASTY)
    post(elm, NASTY + "😀" * 1000, sid="SM1")
    with org_scope(elm.id):
        row = Conversation.objects.get()
        InboundMessage.objects.update(media=[{"url": f"https://x/{NASTY}", "type": NASTY}])
    answer(client, row, NASTY)
    for where in (
        LIST,
        address(row),
        address(row, "texts"),
        f"/admin/messaging/contact/{contact(elm).pk}/change/",
    ):
        page = read(client, where)
        assert "<script>alert" not in page, where
        assert "<img src=x" not in page, where
        assert "&lt;script&gt;alert(1)" in page, where
        assert "{{ 7 }}" in page, where
    assert "😀" * 1000 in read(client, address(row))


def test_a_text_written_to_break_out_of_the_box_does_not(row: Conversation, client: Client) -> None:
    page = answer(client, row, "</textarea><script>alert(1)</script>" + "x" * 1600).content.decode()
    assert "</textarea><script>" not in page
    assert "&lt;/textarea&gt;&lt;script&gt;" in page


def test_a_picture_is_a_link_that_opens_alone_and_is_never_shown_by_itself(
    client: Client, elm: Clinic, settings: Any
) -> None:
    url = f"https://api.twilio.com/2010-04-01/Accounts/{settings.TWILIO_ACCOUNT_SID}/Messages/MM1/Media/ME1"
    post(elm, "", NumMedia="1", MediaUrl0=url, MediaContentType0="image/png")
    with org_scope(elm.id):
        row = Conversation.objects.get()
        text = InboundMessage.objects.get()
    page = read(client, address(row))
    assert f'href="{url}" target="_blank" rel="noopener noreferrer">Picture</a>' in page
    assert "(image/png, at Twilio)" in page
    assert f'src="{url}"' not in page
    assert "A picture or file" in read(client, LIST)
    assert url in read(client, f"/admin/messaging/inboundmessage/{text.pk}/change/")


# Contacts


def contact(clinic: Clinic) -> Contact:
    with org_scope(clinic.id):
        found: Contact = Contact.objects.get()
    return found


def test_a_number_is_made_a_contact_with_its_texts(row: Conversation, client: Client, elm: Clinic) -> None:
    answer(client, row)
    assert "Make a contact" in read(client, address(row))
    client.post(address(row, "make_contact"), {"name": " Dana Ruiz "})
    made = contact(elm)
    assert (made.name, made.phone) == ("Dana Ruiz", PATIENT)
    with org_scope(elm.id):
        for kind in (Message, InboundMessage, StaffTask):
            assert kind.objects.get().contact_id == made.pk
    page = read(client, address(row))
    assert "Dana Ruiz" in page
    assert "Make a contact" not in page


@pytest.mark.parametrize("name", ["", " ", "x" * 121, "a\x00b"])
def test_a_name_that_is_none_makes_no_contact(
    row: Conversation, client: Client, elm: Clinic, name: str
) -> None:
    assert client.post(address(row, "make_contact"), {"name": name}).status_code == 302
    with org_scope(elm.id):
        assert not Contact.objects.exists()


def test_a_contact_leads_to_its_conversation_and_begins_one(client: Client, elm: Clinic) -> None:
    with org_scope(elm.id):
        pk = upsert_contact(elm.id, phone=PATIENT, name="Dana Ruiz")
    there = f"{LIST}{pk}/change/"
    assert f'href="{there}"' in read(client, f"/admin/messaging/contact/{pk}/change/")
    page = read(client, there)
    assert "No texts yet" in page
    with org_scope(elm.id):
        assert not Conversation.objects.exists(), "looking makes none"
    client.post(f"{LIST}{pk}/reply/", {**form_of(page), "body": "Shall we move you to Friday?"})
    assert sent(elm) == ["Shall we move you to Friday?"]
    assert "Shall we move you to Friday?" in read(client, there)
    assert "Dana Ruiz" in read(client, LIST)


def test_a_contact_without_a_number_has_none(client: Client, elm: Clinic) -> None:
    with org_scope(elm.id):
        pk = upsert_contact(elm.id, phone=None, email="dana@example.org")
    assert "There is no number to text." in read(client, f"/admin/messaging/contact/{pk}/change/")
    assert client.get(f"{LIST}{pk}/change/").status_code == 404
