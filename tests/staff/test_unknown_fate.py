"""Texts of unknown fate on the staff pages: why, and what a person may decide."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from messaging.admin.unknown import PAST_ITS_TIME, looked_up
from messaging.fates.deciding import is_open
from messaging.models import Message
from messaging.states import MessageState
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished, dead_letter
from voxanne.durable import hints
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import platform_scope

LIST = "/admin/messaging/message/"
YES = {"_form_submitted": "1", "reason": "Seen in Twilio's log"}


@pytest.fixture
def client(elms: Furnished, sign_in: SignIn) -> Client:
    return sign_in(elms.clinic.staff["manager"])


@pytest.fixture
def lost(elms: Furnished) -> Message:
    return one(elms, state="unknown", unknown_since=timezone.now(), attempts=3)


def one(elms: Furnished, **changes: Any) -> Message:
    with platform_scope("test data"):
        return dead_letter(elms, **changes)


def reload(message: Message) -> Message:
    with platform_scope("check"):
        return Message.objects.get(pk=message.pk)


def trail(action: str) -> list[AuditEntry]:
    with platform_scope("check"):
        return list(AuditEntry.objects.filter(action=action).select_related("actor"))


def told(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def act(client: Client, message: Message, name: str, **more: str) -> Any:
    return client.post(f"{LIST}{message.pk}/{name}/", {**YES, **more})


def test_the_page_says_why_it_is_unknown_and_when_it_is_looked_up_again(
    client: Client, lost: Message
) -> None:
    page = client.get(f"{LIST}{lost.pk}/change/").content.decode()
    assert "Being looked up" in page
    assert "Unknown since" in page
    assert "it is not sent again until two of its lists" in page
    assert "Mark as sent" in page


def test_the_page_of_another_text_says_nothing_of_it(client: Client, elms: Furnished) -> None:
    page = client.get(f"{LIST}{elms.one(Message).pk}/change/").content.decode()
    assert "Being looked up" not in page


def test_an_empty_list_is_told(lost: Message) -> None:
    with platform_scope("test"):
        lost.first_empty_list_at = timezone.now()
        assert "did not show it at" in looked_up(lost)
        lost.first_empty_list_at = None
        assert "has not been read yet" in looked_up(lost)


def test_marked_as_sent_it_is_looked_up_no_more(client: Client, elms: Furnished, lost: Message) -> None:
    act(client, lost, "mark_sent")
    row = reload(lost)
    assert row.state == MessageState.SENT
    assert row.sent_at is not None
    (line,) = trail("message.mark_sent")
    assert (line.actor, line.reason) == (elms.clinic.staff["manager"], "Seen in Twilio's log")
    assert line.subject == f"sms_delivery_log:{lost.pk}"


def test_sent_again_it_waits_with_fresh_attempts_and_a_worker_is_woken(
    client: Client, lost: Message, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    offered: list[hints.Hint] = []
    monkeypatch.setattr(hints, "offer", offered.append)
    with django_capture_on_commit_callbacks(execute=True):
        act(client, lost, "send_anyway")
    row = reload(lost)
    assert (row.state, row.attempts, row.unknown_since) == (MessageState.QUEUED, 0, None)
    assert [hint.pk for hint in offered] == [lost.pk]
    assert len(trail("message.send_again")) == 1


@pytest.mark.parametrize(("name", "action"), [("mark_sent", "mark_sent"), ("send_anyway", "send_again")])
def test_deciding_twice_decides_once(client: Client, lost: Message, name: str, action: str) -> None:
    act(client, lost, name)
    state = reload(lost).state
    again = act(client, lost, name)
    assert "Nothing to decide" in told(again)[-1]
    assert reload(lost).state == state
    assert len(trail(f"message.{action}")) == 1


def test_the_second_person_changes_nothing_that_the_first_decided(client: Client, lost: Message) -> None:
    act(client, lost, "mark_sent")
    act(client, lost, "send_anyway")
    assert reload(lost).state == MessageState.SENT


@pytest.mark.parametrize("name", ["mark_sent", "send_anyway"])
def test_deciding_needs_a_reason(client: Client, lost: Message, name: str) -> None:
    response = act(client, lost, name, reason="  ")
    assert b"This field is required" in response.content
    assert reload(lost).state == MessageState.UNKNOWN


@pytest.mark.parametrize("name", ["mark_sent", "send_anyway"])
@pytest.mark.parametrize("role", ["receptionist", "viewer"])
def test_only_owners_and_managers_decide(
    elms: Furnished, lost: Message, sign_in: SignIn, role: str, name: str
) -> None:
    response = act(sign_in(elms.clinic.staff[role]), lost, name)
    assert response.status_code == 403
    assert reload(lost).state == MessageState.UNKNOWN


@pytest.mark.parametrize("name", ["mark_sent", "send_anyway"])
def test_nobody_decides_about_another_clinics_text(
    elms: Furnished, oaks: Furnished, lost: Message, sign_in: SignIn, name: str
) -> None:
    assert act(sign_in(oaks.clinic.staff["owner"]), lost, name).status_code == 404
    assert reload(lost).state == MessageState.UNKNOWN


def test_a_text_whose_time_has_passed_is_not_sent_again(client: Client, elms: Furnished) -> None:
    late = one(elms, state="unknown", expires_at=timezone.now() - timedelta(minutes=1))
    response = act(client, late, "send_anyway")
    assert told(response) == [PAST_ITS_TIME]
    assert reload(late).state == MessageState.UNKNOWN


def test_a_dead_letter_given_up_in_doubt_may_be_marked_as_sent(client: Client, elms: Furnished) -> None:
    given_up = one(elms, in_doubt_since=timezone.now())
    act(client, given_up, "mark_sent")
    assert reload(given_up).state == MessageState.SENT


def test_other_texts_are_not_decided_about(client: Client, elms: Furnished) -> None:
    for state in ("dead_letter", "queued", "sent", "delivered"):
        message = one(elms, state=state)
        assert not is_open(message)
        act(client, message, "mark_sent")
        act(client, message, "send_anyway")
        assert reload(message).state == state
