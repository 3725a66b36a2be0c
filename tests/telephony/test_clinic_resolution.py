from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from bookings.models import Appointment
from telephony.models import Assistant, PhoneNumber
from tests.clinics import Clinic
from tests.telephony.rows import row_counts
from tests.telephony.vapi_client import CALLER, VapiCaller, reply_of, result_of, tool_call, vapi_secret
from voxanne.tenancy.models import Organization
from voxanne.tenancy.scope import org_scope

PLATFORM_SECRET = "the-platform's-own-secret-of-these-tests"

pytestmark = pytest.mark.usefixtures("elm", "oak")


def identified(clinic: Clinic, *by: str) -> dict[str, Any]:
    """The members of a message that say which clinic is meant, by these ids alone."""
    call: dict[str, Any] = {"id": "a-call", "assistantId": None, "phoneNumberId": None}
    number: dict[str, Any] = {}
    if "assistant" in by:
        call["assistantId"] = clinic.assistant_id
    if "number id" in by:
        call["phoneNumberId"] = clinic.phone_number_id
    if "dialled" in by:
        number["number"] = clinic.number
    return {"call": call, "phoneNumber": number}


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both clinics' ids in one message; where they collide, the first one's."""
    return {name: {**other[name], **{k: v for k, v in one[name].items() if v}} for name in one}


def booking(clinic: Clinic) -> dict[str, Any]:
    return tool_call(
        "bookClinicAppointment",
        {
            "appointmentDate": clinic.next_weekday().isoformat(),
            "appointmentTime": "10:00",
            "patientName": "Dana Ruiz",
            "patientPhone": "+14155550142",
        },
    )


def is_apologised_for(caller: VapiCaller, secret: str, **members: Any) -> bool:
    """Whether a booking is answered with a spoken fault and leaves every table as it was."""
    before = row_counts()
    reply = reply_of(
        caller.post(caller.tools_message(booking(caller.clinic), **members), vapi_secret(secret))
    )
    entry = reply["results"][0]
    if "error" not in entry:
        return False
    assert entry["error"].endswith((".", "?"))
    assert "result" not in entry
    assert row_counts() == before
    return True


@pytest.mark.parametrize("by", ["assistant", "number id", "dialled"])
def test_one_id_is_enough_to_know_the_clinic(elm: Clinic, by: str) -> None:
    call = VapiCaller(elm)
    assert result_of(call.ask(booking(elm), **identified(elm, by))[0])["ok"]


def test_the_assistant_may_be_named_by_the_assistant_object_alone(elm: Clinic) -> None:
    members = {**identified(elm), "assistant": {"id": elm.assistant_id}}
    assert result_of(VapiCaller(elm).ask(booking(elm), **members)[0])["ok"]


def test_the_number_may_be_named_inside_the_call(elm: Clinic) -> None:
    call = {"id": "a-call", "phoneNumber": {"id": elm.phone_number_id, "number": elm.number}}
    assert result_of(VapiCaller(elm).ask(booking(elm), call=call, phoneNumber=None)[0])["ok"]


@pytest.mark.parametrize(("ours", "theirs"), list(permutations(["assistant", "number id", "dialled"], 2)))
@override_settings(VAPI_WEBHOOK_SECRET=PLATFORM_SECRET)
def test_ids_of_two_clinics_in_one_message_are_refused(
    elm: Clinic, oak: Clinic, ours: str, theirs: str
) -> None:
    members = merged(identified(elm, ours), identified(oak, theirs))
    for secret in (PLATFORM_SECRET, elm.secret, oak.secret):
        assert is_apologised_for(VapiCaller(elm), secret, **members)


@pytest.mark.parametrize("by", ["assistant", "number id", "dialled"])
def test_a_clinics_credential_opens_no_other_clinic(elm: Clinic, oak: Clinic, by: str) -> None:
    assert is_apologised_for(VapiCaller(oak), elm.secret, **identified(oak, by))


def test_what_the_model_says_never_chooses_the_clinic(elm: Clinic, oak: Clinic) -> None:
    wish = booking(elm)
    wish["function"]["arguments"] |= {
        "orgId": str(oak.id),
        "clinic": "oak-road",
        "assistantId": oak.assistant_id,
    }
    assert result_of(VapiCaller(elm).ask(wish)[0])["ok"]
    with org_scope(oak.id):
        assert not Appointment.objects.exists()
    with org_scope(elm.id):
        assert Appointment.objects.count() == 1


@override_settings(VAPI_WEBHOOK_SECRET=PLATFORM_SECRET)
def test_an_unknown_clinic_is_apologised_for_and_nothing_is_written(elm: Clinic) -> None:
    nobody = {"call": {"id": "a-call", "assistantId": "nobody's"}, "phoneNumber": {"number": "+14155559999"}}
    assert is_apologised_for(VapiCaller(elm), PLATFORM_SECRET, **nobody)
    assert is_apologised_for(VapiCaller(elm), elm.secret, **nobody)
    assert is_apologised_for(VapiCaller(elm), elm.secret, call={"id": "a-call"}, phoneNumber=None)


@override_settings(VAPI_WEBHOOK_SECRET=PLATFORM_SECRET)
def test_an_inactive_clinic_is_apologised_for(elm: Clinic) -> None:
    with org_scope(elm.id):
        Organization.objects.filter(pk=elm.id).update(active=False)
    assert is_apologised_for(VapiCaller(elm), PLATFORM_SECRET)


@pytest.mark.parametrize("kind", ["assistant-request", "transfer-destination-request"])
def test_other_questions_about_a_strange_clinic_get_an_error_to_speak(
    elm: Clinic, oak: Clinic, kind: str
) -> None:
    call = VapiCaller(oak)
    before = row_counts()
    reply = reply_of(call.post(call.message(kind), vapi_secret(elm.secret)))
    assert set(reply) == {"error"}
    assert row_counts() == before


@pytest.mark.parametrize("kind", ["status-update", "end-of-call-report", "hang", "something-new"])
def test_news_about_a_strange_clinic_is_acknowledged_and_dropped(elm: Clinic, oak: Clinic, kind: str) -> None:
    call = VapiCaller(oak)
    before = row_counts()
    answer = call.post(call.message(kind, status="ended", transcript="…"), vapi_secret(elm.secret))
    assert reply_of(answer) == {}
    assert row_counts() == before


def test_assistant_request_names_the_assistant_and_what_day_it_is(elm: Clinic, oak: Clinic) -> None:
    for clinic, zone in ((elm, "America/New_York"), (oak, "Europe/London")):
        reply = VapiCaller(clinic).say("assistant-request")
        assert set(reply) == {"assistantId", "assistantOverrides"}
        assert reply["assistantId"] == clinic.assistant_id
        values = reply["assistantOverrides"]["variableValues"]
        today = clinic.plan().today(timezone.now())
        assert values == {
            "clinicName": clinic.org.name,
            "today": today.isoformat(),
            "weekday": today.strftime("%A"),
            "timeZone": zone,
        }


def test_the_prompt_never_holds_a_patients_name(elm: Clinic) -> None:
    call = VapiCaller(elm)
    call.ask(booking(elm))
    again = VapiCaller(elm)
    reply = again.say("assistant-request", customer={"number": again.caller, "name": "Dana Ruiz"})
    assert "Dana" not in str(reply)
    assert CALLER not in str(reply)


def test_a_clinic_without_an_assistant_rings_its_line(elm: Clinic) -> None:
    with org_scope(elm.id):
        Assistant.objects.all().delete()
    reply = VapiCaller(elm).say("assistant-request")
    assert reply == {"destination": {"type": "number", "number": "+14155550199", "message": ""}}


def test_a_clinic_without_assistant_and_line_says_so(elm: Clinic) -> None:
    with org_scope(elm.id):
        Assistant.objects.all().delete()
        PhoneNumber.objects.update(forward_to="")
    reply = VapiCaller(elm).say("assistant-request")
    assert set(reply) == {"error"}


def test_assistant_request_is_answered_without_any_call_id(elm: Clinic) -> None:
    reply = VapiCaller(elm).say("assistant-request", call={"phoneNumberId": elm.phone_number_id})
    assert reply["assistantId"] == elm.assistant_id
