"""The fire drill: it passes only where every way to the clinic's line is really there, and says what is missing."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from telephony.models import FireDrill, PhoneNumber
from telephony.never_dead import last_known, line_keeping
from telephony.never_dead.fire_drill import DRILL_WORK, FIRE_DRILL, ask_for_drill, checks_of, subject_of
from telephony.never_dead.readiness_checks import fire_drills
from telephony.twilio.voice_answers import static_ring
from tests.missed_calls.house import House
from tests.missed_calls.twilio_post import set_up
from tests.sandbox.conftest import receiver, receiver_process
from tests.sandbox.running import Receiver
from voxanne.durable import work
from voxanne.durable.registry import kind_named
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["receiver", "receiver_process"]

LINE = "+14155550199"
VOICE, KEPT = "Voice address without the database", "Line kept outside the database"
TWILIO, VAPI = "Twilio's own fallback", "Vapi's own fallback"
VAPI_REQUEST = "Vapi's request without the database"


@pytest.fixture
def safe(house: House, receiver: Receiver, settings: Any) -> House:
    """A clinic whose number has every fallback there is."""
    settings.VAPI_API_BASE_URL = f"{house.sandbox.url}/vapi"
    settings.VAPI_API_KEY = "a-key"
    settings.SANDBOX_URL = receiver.url
    receiver.answers["/bin"] = [(200, static_ring(LINE))]
    house.connect_number(voice_fallback_url=f"{receiver.url}/bin")
    at_vapi(house, fallbackDestination={"type": "number", "number": LINE})
    line_keeping.refresh_all()
    return house


@pytest.fixture
def plain_pages(settings: Any) -> None:
    """Pages are rendered without collected static files."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


def at_vapi(house: House, **members: Any) -> None:
    record = {
        "id": house.clinic.phone_number_id,
        "number": house.clinic.number,
        "provider": "twilio",
        **members,
    }
    house.sandbox.control("/vapi/records/phone-number", record)


def drill(house: House) -> dict[str, str]:
    """The verdict of each check."""
    with org_scope(house.clinic.id):
        subject = subject_of(PhoneNumber.objects.get())
    return {check.name: check.verdict for check in checks_of(subject)}


def test_a_number_with_every_fallback_passes(safe: House) -> None:
    assert drill(safe) == dict.fromkeys((VOICE, KEPT, TWILIO, VAPI, VAPI_REQUEST), "pass")


def test_the_database_answers_again_after_the_drill(safe: House) -> None:
    drill(safe)
    assert safe.calls() == []
    safe.rings()
    assert safe.call().outcome == "missed"


def test_a_line_that_is_not_kept_fails_where_callers_would_notice(safe: House) -> None:
    for path in last_known.folder().iterdir():
        path.unlink()
    assert drill(safe) == {VOICE: "fail", VAPI_REQUEST: "fail", KEPT: "fail", TWILIO: "pass", VAPI: "pass"}


def test_a_kept_line_that_differs_fails(safe: House) -> None:
    with org_scope(safe.clinic.id):
        # Past the model's signals, as a data repair would do it.
        PhoneNumber.objects.update(forward_to="+14155550188")
    verdicts = drill(safe)
    assert (verdicts[KEPT], verdicts[VOICE], verdicts[TWILIO], verdicts[VAPI]) == ("fail",) * 4
    line_keeping.refresh_all()
    assert (drill(safe)[KEPT], drill(safe)[VOICE]) == ("pass", "pass")


def test_a_kept_line_that_nobody_looked_at_is_warned_of(safe: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_known, "age_of", lambda _: 1000.0)
    assert drill(safe)[KEPT] == "warn"


def test_a_number_without_a_line_fails(safe: House) -> None:
    set_up(safe.clinic, forward_to="")
    assert drill(safe)[VOICE] == "fail"


@pytest.mark.parametrize(
    ("served", "verdict"),
    [
        ((200, static_ring("+14155550188")), "fail"),
        ((200, "<Response><Say>Sorry</Say></Response>"), "fail"),
        ((200, f'<!DOCTYPE x [<!ENTITY l "{LINE}">]><Response><Dial>&l;</Dial></Response>'), "fail"),
        ((200, "no document"), "fail"),
        ((404, ""), "warn"),
    ],
)
def test_a_fallback_at_twilio_that_does_not_ring_the_line(
    safe: House, receiver: Receiver, served: tuple[int, str], verdict: str
) -> None:
    receiver.answers["/bin"] = [served]
    assert drill(safe)[TWILIO] == verdict


def test_a_fallback_at_twilio_that_is_missing_or_leads_to_ourselves_fails(safe: House) -> None:
    safe.connect_number()
    assert drill(safe)[TWILIO] == "fail"
    safe.connect_number(voice_fallback_url=f"{safe.url}/api/webhooks/twilio/voice")
    assert drill(safe)[TWILIO] == "fail"


def test_an_address_elsewhere_is_not_asked(safe: House) -> None:
    safe.connect_number(voice_fallback_url=f"{safe.sandbox.url}/phone")
    assert drill(safe)[TWILIO] == "warn"
    asked = safe.sandbox.control("/requests?path=/phone")
    assert [request for request in asked if request["path"] == "/phone"] == []


def test_a_twilio_that_cannot_be_asked_is_warned_of(safe: House) -> None:
    safe.sandbox.fault("server_error", match={"path": "/IncomingPhoneNumbers"}, count=1)
    assert drill(safe)[TWILIO] == "warn"


def test_vapis_fallback_is_looked_at(safe: House, settings: Any) -> None:
    at_vapi(safe, fallbackDestination={"type": "number", "number": "+14155550188"})
    assert drill(safe)[VAPI] == "fail"
    at_vapi(safe, fallbackDestination={"type": "number", "number": LINE}, assistantId="fixed")
    assert drill(safe)[VAPI] == "fail"
    at_vapi(safe, fallbackDestination=None, assistantId=None)
    assert drill(safe)[VAPI] == "fail"
    settings.VAPI_API_KEY = ""
    assert drill(safe)[VAPI] == "warn"


def command(*words: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("fire_drill", *words, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_the_command_prints_each_check_and_keeps_the_result(safe: House) -> None:
    code, said = command("--org", "elm-street")
    assert code == 0
    assert said.count("PASS") == 5
    with org_scope(safe.clinic.id):
        kept = FireDrill.objects.get()
    assert (kept.state, kept.verdict, len(kept.checks)) == ("done", "pass", 5)
    safe.connect_number()
    code, said = command()
    assert code == 1
    assert f"FAIL  {TWILIO}: None is set." in said
    assert "fallback_twiml" in said


def judged() -> tuple[str, str]:
    """What the readiness report says of the drills."""
    (found,) = fire_drills()
    return found.verdict.value, found.detail


def test_a_failed_or_old_drill_is_in_the_readiness_report(safe: House, settings: Any) -> None:
    assert judged() == ("WARN", f"{safe.clinic.number} was never drilled.")
    settings.PRODUCTION = True
    assert judged()[0] == "FAIL"
    settings.PRODUCTION = False
    command()
    assert judged() == ("PASS", "All of 1 numbers passed one within 30 days.")
    safe.connect_number()
    command()
    verdict, said = judged()
    assert verdict == "FAIL"
    assert "failed its drill of" in said
    assert "fire_drill --org elm-street" in fire_drills()[0].advice
    with org_scope(safe.clinic.id):
        FireDrill.objects.filter(verdict="fail").delete()
    assert judged()[0] == "PASS"
    with org_scope(safe.clinic.id):
        FireDrill.objects.update(finished_at=timezone.now() - timedelta(days=31))
    assert judged() == ("WARN", f"{safe.clinic.number} was last drilled 31 days ago.")
    settings.PRODUCTION = True
    assert judged()[0] == "FAIL"


def test_a_drill_that_waits_is_no_proof(safe: House) -> None:
    with org_scope(safe.clinic.id):
        ask_for_drill(PhoneNumber.objects.get())
    assert judged()[0] == "WARN"


def test_the_command_knows_no_other_clinic(safe: House) -> None:
    with pytest.raises(CommandError, match="no active clinic"):
        command("--org", "elm-stret")


def test_the_static_document_rings_the_line_by_itself(safe: House) -> None:
    out = io.StringIO()
    call_command("fallback_twiml", "--org", "elm-street", stdout=out)
    assert static_ring(LINE) in out.getvalue()
    assert "action" not in static_ring(LINE)
    set_up(safe.clinic, forward_to="")
    out = io.StringIO()
    call_command("fallback_twiml", stdout=out)
    assert "no line to ring" in out.getvalue()


@pytest.mark.usefixtures("plain_pages")
def test_a_manager_asks_for_a_drill_and_a_worker_makes_it(safe: House) -> None:
    client = Client()
    client.force_login(safe.clinic.staff["manager"], backend="voxanne.tenancy.permissions.MembershipBackend")
    with org_scope(safe.clinic.id):
        number = PhoneNumber.objects.get()
    chosen = {"action": "drill_selected", "_selected_action": str(number.pk)}
    client.post("/admin/telephony/phonenumber/", chosen)
    with org_scope(safe.clinic.id):
        assert not FireDrill.objects.exists(), "the first press only asks"
    client.post("/admin/telephony/phonenumber/", {**chosen, "confirmed": "yes", "_form_submitted": "1"})
    claimed = work.claim_next(kind_named(DRILL_WORK))
    assert claimed is not None
    assert work.perform(FIRE_DRILL, claimed) is not None
    with org_scope(safe.clinic.id):
        done = FireDrill.objects.get()
        assert AuditEntry.objects.filter(action="number.drill").count() == 1
    assert (done.state, done.verdict) == ("done", "pass")
    assert VOICE in client.get(f"/admin/telephony/firedrill/{done.pk}/change/").content.decode()


@pytest.mark.usefixtures("plain_pages")
def test_a_receptionist_is_not_offered_a_drill(safe: House) -> None:
    client = Client()
    client.force_login(
        safe.clinic.staff["receptionist"], backend="voxanne.tenancy.permissions.MembershipBackend"
    )
    page = client.get("/admin/telephony/phonenumber/").content.decode()
    assert "drill_selected" not in page
