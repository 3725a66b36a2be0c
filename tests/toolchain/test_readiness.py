"""The readiness report's checks of the providers, asked of the sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from monitoring.findings import Verdict
from telephony.tool_chain import readiness_checks as checks
from tests.clinics import Clinic
from tests.sandbox.running import ACCOUNT_SID, AUTH_TOKEN, free_port
from tests.toolchain.at_vapi import AtVapi, sync
from voxanne.environment import BackendUrl

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_twilio(at_vapi: AtVapi, settings: Any) -> None:
    settings.TWILIO_API_BASE_URL = f"{at_vapi.sandbox.url}/twilio"
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT_SID, AUTH_TOKEN
    settings.TWILIO_API_KEY = settings.TWILIO_API_SECRET = ""
    settings.BACKEND = BackendUrl("https://voxanne.example", "BACKEND_URL")


def test_twilios_credentials_are_tried(settings: Any) -> None:
    assert [found.verdict for found in checks.twilio_credentials()] == [Verdict.PASS]
    settings.TWILIO_AUTH_TOKEN = "wrong"
    (refused,) = checks.twilio_credentials()
    assert refused.verdict is Verdict.FAIL
    assert "401" in refused.detail
    settings.TWILIO_ACCOUNT_SID = ""
    assert [found.verdict for found in checks.twilio_credentials()] == [Verdict.WARN]


def test_vapis_key_is_tried(at_vapi: AtVapi, settings: Any) -> None:
    assert [found.verdict for found in checks.vapi_key()] == [Verdict.PASS]
    at_vapi.sandbox.control("/vapi/keys", {"keys": ["another"]})
    assert [found.verdict for found in checks.vapi_key()] == [Verdict.FAIL]
    settings.VAPI_API_KEY = ""
    assert [found.verdict for found in checks.vapi_key()] == [Verdict.FAIL]


def test_each_clinic_whose_chain_is_broken_is_named(known: AtVapi, elm: Clinic) -> None:
    assert {found.check for found in checks.tool_chain()} == {
        "tool chain of elm-street",
        "tool chain of oak-road",
    }
    sync()
    assert [found.verdict for found in checks.tool_chain()] == [Verdict.PASS]
    known.change("phone-number", elm.phone_number_id, smsEnabled=True)
    (broken,) = checks.tool_chain()
    assert (broken.verdict, broken.check) == (Verdict.FAIL, "tool chain of elm-street")
    assert "verify_tool_chain --org elm-street" in broken.advice


def test_a_vapi_that_is_away_fails_the_report_and_does_not_break_it(known: AtVapi, settings: Any) -> None:
    settings.VAPI_API_BASE_URL = f"http://127.0.0.1:{free_port()}/vapi"
    (found,) = checks.tool_chain()
    assert found.verdict is Verdict.FAIL
    assert "could not be reached" in found.detail
