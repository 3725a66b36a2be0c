"""A clinic's phone is never a dead line: what Twilio and Vapi are answered while the database is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import DjangoDbBlocker

from telephony.never_dead import last_known, unheard_calls
from telephony.never_dead.last_known import LastKnown
from tests.missed_calls.twilio_post import RESULT, STATUS, VOICE, new_sid, post
from tests.no_database import database_away
from tests.telephony.vapi_client import WEBHOOK, bearer, signed, vapi_secret

NUMBER, LINE, CALLER = "+14155560001", "+14155550199", "+14155550142"
ACCOUNT, TOKEN, SECRET = "AC" + "7" * 32, "the-clinics-own-token", "the-clinics-vapi-secret"
WHISPER = f"{VOICE}/whisper/01a217b0-aa99-771d-a63e-07a2391fc595"


@pytest.fixture(autouse=True)
def _no_database(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with database_away(django_db_blocker):
        yield


@pytest.fixture
def kept() -> LastKnown:
    entry = LastKnown(NUMBER, LINE, 21, ACCOUNT, TOKEN, (SECRET,), ("a-number-id", "an-assistant-id"))
    assert last_known.keep(entry)
    return entry


def form(**more: str) -> dict[str, str]:
    known = {
        "CallSid": new_sid(),
        "AccountSid": ACCOUNT,
        "From": CALLER,
        "To": NUMBER,
        "CallStatus": "ringing",
    }
    return {**known, **more}


def test_a_call_rings_the_last_known_line(kept: LastKnown) -> None:
    answer = post(VOICE, form(), TOKEN)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/xml")
    twiml = answer.content.decode()
    assert f">{LINE}</Number>" in twiml
    assert 'timeout="21"' in twiml
    assert CALLER not in twiml


def test_the_call_is_written_down_for_later_and_readable_by_nobody(kept: LastKnown) -> None:
    ringing = form()
    post(VOICE, ringing, TOKEN)
    post(RESULT, {**ringing, "DialCallStatus": "no-answer"}, TOKEN)
    post(VOICE, form(), "wrong")
    (written,) = unheard_calls.folder().iterdir()
    assert CALLER[1:] not in written.read_text()
    assert written.stat().st_mode & 0o77 == 0
    assert unheard_calls.take_in() == 0, "the database is still away"
    assert written.exists()


def test_the_signature_is_checked_all_the_same(kept: LastKnown) -> None:
    for token, account in (
        ("wrong", ACCOUNT),
        (settings.TWILIO_AUTH_TOKEN, ACCOUNT),
        (TOKEN, "AC" + "8" * 32),
    ):
        answer = post(VOICE, form(AccountSid=account), token)
        assert answer.status_code == 403
        assert LINE not in answer.content.decode()


def test_a_number_of_which_nothing_is_kept_hears_an_apology() -> None:
    platform = form(AccountSid=settings.TWILIO_ACCOUNT_SID)
    answer = post(VOICE, platform)
    assert answer.status_code == 200
    assert b"<Say>" in answer.content
    assert post(VOICE, platform, "wrong").status_code == 403


def test_a_number_without_a_line_hears_an_apology() -> None:
    last_known.keep(LastKnown(NUMBER, "", 18, ACCOUNT, TOKEN))
    answer = post(VOICE, form(), TOKEN)
    assert answer.status_code == 200
    assert b"<Say>" in answer.content


@pytest.mark.parametrize(("status", "spoken"), [("completed", False), ("no-answer", True)])
def test_after_the_dial_nobody_is_left_in_silence(kept: LastKnown, status: str, spoken: bool) -> None:
    answer = post(RESULT, form(DialCallStatus=status), TOKEN)
    assert answer.status_code == 200
    assert (b"<Say>" in answer.content) is spoken
    assert b"<Dial" not in answer.content


def test_whoever_picks_up_is_put_through_unasked(kept: LastKnown) -> None:
    leg = form(To=LINE, ParentCallSid=new_sid())
    answer = post(WHISPER, leg, TOKEN)
    assert answer.status_code == 200
    assert b"Hangup" not in answer.content
    assert post(WHISPER, leg, "wrong").status_code == 403


def test_a_call_status_is_asked_for_again(kept: LastKnown) -> None:
    assert post(STATUS, form(CallStatus="no-answer"), TOKEN).status_code == 503


def request_an_assistant(
    headers: dict[str, str] | None = None, body: bytes | None = None, **call: str
) -> Any:
    raw = body or assistant_request(**call)
    answer = Client(raise_request_exception=False).generic(
        "POST", WEBHOOK, raw, "application/json", headers=headers or {}
    )
    return answer.status_code, json.loads(answer.content)


def assistant_request(**call: str) -> bytes:
    known = {"id": "a-call", "phoneNumberId": "a-number-id", **call}
    return json.dumps({"message": {"type": "assistant-request", "call": known}}).encode()


DESTINATION = {"destination": {"type": "number", "number": LINE, "message": ""}}


@pytest.mark.parametrize(
    "call",
    [
        {},
        {"phoneNumberId": "", "assistantId": "an-assistant-id"},
        {"phoneNumberId": "", "phoneNumber": {"number": NUMBER}},
    ],
)
def test_vapi_sends_a_call_on_to_the_clinics_line(kept: LastKnown, call: dict[str, Any]) -> None:
    raw = assistant_request(**call)
    platform, clinic = settings.VAPI_WEBHOOK_SECRET, SECRET
    for headers in (
        vapi_secret(platform), bearer(platform), signed(platform, raw),
        vapi_secret(clinic), bearer(clinic), signed(clinic, raw),
    ):  # fmt: skip
        assert request_an_assistant(headers, raw) == (200, DESTINATION)


def test_a_credential_that_does_not_open_the_clinic_learns_no_line(kept: LastKnown) -> None:
    raw = assistant_request()
    other = LastKnown(
        "+14155560002", "+14155550188", 18, "AC1", "t", ("the-secret-of-another",), ("other-id",)
    )
    last_known.keep(other)
    for headers in (
        vapi_secret("wrong"), bearer("the-secret-of-another"), signed("wrong", raw),
        signed("the-secret-of-another", raw),
    ):  # fmt: skip
        status, reply = request_an_assistant(headers, raw)
        assert (status, set(reply)) == (200, {"error"})
    stale = signed(SECRET, raw, "1000000000")
    assert request_an_assistant(stale, raw)[0] == 401


def test_a_call_of_which_nothing_is_kept_hears_an_apology() -> None:
    status, reply = request_an_assistant(vapi_secret(settings.VAPI_WEBHOOK_SECRET))
    assert (status, set(reply)) == (200, {"error"})
