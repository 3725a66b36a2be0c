"""The list of conversations and the page left open: what comes first, what is new, and on whose clock."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from messaging.contacts import upsert_contact
from messaging.conversation import thread
from messaging.conversation.models import Conversation
from messaging.models import InboundMessage, StaffTask
from tests.clinics import Clinic
from tests.messaging.test_inbound import post
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished
from tests.staff.test_conversations import LIST, address, answer, client, form_of, now_is, read, row, sent
from voxanne.tenancy.models import AuditEntry, User
from voxanne.tenancy.scope import org_scope

__all__ = ["client", "row"]


def test_unanswered_ones_come_first_the_longest_waiting_on_top(client: Client, elm: Clinic) -> None:
    now = timezone.now()
    with org_scope(elm.id):
        for at, (name, waits) in enumerate(
            (("Wants nothing", None), ("Waits briefly", 1), ("Waits long", 9))
        ):
            number = f"+1415555020{at}"
            upsert_contact(elm.id, phone=number, name=name)
            Conversation.objects.create(
                org=elm.org,
                number=number,
                newest_at=now,
                waiting_since=now - timedelta(hours=waits) if waits else None,
            )
    page = read(client, LIST)
    places = [page.index(name) for name in ("Waits long", "Waits briefly", "Wants nothing")]
    assert places == sorted(places)
    assert "Wants nothing" not in read(client, f"{LIST}?waiting_since__isempty=0")


def test_the_list_costs_the_same_however_many_there_are(
    client: Client, elm: Clinic, django_assert_max_num_queries: Any
) -> None:
    with org_scope(elm.id):
        for at in range(25):
            Conversation.objects.create(org=elm.org, number=f"+141555502{at:02}", newest_at=timezone.now())
    with django_assert_max_num_queries(25):
        client.get(LIST)


def test_the_newest_text_of_either_side_is_shown(row: Conversation, client: Client, elm: Clinic) -> None:
    with org_scope(elm.id):
        # The answer is written in this test's own transaction, which began before the text came.
        InboundMessage.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    assert "May I come earlier?" in read(client, LIST)
    answer(client, row)
    page = read(client, LIST)
    assert "We:</span> Yes, at 3pm." in page
    assert "earlier?" not in page


def test_what_was_seen_is_no_longer_new_and_what_needs_no_answer_no_longer_waits(
    row: Conversation, client: Client, elm: Clinic
) -> None:
    assert "1 new" in read(client, LIST)
    given = form_of(read(client, address(row)))
    assert client.post(address(row, "seen"), given).status_code == 204
    page = read(client, LIST)
    assert "1 new" not in page
    assert "Waits" in page
    client.post(address(row, "settle"), given)
    assert now_is(row).waiting_since is None
    with org_scope(elm.id):
        assert StaffTask.objects.get().note == "Needs no answer."
        assert "conversation.settle" in AuditEntry.objects.values_list("action", flat=True)


def test_a_text_that_came_after_the_page_was_shown_goes_on_waiting(
    row: Conversation, client: Client, elm: Clinic
) -> None:
    given = form_of(read(client, address(row)))
    post(elm, "And bring the papers?", sid="SM2")
    client.post(address(row, "reply"), {**given, "body": "Yes."})
    assert (now_is(row).unread, now_is(row).waiting_since is None) == (1, False)
    assert "And bring the papers?" in read(client, address(row))


def test_an_answer_past_a_colleagues_is_held_and_kept(
    row: Conversation, client: Client, elm: Clinic, sign_in: SignIn
) -> None:
    before = form_of(read(client, address(row)))
    answer(sign_in(elm.staff["owner"]), row, "Yes.")
    page = client.post(address(row, "reply"), {**before, "body": "No."}).content.decode()
    assert "elm-street-owner answered meanwhile" in page
    assert sent(elm) == ["Yes."]
    client.post(address(row, "reply"), {**form_of(page), "body": "Come at three."})
    assert len(sent(elm)) == 2


def test_days_are_the_clinics_own(row: Conversation, client: Client, elm: Clinic) -> None:
    """Half past eleven at night in New York is the next day in London."""
    zone = elm.org.zone
    evening = timezone.now().astimezone(zone).replace(hour=23, minute=30) - timedelta(days=8)
    with org_scope(elm.id):
        InboundMessage.objects.update(created_at=evening)
    page = read(client, address(row))
    assert f'data-day="{evening.date().isoformat()}">{evening:%A %-d %B}' in page
    assert ">23:30<" in page


def test_earlier_texts_are_a_page_of_their_own_without_a_script_too(
    row: Conversation, client: Client, elm: Clinic
) -> None:
    for at in range(thread.A_PAGE):
        post(elm, f"Later {at}", sid=f"SM1{at}")
    page = read(client, address(row))
    assert "earlier?" not in page
    earlier = re.search(r'data-earlier href="([^"]+)"', page)
    assert earlier is not None
    first = read(client, address(row) + html.unescape(earlier[1]))
    assert "May I come earlier?" in first
    assert "Newest texts" in first
    assert "Later 5" not in first


def test_somebody_at_several_clinics_reads_whose_it_is_and_in_which_zone(
    row: Conversation, elm: Clinic, operator: User, sign_in: SignIn
) -> None:
    page = read(sign_in(operator), address(row))
    assert elm.org.name in page
    assert re.search(r">\d\d:\d\d E[SD]T<", page)


def test_nothing_of_a_text_reaches_the_log(
    row: Conversation, client: Client, elms: Furnished, capfd: Any
) -> None:
    answer(client, row, "A private word")
    client.post(address(row, "make_contact"), {"name": "Dana Ruiz"})
    out = "".join(capfd.readouterr())
    for private in ("private word", "Dana", "5550142", "earlier?"):
        assert private not in out
