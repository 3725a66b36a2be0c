from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from monitoring import breaker, redis_link
from monitoring.circuits import is_well
from monitoring.findings import Finding, Verdict, report_lines, tally, timed, worst
from monitoring.readiness_checks import backend_address
from telephony.models import PhoneNumber, VapiCredential
from telephony.tool_chain import health_view
from telephony.tools.catalogue import TOOLS
from tests.clinics import Clinic
from tests.sandbox.running import ACCOUNT_SID, AUTH_TOKEN, free_port
from tests.toolchain.at_vapi import AtVapi, run, sync
from voxanne.environment import BackendUrl
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

ADDRESS = "/api/monitoring/tool-health"


@pytest.fixture(autouse=True)
def no_report_yet() -> None:
    health_view.LOOK.forget()


@pytest.fixture(autouse=True)
def public_address(settings: Any) -> None:
    settings.BACKEND = BackendUrl("https://voxanne.example", "BACKEND_URL")


def verify(*words: str) -> tuple[int, str]:
    return run("verify_tool_chain", *words)


def test_a_synced_chain_passes(known: AtVapi) -> None:
    sync()
    code, said = verify()
    assert code == 0, said
    assert "0 FAIL" in said
    for check in (
        "backend address",
        "credential",
        "registered tools",
        "tools at Vapi",
        "assistants",
        "links",
    ):
        assert check in said


def test_a_chain_that_was_never_synced_fails_and_says_what_to_do(known: AtVapi) -> None:
    before = known.everything()
    code, said = verify("--org", "elm-street")
    assert code == 1
    assert f"not registered: {', '.join(sorted(TOOLS)[:2])}" in said
    assert "manage.py sync_vapi_tools --org elm-street" in said
    assert "oak-road" not in said
    assert known.everything() == before


def test_each_broken_link_is_named(known: AtVapi, elm: Clinic) -> None:
    sync()
    tool = known.tools(elm)["endCall"]
    known.change("tool", tool["id"], server={**tool["server"], "url": "https://elsewhere.example"})
    model = known.assistant(elm)["model"]
    known.change("assistant", elm.assistant_id, model={**model, "toolIds": model["toolIds"][1:]})
    known.change("phone-number", elm.phone_number_id, smsEnabled=True)
    code, said = verify()
    assert code == 1
    assert "endCall differs: server.url" in said
    assert "was not linked" in said
    assert "smsEnabled" in said


def test_a_chain_is_judged_in_a_few_questions_however_many_clinics(known: AtVapi) -> None:
    sync()
    before = len(known.sandbox.control("/requests?service=vapi&limit=1000"))
    verify()
    assert len(known.sandbox.control("/requests?service=vapi&limit=1000")) - before == 3


def test_the_platforms_secret_and_a_number_without_fallback_are_warned_of(known: AtVapi, elm: Clinic) -> None:
    with org_scope(elm.id):
        VapiCredential.objects.all().delete()
        PhoneNumber.objects.update(forward_to="")
    sync()
    code, said = verify()
    assert code == 0, said
    assert "the platform's secret" in said
    assert "Nobody is rung" in said


def test_a_vapi_that_is_away_is_a_failure_and_no_crash(known: AtVapi, settings: Any) -> None:
    settings.VAPI_API_BASE_URL = f"http://127.0.0.1:{free_port()}/vapi"
    code, said = verify()
    assert code == 1
    assert f"Vapi could not be reached at {settings.VAPI_API_BASE_URL}" in said


def test_a_look_from_a_bad_network_changes_no_circuit(known: AtVapi, settings: Any) -> None:
    """Neither a verification nor a run with --check may hold back what others ask of the providers."""
    redis_link.link().call(lambda redis: [redis.delete(key) for key in redis.keys("voxanne:breaker:*")])
    settings.VAPI_API_BASE_URL = settings.TWILIO_API_BASE_URL = f"http://127.0.0.1:{free_port()}"
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT_SID, AUTH_TOKEN
    for words in (
        ("verify_tool_chain",),
        ("validate_phone_numbers",),
        ("sync_vapi_tools", "--check"),
        ("point_twilio_numbers", "--check"),
        ("check_readiness",),
    ):
        run(*words)
        assert all(is_well(report) for report in breaker.reports()), words


@pytest.mark.parametrize(
    ("url", "production", "verdict"),
    [
        ("https://voxanne.example", True, Verdict.PASS),
        ("http://localhost:8000", False, Verdict.WARN),
        ("http://localhost:8000", True, Verdict.FAIL),
        ("https://x.ngrok.io", True, Verdict.FAIL),
        ("http://voxanne.example", True, Verdict.FAIL),
    ],
)
def test_our_address_must_be_one_that_providers_can_call(
    url: str, production: bool, verdict: Verdict, settings: Any
) -> None:
    settings.BACKEND, settings.PRODUCTION = BackendUrl(url, "BACKEND_URL"), production
    assert [found.verdict for found in backend_address()] == [verdict]


# The address


def test_the_report_is_given_to_those_who_may_look(known: AtVapi, elm: Clinic, settings: Any) -> None:
    sync()
    client = Client(REMOTE_ADDR="203.0.113.7")
    assert client.get(ADDRESS).status_code == 401
    answer = client.get(ADDRESS, headers={"Authorization": f"Bearer {settings.MONITORING_TOKEN}"})
    assert answer.status_code == 200
    report = answer.json()
    assert report["status"] == "healthy"
    assert [clinic["slug"] for clinic in report["clinics"]] == ["elm-street", "oak-road"]
    assert {check["verdict"] for clinic in report["clinics"] for check in clinic["checks"]} == {"PASS"}
    assert elm.secret not in answer.content.decode()


def test_a_report_is_kept_for_a_while(known: AtVapi, client: Client) -> None:
    first = client.get(ADDRESS).json()
    assert first["status"] == "unhealthy"
    sync()
    assert client.get(ADDRESS).json() == first
    health_view.LOOK.forget()
    assert client.get(ADDRESS).json()["status"] == "healthy"


def test_who_asks_during_the_first_look_is_asked_to_come_back(client: Client) -> None:
    with health_view.LOOK._lock:
        answer = client.get(ADDRESS)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json()["error"]["code"] == "look_under_way"


def test_nothing_but_looking_is_possible(client: Client) -> None:
    assert client.post(ADDRESS).status_code == 405


# Findings


def test_the_worst_finding_is_the_verdict() -> None:
    good, bad = Finding("a", Verdict.PASS, "Fine."), Finding("b", Verdict.FAIL, "Broken.", "Mend it.")
    assert worst([]) is Verdict.PASS
    assert worst([good, bad, good]) is Verdict.FAIL
    assert tally([good, bad]) == "1 PASS, 0 WARN, 1 FAIL"
    lines = report_lines([good, bad])
    assert len(lines) == 3
    assert lines[2].strip() == "Mend it."


def test_a_check_that_breaks_is_a_failure_of_its_own() -> None:
    def broken() -> list[Finding]:
        raise KeyError("patient +14155550142")

    (finding,) = timed("fragile", broken)
    assert finding.verdict is Verdict.FAIL
    assert finding.detail == "The check itself broke (KeyError)."
