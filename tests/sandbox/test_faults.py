from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from tests.sandbox.running import CLINIC, PATIENT, Receiver, RunningSandbox, twilio_client


def send(client: Client, to: str = PATIENT, **more: Any) -> Any:
    return client.messages.create(to=to, from_=CLINIC, body="See you at nine", **more)


def test_a_lost_answer_leaves_exactly_one_text_on_the_phone(sandbox: RunningSandbox, twilio: Client) -> None:
    sandbox.fault("accepted_then_lost", count=1)
    with pytest.raises(requests.ConnectionError):
        send(twilio)
    assert len(sandbox.texts()) == 1
    sandbox.wait_for(lambda: sandbox.texts()[0]["status"] == "delivered")
    found = twilio.messages.list(to=PATIENT)
    assert [message.sid for message in found] == [sandbox.texts()[0]["sid"]]


def test_a_reset_connection_leaves_nothing(sandbox: RunningSandbox, twilio: Client) -> None:
    sandbox.fault("connection_reset", count=1)
    with pytest.raises(requests.ConnectionError):
        send(twilio)
    assert sandbox.texts() == []
    assert sandbox.control("/requests?service=twilio")[0]["status"] is None


def test_a_slow_answer_outlives_the_client_but_the_text_is_there(sandbox: RunningSandbox) -> None:
    sandbox.fault("slow", delay_seconds=1.0, count=1)
    with pytest.raises(requests.ReadTimeout):
        send(twilio_client(sandbox.url, timeout=0.3))
    assert len(sandbox.texts()) == 1


def test_a_rate_limit_says_when_to_come_back(sandbox: RunningSandbox, twilio: Client) -> None:
    sandbox.fault("rate_limited", retry_after=7, count=1)
    with pytest.raises(TwilioRestException) as refused:
        send(twilio)
    assert (refused.value.status, refused.value.code) == (429, 20429)
    assert sandbox.texts() == []
    assert send(twilio).status == "queued"


def test_server_errors_come_with_and_without_twilios_body(sandbox: RunningSandbox, twilio: Client) -> None:
    sandbox.fault("server_error", count=1)
    with pytest.raises(TwilioRestException) as bare:
        send(twilio)
    sandbox.fault("server_error_with_body", code=20503, status=503, count=1)
    with pytest.raises(TwilioRestException) as worded:
        send(twilio)
    assert (bare.value.status, bare.value.code) == (503, 503)
    assert (worded.value.status, worded.value.code) == (503, 20503)


@pytest.mark.parametrize("code", [21211, 21610, 21614, 21606])
def test_a_permanent_refusal_strikes_only_its_recipient(
    sandbox: RunningSandbox, twilio: Client, code: int
) -> None:
    sandbox.fault("refused_permanent", code=code, match={"to": PATIENT})
    with pytest.raises(TwilioRestException) as refused:
        send(twilio)
    assert (refused.value.status, refused.value.code) == (400, code)
    assert send(twilio, to="+14155550177").status == "queued"


def test_an_undelivered_text_is_accepted_first(
    sandbox: RunningSandbox, twilio: Client, receiver: Receiver
) -> None:
    sandbox.fault("undelivered", code=30005)
    created = send(twilio, status_callback=f"{receiver.url}/receipt")
    receipts = sandbox.wait_for(lambda: len(receiver.at("/receipt")) == 3 and receiver.at("/receipt"))
    assert receipts[-1].form["MessageStatus"] == "undelivered"
    assert receipts[-1].form["ErrorCode"] == "30005"
    assert twilio.messages(created.sid).fetch().error_code == 30005


def test_receipts_come_twice_when_asked(sandbox: RunningSandbox, twilio: Client, receiver: Receiver) -> None:
    sandbox.fault("duplicate_receipts")
    send(twilio, status_callback=f"{receiver.url}/receipt")
    receipts = sandbox.wait_for(lambda: len(receiver.at("/receipt")) == 6 and receiver.at("/receipt"))
    assert [one.form["MessageStatus"] for one in receipts][:2] == ["sending", "sending"]


def test_receipts_come_in_the_wrong_order_when_asked(
    sandbox: RunningSandbox, twilio: Client, receiver: Receiver
) -> None:
    sandbox.fault("out_of_order_receipts")
    send(twilio, status_callback=f"{receiver.url}/receipt")
    receipts = sandbox.wait_for(lambda: len(receiver.at("/receipt")) == 3 and receiver.at("/receipt"))
    assert [one.form["MessageStatus"] for one in receipts] == ["delivered", "sent", "sending"]


def test_a_receipt_can_come_before_the_reply(
    sandbox: RunningSandbox, twilio: Client, receiver: Receiver
) -> None:
    sandbox.fault("receipt_before_reply")
    created = send(twilio, status_callback=f"{receiver.url}/receipt")
    assert receiver.at("/receipt")[0].form["MessageSid"] == created.sid
    assert receiver.at("/receipt")[0].form["MessageStatus"] == "sent"
    sandbox.wait_for(lambda: len(receiver.at("/receipt")) == 2)
    assert receiver.at("/receipt")[1].form["MessageStatus"] == "delivered"


def test_no_receipt_comes_when_none_is_asked_for(
    sandbox: RunningSandbox, twilio: Client, receiver: Receiver
) -> None:
    sandbox.fault("no_receipts")
    send(twilio, status_callback=f"{receiver.url}/receipt")
    sandbox.wait_for(lambda: sandbox.texts()[0]["status"] == "delivered")
    assert sandbox.control("/webhooks") == []


def test_a_service_that_is_down_resets_every_connection_and_comes_back(
    sandbox: RunningSandbox, twilio: Client
) -> None:
    sandbox.control("/down", {"service": "twilio"})
    with pytest.raises(requests.ConnectionError):
        send(twilio)
    assert sandbox.control("/health")["down"] == ["twilio"]
    sandbox.control("/down", method="DELETE")
    assert send(twilio).status == "queued"


def test_a_shut_gate_refuses_to_connect_and_opens_again_at_the_same_port(sandbox: RunningSandbox) -> None:
    gate = sandbox.control("/gates", {})
    through = twilio_client(gate["base_url"])
    assert send(through).status == "queued"
    sandbox.control(f"/gates/{gate['port']}/shut", {})
    with pytest.raises(requests.ConnectionError) as refused:
        send(twilio_client(gate["base_url"]))
    assert "refused" in str(refused.value).lower()
    with pytest.raises(requests.ConnectionError):
        send(through)
    sandbox.control(f"/gates/{gate['port']}/open", {})
    assert send(through).status == "queued"


def test_count_skip_and_probability_bound_a_fault(sandbox: RunningSandbox, twilio: Client) -> None:
    sandbox.fault("rate_limited", count=1, skip=1)
    sandbox.fault("rate_limited", probability=0.0)
    assert send(twilio).status == "queued"
    with pytest.raises(TwilioRestException):
        send(twilio)
    assert send(twilio).status == "queued"


def test_a_fault_can_strike_one_kind_of_request_only(sandbox: RunningSandbox, twilio: Client) -> None:
    sandbox.fault("server_error", match={"method": "GET", "path": "Messages"})
    assert send(twilio).status == "queued"
    with pytest.raises(TwilioException):
        twilio.messages.list()


@pytest.mark.parametrize(
    "asked",
    [
        {"service": "twilio", "kind": "meteor"},
        {"service": "bank", "kind": "slow"},
        {"service": "twilio", "kind": "slow", "match": {"colour": "red"}},
        {"service": "twilio", "kind": "slow", "speed": 1},
        {"kind": "slow"},
    ],
)
def test_a_fault_that_cannot_be_understood_is_refused_with_a_reason(
    sandbox: RunningSandbox, asked: dict[str, Any]
) -> None:
    answer = requests.post(f"{sandbox.url}/_control/faults", json=asked, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert sandbox.control("/faults") == []


def test_latency_does_not_queue_requests_behind_one_another(sandbox: RunningSandbox) -> None:
    sandbox.control("/settings", {"latency_seconds": 0.3})
    gate = sandbox.control("/gates", {})
    began = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: send(twilio_client(gate["base_url"])), range(10)))
    assert time.monotonic() - began < 1.5
