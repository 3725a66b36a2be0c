from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import override_settings
from django.utils import timezone
from pytest_httpserver import HTTPServer
from werkzeug import Request
from werkzeug.test import EnvironBuilder

from messaging.models import Message
from messaging.providers.answers import Answer, Content, TryOutcome
from messaging.providers.twilio import client as twilio
from messaging.sending import delivery
from tests.contracts.specifications import document, twilio_faults
from tests.telephony.vapi_client import VapiCaller
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

ACCOUNT = twilio.Account(sid="AC" + "1" * 32, auth_token="token-of-these-tests")
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT.sid}/Messages.json"
CALLBACK = "https://voxanne.example/api/webhooks/twilio/sms-status/0190#rc=3&rp=all"
VALID = {
    "To": "+14155550142",
    "From": "+14155550100",
    "Body": "See you at nine.",
    "StatusCallback": CALLBACK,
    "ValidityPeriod": "3600",
}


@pytest.fixture
def server(httpserver: HTTPServer) -> Iterator[HTTPServer]:
    """A server at TWILIO_API_BASE_URL, under a path as the sandbox has one."""
    with override_settings(TWILIO_API_BASE_URL=httpserver.url_for("/twilio")):
        yield httpserver


def example(method: str) -> Any:
    """Twilio's own example of the answer to this method."""
    operation = document("twilio_api_v2010.json")["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"][
        method
    ]
    answer = next(iter(operation["responses"].values()))
    examples = answer["content"]["application/json"]["examples"]
    return next(iter(examples.values()))["value"]


def send(**changes: Any) -> Answer:
    wish = {
        "sender": "+14155550100",
        "recipient": "+14155550142",
        "body": "See you at nine.",
        "status_callback": CALLBACK,
        "validity": timedelta(hours=1),
    }
    return twilio.send(ACCOUNT, **{**wish, **changes})


def answers(server: HTTPServer, method: str, body: Any, status: int = 200) -> None:
    server.expect_request(f"/twilio{MESSAGES}", method=method).respond_with_json(body, status=status)


def the_request(server: HTTPServer) -> Request:
    """The one request that reached the server."""
    ((request, _),) = server.log
    return request


def form(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.get_data(as_text=True), keep_blank_values=True, strict_parsing=True)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"body": "Ärztehaus „Elm“ – 10:30 😀 & more = 100% + “quotes”"},
        {"body": "x" * 1600},
        {"recipient": "+447700900142"},
        {"validity": timedelta(seconds=-5)},
        {"validity": timedelta(days=300)},
        {"validity": timedelta(milliseconds=1)},
    ],
)
def test_a_text_is_sent_as_twilio_documents_it(server: HTTPServer, changes: dict[str, Any]) -> None:
    answers(server, "POST", example("post"), 201)
    send(**changes)
    request = the_request(server)
    assert twilio_faults(request) == []
    sent = form(request)
    assert sent["Body"] == [changes.get("body", VALID["Body"])]
    assert sent["To"] == [changes.get("recipient", VALID["To"])]
    assert sent["StatusCallback"] == [CALLBACK]
    assert 1 <= int(sent["ValidityPeriod"][0]) <= 36_000


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, {"Body": ["See you at nine."]}),
        (Content("HX" + "a" * 32, ""), {"ContentSid": ["HX" + "a" * 32]}),
        (
            Content("HX" + "a" * 32, '{"1": "Ärztehaus „Elm“", "2": "9 AM"}'),
            {
                "ContentSid": ["HX" + "a" * 32],
                "ContentVariables": ['{"1": "Ärztehaus „Elm“", "2": "9 AM"}'],
            },
        ),
    ],
)
def test_a_text_by_whatsapp_is_sent_as_twilio_documents_it(
    server: HTTPServer, content: Content | None, expected: dict[str, list[str]]
) -> None:
    answers(server, "POST", example("post"), 201)
    send(sender="whatsapp:+14155550100", recipient="whatsapp:+14155550142", content=content)
    request = the_request(server)
    assert twilio_faults(request) == []
    sent = form(request)
    said = {name: sent[name] for name in ("Body", "ContentSid", "ContentVariables") if name in sent}
    assert said == expected
    assert (sent["From"], sent["To"]) == (["whatsapp:+14155550100"], ["whatsapp:+14155550142"])


def test_texts_by_whatsapp_are_listed_as_twilio_documents_it(server: HTTPServer) -> None:
    answers(server, "GET", {**example("get"), "next_page_uri": None})
    twilio.sent_to(
        ACCOUNT,
        recipient="whatsapp:+14155550142",
        sender="whatsapp:+14155550100",
        since=datetime.now(UTC) - timedelta(days=4000),
    )
    request = the_request(server)
    assert twilio_faults(request) == []
    assert (request.args["To"], request.args["From"]) == ("whatsapp:+14155550142", "whatsapp:+14155550100")


def test_twilios_own_example_answer_is_read(server: HTTPServer) -> None:
    shown = example("post")
    answers(server, "POST", shown, 201)
    answer = send()
    assert (answer.outcome, answer.sid, answer.status) == (TryOutcome.ACCEPTED, shown["sid"], shown["status"])


def test_an_api_key_is_sent_in_place_of_the_token(server: HTTPServer) -> None:
    answers(server, "POST", example("post"), 201)
    account = twilio.Account(ACCOUNT.sid, "", api_key="SK" + "2" * 32, api_secret="secret-of-the-key")
    twilio.send(
        account, sender="+14155550100", recipient="+14155550142", body="Hi", status_callback=CALLBACK,
        validity=timedelta(hours=1),
    )  # fmt: skip
    request = the_request(server)
    assert twilio_faults(request) == []
    assert request.authorization is not None
    assert request.authorization.username == account.api_key


def test_a_phones_texts_are_listed_as_twilio_documents_it(server: HTTPServer) -> None:
    answers(server, "GET", {**example("get"), "next_page_uri": None})
    twilio.sent_to(
        ACCOUNT,
        recipient="+14155550142",
        sender="+14155550100",
        since=datetime.now(UTC) - timedelta(days=4000),
    )
    request = the_request(server)
    assert twilio_faults(request) == []
    assert request.args["To"] == "+14155550142"
    assert request.args["From"] == "+14155550100"
    assert not request.get_data()


def test_twilios_own_example_list_is_read(server: HTTPServer) -> None:
    shown = {**example("get"), "next_page_uri": None}
    answers(server, "GET", shown)
    listed = twilio.sent_to(
        ACCOUNT, recipient="+14155550142", sender="+14155550100", since=datetime(2000, 1, 1, tzinfo=UTC)
    )
    assert [item.sid for item in listed] == [message["sid"] for message in shown["messages"]]


def test_a_bookings_text_leaves_as_twilio_documents_it(call: VapiCaller, server: HTTPServer) -> None:
    answers(server, "POST", example("post"), 201)
    booked = call.use(
        "bookClinicAppointment",
        appointmentDate=call.clinic.next_weekday().isoformat(),
        appointmentTime="10:00",
        patientName="Dana Ruiz",
    )
    with org_scope(call.clinic.id):
        message = Message.objects.get()
    claimed = work.claim(delivery.SMS_DELIVERY, call.clinic.id, message.pk)
    assert claimed is not None
    with override_settings(TWILIO_ACCOUNT_SID=ACCOUNT.sid):
        delivery.SMS_DELIVERY.perform(claimed.row, claimed.prepared)
    request = the_request(server)
    assert twilio_faults(request) == []
    sent = form(request)
    assert booked["confirmationCode"] in sent["Body"][0]
    assert sent["From"] == [call.clinic.number]
    callback = urlsplit(sent["StatusCallback"][0])
    assert callback.path.endswith(f"/sms-status/{message.pk}")
    assert "_" not in callback.netloc
    assert message.expires_at > timezone.now()


def built(method: str = "POST", path: str = MESSAGES, signed: bool = True, **more: Any) -> Request:
    credentials = base64.b64encode(b"user:password").decode()
    headers = [("Authorization", f"Basic {credentials}")] if signed else []
    return Request(EnvironBuilder(method=method, path=path, headers=headers, **more).get_environ())


def test_the_validator_finds_nothing_wrong_with_a_right_request() -> None:
    assert twilio_faults(built(data=VALID)) == []
    assert twilio_faults(built("GET", query_string={"To": "+14155550142", "PageSize": "200"})) == []


@pytest.mark.parametrize(
    "damaged",
    [
        {**VALID, "To": None},
        {**VALID, "ValidityPeriod": "soon"},
        {**VALID, "MessagingServiceSid": "MG1"},
        {**VALID, "ContentSid": "HX1"},
        {**VALID, "Frm": "+14155550100"},
        {**VALID, "body": "In small letters."},
        {**VALID, "StatusCallBack": CALLBACK},
    ],
)
def test_the_validator_finds_a_damaged_text(damaged: dict[str, str | None]) -> None:
    assert twilio_faults(built(data={name: value for name, value in damaged.items() if value is not None}))


@pytest.mark.parametrize(
    "damaged",
    [
        {"data": VALID, "signed": False},
        {"json": VALID},
        {"data": urlencode(VALID), "content_type": "text/plain"},
        {"data": VALID, "path": "/2010-04-01/Accounts/AC1/Messages.json"},
        {"data": VALID, "path": f"/2010-04-01/Accounts/{ACCOUNT.sid}/Texts.json"},
        {"data": VALID, "method": "PUT"},
        {"method": "GET", "query_string": {"PageSize": "many"}},
        {"method": "GET", "query_string": {"Recipient": "+14155550142"}},
    ],
)
def test_the_validator_finds_a_damaged_request(damaged: dict[str, Any]) -> None:
    assert twilio_faults(built(**damaged))
