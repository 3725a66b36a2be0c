from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from bookings.models import Appointment
from bookings.states import AppointmentStatus
from tests.clinics import Clinic
from tests.telephony.vapi_client import VapiCaller
from voxanne.tenancy.scope import org_scope

TOOL = "lookupCaller"
STRANGER = "+14155550177"


def book(call: VapiCaller, name: str = "Dana Ruiz", start: str = "10:00", **more: Any) -> dict[str, Any]:
    booked = call.use(
        "bookClinicAppointment",
        appointmentDate=call.clinic.next_weekday().isoformat(),
        appointmentTime=start,
        patientName=name,
        **more,
    )
    assert booked["ok"], booked
    return booked


def tells_nothing(answer: dict[str, Any]) -> bool:
    """Whether the answer keeps every name, date and time of a visit to itself."""
    return set(answer) == {"ok", "say", "found"} and not any(
        word in answer["say"] for word in ("Dana", "Ruiz", "10:00")
    )


def test_a_number_nobody_knows_is_asked_for_a_name(call: VapiCaller) -> None:
    answer = call.use(TOOL)
    assert (answer["found"], tells_nothing(answer)) == (False, True)
    assert "name" in answer["say"]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"searchType": "phone"}, {"searchType": "phone", "searchKey": "+14155550142"}, {"searchKey": None}],
)
def test_the_calling_number_alone_gives_no_more_than_found(
    call: VapiCaller, arguments: dict[str, Any]
) -> None:
    book(call)
    answer = VapiCaller(call.clinic).use(TOOL, **arguments)
    assert (answer["found"], tells_nothing(answer)) == (True, True)
    assert "name" in answer["say"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"patientName": "Dana"},
        {"patientName": "dana ruiz"},
        {"patientName": "  DANA  "},
        {"searchType": "name", "searchKey": "Dana"},
        {"searchType": "NAME", "searchKey": "Dana Ruiz"},
    ],
)
def test_the_number_and_the_first_name_open_the_visits(call: VapiCaller, arguments: dict[str, Any]) -> None:
    booked = book(call)
    answer = VapiCaller(call.clinic).use(TOOL, **arguments)
    assert (answer["found"], answer["firstName"]) == (True, "Dana")
    assert answer["upcoming"] == [
        {"appointmentId": booked["appointmentId"], "date": booked["startsAt"][:10], "time": "10:00"}
    ]


@pytest.mark.parametrize("name", ["Dora", "Ruiz", "D", "Dan", "Dana-Maria", "*", "%", "Dana\u200b", "mia"])
def test_a_wrong_first_name_opens_nothing(call: VapiCaller, name: str) -> None:
    book(call)
    answer = VapiCaller(call.clinic).use(TOOL, patientName=name)
    assert (answer["found"], tells_nothing(answer)) == (False, True)


def test_the_right_name_from_another_number_opens_nothing(call: VapiCaller) -> None:
    book(call)
    stranger = VapiCaller(call.clinic, caller=STRANGER)
    for arguments in (
        {"patientName": "Dana"},
        {"searchType": "name", "searchKey": "Dana"},
        {"searchType": "phone", "searchKey": "+14155550142", "patientName": "Dana"},
        {"searchType": "email", "searchKey": "dana@example.com", "patientName": "Dana"},
        {"phone": "+14155550142", "callerNumber": "+14155550142", "patientName": "Dana"},
    ):
        answer = stranger.use(TOOL, **arguments)
        assert (answer["found"], tells_nothing(answer)) == (False, True)


@pytest.mark.parametrize("caller", [None, "anonymous", "+266696687"])
def test_a_withheld_number_opens_nothing(call: VapiCaller, caller: str | None) -> None:
    book(call)
    answer = VapiCaller(call.clinic, caller=caller).use(TOOL, patientName="Dana")
    assert (answer["found"], tells_nothing(answer)) == (False, True)


def test_each_of_a_family_sees_their_own_visits_only(call: VapiCaller) -> None:
    book(call)
    book(call, "Mia Ruiz", "11:00")
    for name, start in (("Dana", "10:00"), ("Mia", "11:00")):
        answer = VapiCaller(call.clinic).use(TOOL, patientName=name)
        assert answer["firstName"] == name
        assert [visit["time"] for visit in answer["upcoming"]] == [start]


@pytest.mark.parametrize("write", [str, str.lower, ", ".join, " ".join, "-".join])
def test_the_confirmation_code_opens_its_visit_from_any_number(call: VapiCaller, write: Any) -> None:
    booked = book(call)
    stranger = VapiCaller(call.clinic, caller=STRANGER)
    answer = stranger.use(TOOL, searchKey=write(booked["confirmationCode"]))
    assert (answer["found"], answer["firstName"]) == (True, "Dana")
    assert [visit["appointmentId"] for visit in answer["upcoming"]] == [booked["appointmentId"]]


def test_a_wrong_code_opens_nothing(call: VapiCaller) -> None:
    code = book(call)["confirmationCode"]
    stranger = VapiCaller(call.clinic, caller=STRANGER)
    for wrong in (code[::-1], code[:-1], code + "B", code[:-1] + "A", "BCGHJK", "%", "______"):
        if wrong != code:
            assert tells_nothing(stranger.use(TOOL, searchKey=wrong))


def test_letters_heard_for_those_they_sound_like_are_still_the_code(call: VapiCaller) -> None:
    book(call)
    with org_scope(call.clinic.id):
        Appointment.objects.update(confirmation_code="SKBTMC")
    answer = VapiCaller(call.clinic, caller=STRANGER).use(TOOL, searchKey="F, K, P, D, N, Z")
    assert answer["firstName"] == "Dana"


def test_another_clinics_code_opens_nothing(call: VapiCaller, oak: Clinic) -> None:
    booked = book(VapiCaller(oak, caller="+447700900142"))
    for caller in ("+447700900142", STRANGER):
        answer = VapiCaller(call.clinic, caller=caller).use(TOOL, searchKey=booked["confirmationCode"])
        assert (answer["found"], tells_nothing(answer)) == (False, True)


def test_another_clinics_patient_is_nobody_here(call: VapiCaller, oak: Clinic) -> None:
    book(VapiCaller(oak, caller="+447700900142"))
    answer = VapiCaller(call.clinic, caller="+447700900142").use(TOOL, patientName="Dana")
    assert (answer["found"], tells_nothing(answer)) == (False, True)


@pytest.mark.parametrize(
    "state", [AppointmentStatus.CANCELLED, AppointmentStatus.COMPLETED, AppointmentStatus.NO_SHOW]
)
def test_a_visit_that_is_no_longer_to_come_is_not_told(call: VapiCaller, state: AppointmentStatus) -> None:
    code = book(call)["confirmationCode"]
    with org_scope(call.clinic.id):
        Appointment.objects.update(status=state)
    assert VapiCaller(call.clinic).use(TOOL, patientName="Dana")["upcoming"] == []
    assert tells_nothing(VapiCaller(call.clinic, caller=STRANGER).use(TOOL, searchKey=code))


def test_a_visit_of_yesterday_is_not_told(call: VapiCaller) -> None:
    code = book(call)["confirmationCode"]
    start = timezone.now() - timedelta(days=1)
    end = start + timedelta(minutes=30)
    with org_scope(call.clinic.id):
        Appointment.objects.update(starts_at=start, blocked_from=start, ends_at=end, blocked_until=end)
    assert VapiCaller(call.clinic).use(TOOL, patientName="Dana")["upcoming"] == []
    assert tells_nothing(VapiCaller(call.clinic, caller=STRANGER).use(TOOL, searchKey=code))


def test_one_code_is_never_on_two_visits_to_come(call: VapiCaller) -> None:
    first = book(call)
    second = book(VapiCaller(call.clinic, caller="+14155550155"), "Sam Okafor", "11:00")
    with org_scope(call.clinic.id):
        again = Appointment.objects.filter(pk=second["appointmentId"])
        with pytest.raises(IntegrityError, match="one_live_code_a_clinic"), transaction.atomic():
            again.update(confirmation_code=first["confirmationCode"])
        # A visit that is over or called off gives its code back.
        again.update(confirmation_code=first["confirmationCode"], status=AppointmentStatus.CANCELLED)
    stranger = VapiCaller(call.clinic, caller=STRANGER)
    assert stranger.use(TOOL, searchKey=first["confirmationCode"])["firstName"] == "Dana"


def test_visits_come_in_order_and_no_more_than_three(call: VapiCaller) -> None:
    for start in ("15:00", "09:00", "13:00", "11:00"):
        book(call, start=start)
    answer = VapiCaller(call.clinic).use(TOOL, patientName="Dana")
    assert [visit["time"] for visit in answer["upcoming"]] == ["09:00", "11:00", "13:00"]
    assert "9:00 AM" in answer["say"]


def test_anothers_many_visits_hide_nobodys_own(call: VapiCaller) -> None:
    for start in ("09:00", "10:00", "11:00", "12:00"):
        book(call, "Mia Ruiz", start)
    book(call, "Dana Ruiz", "15:00")
    answer = VapiCaller(call.clinic).use(TOOL, patientName="Dana")
    assert [visit["time"] for visit in answer["upcoming"]] == ["15:00"]


def test_nobody_is_ever_listed(call: VapiCaller) -> None:
    for number, name in enumerate(("Dana Ruiz", "Dana Novak", "Dana Chen")):
        book(VapiCaller(call.clinic, caller=f"+1415555016{number}"), name, f"1{number}:00")
    searches: list[dict[str, Any]] = [{"searchType": "name", "searchKey": "Dana"}, {"searchKey": "%"}, {}]
    for arguments in searches:
        answer = VapiCaller(call.clinic, caller=STRANGER).use(TOOL, **arguments)
        assert tells_nothing(answer)


@pytest.mark.parametrize("odd", [[], {}, ["Dana"], True, 1.5, 7, "\x00", "\ud800", "x" * 100_000])
@pytest.mark.parametrize("argument", ["searchType", "searchKey", "patientName"])
def test_odd_arguments_open_nothing(call: VapiCaller, argument: str, odd: Any) -> None:
    book(call)
    answer = VapiCaller(call.clinic, caller=STRANGER).use(TOOL, **{argument: odd})
    assert "firstName" not in answer
    assert "upcoming" not in answer
