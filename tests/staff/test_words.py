"""What pages are called, what codes are in words, and what an empty list says."""

from __future__ import annotations

import ast
import html
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

import bookings
import telephony
from messaging.models import Message, OptOut, SenderAccount
from messaging.sending import pauses
from monitoring import heartbeats
from monitoring.models import Heartbeat
from telephony.admin.words import OUTCOMES, TOOLS
from telephony.models import ActiveCall, Call, ToolInvocation
from telephony.tools.catalogue import TOOLS as CATALOGUE
from tests.clinics import Clinic
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished, dead_letter
from voxanne.staff import theme
from voxanne.staff.empty_lists import WORDS
from voxanne.tenancy.models import User
from voxanne.tenancy.scope import platform_scope

ITEMS = [item for group in theme.sidebar() for item in group["items"] if "kind" in item]


def read(client: Client, address: str, **parameters: str) -> str:
    answer = client.get(address, parameters)
    assert answer.status_code == 200, address
    return " ".join(html.unescape(answer.content.decode()).split())


# Names


@pytest.mark.parametrize("item", ITEMS, ids=[item["kind"] for item in ITEMS])
def test_a_page_is_called_what_the_sidebar_calls_it(
    item: dict[str, Any], elm: Clinic, operator: User, sign_in: SignIn
) -> None:
    page = read(sign_in(operator), str(item["link"]))
    said = re.search(r"<title>(.*?)</title>", page)
    assert said is not None
    assert item["title"] in said.group(1)
    address = re.escape(str(item["link"]))
    trail = re.findall(rf'<a href="{address}" class="align-middle[^>]*> ([^<]+?) </a', page)
    assert set(trail) == {item["title"]}


# Codes


def codes_raised(*places: Any) -> set[str]:
    """The codes that refusals are made with, read from the code."""
    modules = (path for place in places for path in Path(place.__file__).parent.rglob("*.py"))
    nodes = (node for path in modules for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    calls = (node for node in nodes if isinstance(node, ast.Call) and node.args)
    refusals = (call.args[0] for call in calls if ast.unparse(call.func) in ("BookingRefused", "refused"))
    return {one.value for one in refusals if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def test_every_refusal_and_tool_has_its_words() -> None:
    codes = codes_raised(bookings, telephony)
    assert "missing_argument" in codes
    assert codes - OUTCOMES.keys() == set()
    assert CATALOGUE.keys() - TOOLS.keys() == set()


def test_no_page_of_a_call_shows_a_code(elms: Furnished, sign_in: SignIn) -> None:
    call = elms.one(Call)
    with platform_scope("test data"):
        Call.objects.update(
            ended_reason="customer-ended-call", ended_group="caller", tools_used=["takeMessage"]
        )
        ToolInvocation.objects.update(tool="bookClinicAppointment", outcome="missing_argument")
    client = sign_in(elms.clinic.staff["receptionist"])
    page = read(client, f"/admin/telephony/call/{call.pk}/change/")
    assert "The caller left something out" in page
    assert "Book a visit" in page
    assert "Take a message" in page
    assert "The caller hung up" in page
    # Vapi's own word stands beside Vapi's own ids, for those who ask Vapi.
    assert page.index("At the providers") < page.index("customer-ended-call")
    for address in (f"/admin/telephony/call/{call.pk}/change/", "/admin/telephony/toolinvocation/"):
        assert "missing_argument" not in read(client, address)
        assert "bookClinicAppointment" not in read(client, address)


def test_an_opt_out_says_how_it_came(elms: Furnished, sign_in: SignIn) -> None:
    with platform_scope("test data"):
        OptOut.objects.update(source="keyword")
    page = read(sign_in(elms.clinic.staff["receptionist"]), "/admin/messaging/optout/")
    assert "By a text, such as STOP" in page


# Empty lists


def test_an_empty_list_says_what_will_stand_there(elm: Clinic, sign_in: SignIn) -> None:
    client = sign_in(elm.staff["manager"])
    for kind in ("messaging_deadletter", "messaging_stafftask", "telephony_activecall", "bookings_closure"):
        app, _, model = kind.rpartition("_")
        page = read(client, f"/admin/{app}/{model}/")
        assert WORDS[kind] in page, kind
        assert "yielded" not in page
    assert "Nothing matches" in read(client, "/admin/messaging/deadletter/", kind__exact="reminder")


def test_the_words_are_of_pages_that_there_are() -> None:
    known = {f"{model._meta.app_label}_{model._meta.model_name}" for model in apps.get_models()}
    assert WORDS.keys() <= known


# Times of the platform's own rows


def test_operations_read_times_with_their_zone(operator: User, sign_in: SignIn) -> None:
    at = datetime(2026, 11, 9, 15, 30, tzinfo=UTC)
    Heartbeat.objects.update_or_create(job="beat", defaults={"started_at": at, "last_at": at})
    every = IntervalSchedule.objects.create(every=5, period="seconds")
    PeriodicTask.objects.create(name="a task", task="x", interval=every, last_run_at=at)
    client = sign_in(operator)
    for address in ("/admin/monitoring/heartbeat/", "/admin/monitoring/heartbeat/beat/change/",
                    "/admin/django_celery_beat/periodictask/"):  # fmt: skip
        assert "Mon 9 Nov 2026, 15:30 UTC" in read(client, address), address


# The start page


def figures(client: Client) -> dict[str, Any]:
    return {figure.title: figure for figure in client.get("/admin/").context["figures"]}


def running(clinic: Clinic) -> None:
    heartbeats.record(heartbeats.BEAT, heartbeats.WORKER)
    with platform_scope("test data"):
        SenderAccount.objects.filter(org=clinic.org).update(paused_reason="")


def test_the_start_page_says_when_nobody_works_in_the_background(elms: Furnished, sign_in: SignIn) -> None:
    running(elms.clinic)
    client = sign_in(elms.clinic.staff["receptionist"])
    assert "Background work" not in figures(client)
    Heartbeat.objects.filter(job="worker").update(last_at=timezone.now() - timedelta(minutes=2))
    stopped = figures(client)["Background work"]
    assert (stopped.value, stopped.alarming) == ("Stopped", True)
    assert "tell Voxanne's support now" in read(client, "/admin/")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"next_attempt_at": timezone.now() - timedelta(minutes=1)},
            "they are due, and nobody has sent them yet",
        ),
        (
            {
                "last_error": "Twilio could not be reached.",
                "next_attempt_at": timezone.now() + timedelta(hours=1),
            },
            "Twilio could not be reached.",
        ),
    ],
)
def test_the_start_page_says_when_texts_are_held_up(
    elms: Furnished, sign_in: SignIn, changes: dict[str, Any], said: str
) -> None:
    running(elms.clinic)
    with platform_scope("test data"):
        values = {"state": "queued", "last_error": "", "error_code": None, **changes}
        text = dead_letter(elms, **values)
        dead_letter(
            elms, **{**values, "last_error": "", "next_attempt_at": timezone.now() + timedelta(days=1)}
        )
        Message.objects.filter(pk=text.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    held = figures(sign_in(elms.clinic.staff["receptionist"]))["Texts held up"]
    assert (held.value, held.note, held.alarming) == ("1", said, True)


def test_the_start_page_counts_what_a_pause_holds(elms: Furnished, sign_in: SignIn) -> None:
    running(elms.clinic)
    with platform_scope("test data"):
        text = dead_letter(elms, state="queued", last_error="")
        Message.objects.filter(pk=text.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    pauses.pause(elms.clinic.id, "Credentials are wrong.")
    shown = figures(sign_in(elms.clinic.staff["receptionist"]))
    assert shown["Sending"].value == "Paused"
    assert shown["Texts held up"].value == "1"
    assert "Credentials are wrong." in shown["Texts held up"].note


def test_the_start_page_says_nothing_while_all_is_well(elms: Furnished, sign_in: SignIn) -> None:
    running(elms.clinic)
    shown = figures(sign_in(elms.clinic.staff["receptionist"]))
    assert {"Background work", "Texts held up", "Sending"} & shown.keys() == set()


def test_another_clinics_texts_hold_up_nobody_here(elms: Furnished, oaks: Furnished, sign_in: SignIn) -> None:
    running(elms.clinic)
    with platform_scope("test data"):
        dead_letter(oaks, state="queued", next_attempt_at=timezone.now() - timedelta(minutes=5))
    assert "Texts held up" not in figures(sign_in(elms.clinic.staff["receptionist"]))


# Missed calls


@pytest.mark.parametrize(
    ("state", "said"), [("dead_letter", "Not delivered"), ("delivered", "Delivered"), ("queued", "Waiting")]
)
def test_the_list_of_missed_calls_tells_the_texts_fate(
    elms: Furnished, sign_in: SignIn, state: str, said: str
) -> None:
    with platform_scope("test data"):
        text = dead_letter(elms, state=state, kind="missed_call")
        ActiveCall.objects.update(outcome="missed", text="queued", message=text)
    page = read(sign_in(elms.clinic.staff["receptionist"]), "/admin/telephony/activecall/")
    row = page.split('id="result_list"')[1].split("</table>")[0]
    assert said in row
    assert "Written" not in row
