"""What is asked of Twilio's IncomingPhoneNumbers, held against Twilio's own document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from django.test import override_settings
from pytest_httpserver import HTTPServer
from werkzeug import Request
from werkzeug.test import EnvironBuilder

from messaging.providers.twilio.client import Account
from telephony.tool_chain import pointing
from telephony.tool_chain.pointing import OurNumber
from telephony.twilio import numbers
from tests.contracts.specifications import document, twilio_faults

ACCOUNT = Account(sid="AC" + "1" * 32, auth_token="token-of-these-tests")
BASE = f"/2010-04-01/Accounts/{ACCOUNT.sid}/IncomingPhoneNumbers"
SID = "PN" + "a" * 32
METHODS = ("voice_method", "voice_fallback_method", "status_callback_method", "sms_method")
OURS = OurNumber("+14155550100", "+14155550199", takes_calls=True)


@pytest.fixture
def server(httpserver: HTTPServer) -> Iterator[HTTPServer]:
    with override_settings(
        TWILIO_API_BASE_URL=httpserver.url_for("/twilio"), BACKEND_URL="https://voxanne.example"
    ):
        yield httpserver


def example(path: str, method: str) -> Any:
    """Twilio's own example of the answer."""
    operation = document("twilio_api_v2010.json")["paths"][path][method]
    examples = next(iter(operation["responses"].values()))["content"]["application/json"]["examples"]
    return next(iter(examples.values()))["value"]


def held(number: str) -> Any:
    template = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json"
    shown = {**example(template, "get"), "next_page_uri": None}
    first = shown["incoming_phone_numbers"][0] | {"phone_number": number, "sid": SID}
    unset = dict.fromkeys(numbers.ANSWERED_OTHERWISE) | dict.fromkeys(METHODS, "GET")
    return {**shown, "incoming_phone_numbers": [{**first, **unset}]}


def serve(server: HTTPServer) -> None:
    listed = held(OURS.number)
    record = listed["incoming_phone_numbers"][0] | pointing.wanted_addresses(OURS)
    server.expect_request(f"/twilio{BASE}.json", method="GET").respond_with_json(listed)
    server.expect_request(f"/twilio{BASE}/{SID}.json", method="POST").respond_with_json(record)


def test_a_number_is_found_and_pointed_as_twilio_documents_it(server: HTTPServer) -> None:
    serve(server)
    item = pointing._point(ACCOUNT, OURS, check_only=False)
    assert item.state.value == "repaired"
    (listing, _), (update, _) = server.log
    assert twilio_faults(listing) == []
    assert listing.args["PhoneNumber"] == OURS.number
    assert twilio_faults(update) == []
    sent = parse_qs(update.get_data(as_text=True), strict_parsing=True)
    assert sent["VoiceUrl"][0].endswith(
        "/api/webhooks/twilio/voice#ct=2000&rt=5000&tt=12000&rc=2&rp=ct,rt,5xx"
    )
    assert sent["StatusCallback"][0].endswith("/api/webhooks/twilio/call-status#rc=3&rp=all")
    assert sent["SmsUrl"][0].endswith("/api/webhooks/twilio/sms#rc=3&rp=ct,rt,5xx")
    assert {name for name in sent if name.endswith("Method")} == {
        "VoiceMethod", "VoiceFallbackMethod", "StatusCallbackMethod", "SmsMethod",
    }  # fmt: skip


def test_the_account_is_asked_for_as_twilio_documents_it(server: HTTPServer) -> None:
    shown = example("/2010-04-01/Accounts/{Sid}.json", "get") | {"status": "active"}
    server.expect_request(f"/twilio/2010-04-01/Accounts/{ACCOUNT.sid}.json").respond_with_json(shown)
    assert numbers.account_status(ACCOUNT) == "active"


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("POST", f"{BASE}/{SID}.json", {"VoiceMethod": "PUT"}),
        ("POST", f"{BASE}/{SID}.json", {"VoiceURL": "https://voxanne.example/voice"}),
        ("POST", f"{BASE}/{SID}.json", {"StatusCallbackUrl": "https://voxanne.example/status"}),
        ("GET", f"{BASE}.json?Number=1", {}),
    ],
)
def test_a_request_that_twilio_would_not_heed_is_caught(
    method: str, path: str, fields: dict[str, str]
) -> None:
    built = EnvironBuilder(
        path=path,
        method=method,
        base_url="https://api.twilio.com",
        data=urlencode(fields) if fields else None,
        content_type="application/x-www-form-urlencoded" if fields else None,
    )
    assert twilio_faults(Request(built.get_environ())) != []
