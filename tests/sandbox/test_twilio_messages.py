from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.sandbox.running import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CLINIC,
    PATIENT,
    Receiver,
    RunningSandbox,
    twilio_client,
    twilio_schema,
)

MESSAGES = f"/twilio/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"


def send(client: Client, body: str = "See you at nine", to: str = PATIENT, **more: Any) -> Any:
    return client.messages.create(to=to, from_=CLINIC, body=body, **more)


def settled(sandbox: RunningSandbox, sid: str) -> str:
    """The message's status once it is final."""
    statuses = {text["sid"]: text["status"] for text in sandbox.control("/twilio/messages")}
    status: str = statuses[sid]
    return status if status in ("delivered", "undelivered", "failed", "canceled") else ""


@pytest.fixture
def message_schema() -> jsonschema.Draft202012Validator:
    return twilio_schema("api.v2010.account.message")


def test_a_text_is_queued_and_ends_delivered(sandbox: RunningSandbox, twilio: Client) -> None:
    created = send(twilio)
    assert created.status == "queued"
    assert created.date_created.tzinfo is not None
    assert sandbox.wait_for(lambda: settled(sandbox, created.sid)) == "delivered"
    assert twilio.messages(created.sid).fetch().date_sent is not None


def test_the_resources_are_valid_in_twilios_own_specification(
    sandbox: RunningSandbox, twilio: Client, message_schema: jsonschema.Draft202012Validator
) -> None:
    basic = (ACCOUNT_SID, AUTH_TOKEN)
    created = requests.post(
        sandbox.url + MESSAGES, data={"To": PATIENT, "From": CLINIC, "Body": "Hi"}, auth=basic, timeout=5
    )
    assert created.status_code == 201
    message_schema.validate(created.json())
    sandbox.wait_for(lambda: settled(sandbox, created.json()["sid"]))
    listed = requests.get(sandbox.url + MESSAGES, auth=basic, timeout=5).json()
    for message in listed["messages"]:
        message_schema.validate(message)
    assert set(listed) == {
        "messages",
        "end",
        "start",
        "page",
        "page_size",
        "uri",
        "first_page_uri",
        "next_page_uri",
        "previous_page_uri",
    }


def test_the_real_client_pages_through_every_text_once_newest_first(twilio: Client) -> None:
    sent = [send(twilio, f"Text {place}").sid for place in range(7)]
    assert [message.sid for message in twilio.messages.list(page_size=3)] == sent[::-1]


def test_listing_filters_by_recipient_sender_and_day(sandbox: RunningSandbox, twilio: Client) -> None:
    mine, other = send(twilio), send(twilio, to="+14155550177")
    sandbox.wait_for(lambda: settled(sandbox, mine.sid) and settled(sandbox, other.sid))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert [one.sid for one in twilio.messages.list(to=PATIENT)] == [mine.sid]
    assert twilio.messages.list(from_="+14155550999") == []
    assert [one.sid for one in twilio.messages.list(to=PATIENT, date_sent_after=yesterday)] == [mine.sid]
    assert twilio.messages.list(to=PATIENT, date_sent_before=yesterday) == []


def test_a_text_not_yet_sent_matches_no_date_filter(sandbox: RunningSandbox, twilio: Client) -> None:
    sandbox.fault("stays_queued")
    send(twilio)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert twilio.messages.list(to=PATIENT, date_sent_after=yesterday) == []
    assert len(twilio.messages.list(to=PATIENT)) == 1


def test_a_wrong_token_is_refused_as_twilio_refuses_it(sandbox: RunningSandbox) -> None:
    with pytest.raises(TwilioRestException) as refused:
        send(twilio_client(sandbox.url, token="wrong"))
    assert (refused.value.status, refused.value.code) == (401, 20003)
    assert sandbox.texts() == []


def test_a_configured_account_takes_only_its_own_keys(sandbox: RunningSandbox) -> None:
    account = "AC" + "7" * 32
    sandbox.control(
        "/twilio/accounts", {"sid": account, "auth_token": "own", "api_keys": {"SK" + "1" * 32: "secret"}}
    )
    address = sandbox.url + MESSAGES.replace(ACCOUNT_SID, account)
    assert requests.get(address, auth=("SK" + "1" * 32, "secret"), timeout=5).status_code == 200
    assert requests.get(address, auth=("SK" + "1" * 32, "other"), timeout=5).status_code == 401
    assert requests.get(address, auth=("SK" + "2" * 32, "secret"), timeout=5).status_code == 401
    assert requests.get(address, timeout=5).status_code == 401


def test_another_accounts_text_is_not_found(sandbox: RunningSandbox, twilio: Client) -> None:
    created = send(twilio)
    stranger = twilio_client(sandbox.url, sid="AC" + "8" * 32, token="any")
    with pytest.raises(TwilioRestException) as refused:
        stranger.messages(created.sid).fetch()
    assert (refused.value.status, refused.value.code) == (404, 20404)
    assert stranger.messages.list() == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"From": CLINIC, "Body": "x"}, 21604),
        ({"To": PATIENT, "Body": "x"}, 21603),
        ({"To": PATIENT, "From": CLINIC}, 21602),
        ({"To": "0415", "From": CLINIC, "Body": "x"}, 21211),
        ({"To": CLINIC, "From": CLINIC, "Body": "x"}, 21211),
        ({"To": PATIENT, "From": CLINIC, "Body": "x" * 1601}, 21617),
        ({"To": PATIENT, "From": CLINIC, "Body": "x", "StatusCallback": "ftp://a"}, 21609),
    ],
)
def test_a_faulty_request_gets_twilios_code_and_leaves_nothing(
    sandbox: RunningSandbox, fields: dict[str, str], code: int
) -> None:
    answer = requests.post(sandbox.url + MESSAGES, data=fields, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert set(answer.json()) == {"code", "message", "more_info", "status"}
    assert sandbox.control("/twilio/messages") == []


def test_receipts_are_rightly_signed_over_the_address_without_its_fragment(
    sandbox: RunningSandbox, twilio: Client, receiver: Receiver
) -> None:
    address = f"{receiver.url}/receipt?message=17"
    created = send(twilio, status_callback=f"{address}#rc=3&rp=all")
    receipts = sandbox.wait_for(lambda: len(receiver.at("/receipt")) == 3 and receiver.at("/receipt"))
    assert [receipt.form["MessageStatus"] for receipt in receipts] == ["sending", "sent", "delivered"]
    for receipt in receipts:
        assert receipt.path == "/receipt?message=17"
        assert receipt.form["MessageSid"] == receipt.form["SmsSid"] == created.sid
        signature = receipt.headers["x-twilio-signature"]
        assert RequestValidator(AUTH_TOKEN).validate(address, receipt.form, signature)
        assert not RequestValidator("another").validate(address, receipt.form, signature)


def test_each_account_signs_with_its_own_token(sandbox: RunningSandbox, receiver: Receiver) -> None:
    account = "AC" + "7" * 32
    sandbox.control("/twilio/accounts", {"sid": account, "auth_token": "own"})
    send(twilio_client(sandbox.url, sid=account, token="own"), status_callback=f"{receiver.url}/receipt")
    receipt = sandbox.wait_for(lambda: receiver.at("/receipt"))[0]
    signature = receipt.headers["x-twilio-signature"]
    assert RequestValidator("own").validate(f"{receiver.url}/receipt", receipt.form, signature)


def test_a_failing_receiver_is_tried_again_as_the_fragment_asks_with_one_token(
    sandbox: RunningSandbox, twilio: Client, receiver: Receiver
) -> None:
    receiver.answers["/receipt"] = [(500, ""), (503, ""), (200, "")]
    sandbox.control("/settings", {"receipt_statuses": ["delivered"]})
    send(twilio, status_callback=f"{receiver.url}/receipt#rc=3&rp=5xx")
    receipts = sandbox.wait_for(lambda: len(receiver.at("/receipt")) == 3 and receiver.at("/receipt"))
    assert len({receipt.headers["i-twilio-idempotency-token"] for receipt in receipts}) == 1
    delivery = sandbox.wait_for(lambda: sandbox.control("/webhooks?limit=1"))[0]
    assert (delivery["attempts"], delivery["status"]) == (3, 200)


def test_without_overrides_a_5xx_is_not_tried_again(
    sandbox: RunningSandbox, twilio: Client, receiver: Receiver
) -> None:
    receiver.answers["/receipt"] = [(500, "")]
    sandbox.control("/settings", {"receipt_statuses": ["delivered"]})
    send(twilio, status_callback=f"{receiver.url}/receipt")
    delivery = sandbox.wait_for(lambda: sandbox.control("/webhooks"))[0]
    assert (delivery["attempts"], delivery["status"]) == (1, 500)


def test_what_phones_hold_says_when_the_request_came_in(sandbox: RunningSandbox, twilio: Client) -> None:
    sandbox.control("/settings", {"latency_seconds": {"twilio": 0.3}})
    before = datetime.now(UTC)
    send(twilio)
    text = sandbox.texts()[0]
    arrived = datetime.fromisoformat(text["request_received_at"])
    created = datetime.fromisoformat(text["created_at"])
    assert before - timedelta(milliseconds=1) <= arrived <= created - timedelta(seconds=0.29)


def test_a_messaging_service_chooses_the_sender(sandbox: RunningSandbox, twilio: Client) -> None:
    service = "MG" + "2" * 32
    sandbox.control("/numbers", {"number": CLINIC, "messaging_service_sid": service})
    created = twilio.messages.create(to=PATIENT, messaging_service_sid=service, body="Hi")
    assert (created.status, created.from_, created.num_segments) == ("accepted", None, "0")
    sandbox.wait_for(lambda: settled(sandbox, created.sid))
    assert twilio.messages(created.sid).fetch().from_ == CLINIC


def test_segments_are_counted_in_the_encoding_the_text_needs(twilio: Client) -> None:
    assert send(twilio, "a" * 160).num_segments == "1"
    assert send(twilio, "a" * 161).num_segments == "2"
    assert send(twilio, "á" * 71).num_segments == "2"
    assert send(twilio, "{" * 81).num_segments == "2"


def test_a_sender_that_is_not_the_accounts_is_refused_when_that_is_enforced(
    sandbox: RunningSandbox, twilio: Client
) -> None:
    sandbox.control("/settings", {"enforce_senders": True})
    with pytest.raises(TwilioRestException) as refused:
        send(twilio)
    assert refused.value.code == 21606
    sandbox.control("/numbers", {"number": CLINIC})
    assert send(twilio).status == "queued"


def test_a_scheduled_text_waits_and_can_be_canceled(sandbox: RunningSandbox, twilio: Client) -> None:
    sandbox.control("/numbers", {"number": CLINIC})
    created = twilio.messages.create(
        to=PATIENT,
        messaging_service_sid="MG" + "2" * 32,
        body="Hi",
        schedule_type="fixed",
        send_at=datetime.now(UTC) + timedelta(hours=1),
    )
    assert created.status == "scheduled"
    assert twilio.messages(created.sid).update(status="canceled").status == "canceled"
    delivered = send(twilio)
    sandbox.wait_for(lambda: settled(sandbox, delivered.sid))
    with pytest.raises(TwilioRestException) as refused:
        twilio.messages(delivered.sid).update(status="canceled")
    assert refused.value.status == 409


def test_a_text_can_be_redacted_and_deleted(sandbox: RunningSandbox, twilio: Client) -> None:
    created = send(twilio)
    sandbox.wait_for(lambda: settled(sandbox, created.sid))
    assert twilio.messages(created.sid).update(body="").body == ""
    assert twilio.messages(created.sid).delete()
    assert sandbox.texts() == []
