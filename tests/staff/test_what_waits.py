"""What the start page and the Circuits page say of texts that wait: the true cause, and whether Twilio fails."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from messaging.admin.held_up import FATE_UNKNOWN, NOBODY_SENDS
from messaging.fates.resending import AGAIN
from messaging.manners.budget import MINUTE_FULL
from messaging.manners.policy import HELD_FOR_THE_NIGHT
from messaging.models import Message, SenderAccount
from messaging.providers.twilio.codes import spoken_reason
from messaging.sending import pauses
from messaging.sending.circuit import FAILING
from messaging.sending.pace import IN_LINE
from monitoring import breaker
from monitoring.circuits_in_memory import CircuitsInMemory
from monitoring.circuits_in_redis import CircuitsInRedis
from monitoring.models import BreakerTransition
from monitoring.redis_link import RedisLink
from tests.clinics import Clinic
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished, dead_letter
from voxanne.tenancy.models import User
from voxanne.tenancy.scope import platform_scope

LATER = timedelta(hours=1)


@pytest.fixture(autouse=True)
def well(monkeypatch: pytest.MonkeyPatch, db: None) -> CircuitsInMemory:
    """Circuits that are all closed."""
    circuits = CircuitsInMemory()
    monkeypatch.setattr(breaker, "shared", circuits)
    return circuits


@pytest.fixture
def home(elms: Furnished) -> Furnished:
    """A clinic whose texts are all settled, and whose sender is not paused."""
    with platform_scope("test data"):
        SenderAccount.objects.update(paused_reason="", whatsapp_paused_reason="")
        Message.objects.update(state="delivered")
    return elms


def figures(client: Client) -> dict[str, Any]:
    return {figure.title: figure for figure in client.get("/admin/").context["figures"]}


def waiting(home: Furnished, said: str, due_in: timedelta = LATER, **changes: Any) -> Message:
    """A text that was put back five minutes ago."""
    now = timezone.now()
    with platform_scope("test data"):
        values = {"state": "queued", "attempts": 0, "next_attempt_at": now + due_in, **changes}
        text = dead_letter(home, last_error=said, **values)
        Message.objects.filter(pk=text.pk).update(created_at=now - timedelta(minutes=5))
    return text


def fail(circuits: CircuitsInMemory, clinic: Clinic | None, service: str = "twilio_sms") -> None:
    for number in range(3):
        circuits.failed(service, str(clinic.id) if clinic else f"clinic {number}", "", str(number))


# Texts held up


@pytest.mark.parametrize(
    ("said", "attempts"),
    [
        (spoken_reason(30003) + AGAIN, 1),
        (spoken_reason(20429), 2),
        (IN_LINE, 0),
        (MINUTE_FULL, 0),
        (f"{HELD_FOR_THE_NIGHT} where this person is.", 0),
    ],
)
def test_a_text_that_waits_as_planned_is_not_held_up(
    home: Furnished, sign_in: SignIn, said: str, attempts: int
) -> None:
    text = waiting(home, said, attempts=attempts)
    client = sign_in(home.clinic.staff["receptionist"])
    assert "Texts held up" not in figures(client)
    with platform_scope("test data"):
        Message.objects.filter(pk=text.pk).update(next_attempt_at=timezone.now() - timedelta(minutes=1))
    assert figures(client)["Texts held up"].note == NOBODY_SENDS


@pytest.mark.parametrize(
    "said", [FAILING, "Twilio could not be reached (no answer in time); it is tried again."]
)
def test_a_text_that_an_outage_holds_is_held_up_however_often_it_was_tried(
    home: Furnished, sign_in: SignIn, said: str
) -> None:
    waiting(home, said, attempts=2)
    assert figures(sign_in(home.clinic.staff["receptionist"]))["Texts held up"].note == said


def test_the_commonest_cause_is_told_not_that_of_the_oldest(home: Furnished, sign_in: SignIn) -> None:
    waiting(home, "", timedelta(minutes=-2))
    for _ in range(2):
        waiting(home, FAILING)
    held = figures(sign_in(home.clinic.staff["receptionist"]))["Texts held up"]
    assert (held.value, held.note) == ("3", f"most of them: {FAILING}")


def test_texts_of_unknown_fate_are_counted_and_listed(home: Furnished, sign_in: SignIn) -> None:
    unknown = waiting(home, "Twilio's answer was lost", state="unknown", unknown_since=timezone.now() - LATER)
    waiting(home, "Twilio's answer was lost", state="unknown", unknown_since=timezone.now())
    client = sign_in(home.clinic.staff["receptionist"])
    held = figures(client)["Texts held up"]
    assert (held.value, held.note) == ("1", FATE_UNKNOWN)
    page = client.get(held.url)
    assert page.status_code == 200
    assert str(unknown.pk) in page.content.decode()


# Twilio is failing


def test_the_start_page_says_since_when_twilio_fails(
    home: Furnished, sign_in: SignIn, operator: User, well: CircuitsInMemory
) -> None:
    clerk, support = sign_in(home.clinic.staff["receptionist"]), sign_in(operator)
    assert "Twilio" not in figures(clerk).keys() | figures(support).keys()
    fail(well, home.clinic)
    here = timezone.now().astimezone(home.clinic.org.zone)
    shown = figures(clerk)["Twilio"]
    assert (shown.value, shown.alarming) == ("Failing", True)
    assert shown.note.startswith(f"since {here:%H}:")
    assert home.mark not in shown.note
    assert f"for {home.mark}; texts wait" in figures(support)["Twilio"].note
    fail(well, None)
    assert "for every clinic; texts wait" in figures(support)["Twilio"].note


def test_another_clinics_circuit_is_nothing_to_us(
    home: Furnished, oak: Clinic, sign_in: SignIn, well: CircuitsInMemory
) -> None:
    fail(well, oak)
    fail(well, None, "vapi_api")
    assert "Twilio" not in figures(sign_in(home.clinic.staff["receptionist"]))


def test_the_start_page_does_without_redis(
    home: Furnished, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "shared", CircuitsInRedis(link=lambda: RedisLink("redis://127.0.0.1:1/0")))
    monkeypatch.setattr(breaker, "alone", CircuitsInMemory())
    assert "Twilio" not in figures(sign_in(home.clinic.staff["receptionist"]))


# Sending is paused


def test_operators_read_which_clinic_is_paused(
    home: Furnished, oak: Clinic, sign_in: SignIn, operator: User
) -> None:
    pauses.pause(home.clinic.id, "Credentials are wrong.")
    support = sign_in(operator)
    assert figures(support)["Sending"].note == f"{home.mark}: Credentials are wrong."
    clerk = sign_in(home.clinic.staff["receptionist"])
    assert figures(clerk)["Sending"].note == "Credentials are wrong."
    pauses.pause(oak.id, "Credentials are wrong.")
    assert figures(support)["Sending"].note == "at several clinics"


# Circuits


def test_the_circuits_page_says_in_words_what_fails_now_and_what_changed(
    elm: Clinic, sign_in: SignIn, operator: User, well: CircuitsInMemory
) -> None:
    client = sign_in(operator)

    def read(**given: str) -> str:
        page = client.get("/admin/monitoring/breakertransition/", given)
        assert page.status_code == 200
        return " ".join(html.unescape(page.content.decode()).split())

    assert "Nothing: every outside service is asked as usual." in read()
    with platform_scope("test data"):
        for service, level, org in (("twilio_sms", "clinic", elm.org), ("vapi_api", "service", None)):
            BreakerTransition.objects.create(service=service, org=org, level=level, state="half_open")
    fail(well, elm)
    page = read()
    now, changes = page.split('id="circuits-now"')[1].split('id="result_list"')
    for words in ("Twilio (texts)", "Elm Street", "Failing", "UTC"):
        assert words in now, words
    for words in ("Twilio (texts)", "One clinic", "Vapi", "Every clinic", "Being tried", "All processes"):
        assert words in changes, words
    assert "half_open" not in changes.split("</table>")[0]
    only = read(service="vapi_api").split('id="result_list"')[1].split("</table>")[0]
    assert "Vapi" in only
    assert "Twilio" not in only
    with platform_scope("check"):
        row = BreakerTransition.objects.order_by(F("id").desc()).first()
    assert row is not None
    assert client.get(f"/admin/monitoring/breakertransition/{row.pk}/change/").status_code == 200
