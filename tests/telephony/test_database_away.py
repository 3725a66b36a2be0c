"""A clinic's phone is never a dead line: what callers hear while the database cannot be reached."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import date

import jwt
import pytest
from django.conf import settings
from django.test import Client
from pytest_django import DjangoDbBlocker
from twilio.request_validator import RequestValidator

from tests.no_database import database_away
from tests.telephony.vapi_client import WEBHOOK, signed, tool_call, vapi_secret

CLIENT = Client(raise_request_exception=False)
WISH = {
    "appointmentDate": date(2027, 1, 4).isoformat(),
    "appointmentTime": "10:00",
    "patientName": "Dana Ruiz",
}
CALL = {"id": "a-call", "assistantId": "assistant-elm-street"}


@pytest.fixture(autouse=True)
def _no_database(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with database_away(django_db_blocker):
        yield


def post(
    kind: str, headers: dict[str, str] | None = None, **members: object
) -> tuple[int, dict[str, object]]:
    body = json.dumps({"message": {"type": kind, "call": CALL, **members}}).encode()
    chosen = headers if headers is not None else vapi_secret("any secret at all")
    answer = CLIENT.generic("POST", WEBHOOK, body, "application/json", headers=chosen)
    return answer.status_code, json.loads(answer.content)


def test_every_tool_call_is_apologised_for() -> None:
    calls = [tool_call("bookClinicAppointment", WISH, "call_1"), tool_call("lookupCaller", {}, "call_2")]
    status, reply = post("tool-calls", toolCallList=calls)
    assert status == 200
    results = reply["results"]
    assert isinstance(results, list)
    assert [(entry["toolCallId"], entry["name"]) for entry in results] == [
        ("call_1", "bookClinicAppointment"),
        ("call_2", "lookupCaller"),
    ]
    assert all(entry["error"].endswith(("?", ".")) and "result" not in entry for entry in results)


def test_the_platforms_secret_changes_nothing_of_that() -> None:
    headers = vapi_secret(settings.VAPI_WEBHOOK_SECRET)
    status, reply = post("tool-calls", headers, toolCallList=[tool_call("lookupCaller", {})])
    assert status == 200
    assert "error" in str(reply)


@pytest.mark.parametrize("kind", ["assistant-request", "transfer-destination-request"])
def test_a_question_gets_an_error_to_speak(kind: str) -> None:
    status, reply = post(kind)
    assert status == 200
    assert set(reply) == {"error"}


@pytest.mark.parametrize("kind", ["status-update", "end-of-call-report"])
def test_news_is_asked_for_again(kind: str) -> None:
    status, reply = post(kind, status="ended")
    assert status == 503
    assert reply["error"]["code"] == "database_unavailable"  # type: ignore[index]


def test_a_malformed_body_is_malformed_all_the_same() -> None:
    answer = CLIENT.generic("POST", WEBHOOK, b"{", "application/json", headers=vapi_secret("any"))
    assert answer.status_code == 400


def test_what_can_be_refused_without_the_database_is_refused() -> None:
    assert post("tool-calls", {})[0] == 401
    stale = signed("any", b"", "1000000000")
    assert post("tool-calls", stale)[0] == 401


@pytest.mark.parametrize(
    "path", [f"/api/webhooks/twilio/sms-status/{uuid.UUID(int=7)}", "/api/webhooks/sms-status"]
)
def test_a_receipt_is_asked_for_again(path: str) -> None:
    form = {
        "MessageSid": "SM" + "1" * 32,
        "MessageStatus": "delivered",
        "AccountSid": settings.TWILIO_ACCOUNT_SID,
    }
    signature = RequestValidator(settings.TWILIO_AUTH_TOKEN).compute_signature(
        f"{settings.BACKEND_URL}{path}", form
    )
    answer = CLIENT.post(path, form, headers={"X-Twilio-Signature": signature})
    assert answer.status_code == 503


def test_a_partner_is_told_to_book_again_soon() -> None:
    claims = {"aud": "voxanne", "org_id": str(uuid.uuid4()), "exp": int(time.time()) + 60}
    token = jwt.encode(claims, settings.JWT_SECRET, algorithm="HS256")
    headers = {"Authorization": f"Bearer {token}"}
    answer = CLIENT.generic("POST", "/api/vapi/booking", b"{}", "application/json", headers=headers)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert json.loads(answer.content) == {
        "success": False,
        "error": {
            "code": "database_unavailable",
            "message": "The database cannot be reached; try again soon.",
        },
    }
