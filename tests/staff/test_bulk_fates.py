"""What many texts put back at once came to, and what the question about those chosen says of each."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from messaging.models import BulkAct, Contact, DeliveryAttempt, Message
from messaging.phone_numbers import mask
from messaging.providers.twilio.codes import spoken_reason
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished
from tests.staff.test_dead_letters import more, selected
from tests.staff.test_undelivered import LIST, client, listed, read
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.tenancy.scope import platform_scope

__all__ = ["client"]

# What many at once came to


def act_on(elms: Furnished, texts: list[Message], **columns: Any) -> BulkAct:
    with platform_scope("test data"):
        return BulkAct.objects.create(
            org=elms.clinic.org, act="redrive", reason="Mended", asked_key=uuid4(),
            chosen=[text.pk for text in texts],
            **{"state": "done", "handled": len(texts), "changed": len(texts), **columns},
        )  # fmt: skip


def page_of(act: BulkAct) -> str:
    return f"/admin/messaging/bulkact/{act.pk}/change/"


def test_a_page_that_shows_work_under_way_looks_again_though_it_ends_meanwhile(
    client: Client, elms: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = act_on(elms, more(elms, 3, state="delivered"), state="queued", handled=0, changed=0)
    show = ClinicAdmin.change_view

    def show_then_over(*given: Any, **named: Any) -> Any:
        answer = show(*given, **named)
        BulkAct.objects.filter(pk=act.pk).update(state="done", handled=3, changed=3)
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(ClinicAdmin, "change_view", show_then_over)
        answer = client.get(page_of(act))
    assert "0 of 3" in answer.content.decode()
    assert answer.headers["Refresh"] == "3"
    after = client.get(page_of(act))
    assert "3 of 3" in after.content.decode()
    assert "Refresh" not in after.headers


def test_it_tells_what_became_of_those_put_back_and_leads_to_them(client: Client, elms: Furnished) -> None:
    long_ago, soon = timezone.now() - timedelta(hours=1), timezone.now() + timedelta(minutes=1)
    left = more(elms, 1, dead_lettered_at=long_ago)
    arrived, away = more(elms, 2, state="delivered"), more(elms, 1, state="sent")
    died = more(elms, 3, dead_lettered_at=soon)
    not_yet = more(elms, 1)
    act = act_on(elms, [*left, *arrived, *away, *died, *not_yet], handled=7, changed=6)
    page = read(client, page_of(act))
    assert "Of these 2 arrived, 3 died again, 1 on their way." in page
    assert "staff-label-success" not in page, "it is not green where some died again"
    assert client.get(page_of(act)).headers["Refresh"] == "10", "some are on their way still"
    those = {"bulk": str(act.pk)}
    assert listed(client, **those) == {str(text.pk) for text in (*left, *died)}
    texts = read(client, "/admin/messaging/message/", **those)
    assert all(str(text.pk) in texts for text in (*arrived, *away, *died))
    assert str(not_yet[0].pk) not in texts
    assert f"?bulk={act.pk}" in page


def test_where_all_arrived_it_is_green_and_rests(client: Client, elms: Furnished) -> None:
    act = act_on(elms, more(elms, 2, state="delivered"))
    answer = client.get(page_of(act))
    assert "Of these 2 arrived, 0 died again, 0 on their way." in answer.content.decode()
    assert "staff-label-success" in answer.content.decode()
    assert "Refresh" not in answer.headers


def test_an_act_of_another_clinic_lists_nothing(client: Client, elms: Furnished, oaks: Furnished) -> None:
    theirs = act_on(oaks, more(oaks, 2))
    assert listed(client, bulk=str(theirs.pk)) == set()


def test_tries_of_former_lives_are_counted(client: Client, elms: Furnished) -> None:
    (text,) = more(elms, 1, attempts=1)
    with platform_scope("test data"):
        for _ in range(4):
            DeliveryAttempt.objects.create(org=elms.clinic.org, message=text, started_at=timezone.now())
    assert "4 times" in read(client)


# Asking about those chosen


def test_the_question_says_whom_each_text_is_to_and_why_it_died(client: Client, elms: Furnished) -> None:
    (good,), hopeless = more(elms, 1), more(elms, 2, error_code=21614, last_error=spoken_reason(21614))
    (late,) = more(elms, 1, expires_at=timezone.now())
    asked = [good, *hopeless, late]
    with platform_scope("test data"):
        sam = Contact.objects.create(org=elms.clinic.org, name="Sam Okafor", phone="+14155550188")
        Message.objects.filter(pk__in=[text.pk for text in asked]).update(contact=sam)
    for act in ("redrive_selected", "discard_selected"):
        answer = client.post(LIST, selected(act, asked))
        page = " ".join(html.unescape(answer.content.decode()).split())
        for text in asked:
            line = f"Sam Okafor, {mask(text.recipient)}: {text.last_error}"
            assert f"<li>{line}<input" in page
    page = client.post(LIST, selected("redrive_selected", asked)).content.decode()
    assert "2 of them would be refused again as they are, such as those to landlines: leave them out." in page
    assert "The time of 1 of them is over: it is left alone." in page


def test_a_text_that_sending_again_cannot_help_says_who_may_discard_it(
    elms: Furnished, sign_in: SignIn
) -> None:
    message = elms.one(Message)
    address = f"{LIST}{message.pk}/change/"
    assert "Who can send it again" not in read(sign_in(elms.clinic.staff["manager"]), address)
    page = read(sign_in(elms.clinic.staff["receptionist"]), address)
    assert "Sending it again, or discarding it, is done by" in page
    assert "(manager)" in page
