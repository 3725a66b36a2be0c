from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client
from websockets.exceptions import InvalidStatus

from telephony.live import attendance, hub
from telephony.live.origins import is_allowed
from tests.clinics import Clinic
from tests.live.running import RunningSockets, token_of
from voxanne.tenancy.models import Organization, User
from voxanne.tenancy.scope import platform_scope

NOBODYS_CLINIC = "3f0c0000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    "origin",
    ["", "null", "http://evil.example", "https://localhost:8000", "http://localhost:8000.evil.example",
     "http://localhost:80001", "http://user@localhost:8000", "http://localhost", "not an origin"],
)  # fmt: skip
def test_a_strangers_page_is_refused_before_it_is_let_in(
    sockets: RunningSockets, elm: Clinic, settings: Any, origin: str
) -> None:
    settings.BACKEND_URL = settings.FRONTEND_URL = "http://localhost:8000"
    settings.CORS_ALLOWED_ORIGINS = []
    with pytest.raises(InvalidStatus) as refused:
        sockets.watch(elm.staff["owner"], origin=origin)
    assert refused.value.response.status_code == 403


def test_our_own_pages_are_let_in(settings: Any) -> None:
    settings.BACKEND_URL, settings.FRONTEND_URL = "https://api.clinic.example", "https://app.clinic.example/"
    settings.CORS_ALLOWED_ORIGINS = ["https://partner.example:8443"]
    for origin in (
        b"https://api.clinic.example",
        b"https://app.clinic.example:443",
        b"https://partner.example:8443",
    ):
        assert is_allowed([(b"origin", origin)])
    assert not is_allowed([(b"origin", b"https://api.clinic.example"), (b"origin", b"https://evil.example")])


@pytest.mark.parametrize(
    "first",
    ["", "{", "[]", "null", '"auth"', "{}", '{"type": "auth"}', '{"type": "auth", "token": 7}',
     '{"type": "auth", "token": "no.such.token"}', '{"type": "resume", "seq": 1}', "[" * 20_000],
)  # fmt: skip
def test_whoever_does_not_sign_in_is_told_so(sockets: RunningSockets, first: str) -> None:
    watching = sockets.watch()
    watching.connection.send(first)
    assert watching.closed_with() == 4401
    assert watching.heard == []


def test_whoever_says_nothing_is_told_so_in_time(
    sockets: RunningSockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "SIGN_IN_SECONDS", 0.2)
    began = time.monotonic()
    assert sockets.watch().closed_with() == 4401
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "claims",
    [{"exp": 1}, {"aud": "somebody-else"}, {"org_id": "no id"}, {"exp": "soon"}, {"aud": None}],
)
def test_a_token_that_does_not_hold_signs_nobody_in(
    sockets: RunningSockets, elm: Clinic, claims: dict[str, Any]
) -> None:
    assert sockets.watch(token=token_of(elm, **claims)).closed_with() == 4401


def test_a_token_signed_with_anything_else_signs_nobody_in(
    sockets: RunningSockets, elm: Clinic, settings: Any
) -> None:
    secret, settings.JWT_SECRET = settings.JWT_SECRET, "another-secret-of-at-least-32-bytes-here"
    forged = token_of(elm)
    settings.JWT_SECRET = secret
    assert sockets.watch(token=forged).closed_with() == 4401


def test_a_token_for_no_clinic_or_one_that_is_closed_is_not_allowed(
    sockets: RunningSockets, elm: Clinic
) -> None:
    assert sockets.watch(token=token_of(None)).closed_with() == 4403
    assert sockets.watch(token=token_of(None, org_id=NOBODYS_CLINIC)).closed_with() == 4403
    with platform_scope("a test"):
        Organization.objects.filter(pk=elm.id).update(active=False)
    assert sockets.watch(token=token_of(elm)).closed_with() == 4403
    assert sockets.watch(elm.staff["owner"]).closed_with() == 4403


def test_another_clinic_is_not_to_be_had_by_asking(sockets: RunningSockets, elm: Clinic, oak: Clinic) -> None:
    asked = f"/ws/call?org={oak.id}"
    assert sockets.watch(elm.staff["owner"], path=asked).closed_with() == 4403
    assert sockets.watch(token=token_of(elm), path=asked).closed_with() == 4403
    assert sockets.watch(elm.staff["owner"], path="/ws/call?org=no-id").closed_with() == 4403


def test_an_operator_names_the_clinic_to_watch(sockets: RunningSockets, elm: Clinic, oak: Clinic) -> None:
    operator = User.objects.create_superuser("operator", password="correct horse battery")
    assert sockets.watch(operator).closed_with() == 4403
    watching = sockets.watch(operator, path=f"/ws/call?org={oak.id}")
    assert watching.first("snapshot")["orgId"] == str(oak.id)


def test_too_many_sockets_of_one_person_are_told_so(
    sockets: RunningSockets, elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_SOCKETS_A_WATCHER", 3)
    watching = [sockets.watch(elm.staff["owner"]) for _ in range(3)]
    for each in watching:
        each.first("snapshot")
    assert sockets.watch(elm.staff["owner"]).closed_with() == 4429
    assert sockets.watch(elm.staff["manager"]).first("snapshot")
    watching[0].close()
    assert sockets.watch(elm.staff["owner"]).first("snapshot")


def test_too_many_sockets_in_all_are_told_so(
    sockets: RunningSockets, elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_SOCKETS", 2)
    waiting = [sockets.watch() for _ in range(2)]
    assert sockets.watch(elm.staff["owner"]).closed_with() == 4429
    assert len(waiting) == 2


def test_too_many_messages_are_told_so(sockets: RunningSockets, elm: Clinic) -> None:
    watching = sockets.watch(elm.staff["owner"])
    watching.first("snapshot")
    for _ in range(200):
        watching.say("ping")
    assert watching.closed_with() == 4429


def test_a_message_too_large_to_be_one_ends_the_socket(sockets: RunningSockets, elm: Clinic) -> None:
    watching = sockets.watch(elm.staff["owner"])
    watching.first("snapshot")
    watching.connection.send("x" * 70_000)
    assert watching.closed_with() == 1009


@pytest.mark.parametrize("path", ["/ws/call", "/ws/live-calls"])
def test_the_web_port_names_the_sockets_address(db: None, settings: Any, path: str) -> None:
    for ask in (Client().get, Client().post):
        answer = ask(path)
        assert answer.status_code == 426
        assert answer["Upgrade"] == "websocket"
        error = answer.json()["error"]
        assert (error["code"], error["details"]["ws_url"]) == ("upgrade_required", settings.WS_URL)
