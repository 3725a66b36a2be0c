from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from messaging.models import Message
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished, dead_letter
from voxanne.durable import hints
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import org_scope, platform_scope

LIST = "/admin/messaging/message/"
YES = {"_form_submitted": "1"}
WHY = {**YES, "reason": "The fault is mended."}


@pytest.fixture
def client(elms: Furnished, sign_in: SignIn) -> Client:
    return sign_in(elms.clinic.staff["manager"])


def reload(message: Message) -> Message:
    with platform_scope("check"):
        return Message.objects.get(pk=message.pk)


def trail(action: str) -> list[AuditEntry]:
    with platform_scope("check"):
        return list(AuditEntry.objects.filter(action=action).select_related("actor"))


def more(elms: Furnished, number: int, **changes: Any) -> list[Message]:
    with platform_scope("test data"):
        return [dead_letter(elms, **changes) for _ in range(number)]


def told(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_a_redriven_text_waits_again_with_fresh_attempts(client: Client, elms: Furnished) -> None:
    message = elms.one(Message)
    client.post(f"{LIST}{message.pk}/redrive/", WHY)
    redriven = reload(message)
    assert (redriven.state, redriven.attempts, redriven.error_code) == ("queued", 0, None)
    assert redriven.next_attempt_at <= timezone.now()
    (line,) = trail("message.redrive")
    assert line.actor == elms.clinic.staff["manager"]
    assert line.subject == f"sms_delivery_log:{message.pk}"


def test_redriving_twice_changes_nothing_more(client: Client, elms: Furnished) -> None:
    message = elms.one(Message)
    client.post(f"{LIST}{message.pk}/redrive/", WHY)
    again = client.post(f"{LIST}{message.pk}/redrive/", WHY)
    assert told(again)[-1] == 'Nothing to send again: the text is marked "Waiting" now.'
    assert len(trail("message.redrive")) == 1


def test_the_question_names_whom_the_text_is_for(client: Client, elms: Furnished) -> None:
    message = elms.one(Message)
    with org_scope(elms.clinic.id):
        Message.objects.filter(pk=message.pk).update(recipient="+14155550142")
    asked = client.get(f"{LIST}{message.pk}/redrive/").content.decode()
    assert f"0142, from {elms.clinic.org}." in asked
    assert "+14155550142" not in asked


def test_a_worker_is_woken_when_the_redrive_is_committed(
    client: Client, elms: Furnished, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    offered: list[hints.Hint] = []
    monkeypatch.setattr(hints, "offer", offered.append)
    with django_capture_on_commit_callbacks(execute=True):
        client.post(f"{LIST}{elms.one(Message).pk}/redrive/", WHY)
    assert [hint.pk for hint in offered] == [elms.one(Message).pk]


def test_a_text_whose_time_has_passed_is_not_redriven(client: Client, elms: Furnished) -> None:
    (late,) = more(elms, 1, expires_at=timezone.now() - timedelta(minutes=1))
    response = client.post(f"{LIST}{late.pk}/redrive/", WHY)
    assert told(response) == [
        "Its time has passed, or what it was about no longer stands: it was not sent again. Discard it instead."
    ]
    assert reload(late).state == "dead_letter"


def test_discarding_needs_a_reason(client: Client, elms: Furnished) -> None:
    message = elms.one(Message)
    response = client.post(f"{LIST}{message.pk}/discard/", {**YES, "reason": "  "})
    assert response.status_code == 200
    assert b"This field is required" in response.content
    assert reload(message).state == "dead_letter"


def test_a_discarded_text_is_cancelled_with_its_reason_in_the_trail(client: Client, elms: Furnished) -> None:
    message = elms.one(Message)
    client.post(f"{LIST}{message.pk}/discard/", {**YES, "reason": "Patient was called instead"})
    discarded = reload(message)
    assert (discarded.state, discarded.last_error) == ("canceled", elms.mark)
    (line,) = trail("message.discard")
    assert line.reason == "Patient was called instead"
    again = client.post(f"{LIST}{message.pk}/discard/", {**YES, "reason": "again"})
    assert told(again)[-1] == 'Nothing to discard: the text is marked "Withdrawn" now.'
    assert len(trail("message.discard")) == 1


def test_a_delivered_text_is_neither_redriven_nor_discarded(client: Client, elms: Furnished) -> None:
    (arrived,) = more(elms, 1, state="delivered")
    client.post(f"{LIST}{arrived.pk}/redrive/", WHY)
    client.post(f"{LIST}{arrived.pk}/discard/", {**YES, "reason": "x"})
    assert reload(arrived).state == "delivered"
    assert trail("message.redrive") == trail("message.discard") == []


def selected(action: str, messages: list[Message], **more_data: str) -> dict[str, Any]:
    return {"action": action, "_selected_action": [str(message.pk) for message in messages], **more_data}


def test_selected_texts_are_named_and_asked_about_before_anything_happens(
    client: Client, elms: Furnished
) -> None:
    messages = more(elms, 3)
    page = client.post(LIST, selected("redrive_selected", messages))
    assert page.status_code == 200
    assert all(str(message.pk) in page.content.decode() for message in messages)
    assert {reload(message).state for message in messages} == {"dead_letter"}


def test_selected_texts_are_redriven_once_confirmed(client: Client, elms: Furnished) -> None:
    messages = [*more(elms, 3), *more(elms, 1, state="delivered")]
    confirmed = selected("redrive_selected", messages, confirmed="yes", **WHY)
    response = client.post(LIST, confirmed)
    assert told(response) == [
        "3 to be sent again. 1 left alone: their time has passed, or they have gone out meanwhile."
    ]
    assert [reload(message).state for message in messages] == ["queued"] * 3 + ["delivered"]
    client.post(LIST, confirmed)
    assert len(trail("message.redrive")) == 3


def test_selected_texts_are_discarded_with_one_reason(client: Client, elms: Furnished) -> None:
    messages = more(elms, 2)
    unconfirmed = client.post(LIST, selected("discard_selected", messages, confirmed="yes", **YES))
    assert unconfirmed.status_code == 200
    assert {reload(message).state for message in messages} == {"dead_letter"}
    client.post(LIST, selected("discard_selected", messages, confirmed="yes", reason="Carrier fault", **YES))
    assert {reload(message).state for message in messages} == {"canceled"}
    assert {line.reason for line in trail("message.discard")} == {"Carrier fault"}


def test_a_receptionist_cannot_redrive_selected_texts(elms: Furnished, sign_in: SignIn) -> None:
    client = sign_in(elms.clinic.staff["receptionist"])
    message = elms.one(Message)
    assert b"redrive_selected" not in client.get(LIST).content
    client.post(LIST, selected("redrive_selected", [message], confirmed="yes", **WHY))
    assert reload(message).state == "dead_letter"


def test_at_most_so_many_are_redriven_at_once(
    client: Client, elms: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxanne.staff.asking.MOST_AT_ONCE", 2)
    messages = more(elms, 3)
    response = client.post(LIST, selected("redrive_selected", messages, confirmed="yes", **WHY))
    assert told(response) == ["At most 2 at a time: filter the list, then select again."]
    assert {reload(message).state for message in messages} == {"dead_letter"}


def test_the_sidebar_counts_dead_letters(client: Client, elms: Furnished) -> None:
    more(elms, 2)
    assert "3" in sidebar_badge(client)
    client.post(LIST, selected("discard_selected", more(elms, 1), confirmed="yes", reason="x", **YES))
    assert "3" in sidebar_badge(client)


def sidebar_badge(client: Client) -> str:
    page = client.get("/admin/").content.decode()
    return page.split("<span>Undelivered texts</span>")[1].split("</a>")[0]
