from __future__ import annotations

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
    Received,
    Receiver,
    RunningSandbox,
    twilio_schema,
)

LINE = "+14155550199"


def text_in(sandbox: RunningSandbox, body: str, **more: Any) -> dict[str, Any]:
    answer = sandbox.control("/twilio/inbound-text", {"from": PATIENT, "to": CLINIC, "body": body, **more})
    return dict(answer)


def call_in(sandbox: RunningSandbox, **more: Any) -> dict[str, Any]:
    script = {"from": PATIENT, "to": CLINIC, "ring_seconds": 0.05, "talk_seconds": 0.05, "wait": True, **more}
    return dict(sandbox.control("/twilio/inbound-call", script))


def is_signed(receiver: Receiver, request: Received) -> bool:
    signature = request.headers["x-twilio-signature"]
    return bool(RequestValidator(AUTH_TOKEN).validate(receiver.url + request.path, request.form, signature))


def dial(noun: str = f"<Number>{LINE}</Number>", attributes: str = "") -> str:
    return (
        f'<Response><Dial action="/voice?mode=dial-result" timeout="18" {attributes}>{noun}</Dial></Response>'
    )


@pytest.mark.usefixtures("clinic_number")
class TestTexts:
    def test_a_text_reaches_the_clinics_address_signed(
        self, sandbox: RunningSandbox, receiver: Receiver
    ) -> None:
        sid = text_in(sandbox, "Can I come earlier? ☺")["message_sid"]
        request = receiver.at("/sms")[0]
        assert is_signed(receiver, request)
        assert request.form["MessageSid"] == request.form["SmsMessageSid"] == sid
        assert (request.form["From"], request.form["To"]) == (PATIENT, CLINIC)
        assert request.form["Body"] == "Can I come earlier? ☺"

    def test_the_reply_in_twiml_reaches_the_phone(self, sandbox: RunningSandbox, receiver: Receiver) -> None:
        receiver.answers["/sms"] = [(200, "<Response><Message>We will call you.</Message></Response>")]
        assert text_in(sandbox, "Hello")["replies"] == ["We will call you."]
        sandbox.wait_for(lambda: sandbox.texts()[0]["status"] == "delivered")
        assert sandbox.texts()[0]["direction"] == "outbound-reply"

    @pytest.mark.parametrize("word", ["STOP", "stop ", "CANCEL", "END", "unsubscribe"])
    def test_a_stop_word_blocks_the_pair_and_is_still_told_to_us(
        self, sandbox: RunningSandbox, receiver: Receiver, twilio: Client, word: str
    ) -> None:
        text_in(sandbox, word)
        assert receiver.at("/sms")[0].form["Body"] == word
        assert "OptOutType" not in receiver.at("/sms")[0].form
        with pytest.raises(TwilioRestException) as refused:
            twilio.messages.create(to=PATIENT, from_=CLINIC, body="Hi")
        assert refused.value.code == 21610
        assert twilio.messages.create(to=PATIENT, from_="+14155550101", body="Hi").sid

    def test_a_start_word_lifts_the_block(self, sandbox: RunningSandbox, twilio: Client) -> None:
        text_in(sandbox, "STOP")
        text_in(sandbox, "START")
        assert twilio.messages.create(to=PATIENT, from_=CLINIC, body="Hi").sid

    def test_a_stop_inside_a_sentence_blocks_nothing(self, sandbox: RunningSandbox, twilio: Client) -> None:
        text_in(sandbox, "Please stop by at nine")
        assert twilio.messages.create(to=PATIENT, from_=CLINIC, body="Hi").sid

    def test_advanced_opt_out_names_the_keyword(self, sandbox: RunningSandbox, receiver: Receiver) -> None:
        sandbox.control("/settings", {"advanced_opt_out": True})
        text_in(sandbox, "STOP")
        assert receiver.at("/sms")[0].form["OptOutType"] == "STOP"

    def test_a_texts_webhook_can_be_repeated_with_the_same_sid(
        self, sandbox: RunningSandbox, receiver: Receiver
    ) -> None:
        sid = text_in(sandbox, "Hello")["message_sid"]
        text_in(sandbox, "", sid=sid)
        assert [request.form["MessageSid"] for request in receiver.at("/sms")] == [sid, sid]
        assert [request.form["Body"] for request in receiver.at("/sms")] == ["Hello", "Hello"]


def test_a_number_nobody_configured_is_said_to_be_so(sandbox: RunningSandbox) -> None:
    body = {"from": PATIENT, "to": "+14155550111", "body": "Hi"}
    answer = requests.post(f"{sandbox.url}/_control/twilio/inbound-text", json=body, timeout=5)
    assert answer.status_code == 404
    assert "/_control/numbers" in answer.json()["error"]["message"]


@pytest.mark.usefixtures("clinic_number")
class TestCalls:
    def test_an_unanswered_dial_is_reported_to_its_action(
        self, sandbox: RunningSandbox, receiver: Receiver, twilio: Client
    ) -> None:
        receiver.answers["/voice"] = [(200, dial()), (200, "<Response/>")]
        call = call_in(sandbox, outcome="no-answer")
        first, result = receiver.at("/voice")
        assert is_signed(receiver, first)
        assert is_signed(receiver, result)
        assert (first.form["CallStatus"], first.form["Direction"]) == ("ringing", "inbound")
        assert (result.form["CallSid"], result.form["DialCallStatus"]) == (call["call_sid"], "no-answer")
        assert result.form["DialBridged"] == "false"
        assert "DialCallDuration" not in result.form
        legs = twilio.calls.list(parent_call_sid=call["call_sid"])
        assert [(leg.sid, leg.status, leg.to, leg.duration) for leg in legs] == [
            (result.form["DialCallSid"], "no-answer", LINE, None)
        ]
        assert receiver.at("/call-status")[0].form["CallStatus"] == "completed"

    def test_an_answered_dial_is_bridged_and_has_its_length(
        self, sandbox: RunningSandbox, receiver: Receiver, twilio: Client
    ) -> None:
        receiver.answers["/voice"] = [(200, dial()), (200, "<Response/>")]
        call = call_in(sandbox, outcome="answered", duration=42)
        result = receiver.at("/voice")[1]
        assert result.form["DialCallStatus"] == "completed"
        assert (result.form["DialCallDuration"], result.form["DialBridged"]) == ("42", "true")
        fetched = twilio.calls(call["call_sid"]).fetch()
        assert (fetched.status, fetched.duration, fetched.direction) == ("completed", "42", "inbound")

    def test_a_whisper_that_is_not_accepted_is_not_bridged(
        self, sandbox: RunningSandbox, receiver: Receiver
    ) -> None:
        receiver.answers["/voice"] = [(200, dial(f'<Number url="/whisper">{LINE}</Number>')), (200, "")]
        receiver.answers["/whisper"] = [(200, '<Response><Gather action="/pressed"/><Hangup/></Response>')]
        receiver.answers["/pressed"] = [(200, "<Response><Hangup/></Response>")]
        call_in(sandbox, outcome="answered", whisper_digits="2")
        assert receiver.at("/pressed")[0].form["Digits"] == "2"
        assert receiver.at("/voice")[1].form["DialBridged"] == "false"
        receiver.clear()
        receiver.answers["/voice"] = [(200, dial(f'<Number url="/whisper">{LINE}</Number>')), (200, "")]
        receiver.answers["/whisper"] = [(200, '<Response><Gather action="/pressed"/><Hangup/></Response>')]
        receiver.answers["/pressed"] = [(200, "<Response/>")]
        call_in(sandbox, outcome="answered")
        assert receiver.at("/voice")[1].form["DialBridged"] == "true"

    def test_the_reply_to_the_action_may_dial_on(self, sandbox: RunningSandbox, receiver: Receiver) -> None:
        receiver.answers["/voice"] = [(200, dial()), (200, dial("<Number>+14155550188</Number>")), (200, "")]
        call_in(sandbox, outcomes=["busy", "answered"])
        assert [one.form.get("DialCallStatus") for one in receiver.at("/voice")] == [
            None,
            "busy",
            "completed",
        ]

    def test_a_caller_who_leaves_while_it_rings_cancels_the_dial(
        self, sandbox: RunningSandbox, receiver: Receiver
    ) -> None:
        receiver.answers["/voice"] = [(200, dial()), (200, "")]
        call = call_in(sandbox, outcome="answered", ring_seconds=5, hangs_up_after=0.05)
        assert receiver.at("/voice")[1].form["DialCallStatus"] == "canceled"
        assert call["status"] == "canceled"

    def test_a_lost_dial_result_still_leaves_the_leg_to_be_asked_for(
        self, sandbox: RunningSandbox, receiver: Receiver, twilio: Client
    ) -> None:
        receiver.answers["/voice"] = [(200, dial())]
        call = call_in(sandbox, outcome="busy", lose_dial_result=True, lose_status=True)
        assert len(receiver.at("/voice")) == 1
        assert receiver.at("/call-status") == []
        assert twilio.calls.list(parent_call_sid=call["call_sid"])[0].status == "busy"

    def test_legs_are_called_back_for_the_events_asked_for(
        self, sandbox: RunningSandbox, receiver: Receiver
    ) -> None:
        noun = (
            '<Number statusCallback="/leg" statusCallbackEvent="initiated ringing answered completed">'
            f"{LINE}</Number>"
        )
        receiver.answers["/voice"] = [(200, dial(noun)), (200, "")]
        call = call_in(sandbox, outcome="answered")
        legs = receiver.at("/leg")
        assert [leg.form["CallStatus"] for leg in legs] == ["queued", "ringing", "in-progress", "completed"]
        assert {leg.form["ParentCallSid"] for leg in legs} == {call["call_sid"]}

    def test_a_live_call_is_ended_through_the_rest_api(
        self, sandbox: RunningSandbox, receiver: Receiver, twilio: Client
    ) -> None:
        receiver.answers["/voice"] = [(200, dial()), (200, "")]
        call = call_in(sandbox, outcome="answered", ring_seconds=30, wait=False)
        sandbox.wait_for(lambda: twilio.calls.list(parent_call_sid=call["call_sid"]))
        assert twilio.calls(call["call_sid"]).update(status="completed").status == "completed"
        sandbox.wait_for(lambda: receiver.at("/call-status"))

    def test_twiml_that_is_none_fails_the_call(self, sandbox: RunningSandbox, receiver: Receiver) -> None:
        receiver.answers["/voice"] = [(200, "<Response><Dial></Response>")]
        assert call_in(sandbox)["status"] == "failed"
        receiver.answers["/voice"] = [(500, "")]
        assert call_in(sandbox)["status"] == "failed"

    def test_an_unknown_call_is_not_found(self, twilio: Client) -> None:
        with pytest.raises(TwilioRestException) as refused:
            twilio.calls("CA" + "0" * 32).fetch()
        assert (refused.value.status, refused.value.code) == (404, 20404)

    def test_numbers_can_be_asked_for(self, twilio: Client) -> None:
        found = twilio.incoming_phone_numbers.list(phone_number=CLINIC)
        assert [number.phone_number for number in found] == [CLINIC]
        assert twilio.incoming_phone_numbers.list(phone_number="+14155550111") == []

    def test_a_numbers_addresses_can_be_set_and_the_others_stay(self, twilio: Client) -> None:
        (found,) = twilio.incoming_phone_numbers.list(phone_number=CLINIC)
        wanted = {
            "voice_url": "https://voxanne.example/voice#rc=2",
            "voice_fallback_url": "https://fallback.example/twiml",
            "status_callback": "https://voxanne.example/status#rc=3&rp=all",
            "sms_url": "https://voxanne.example/sms",
            "sms_fallback_url": "https://fallback.example/sms",
        }
        changed = twilio.incoming_phone_numbers(found.sid).update(**wanted)
        again = twilio.incoming_phone_numbers(found.sid).update(friendly_name="Main line")
        for number in (changed, again, twilio.incoming_phone_numbers(found.sid).fetch()):
            assert {name: getattr(number, name) for name in wanted} == wanted
        assert again.friendly_name == "Main line"

    def test_calls_and_numbers_are_valid_in_twilios_own_specification(
        self, sandbox: RunningSandbox, receiver: Receiver
    ) -> None:
        receiver.answers["/voice"] = [(200, dial()), (200, "")]
        call_in(sandbox, outcome="answered")
        base = f"{sandbox.url}/twilio/2010-04-01/Accounts/{ACCOUNT_SID}"
        basic = (ACCOUNT_SID, AUTH_TOKEN)
        calls = requests.get(f"{base}/Calls.json", auth=basic, timeout=5).json()["calls"]
        assert len(calls) == 2
        for call in calls:
            twilio_schema("api.v2010.account.call").validate(call)
        listed = requests.get(f"{base}/IncomingPhoneNumbers.json", auth=basic, timeout=5).json()
        for number in listed["incoming_phone_numbers"]:
            twilio_schema("api.v2010.account.incoming_phone_number").validate(number)
        account = requests.get(f"{base}.json", auth=basic, timeout=5).json()
        twilio_schema("api.v2010.account").validate(account)
