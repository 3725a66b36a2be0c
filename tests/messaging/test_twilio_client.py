"""The real client against servers that fail in every way: each answer in our own words, and none raises."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.providers.answers import Answer, ListingFailed, TryOutcome
from messaging.providers.twilio import client as twilio
from messaging.providers.twilio.client import LONGEST_RETRY_AFTER, Account, platform_account
from tests.messaging.broken_servers import (
    answering,
    answering_json,
    closing_after_request,
    nobody_listening,
    resetting_after_request,
    serving,
)
from tests.messaging.desk import PATIENT

CREATED = b"HTTP/1.1 201 Created\r\n"
SENDER = "+14155550100"


@pytest.fixture(autouse=True)
def _short_time_outs(settings: Any) -> None:
    settings.TWILIO_TIMEOUT = (0.3, 0.3)


def account(**more: str) -> Account:
    return Account(**{"sid": "AC" + "0" * 32, "auth_token": "token", **more})


def sent_to(base: str, settings: Any, who: Account | None = None) -> Answer:
    settings.TWILIO_API_BASE_URL = base
    return twilio.send(
        who or account(), sender=SENDER, recipient=PATIENT, body="hello",
        status_callback="https://clinic.example.com/x", validity=timedelta(hours=1),
    )  # fmt: skip


def listed_at(base: str, settings: Any) -> list[Any]:
    settings.TWILIO_API_BASE_URL = base
    since = timezone.now() - timedelta(minutes=5)
    return twilio.sent_to(account(), recipient=PATIENT, sender=SENDER, since=since)


LOST = {
    "closed": closing_after_request,
    "reset": resetting_after_request,
    "nonsense": answering(b"\x00\x01\r\n\r\n"),
    "no body": answering(CREATED + b"\r\n"),
    "no number": answering(CREATED + b"\r\n{}"),
    "html": answering(CREATED + b"\r\n<html>"),
    "not json": answering_json(201, "[1, 2"),
    "a list": answering_json(201, "[]"),
    "a word": answering_json(201, '"created"'),
    "gateway": answering_json(502, '{"message": "bad gateway"}'),
    "hanging": lambda connection: None,
}


@pytest.mark.parametrize("behave", LOST.values(), ids=LOST.keys())
def test_whatever_leaves_it_open_is_lost_and_says_so(behave: Any, settings: Any) -> None:
    with serving(behave) as base:
        answer = sent_to(base, settings)
    assert answer.outcome is TryOutcome.LOST
    assert answer.sid == ""
    assert answer.error.endswith(".")
    assert PATIENT not in answer.error
    assert PATIENT.lstrip("+") not in answer.error


def test_a_server_that_is_not_there_was_never_connected(settings: Any) -> None:
    with nobody_listening() as base:
        answer = sent_to(base, settings)
    assert answer.outcome is TryOutcome.NEVER_CONNECTED
    assert "tried again by itself" in answer.error


def test_a_refusal_is_told_with_its_code_and_a_sentence(settings: Any) -> None:
    with serving(answering_json(400, '{"code": 21614, "message": "To +14155550142 is no mobile"}')) as base:
        answer = sent_to(base, settings)
    assert (answer.outcome, answer.http_status, answer.error_code) == (
        TryOutcome.REFUSED_FOR_GOOD,
        400,
        21614,
    )
    assert PATIENT not in answer.error


def test_a_refusal_in_the_newer_shape_is_understood_too(settings: Any) -> None:
    body = '{"type": "https://x", "title": "Too many", "status": 429, "code": 20429}'
    with serving(answering_json(429, body)) as base:
        assert sent_to(base, settings).outcome is TryOutcome.REFUSED_FOR_NOW


def test_the_http_status_is_not_taken_for_a_code(settings: Any) -> None:
    with serving(answering_json(422, '{"message": "no"}')) as base:
        answer = sent_to(base, settings)
    assert (answer.http_status, answer.error_code) == (422, None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0), ("0.5", 0.5), ("99999999999999", LONGEST_RETRY_AFTER), ("-5", None), ("soon", None), ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("\u0663", None), ("1.2.3", None), ("nan", None),
    ],
)  # fmt: skip
def test_the_wait_that_is_asked_for_is_read_strictly(
    header: str, seconds: float | None, settings: Any
) -> None:
    raw = f"HTTP/1.1 429 Too Many\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode()
    with serving(answering(raw)) as base:
        assert sent_to(base, settings).retry_after == seconds


def test_every_account_has_a_client_of_its_own(settings: Any) -> None:
    seen: list[bytes] = []

    def behave(connection: Any) -> None:
        seen.append(connection.recv(65_536))
        connection.sendall(CREATED + b'Content-Length: 13\r\nConnection: close\r\n\r\n{"sid": "SM1"}'[:-1])
        connection.close()

    with serving(behave) as base:
        for who in (account(), account(sid="AC" + "1" * 32), account(api_key="SK1", api_secret="s")):
            sent_to(base, settings, who)
    paths = [request.split(b" ")[1] for request in seen]
    assert paths == [
        b"/2010-04-01/Accounts/AC" + digit * 32 + b"/Messages.json" for digit in (b"0", b"1", b"0")
    ]
    assert len({request.split(b"Authorization: ")[1].split(b"\r\n")[0] for request in seen}) == 3


def test_the_platforms_account_is_that_of_the_settings(settings: Any) -> None:
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = "AC9", "secret"
    settings.TWILIO_API_KEY, settings.TWILIO_API_SECRET = "SK9", "other"
    assert platform_account() == Account("AC9", "secret", "SK9", "other")


# The list


@pytest.mark.parametrize(
    "behave",
    [
        closing_after_request, resetting_after_request, answering(b"HTTP/1.1 200 OK\r\n\r\n<html>"),
        answering_json(500, "{}"), answering_json(200, "[]"), answering_json(401, '{"code": 20003}'),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_had_is_not_an_empty_one(behave: Any, settings: Any) -> None:
    with serving(behave) as base, pytest.raises(ListingFailed):
        listed_at(base, settings)


def test_a_list_of_nothing_is_empty(settings: Any) -> None:
    body = '{"messages": [], "page": 0, "page_size": 200, "next_page_uri": null}'
    with serving(answering_json(200, body)) as base:
        assert listed_at(base, settings) == []


def test_nothing_that_one_account_was_told_is_told_by_the_next(settings: Any) -> None:
    """They share this thread's session."""
    body = '{"sid": "SM' + "1" * 32 + '", "status": "queued"}'
    cookie = (
        f"HTTP/1.1 201 Created\r\nSet-Cookie: whose=elms; Path=/\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    with serving(answering(cookie.encode())) as base:
        assert sent_to(base, settings, account(sid="AC" + "1" * 32)).outcome is TryOutcome.ACCEPTED
    assert list(twilio.client_of(account()).http_client.session.cookies) == []


def test_a_thread_keeps_one_connection_and_not_a_client_for_every_account_there_is() -> None:
    made = [twilio.client_of(account(sid=f"AC{n:032d}")) for n in range(twilio.MOST_CLIENTS + 10)]
    assert len({id(client.http_client) for client in made}) == 1
    assert len(twilio._own.clients) == twilio.MOST_CLIENTS
    assert twilio.client_of(account(sid=f"AC{twilio.MOST_CLIENTS + 9:032d}")) is made[-1]
