from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management.base import CommandError

from telephony.clinics import active_clinics
from telephony.models import Assistant
from telephony.tools.catalogue import TOOLS
from tests.sandbox.running import ACCOUNT_SID, AUTH_TOKEN, RunningSandbox, free_port
from tests.toolchain.at_vapi import run, sync
from voxanne.demo.clinics import CLINICS, refuse_in_production
from voxanne.tenancy.scope import platform_scope

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def around_the_sandbox(sandbox: RunningSandbox, settings: Any) -> None:
    settings.SANDBOX_URL = sandbox.url
    settings.VAPI_API_BASE_URL, settings.TWILIO_API_BASE_URL = f"{sandbox.url}/vapi", f"{sandbox.url}/twilio"
    settings.VAPI_API_KEY = "sandbox"
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT_SID, AUTH_TOKEN
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def test_seeding_leaves_the_demo_clinics_at_the_sandbox(sandbox: RunningSandbox) -> None:
    code, said = run("seed_demo", "--json")
    assert code == 0
    seeded = json.loads(said)["clinics"]
    assistants = {record["id"] for record in sandbox.control("/vapi/records/assistant")}
    numbers = {record["id"] for record in sandbox.control("/vapi/records/phone-number")}
    assert assistants == {clinic["vapi_assistant_id"] for clinic in seeded}
    assert numbers == {clinic["vapi_phone_number_id"] for clinic in seeded}
    assert {held["number"] for held in sandbox.control("/numbers")} == {clinic["number"] for clinic in seeded}
    run("seed_demo")
    assert len(sandbox.control("/vapi/records/assistant")) == len(CLINICS)


def test_the_demo_clinics_can_be_synced_and_verified(sandbox: RunningSandbox) -> None:
    run("seed_demo")
    code, said = run("connect_demo")
    assert code == 0
    assert said.count("created") == len(CLINICS) * len(TOOLS)
    for command in ("sync_vapi_tools", "point_twilio_numbers"):
        code, said = run(command, "--check")
        assert code == 0, said
    for command in ("verify_tool_chain", "validate_phone_numbers"):
        code, said = run(command)
        assert (code, "0 FAIL" in said) == (0, True), said


def test_seeding_again_gives_an_assistant_back_its_known_id(sandbox: RunningSandbox) -> None:
    run("seed_demo")
    run("connect_demo")
    sandbox.control("/reset", {})
    assert sync()[0] == 1
    run("seed_demo")
    with platform_scope("test"):
        ids = list(Assistant.objects.values_list("vapi_assistant_id", flat=True))
    assert sorted(ids) == sorted(clinic.vapi_assistant_id for clinic in CLINICS)
    assert len(active_clinics()) == len(CLINICS)


def test_seeding_does_without_a_sandbox(settings: Any) -> None:
    settings.SANDBOX_URL = f"http://127.0.0.1:{free_port()}"
    settings.VAPI_API_BASE_URL = settings.TWILIO_API_BASE_URL = f"{settings.SANDBOX_URL}/vapi"
    assert run("seed_demo")[0] == 0
    code, said = run("connect_demo")
    assert (code, "does not run" in said) == (1, True)


def test_demo_clinics_stay_out_of_a_real_provider(sandbox: RunningSandbox, settings: Any) -> None:
    settings.VAPI_API_BASE_URL = "https://api.vapi.ai"
    run("seed_demo")
    code, said = run("connect_demo")
    assert (code, "not the sandbox" in said) == (1, True)
    assert sandbox.control("/vapi/records/assistant") == []


def test_demo_clinics_stay_out_of_production(settings: Any) -> None:
    settings.PRODUCTION = True
    with pytest.raises(CommandError):
        refuse_in_production()
    assert run("connect_demo")[0] == 1
