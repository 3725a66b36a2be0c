"""Values that PostgreSQL will not take: told from an outage, since sending them again would help nobody.

The views clean what they are given; here that cleaning is left out, so that the database itself refuses.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from twilio.request_validator import RequestValidator

from telephony.twilio import receipts_view
from telephony.vapi import arrivals, payload
from telephony.webhooks.database_faults import answer_to
from tests.telephony.vapi_client import SHARED_CLIENT, VapiCaller, tool_call

BY_SID = "/api/webhooks/sms-status"


@pytest.fixture(autouse=True)
def _nothing_is_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_it_came(value: Any, longest: int = 0) -> str:
        return value if isinstance(value, str) else ""

    for module in (payload, arrivals, receipts_view):
        monkeypatch.setattr(module, "text", as_it_came)


def post(path: str, form: dict[str, str]) -> Any:
    whole = {"AccountSid": settings.TWILIO_ACCOUNT_SID, **form}
    signature = RequestValidator(settings.TWILIO_AUTH_TOKEN).compute_signature(
        f"{settings.BACKEND_URL}{path}", whole
    )
    return SHARED_CLIENT.post(path, whole, headers={"X-Twilio-Signature": signature})


def refused(answer: Any) -> bool:
    return (answer.status_code, json.loads(answer.content)["error"]["code"]) == (400, "invalid_request")


@pytest.mark.django_db
def test_a_receipt_for_an_id_that_no_table_holds_is_refused() -> None:
    assert refused(post(BY_SID, {"MessageSid": "SM\x00", "MessageStatus": "sent"}))


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["status-update", "end-of-call-report"])
def test_news_of_a_call_that_cannot_be_kept_is_refused(call: VapiCaller, kind: str) -> None:
    call.call_id = "a\x00b"
    assert refused(call.post(call.message(kind, status="ended")))


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["assistant-request", "transfer-destination-request"])
def test_where_vapi_waits_for_a_sentence_it_gets_one(call: VapiCaller, kind: str) -> None:
    call.call_id = "x" * 200
    answer = call.post(call.message(kind))
    assert (answer.status_code, set(json.loads(answer.content))) == (200, {"error"})


@pytest.mark.django_db
def test_a_tool_call_is_apologised_for(call: VapiCaller) -> None:
    call.call_id = "x" * 200
    (entry,) = call.ask(tool_call("checkAvailability", {"date": "2027-01-04"}))
    assert "error" in entry


@pytest.mark.parametrize("error", [OperationalError(), InterfaceError()])
def test_an_outage_asks_for_it_again(error: DatabaseError) -> None:
    assert answer_to(error).status_code == 503


@pytest.mark.parametrize("error", [DataError(), IntegrityError()])
def test_refused_data_does_not(error: DatabaseError) -> None:
    assert answer_to(error).status_code == 400


def test_a_statement_of_ours_that_is_wrong_is_a_fault_of_ours() -> None:
    with pytest.raises(ProgrammingError):
        answer_to(ProgrammingError())
