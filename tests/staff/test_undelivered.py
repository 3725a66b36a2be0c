"""The page of undelivered texts: reasons, groups, filters, the chance of another try, acts on all, and the file."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.models import BulkAct, DeliveryAttempt, Message, SenderAccount
from messaging.providers.twilio.codes import spoken_reason
from messaging.sending import pauses
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished
from tests.staff.test_dead_letters import WHY, YES, more, reload, selected, told, trail
from voxanne.tenancy.models import Membership, User
from voxanne.tenancy.scope import platform_scope

LIST = "/admin/messaging/deadletter/"
REDRIVE_ALL, DISCARD_ALL, EXPORT = f"{LIST}redrive-all/", f"{LIST}discard-all/", f"{LIST}export/"


@pytest.fixture
def client(elms: Furnished, sign_in: SignIn) -> Client:
    with platform_scope("test data"):
        SenderAccount.objects.filter(org=elms.clinic.org).update(paused_reason="")
    return sign_in(elms.clinic.staff["manager"])


def read(client: Client, address: str = LIST, **parameters: str) -> str:
    answer = client.get(address, parameters)
    assert answer.status_code == 200
    return " ".join(html.unescape(answer.content.decode()).split())


def listed(client: Client, **parameters: str) -> set[str]:
    return set(re.findall(rf"{LIST}([0-9a-f-]{{36}})/change/", read(client, **parameters)))


def acts() -> list[BulkAct]:
    with platform_scope("check"):
        return list(BulkAct.objects.exclude(state="stopped").order_by("created_at"))


def press(
    client: Client, address: str = REDRIVE_ALL, filters: dict[str, str] | None = None, **given: str
) -> Any:
    query = f"?{urlencode(filters)}" if filters else ""
    return client.post(f"{address}{query}", {**YES, "reason": "Mended", "asked_key": str(uuid4()), **given})


# The list


def test_it_shows_what_died_and_nothing_else(client: Client, elms: Furnished) -> None:
    (arrived,) = more(elms, 1, state="delivered")
    assert listed(client) == {str(elms.one(Message).pk)}
    assert str(arrived.pk) not in read(client)


def test_reason_code_and_chance_are_told_in_words(client: Client, elms: Furnished) -> None:
    more(elms, 1, error_code=21614, last_error=spoken_reason(21614))
    page = read(client)
    assert f'{spoken_reason(21614)} <span class="staff-quiet">Code 21614</span>' in page
    assert '<span class="staff-label staff-label-danger">Will not help</span>' in page
    assert '<span class="staff-label staff-label-success">May help</span>' in page


def test_texts_are_grouped_by_reason_and_kind_and_each_group_is_a_filter(
    client: Client, elms: Furnished
) -> None:
    more(elms, 2, error_code=21614, last_error=spoken_reason(21614), kind="reminder")
    more(elms, 1, error_code=None)
    page = read(client)
    assert (
        f'<strong>2</strong> <a class="staff-link" href="?why=21614">{spoken_reason(21614)} (21614)</a>'
        in page
    )
    assert '<strong>2</strong> <a class="staff-link" href="?kind__exact=reminder">Reminder</a>' in page
    assert len(listed(client, why="21614")) == 2
    assert len(listed(client, why="none")) == 1
    assert len(listed(client, kind__exact="reminder")) == 2
    assert len(listed(client, why="21614", kind__exact="confirmation")) == 0


@pytest.mark.parametrize(
    ("again", "changes"),
    [
        ("no", {"error_code": 21614}),
        ("when_mended", {"error_code": 20003}),
        ("unsure", {"error_code": 30410}),
        ("too_late", {"expires_at": timezone.now()}),
    ],
)
def test_they_are_filtered_by_whether_sending_again_can_help(
    client: Client, elms: Furnished, again: str, changes: dict[str, Any]
) -> None:
    (other,) = more(elms, 1, **changes)
    assert listed(client, again=again) == {str(other.pk)}
    assert listed(client, again="likely") == {str(elms.one(Message).pk)}


def test_several_clinics_are_grouped_and_filtered(
    elms: Furnished, oaks: Furnished, operator: User, sign_in: SignIn
) -> None:
    client = sign_in(operator)
    page = read(client)
    assert "By clinic" in page
    assert f'href="?org__id__exact={oaks.clinic.id}">{oaks.mark}</a>' in page
    assert listed(client, org__id__exact=str(oaks.clinic.id)) == {str(oaks.one(Message).pk)}


@pytest.mark.parametrize("given", [{"why": "x"}, {"why": "9" * 30}, {"again": "maybe"}])
def test_a_filter_that_is_none_hides_nothing(client: Client, elms: Furnished, given: dict[str, str]) -> None:
    assert listed(client, **given) == {str(elms.one(Message).pk)}


def test_the_list_costs_the_same_however_many_there_are(client: Client, elms: Furnished) -> None:
    client.get(LIST)
    with CaptureQueriesContext(connection) as few:
        client.get(LIST)
    more(elms, 20)
    with CaptureQueriesContext(connection) as many:
        client.get(LIST)
    assert len(many) == len(few)


def test_a_texts_own_page_shows_its_tries_masked(client: Client, elms: Furnished) -> None:
    (text,) = more(elms, 1, error_code=20003, last_error=spoken_reason(20003))
    with platform_scope("test data"):
        DeliveryAttempt.objects.create(
            org=elms.clinic.org, message=text, started_at=timezone.now(), outcome="refused_for_good",
            request={"to": "•••0142", "from": "•••0100", "characters": 57, "segments": 1, "encoding": "GSM-7",
                     "validSeconds": 7200},
            answer={"http": 401, "code": 20003},
        )  # fmt: skip
    page = read(client, f"{LIST}{text.pk}/change/")
    assert "To •••0142 from •••0100, 57 characters in 1 segment (GSM-7), good for 2 h" in page
    assert "HTTP 401, code 20003" in page
    assert "Refused for good" in page
    assert "First mend what the reason says; no text of the clinic has gone out since." in page


def test_a_redriven_text_stays_on_its_page_and_shows_its_new_fate(client: Client, elms: Furnished) -> None:
    message = elms.one(Message)
    client.post(f"{LIST}{message.pk}/redrive/", WHY)
    assert reload(message).state == "queued"
    page = read(client, f"{LIST}{message.pk}/change/")
    assert "Waiting" in page
    assert "Send again" not in page
    again = client.post(f"{LIST}{message.pk}/redrive/", WHY)
    assert told(again)[-1] == 'Nothing to send again: the text is marked "Waiting" now.'
    assert [line.reason for line in trail("message.redrive")] == ["The fault is mended."]


def test_redriving_needs_a_reason_and_says_what_it_may_come_to(client: Client, elms: Furnished) -> None:
    message = elms.one(Message)
    pauses.pause(elms.clinic.id, "Credentials are wrong.")
    with platform_scope("test data"):
        Message.objects.filter(pk=message.pk).update(error_code=20003)
    asked = client.post(f"{LIST}{message.pk}/redrive/", YES)
    assert "This field is required" in asked.content.decode()
    assert "Sending is paused" in read(client, f"{LIST}{message.pk}/redrive/")
    assert reload(message).state == "dead_letter"


def test_chosen_texts_are_redriven_and_discarded_here_too(client: Client, elms: Furnished) -> None:
    again, away = more(elms, 2), more(elms, 2)
    client.post(LIST, selected("redrive_selected", again, confirmed="yes", **WHY))
    client.post(LIST, selected("discard_selected", away, confirmed="yes", **WHY))
    assert {reload(message).state for message in again} == {"queued"}
    assert {reload(message).state for message in away} == {"canceled"}


# All that the filters leave


def test_all_are_asked_about_before_anything_happens(client: Client, elms: Furnished) -> None:
    more(elms, 3, error_code=21614)
    more(elms, 1, expires_at=timezone.now())
    page = read(client, REDRIVE_ALL)
    assert "<strong>5 texts</strong>: all that the filters leave." in page
    assert "The time of 1 of them is over: it is left alone." in page
    assert "3 of them would be refused again as they are" in page
    assert acts() == []


def test_all_in_the_filter_are_written_down_and_nothing_else(client: Client, elms: Furnished) -> None:
    landlines = more(elms, 3, error_code=21614)
    response = press(client, DISCARD_ALL, {"why": "21614"})
    (act,) = acts()
    assert response.headers["Location"] == f"/admin/messaging/bulkact/{act.pk}/change/"
    assert (act.act, act.reason, act.asked_by, set(act.chosen)) == (
        "discard", "Mended", elms.clinic.staff["manager"], {text.pk for text in landlines},
    )  # fmt: skip
    (line,) = trail("messages.discard_all")
    assert (line.actor, line.reason) == (elms.clinic.staff["manager"], "Mended")
    assert "0 of 3 (0 %)" in read(client, response.headers["Location"])
    assert client.get(response.headers["Location"]).headers["Refresh"] == "3"


def test_pressed_twice_it_is_asked_for_once(client: Client, elms: Furnished) -> None:
    key = str(uuid4())
    for _ in range(2):
        answer = press(client, asked_key=key)
    (act,) = acts()
    assert len(trail("messages.redrive_all")) == 1
    assert told(answer)[-1] == "This was asked for already, and is being seen to once."
    assert answer.headers["Location"] == f"/admin/messaging/bulkact/{act.pk}/change/"


@pytest.mark.parametrize("address", [REDRIVE_ALL, DISCARD_ALL])
def test_a_page_used_again_for_something_else_falsifies_no_trail(
    client: Client, elms: Furnished, address: str
) -> None:
    key = str(uuid4())
    press(client, asked_key=key)
    answer = press(client, address, asked_key=key, reason="Another reason")
    assert told(answer)[-1].startswith("Nothing was done: this page was used before, for something else.")
    assert answer.headers["Location"] == LIST
    assert [act.act for act in acts()] == ["redrive"]
    assert [line.reason for line in trail("messages.redrive_all")] == ["Mended"]
    assert trail("messages.discard_all") == []


def test_what_died_after_the_question_was_shown_is_no_part_of_it(client: Client, elms: Furnished) -> None:
    shown_at = timezone.now().isoformat()
    more(elms, 1, dead_lettered_at=timezone.now() + timedelta(seconds=1))
    press(client, shown_at=shown_at)
    (act,) = acts()
    assert act.chosen == [elms.one(Message).pk]


@pytest.mark.parametrize("shown_at", ["", "no time", "2026-13-99T99:99", "2026-11-26T10:00:00"])
def test_a_moment_that_is_none_counts_as_now(client: Client, elms: Furnished, shown_at: str) -> None:
    press(client, shown_at=shown_at)
    assert len(acts()) == 1


def test_no_reason_no_act(client: Client, elms: Furnished) -> None:
    answer = press(client, reason=" ")
    assert "This field is required" in answer.content.decode()
    assert acts() == []


def test_where_nothing_is_left_it_says_so(client: Client, elms: Furnished) -> None:
    answer = press(client, filters={"why": "30008"})
    assert told(answer) == ["There is nothing left to do: somebody was quicker."]


def test_an_act_on_several_clinics_is_one_for_each(
    elms: Furnished, oaks: Furnished, operator: User, sign_in: SignIn
) -> None:
    answer = press(sign_in(operator))
    assert answer.headers["Location"] == "/admin/messaging/bulkact/"
    assert {act.org_id for act in acts()} == {elms.clinic.id, oaks.clinic.id}


def test_an_owner_here_and_a_receptionist_there_acts_on_all_here_alone(
    elms: Furnished, oaks: Furnished, sign_in: SignIn
) -> None:
    person = elms.clinic.staff["owner"]
    with platform_scope("test data"):
        Membership.objects.create(org=oaks.clinic.org, user=person, role="receptionist")
    press(sign_in(person))
    assert [act.org_id for act in acts()] == [elms.clinic.id]


def test_asking_for_thousands_takes_no_more_statements_than_for_one(client: Client, elms: Furnished) -> None:
    with CaptureQueriesContext(connection) as one:
        press(client)
    template = elms.one(Message)
    with platform_scope("test data"):
        texts = [
            Message(
                org=template.org, kind="reminder", state="dead_letter", dedupe_key=str(uuid4()), body="x",
                recipient=template.recipient, expires_at=template.expires_at, dead_lettered_at=timezone.now(),
            )
            for _ in range(2_500)
        ]  # fmt: skip
        Message.objects.bulk_create(texts, batch_size=1_000)
    with CaptureQueriesContext(connection) as thousands:
        press(client)
    assert len(acts()[-1].chosen) == 2_501
    assert len(thousands) == len(one)


# Of unknown fate


def test_what_may_have_arrived_is_left_to_a_person_who_is_told_so(client: Client, elms: Furnished) -> None:
    (text,) = more(elms, 1, error_code=None, in_doubt_since=timezone.now())
    left = "1 left alone because nobody knows whether they arrived: decide about each on its own page."
    page = read(client)
    assert f"{LIST}{text.pk}/redrive/" not in page
    assert f"{LIST}{text.pk}/send_anyway/" in page
    assert f"{LIST}{text.pk}/mark_sent/" in page
    assert left in read(client, REDRIVE_ALL)
    assert left not in read(client, DISCARD_ALL)
    answer = client.post(f"{LIST}{text.pk}/redrive/", WHY)
    assert "Nobody knows whether it arrived" in " ".join(told(answer))
    chosen = client.post(LIST, selected("redrive_selected", [text], confirmed="yes", **WHY))
    assert told(chosen)[-1].endswith(left)
    assert reload(text).state == "dead_letter"
    press(client)
    (act,) = acts()
    with platform_scope("check"):
        act.handled, act.changed, act.in_doubt = 2, 1, 1
        act.save()
    assert f"1 put back in the queue. {left}" in read(client, f"/admin/messaging/bulkact/{act.pk}/change/")


# Who may not


@pytest.mark.parametrize("role", ["receptionist", "viewer"])
def test_who_may_not_reads_who_may_and_sees_no_buttons(elms: Furnished, sign_in: SignIn, role: str) -> None:
    with platform_scope("test data"):
        User.objects.filter(username="elm-street-manager").update(first_name="Mia", last_name="Chen")
    client = sign_in(elms.clinic.staff[role])
    page = read(client)
    assert "is done by" in page
    assert "Mia Chen (manager)" in page
    for button in (
        "Send all",
        "Discard all",
        "/export/",
        "redrive_selected",
        "discard_selected",
        "/redrive/",
        "/discard/",
    ):
        assert button not in page, button
    message = elms.one(Message)
    one = f"{LIST}{message.pk}/"
    for address in (REDRIVE_ALL, DISCARD_ALL, EXPORT, f"{one}redrive/", f"{one}discard/"):
        for answer in (client.get(address), client.post(address, WHY)):
            assert answer.status_code == 403, address
            assert "Mia Chen (manager)" in answer.content.decode(), address
            assert "Back to the list" in answer.content.decode(), address
    refused = client.post(LIST, selected("redrive_selected", [message], confirmed="yes", **WHY))
    assert refused.status_code != 500
    assert reload(message).state == "dead_letter"
    assert acts() == []
    assert trail("messages.export") == []


def test_only_people_of_ones_own_clinic_are_named(elms: Furnished, oaks: Furnished, sign_in: SignIn) -> None:
    page = read(sign_in(elms.clinic.staff["receptionist"]))
    note = page.split('class="staff-note"')[1].split("</p>")[0]
    assert f"{elms.mark} (manager), {elms.mark} (owner)" in note
    assert "receptionist" not in note
    assert oaks.mark not in note
