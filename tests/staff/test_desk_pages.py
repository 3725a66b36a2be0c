"""What the desk reads first: what to do in its order, numbers to ring, and what applies where nothing was chosen."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone

from messaging.models import Contact, MessagingPolicy, OptOut, SenderAccount, StaffTask
from tests.clinics import Clinic
from tests.messaging.test_bulk_acts import dead
from tests.staff.conftest import SignIn
from voxanne.tenancy.scope import org_scope

TASKS = "/admin/messaging/stafftask/"
NUMBER = "+14155550142"


@pytest.fixture
def client(elm: Clinic, sign_in: SignIn) -> Client:
    return sign_in(elm.staff["receptionist"])


def read(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return " ".join(html.unescape(answer.content.decode()).split())


def task(clinic: Clinic, text: str, hours_ago: int = 0, **columns: Any) -> StaffTask:
    made = StaffTask.objects.create(
        org=clinic.org, dedupe_key=text, **{"kind": "missed_call", "text": text, **columns}
    )
    StaffTask.objects.filter(pk=made.pk).update(created_at=timezone.now() - timedelta(hours=hours_ago))
    return made


def test_what_is_to_do_stands_open_first_urgent_first_oldest_first(client: Client, elm: Clinic) -> None:
    with org_scope(elm.id):
        task(elm, "seen to", 9, urgency="urgent", acknowledged_at=timezone.now())
        task(elm, "new", 1)
        task(elm, "old", 5)
        task(elm, "urgent new", 1, urgency="urgent")
        task(elm, "urgent old", 3, urgency="urgent")
    listed = re.findall(r"field-in_short[^>]*>([^<]+)<", read(client, TASKS))
    assert [text.strip() for text in listed] == ["urgent old", "urgent new", "old", "new", "seen to"]


def test_a_task_names_its_contact_and_numbers_can_be_rung(client: Client, elm: Clinic) -> None:
    with org_scope(elm.id):
        sam = Contact.objects.create(org=elm.org, phone=NUMBER, name="Sam Okafor")
        made = task(elm, "Ring back", contact=sam, from_number=NUMBER, callback_number=NUMBER)
    assert "Sam Okafor" in read(client, TASKS)
    assert NUMBER not in read(client, TASKS)
    assert read(client, f"{TASKS}{made.pk}/change/").count(f'href="tel:{NUMBER}"') == 2
    assert f'href="tel:{NUMBER}"' in read(client, f"/admin/messaging/contact/{sam.pk}/change/")
    assert f'href="tel:{NUMBER}"' in read(client, f"/admin/messaging/conversation/{sam.pk}/change/")


def test_who_sees_numbers_masked_cannot_ring_them(elm: Clinic, sign_in: SignIn) -> None:
    with org_scope(elm.id):
        sam = Contact.objects.create(org=elm.org, phone=NUMBER, name="Sam Okafor")
        made = task(elm, "Ring back", contact=sam, from_number=NUMBER)
    viewer = sign_in(elm.staff["viewer"])
    for address in (
        f"{TASKS}{made.pk}/change/",
        f"/admin/messaging/contact/{sam.pk}/change/",
        f"/admin/messaging/conversation/{sam.pk}/change/",
    ):
        page = read(viewer, address)
        assert "tel:" not in page
        assert NUMBER not in page


def test_the_fate_of_a_missed_callers_text_stands_beside_the_task(client: Client, elm: Clinic) -> None:
    told = "Nobody took a call. A text is on its way."
    dead(elm, 1, about="missed:1", state="delivered", dead_lettered_at=None)
    dead(elm, 1, about="visit:1", state="delivered", dead_lettered_at=None)
    with org_scope(elm.id):
        made = task(elm, told, about="missed:1")
        other = task(elm, "Opted out", kind="opted_out_with_visit", about="visit:1")
    page = read(client, TASKS)
    assert page.count("The text now:") == 1
    assert "Delivered" in read(client, f"{TASKS}{made.pk}/change/")
    assert "The text now" not in read(client, f"{TASKS}{other.pk}/change/")


def test_several_tasks_are_told_apart_before_they_are_seen_to(client: Client, elm: Clinic) -> None:
    with org_scope(elm.id):
        sam = Contact.objects.create(org=elm.org, phone=NUMBER, name="Sam Okafor")
        made = task(elm, "Ring back about the visit", contact=sam, from_number=NUMBER)
    chosen = {"action": "acknowledge_selected", "_selected_action": [str(made.pk)]}
    page = " ".join(html.unescape(client.post(TASKS, chosen).content.decode()).split())
    assert "<li>Missed call, Sam Okafor: Ring back about the visit<input" in page


@pytest.mark.parametrize(
    ("address", "applies"),
    [
        ("/admin/messaging/messagingpolicy/", "No quiet hours, and no limit"),
        ("/admin/messaging/replysettings/", "Nobody is answered by itself"),
    ],
)
def test_where_nothing_was_chosen_it_says_what_applies(
    client: Client, elm: Clinic, address: str, applies: str
) -> None:
    with org_scope(elm.id):
        MessagingPolicy.objects.all().delete()
    page = read(client, address)
    assert applies in page
    assert "Nothing here yet" not in page


def test_a_wish_for_whatsapp_is_said_to_have_no_effect_while_it_is_off(client: Client, elm: Clinic) -> None:
    with org_scope(elm.id):
        sam = Contact.objects.create(org=elm.org, phone=NUMBER, name="Sam Okafor", language="en")
    address = f"/admin/messaging/contact/{sam.pk}/change/"
    no_effect = "WhatsApp has no effect yet: the clinic's WhatsApp is off."
    assert no_effect in read(client, address)
    typed = {
        "name": "Sam Okafor",
        "phone": NUMBER,
        "email": "",
        "language": "en",
        "preferred_channel": "whatsapp",
    }
    page = client.post(address, typed, follow=True).content.decode()
    assert "It has no effect yet" in html.unescape(page)
    with org_scope(elm.id):
        SenderAccount.objects.update(whatsapp_on=True, whatsapp_number="+14155550199")
        assert Contact.objects.get(pk=sam.pk).preferred_channel == "whatsapp"
        Contact.objects.update(preferred_channel="")
    assert no_effect not in read(client, address)
    page = client.post(address, typed, follow=True).content.decode()
    assert "It has no effect yet" not in html.unescape(page)


def test_a_start_is_told_as_one(client: Client, elm: Clinic) -> None:
    with org_scope(elm.id):
        for wish in (True, False):
            OptOut.objects.create(
                org=elm.org, sender=elm.number, recipient=NUMBER, opted_out=wish, source="keyword"
            )
    page = read(client, "/admin/messaging/optout/")
    assert page.count("By a text, such as STOP") == 1
    assert page.count("By a text, such as START") == 1


def test_cells_carry_the_name_of_their_column() -> None:
    page = render_to_string("staff/table.html", {"columns": ("How", "Calls"), "rows": [("By Twilio", 3)]})
    assert '<td data-label="How"><div>By Twilio</div></td><td data-label="Calls"><div>3</div></td>' in page
