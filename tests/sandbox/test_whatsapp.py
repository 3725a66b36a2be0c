"""WhatsApp at the sandbox's Twilio: what the real one would refuse, deliver, or let fail later."""

from __future__ import annotations

import json
from typing import Any

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
    twilio_schema,
)

OURS, THEIRS = f"whatsapp:{CLINIC}", f"whatsapp:{PATIENT}"
TEMPLATE = "HX" + "a" * 32


@pytest.fixture(autouse=True)
def whatsapp_number(sandbox: RunningSandbox, receiver: Receiver) -> None:
    sandbox.control(
        "/numbers", {"number": OURS, "name": "Elm Street Clinic", "sms_url": f"{receiver.url}/sms"}
    )


def write_in(sandbox: RunningSandbox, body: str = "Hello", **more: Any) -> dict[str, Any]:
    given = {"from": PATIENT, "to": OURS, "body": body, **more}
    return dict(sandbox.control("/twilio/inbound-text", given))


def fate(sandbox: RunningSandbox, sid: str, *final: str) -> tuple[str, int | None]:
    """The message's final status and code."""

    def settled() -> Any:
        shown = {one["sid"]: one for one in sandbox.control("/twilio/messages")}[sid]
        return shown if shown["status"] in (final or ("delivered", "failed")) else None

    found = sandbox.wait_for(settled)
    return found["status"], found["error_code"]


def test_free_words_fail_unless_the_person_wrote_within_the_window(
    sandbox: RunningSandbox, twilio: Client
) -> None:
    outside = twilio.messages.create(to=THEIRS, from_=OURS, body="Hi")
    assert fate(sandbox, outside.sid) == ("failed", 63016)
    write_in(sandbox)
    inside = twilio.messages.create(to=THEIRS, from_=OURS, body="Hi")
    assert fate(sandbox, inside.sid) == ("delivered", None)
    sandbox.control("/settings", {"whatsapp_window_seconds": 0})
    after = twilio.messages.create(to=THEIRS, from_=OURS, body="Hi")
    assert fate(sandbox, after.sid) == ("failed", 63016)


def test_a_text_by_sms_opens_no_window(sandbox: RunningSandbox, twilio: Client, clinic_number: str) -> None:
    sandbox.control("/twilio/inbound-text", {"from": PATIENT, "to": clinic_number, "body": "Hi"})
    created = twilio.messages.create(to=THEIRS, from_=OURS, body="Hi")
    assert fate(sandbox, created.sid) == ("failed", 63016)


def test_a_template_arrives_at_any_time_with_its_places_filled(
    sandbox: RunningSandbox, twilio: Client
) -> None:
    sandbox.control("/settings", {"whatsapp_templates": {TEMPLATE: "{{1}}: see you at {{2}}."}})
    values = json.dumps({"1": "Elm Street Clinic", "2": "9 AM"})
    created = twilio.messages.create(to=THEIRS, from_=OURS, content_sid=TEMPLATE, content_variables=values)
    assert fate(sandbox, created.sid) == ("delivered", None)
    assert twilio.messages(created.sid).fetch().body == "Elm Street Clinic: see you at 9 AM."


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"content_sid": "HX1"}, 21655),
        ({"content_sid": "HX" + "b" * 32}, 21655),
        ({"content_sid": TEMPLATE}, 21656),
        ({"content_sid": TEMPLATE, "content_variables": '{"1": ""}'}, 21656),
        ({"content_sid": TEMPLATE, "content_variables": '{"1": "a\\nb"}'}, 21656),
        ({"content_sid": TEMPLATE, "content_variables": "1: a"}, 21656),
        ({"content_sid": TEMPLATE, "content_variables": '{"2": "a"}'}, 21656),
        ({"body": "Hi", "from_": CLINIC}, 21910),
    ],
)
def test_what_twilio_refuses_at_once(
    sandbox: RunningSandbox, twilio: Client, given: dict[str, str], code: int
) -> None:
    sandbox.control("/settings", {"whatsapp_templates": {TEMPLATE: "Hi {{1}}"}})
    with pytest.raises(TwilioRestException) as refused:
        twilio.messages.create(to=THEIRS, **{"from_": OURS, **given})
    assert (refused.value.status, refused.value.code) == (400, code)


def test_a_text_by_whatsapp_comes_in_as_twilio_posts_it(sandbox: RunningSandbox, receiver: Receiver) -> None:
    write_in(
        sandbox, profile_name="Dana R.", button_text="Yes, I will come", button_payload="confirm", body="Yes"
    )
    (request,) = receiver.at("/sms")
    form = request.form
    assert (form["From"], form["To"]) == (THEIRS, OURS)
    assert (form["ProfileName"], form["WaId"]) == ("Dana R.", PATIENT.removeprefix("+"))
    assert (form["ButtonText"], form["ButtonPayload"]) == ("Yes, I will come", "confirm")
    signature = RequestValidator(AUTH_TOKEN).compute_signature(f"{receiver.url}/sms", form)
    assert request.headers["x-twilio-signature"] == signature


def test_stop_is_not_filtered_for_us_on_whatsapp(sandbox: RunningSandbox, twilio: Client) -> None:
    write_in(sandbox, "STOP")
    assert twilio.messages.create(to=THEIRS, from_=OURS, body="Hi").sid


def test_receipts_name_the_channel_and_go_on_to_read(
    sandbox: RunningSandbox, receiver: Receiver, twilio: Client
) -> None:
    sandbox.control("/settings", {"whatsapp_read": True})
    write_in(sandbox)
    created = twilio.messages.create(
        to=THEIRS, from_=OURS, body="Hi", status_callback=f"{receiver.url}/status"
    )
    fate(sandbox, created.sid, "read")
    sandbox.wait_for(lambda: len(receiver.at("/status")) == 4)
    told = [(one.form["MessageStatus"], one.form.get("EventType")) for one in receiver.at("/status")]
    assert told == [("sending", None), ("sent", None), ("delivered", "DELIVERED"), ("read", "READ")]
    assert {one.form["ChannelPrefix"] for one in receiver.at("/status")} == {"whatsapp"}
    assert {one.form["To"] for one in receiver.at("/status")} == {THEIRS}


def test_a_message_is_valid_in_twilios_own_specification(sandbox: RunningSandbox) -> None:
    address = f"{sandbox.url}/twilio/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    form = {"To": THEIRS, "From": OURS, "ContentSid": TEMPLATE, "ContentVariables": '{"1": "a"}'}
    created = requests.post(address, data=form, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=5)
    assert created.status_code == 201
    twilio_schema("api.v2010.account.message").validate(created.json())


def test_a_whatsapp_sender_is_no_phone_number_of_the_account(twilio: Client) -> None:
    assert twilio.incoming_phone_numbers.list() == []


def test_the_phone_shows_both_channels_and_tells_which(sandbox: RunningSandbox, twilio: Client) -> None:
    write_in(sandbox)
    twilio.messages.create(to=PATIENT, from_=CLINIC, body="By text.")
    (phone,) = requests.get(f"{sandbox.url}/phone/state", timeout=5).json()["phones"]
    assert phone["number"] == PATIENT
    assert [(one["body"], one["channel"], one["clinic"]) for one in phone["texts"]] == [
        ("Hello", "whatsapp", OURS),
        ("By text.", "sms", CLINIC),
    ]
