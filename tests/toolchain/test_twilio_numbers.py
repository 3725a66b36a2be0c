from __future__ import annotations

from typing import Any

import pytest

from messaging.models import SenderAccount
from messaging.providers.twilio.client import platform_account
from monitoring.findings import Verdict
from telephony.models import PhoneNumber
from telephony.tool_chain import readiness_checks
from telephony.twilio import numbers
from telephony.twilio.numbers import NumbersUnavailable
from tests.clinics import Clinic
from tests.sandbox.running import ACCOUNT_SID, AUTH_TOKEN, RunningSandbox, free_port
from tests.toolchain.at_vapi import AtVapi, run, sync
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

ADDRESSES = ("voice_url", "voice_fallback_url", "status_url", "sms_url")
OWN_ACCOUNT = "AC" + "7" * 32


class AtTwilio:
    """The numbers as the sandbox's Twilio has them."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.sandbox = sandbox

    def bought(self, number: str, account_sid: str = ACCOUNT_SID, **addresses: str) -> None:
        self.sandbox.control("/numbers", {"number": number, "account_sid": account_sid, **addresses})

    def number(self, number: str) -> dict[str, Any]:
        return next(one for one in self.sandbox.control("/numbers") if one["number"] == number)

    def updates(self) -> list[dict[str, Any]]:
        asked = self.sandbox.control("/requests?service=twilio&path=IncomingPhoneNumbers&limit=500")
        return [one for one in asked if one["method"] == "POST"]


@pytest.fixture
def twilio(at_vapi: AtVapi, elm: Clinic, oak: Clinic, settings: Any) -> AtTwilio:
    """A Twilio that holds both clinics' numbers, pointed at a demonstration of Twilio's."""
    settings.TWILIO_API_BASE_URL = f"{at_vapi.sandbox.url}/twilio"
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT_SID, AUTH_TOKEN
    settings.TWILIO_API_KEY = settings.TWILIO_API_SECRET = ""
    at = AtTwilio(at_vapi.sandbox)
    for clinic in (elm, oak):
        at.bought(clinic.number, voice_url="https://demo.twilio.com/welcome/voice/")
    return at


def point(*words: str) -> tuple[int, str]:
    return run("point_twilio_numbers", *words)


def validate(*words: str) -> tuple[int, str]:
    return run("validate_phone_numbers", *words)


# Pointing


def test_calls_texts_and_statuses_are_pointed_at_us(twilio: AtTwilio, elm: Clinic) -> None:
    code, said = point()
    assert code == 0, said
    number = twilio.number(elm.number)
    assert number["voice_url"].startswith("https://voxanne.example/api/webhooks/twilio/voice#")
    assert number["voice_fallback_url"] == "https://voxanne.example/api/webhooks/twilio/voice"
    assert number["status_url"] == "https://voxanne.example/api/webhooks/twilio/call-status#rc=3&rp=all"
    assert number["sms_url"].startswith("https://voxanne.example/api/webhooks/twilio/sms#rc=3")


def test_pointing_again_changes_nothing(twilio: AtTwilio) -> None:
    point()
    before = len(twilio.updates())
    code, said = point()
    assert code == 0
    assert len(twilio.updates()) == before == 2
    assert "Nothing to change" in said


def test_a_check_finds_the_drift_and_leaves_it(twilio: AtTwilio, elm: Clinic) -> None:
    assert point("--check")[0] == 1
    assert twilio.updates() == []
    point()
    assert point("--check")[0] == 0
    twilio.bought(elm.number, sms_url="https://elsewhere.example/sms")
    code, said = point("--check", "--org", "elm-street")
    assert code == 1
    assert "sms_url" in said
    assert twilio.number(elm.number)["sms_url"] == "https://elsewhere.example/sms"


def test_only_what_differs_is_sent(twilio: AtTwilio, elm: Clinic) -> None:
    point()
    held = twilio.number(elm.number)
    addresses = {name: held[name] for name in ("voice_url", "voice_fallback_url", "status_url")}
    twilio.bought(elm.number, **addresses, sms_url="https://elsewhere.example")
    assert point()[0] == 0
    assert set(twilio.updates()[0]["form"]) == {"SmsUrl"}


def test_a_number_that_the_account_does_not_hold_needs_a_person(
    twilio: AtTwilio, elm: Clinic, oak: Clinic
) -> None:
    twilio.bought(elm.number, OWN_ACCOUNT)
    code, said = point()
    assert code == 1
    assert "does not hold it" in said
    assert twilio.number(elm.number)["sms_url"] == ""
    assert twilio.number(oak.number)["sms_url"] != ""


def test_a_clinics_own_account_is_asked_for_its_number(twilio: AtTwilio, elm: Clinic) -> None:
    twilio.sandbox.control("/twilio/accounts", {"sid": OWN_ACCOUNT, "auth_token": "own-token"})
    twilio.bought(elm.number, OWN_ACCOUNT)
    with org_scope(elm.id):
        SenderAccount.objects.update(account_sid=OWN_ACCOUNT, auth_token="own-token")
    code, said = point("--org", "elm-street")
    assert code == 0, said
    assert twilio.number(elm.number)["sms_url"] != ""


def test_refused_credentials_stop_that_clinic_alone(twilio: AtTwilio, elm: Clinic, oak: Clinic) -> None:
    twilio.sandbox.control("/twilio/accounts", {"sid": OWN_ACCOUNT, "auth_token": "own-token"})
    with org_scope(elm.id):
        SenderAccount.objects.update(account_sid=OWN_ACCOUNT, auth_token="wrong")
    code, said = point()
    assert code == 1
    assert "elm-street: Twilio answered 401" in said
    assert twilio.number(oak.number)["sms_url"] != ""


def test_of_a_number_that_only_texts_the_calls_are_left_alone(twilio: AtTwilio, elm: Clinic) -> None:
    sender = "+14155560999"
    twilio.bought(sender, voice_url="https://desk.example/voice")
    with org_scope(elm.id):
        SenderAccount.objects.update(number=sender)
    assert point("--org", "elm-street")[0] == 0
    assert twilio.number(sender)["voice_url"] == "https://desk.example/voice"
    assert "/api/webhooks/twilio/sms" in twilio.number(sender)["sms_url"]
    assert "/api/webhooks/twilio/voice" in twilio.number(elm.number)["voice_url"]


def test_a_fallback_kept_outside_rings_the_clinics_own_line(
    twilio: AtTwilio, elm: Clinic, settings: Any
) -> None:
    settings.TWILIO_VOICE_FALLBACK_URL = "https://fallback.example/ring?to={line}"
    point()
    assert (
        twilio.number(elm.number)["voice_fallback_url"] == "https://fallback.example/ring?to=%2B14155550199"
    )
    with org_scope(elm.id):
        PhoneNumber.objects.update(forward_to="")
    point()
    assert twilio.number(elm.number)["voice_fallback_url"].startswith("https://voxanne.example/")


def test_a_twiml_bin_that_a_person_made_stays_the_fallback(twilio: AtTwilio, elm: Clinic) -> None:
    made = "https://handler.twilio.com/twiml/EH" + "5" * 32
    twilio.bought(elm.number, voice_fallback_url=made)
    assert point()[0] == 0
    assert twilio.number(elm.number)["voice_fallback_url"] == made
    assert point("--check")[0] == 0


def test_a_number_whose_digits_are_part_of_ours_is_not_taken_for_it(twilio: AtTwilio, elm: Clinic) -> None:
    longer = f"{elm.number}9"
    twilio.bought(longer)
    assert point("--org", "elm-street")[0] == 0
    assert twilio.number(longer)["sms_url"] == ""


def test_twilio_is_never_called_inside_a_scope(twilio: AtTwilio, elm: Clinic) -> None:
    with org_scope(elm.id), pytest.raises(RuntimeError, match="never called inside a scope"):
        numbers.at_twilio(platform_account(), elm.number)


@pytest.mark.parametrize("kind", ["server_error", "connection_reset"])
def test_a_twilio_that_keeps_failing_is_left_alone_for_a_while(
    twilio: AtTwilio, elm: Clinic, kind: str
) -> None:
    twilio.sandbox.fault(kind, match={"path": "/IncomingPhoneNumbers"})
    for _ in range(3):
        with pytest.raises(NumbersUnavailable, match="Twilio"):
            numbers.at_twilio(platform_account(), elm.number)
    asked = "/requests?service=twilio&path=IncomingPhoneNumbers&limit=500"
    before = len(twilio.sandbox.control(asked))
    with pytest.raises(NumbersUnavailable, match="has just been failing"):
        numbers.at_twilio(platform_account(), elm.number)
    assert len(twilio.sandbox.control(asked)) == before


def test_a_fallback_document_is_never_read_inside_a_scope(elm: Clinic) -> None:
    with org_scope(elm.id), pytest.raises(RuntimeError, match="never called inside a scope"):
        numbers.readable_twiml("https://handler.twilio.com/twiml/EH" + "5" * 32)


# Validating


def set_up_everywhere(twilio: AtTwilio, elm: Clinic, oak: Clinic) -> None:
    for clinic in (elm, oak):
        AtVapi(twilio.sandbox).set_up(clinic)
    sync()
    point()


def test_numbers_that_lead_to_one_clinic_everywhere_pass(twilio: AtTwilio, elm: Clinic, oak: Clinic) -> None:
    set_up_everywhere(twilio, elm, oak)
    code, said = validate()
    assert code == 0, said
    assert "8 PASS, 0 WARN, 0 FAIL" in said


def test_a_number_that_is_not_at_its_providers_fails(twilio: AtTwilio, elm: Clinic, oak: Clinic) -> None:
    set_up_everywhere(twilio, elm, oak)
    AtVapi(twilio.sandbox).remove("phone-number", elm.phone_number_id)
    twilio.bought(elm.number, OWN_ACCOUNT)
    code, said = validate("--org", "elm-street")
    assert code == 1
    assert "Vapi has no number with its id" in said
    assert "does not hold it" in said
    assert "oak-road" not in said


def test_an_id_of_another_number_at_vapi_fails(twilio: AtTwilio, elm: Clinic, oak: Clinic) -> None:
    set_up_everywhere(twilio, elm, oak)
    AtVapi(twilio.sandbox).change("phone-number", elm.phone_number_id, number=oak.number)
    code, said = validate("--org", "elm-street")
    assert code == 1
    assert "another number's at Vapi" in said


@pytest.mark.parametrize(
    ("addresses", "astray"),
    [
        ({}, "calls, texts, the statuses of calls never reach us"),
        ({"voice_url": "https://elsewhere.example/api/webhooks/twilio/voice"}, "calls never reach us"),
        ({"sms_url": "https://elsewhere.example/sms"}, "texts never reach us"),
        ({"sms_url": ""}, "texts never reach us"),
        ({"status_url": "https://voxanne.example/old/status"}, "the statuses of calls never reach us"),
    ],
)
def test_a_number_that_is_pointed_elsewhere_fails(
    twilio: AtTwilio, elm: Clinic, oak: Clinic, addresses: dict[str, str], astray: str
) -> None:
    set_up_everywhere(twilio, elm, oak)
    held = twilio.number(elm.number) if addresses else {}
    kept = {name: held[name] for name in ADDRESSES if name in held}
    twilio.bought(elm.number, **{**kept, **addresses})
    code, said = validate("--org", "elm-street")
    assert code == 1
    assert f"pointed elsewhere: {astray}" in said
    assert "point_twilio_numbers --org elm-street" in said
    (found,) = readiness_checks.numbers()
    assert (found.verdict, found.check) == (Verdict.FAIL, "numbers of elm-street")
    assert "pointed elsewhere" in found.detail
    assert "validate_phone_numbers --org elm-street" in found.advice
    point()
    assert validate()[0] == 0
    assert [found.verdict for found in readiness_checks.numbers()] == [Verdict.PASS]


def test_a_number_that_lacks_only_its_retries_is_warned_of(
    twilio: AtTwilio, elm: Clinic, oak: Clinic
) -> None:
    set_up_everywhere(twilio, elm, oak)
    held = twilio.number(elm.number)
    bare = {name: held[name].partition("#")[0] for name in ADDRESSES}
    twilio.bought(elm.number, **bare)
    code, said = validate("--org", "elm-street")
    assert code == 0
    assert "not pointed at us as it should be" in said
    assert "point_twilio_numbers --org elm-street" in said


def test_a_line_that_leads_back_to_us_fails(twilio: AtTwilio, elm: Clinic, oak: Clinic) -> None:
    set_up_everywhere(twilio, elm, oak)
    with org_scope(elm.id):
        PhoneNumber.objects.update(forward_to=oak.number)
    code, said = validate("--org", "elm-street")
    assert code == 1
    assert "calls go in circles" in said


def test_a_number_that_is_none_fails(twilio: AtTwilio, elm: Clinic) -> None:
    with org_scope(elm.id):
        PhoneNumber.objects.update(number="4155550100")
    code, said = validate("--org", "elm-street")
    assert code == 1
    assert "no complete number" in said


def test_providers_that_cannot_be_asked_are_a_warning(twilio: AtTwilio, settings: Any) -> None:
    settings.TWILIO_API_BASE_URL = f"http://127.0.0.1:{free_port()}"
    settings.VAPI_API_KEY = ""
    code, said = validate()
    assert code == 0, said
    assert f"Not asked: Twilio could not be reached at {settings.TWILIO_API_BASE_URL}" in said
    assert "Not asked: VAPI_API_KEY is not set" in said


def test_a_clinic_without_numbers_is_warned(twilio: AtTwilio, elm: Clinic) -> None:
    with org_scope(elm.id):
        PhoneNumber.objects.all().delete()
        SenderAccount.objects.all().delete()
    code, said = validate("--org", "elm-street")
    assert code == 0
    assert "no number that patients dial" in said
    assert "no number to text from" in said
