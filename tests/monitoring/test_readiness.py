from __future__ import annotations

import io
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command

from monitoring import breaker, readiness, readiness_checks, redis_link
from monitoring.circuits import is_well
from monitoring.circuits_in_memory import CircuitsInMemory
from monitoring.findings import Finding, Verdict
from monitoring.heartbeats import BEAT, WORKER, record
from monitoring.readiness import passed, register_check
from monitoring.redis_link import RedisLink
from tests.clinics import Clinic
from tests.sandbox.running import free_port
from voxanne.environment import BackendUrl

pytestmark = pytest.mark.django_db


def run() -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("check_readiness", stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def verdicts(findings: list[Finding]) -> set[Verdict]:
    return {finding.verdict for finding in findings}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report without any check yet."""
    monkeypatch.setattr(readiness, "_looks", {})


def test_every_promised_check_is_in_the_report() -> None:
    assert set(readiness._looks) >= {
        "settings",
        "serving role",
        "migrations",
        "database",
        "Redis",
        "background jobs",
        "backend address",
        "encryption keys",
        "text queue",
        "senders",
        "circuits",
        "Twilio credentials",
        "Vapi key",
        "tool chain",
        "numbers",
        "fire drills",
    }


def test_a_failure_is_told_with_what_to_do_and_ends_in_1(alone: None) -> None:
    register_check("good", lambda: passed("good", "Fine."))
    assert run() == (0, "PASS  good        0 ms  Fine.\n1 PASS, 0 WARN, 0 FAIL\n")
    register_check("bad", lambda: readiness.failed("bad", "Broken.", "Mend it."))
    code, said = run()
    assert code == 1
    assert "FAIL  bad" in said
    assert "Mend it." in said


def test_a_warning_alone_ends_in_0(alone: None) -> None:
    register_check("odd", lambda: readiness.warned("odd", "Hm.", "Look."))
    code, said = run()
    assert code == 0
    assert "WARN  odd" in said


def test_a_check_that_breaks_fails_and_the_others_are_still_made(alone: None) -> None:
    def broken() -> list[Finding]:
        raise OSError("no such thing")

    register_check("fragile", broken)
    register_check("good", lambda: passed("good", "Fine."))
    code, said = run()
    assert code == 1
    assert "The check itself broke (OSError)." in said
    assert "PASS  good" in said


def test_the_database_its_role_and_its_migrations_pass_here() -> None:
    for look in (
        readiness_checks.database,
        readiness_checks.migrations,
        readiness_checks.serving_role,
        readiness_checks.redis,
    ):
        assert verdicts(look()) == {Verdict.PASS}, look


def test_workers_that_show_no_life_fail_until_they_do() -> None:
    beat, worker = readiness_checks.background_jobs()
    assert (beat.verdict, worker.verdict) == (Verdict.WARN, Verdict.FAIL)
    assert "Cannot be told" in beat.detail
    record(BEAT, WORKER)
    assert verdicts(readiness_checks.background_jobs()) == {Verdict.PASS}


def test_a_redis_that_is_away_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = RedisLink(f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setattr(redis_link, "link", lambda: nobody)
    (found,) = readiness_checks.redis()
    assert found.verdict is Verdict.FAIL
    assert "No text goes out until it is back" in found.advice


def test_a_service_that_fails_is_named_with_whose_work_waits(
    elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "shared", CircuitsInMemory())
    assert verdicts(readiness_checks.circuits()) == {Verdict.PASS}
    for subject in "abc":
        breaker.shared.failed("twilio_sms", str(elm.id), "", subject)
        breaker.shared.failed("vapi_api", "platform", "", subject)
    (found,) = readiness_checks.circuits()
    assert found.verdict is Verdict.WARN
    assert "Twilio (texts) is failing for Elm Street since" in found.detail
    assert "Vapi is failing for our own questions since" in found.detail


def test_no_check_tells_the_breaker_how_it_went(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "shared", CircuitsInMemory())

    def look() -> list[Finding]:
        for _ in range(5):
            breaker.record_failure(breaker.decide(breaker.Service.TWILIO_API, None))
        return passed("bad network", "Asked.")

    register_check("bad network", look)
    assert run()[0] == 0
    assert all(is_well(report) for report in breaker.reports())


def test_stored_credentials_must_be_readable(elm: Clinic, settings: Any) -> None:
    (good,) = readiness_checks.encryption_keys()
    assert good.verdict is Verdict.PASS
    assert "stored credentials" in good.detail
    old = list(settings.CREDENTIAL_ENCRYPTION_KEYS)
    settings.CREDENTIAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    (lost,) = readiness_checks.encryption_keys()
    assert lost.verdict is Verdict.FAIL
    assert "add the key it was written with" in lost.detail
    settings.CREDENTIAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *old]
    assert verdicts(readiness_checks.encryption_keys()) == {Verdict.PASS}
    for broken in ([], ["no key"]):
        settings.CREDENTIAL_ENCRYPTION_KEYS = broken
        assert verdicts(readiness_checks.encryption_keys()) == {Verdict.FAIL}


def test_settings_that_production_would_refuse_are_told_ahead(settings: Any) -> None:
    settings.PRODUCTION_FAULTS = ["CRON_SECRET is a known default: set a secret of your own."]
    (found,) = readiness_checks.settings_check()
    assert found.verdict is Verdict.WARN
    assert "CRON_SECRET" in found.detail
    settings.PRODUCTION_FAULTS = []
    assert verdicts(readiness_checks.settings_check()) == {Verdict.PASS}


def test_a_backend_address_that_nobody_can_call_fails_in_production(settings: Any) -> None:
    settings.BACKEND, settings.PRODUCTION = BackendUrl("http://localhost:8000", "default"), True
    (found,) = readiness_checks.backend_address()
    assert found.verdict is Verdict.FAIL
    assert "the default" in found.detail
