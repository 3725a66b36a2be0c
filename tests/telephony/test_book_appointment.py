from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bookings.models import Appointment, Service
from messaging.models import Contact, Message, OptOut, SenderAccount
from telephony.models import Call
from tests.clinics import Clinic
from tests.telephony.rows import row_counts
from tests.telephony.vapi_client import CALLER, VapiCaller
from voxanne.tenancy.scope import org_scope

TOOL = "bookClinicAppointment"
LETTERS = set("BCGHJKLMRSTWX")
# A refused wish leaves the call, its claim and the person behind the number; nothing of a visit.
OF_A_VISIT = ("appointments", "sms_delivery_log", "calendar_pushes", "delivery_attempts")


def book(call: VapiCaller, **changes: Any) -> dict[str, Any]:
    wish = {
        "appointmentDate": call.clinic.next_weekday().isoformat(),
        "appointmentTime": "10:00",
        "patientName": "Dana Ruiz",
        **changes,
    }
    return call.use(TOOL, **{name: value for name, value in wish.items() if value is not ...})


def is_refused(call: VapiCaller, code: str, **changes: Any) -> bool:
    """Whether the wish is refused in speech with this code, and nothing of a visit was written."""
    before = row_counts()
    answer = book(call, **changes)
    after = row_counts()
    assert all(before[table] == after[table] for table in OF_A_VISIT)
    assert answer["say"].endswith((".", "?")), answer
    return not answer["ok"] and answer["code"] == code


def the_visit(clinic: Clinic) -> Appointment:
    with org_scope(clinic.id):
        return Appointment.objects.select_related("contact", "provider").get()


def test_a_booking_says_all_that_was_promised(call: VapiCaller) -> None:
    booked = book(call)
    visit = the_visit(call.clinic)
    assert set(booked) == {
        "ok", "say", "appointmentId", "startsAt", "confirmationCode", "alreadyBooked", "smsStatus",
    }  # fmt: skip
    assert booked["appointmentId"] == str(visit.pk)
    assert booked["startsAt"] == visit.starts_at.astimezone(call.clinic.org.zone).isoformat()
    assert booked["startsAt"].startswith(f"{call.clinic.next_weekday()}T10:00:00-0")
    assert booked["confirmationCode"] == visit.confirmation_code
    assert (booked["alreadyBooked"], booked["smsStatus"]) == (False, "queued")


def test_the_code_is_spelled_letter_by_letter(call: VapiCaller) -> None:
    booked = book(call)
    code = booked["confirmationCode"]
    assert len(code) == 6
    assert set(code) <= LETTERS
    assert ", ".join(code) in booked["say"]


def test_the_time_is_the_clinics_own(oak: Clinic) -> None:
    booked = book(VapiCaller(oak, caller="+447700900142"), appointmentTime="14:30")
    visit = the_visit(oak)
    local = visit.starts_at.astimezone(oak.org.zone)
    assert (local.date(), local.hour, local.minute) == (oak.next_weekday(), 14, 30)
    assert "14:30" in booked["say"]


def test_the_callers_number_is_the_patients_unless_another_is_given(call: VapiCaller) -> None:
    book(call)
    assert the_visit(call.clinic).contact.phone == CALLER


@pytest.mark.parametrize(
    "given",
    ["+14155550143", "(415) 555-0143", "415 555 0143", "4155550143", 4155550143, "tel:+1-415-555-0143"],
)
def test_a_given_number_is_read_in_the_clinics_country(call: VapiCaller, given: object) -> None:
    book(call, patientPhone=given)
    visit = the_visit(call.clinic)
    assert visit.contact.phone == "+14155550143"
    with org_scope(call.clinic.id):
        assert Message.objects.get().recipient == "+14155550143"


def test_a_british_clinic_reads_british_numbers(oak: Clinic) -> None:
    book(VapiCaller(oak, caller="anonymous"), patientPhone="07700 900143")
    assert the_visit(oak).contact.phone == "+447700900143"


@pytest.mark.parametrize(
    "caller", [None, "", "anonymous", "Restricted", "+266696687", "sip:anonymous@anonymous.invalid"]
)
def test_a_withheld_number_is_asked_for(call: VapiCaller, caller: str | None) -> None:
    withheld = VapiCaller(call.clinic, caller=caller)
    assert is_refused(withheld, "invalid_phone")
    assert book(withheld, patientPhone="+14155550143")["ok"]


@pytest.mark.parametrize(
    "given",
    [
        "12",
        "not a number",
        "anonymous",
        "0000000000",
        "+1",
        "+14155550142999999",
        "💬",
        "1" * 60,
        "+1 (115) 555-0142",
    ],
)
def test_a_number_nobody_can_own_is_refused(call: VapiCaller, given: str) -> None:
    assert is_refused(call, "invalid_phone", patientPhone=given)


def test_a_time_that_another_caller_has_is_refused_with_others(call: VapiCaller) -> None:
    book(VapiCaller(call.clinic, caller="+14155550177"), provider="provider-0", patientName="Sam Okafor")
    before = row_counts()
    answer = book(call, provider="provider-0")
    assert (answer["ok"], answer["code"]) == (False, "slot_unavailable")
    first = answer["alternatives"][0]
    assert first["date"] == call.clinic.next_weekday().isoformat()
    assert first["slots"]
    assert "10:00" not in first["slots"]
    assert "Sam" not in str(answer)
    assert row_counts()["appointments"] == before["appointments"]


@pytest.mark.parametrize("start", ["09:35", "09:45", "10:00", "10:15", "10:25"])
def test_an_overlapping_time_is_refused(call: VapiCaller, start: str) -> None:
    book(VapiCaller(call.clinic, caller="+14155550177"), provider="provider-0")
    assert is_refused(call, "slot_unavailable", provider="provider-0", appointmentTime=start)


@pytest.mark.parametrize("start", ["09:30", "10:30"])
def test_a_time_that_only_touches_is_booked(call: VapiCaller, start: str) -> None:
    book(VapiCaller(call.clinic, caller="+14155550177"), provider="provider-0")
    assert book(call, provider="provider-0", appointmentTime=start)["ok"]


def test_without_a_provider_as_many_are_booked_as_are_free(call: VapiCaller) -> None:
    callers = [VapiCaller(call.clinic, caller=f"+1415555017{digit}") for digit in range(3)]
    answers = [book(caller, patientName=f"Patient {index}") for index, caller in enumerate(callers)]
    assert [answer["ok"] for answer in answers] == [True, True, False]
    assert answers[2]["code"] == "slot_unavailable"
    with org_scope(call.clinic.id):
        assert len(set(Appointment.objects.values_list("provider_id", flat=True))) == 2


@pytest.mark.parametrize("start", ["08:30", "08:55", "16:35", "17:00", "20:00", "00:00", "23:55"])
def test_outside_the_hours_nothing_is_booked(call: VapiCaller, start: str) -> None:
    assert is_refused(call, "outside_hours", appointmentTime=start)


def test_a_closed_day_is_outside_the_hours(call: VapiCaller) -> None:
    day = call.clinic.next_weekday()
    saturday = day + timedelta(days=5 - day.weekday())
    assert is_refused(call, "outside_hours", appointmentDate=saturday.isoformat())


@pytest.mark.parametrize("day", ["0001-01-01", "0001-01-03", "1900-01-01", "1969-12-31", "yesterday"])
def test_the_past_is_refused(call: VapiCaller, day: str) -> None:
    if day == "yesterday":
        day = (timezone.now().astimezone(call.clinic.org.zone).date() - timedelta(days=1)).isoformat()
    assert is_refused(call, "in_the_past", appointmentDate=day)


@pytest.mark.parametrize("day", ["9999-12-31", "9999-12-30", "2400-02-29"])
def test_the_distant_future_is_refused(call: VapiCaller, day: str) -> None:
    assert is_refused(call, "too_far_ahead", appointmentDate=day)
    assert not book(call, appointmentDate=day, appointmentTime="23:55", duration=240)["ok"]


def test_the_horizon_is_refused_from_its_first_day_on(call: VapiCaller) -> None:
    beyond = timezone.now().astimezone(call.clinic.org.zone).date() + timedelta(days=366)
    assert is_refused(call, "too_far_ahead", appointmentDate=beyond.isoformat())


def test_too_short_a_notice_is_refused(call: VapiCaller) -> None:
    with org_scope(call.clinic.id):
        Service.objects.update(minimum_notice=60 * 24 * 14)
    assert is_refused(call, "too_soon")


@pytest.mark.parametrize(
    "day", ["2027-02-30", "2027-13-01", "tomorrow", "", "20270104", "2027-01-04T10:00", ...]
)
def test_a_date_that_does_not_exist_is_refused(call: VapiCaller, day: object) -> None:
    assert is_refused(call, "invalid_date", appointmentDate=day)


@pytest.mark.parametrize(
    "start",
    [
        "25:61",
        "24:00",
        "10:60",
        "10",
        "1000",
        "9:00",
        "10:02",
        "10:00:30",
        "ten",
        "10:00 AM",
        "-1:00",
        "",
        ...,
    ],
)
def test_a_time_we_cannot_book_is_refused(call: VapiCaller, start: object) -> None:
    assert is_refused(call, "invalid_time", appointmentTime=start)


@pytest.mark.parametrize("start", ["09:00", "09:05", "10:55", "13:20", "16:30", "10:00:00"])
def test_any_five_minute_mark_that_fits_is_booked(call: VapiCaller, start: str) -> None:
    assert book(call, appointmentTime=start)["ok"]


@pytest.mark.parametrize("minutes", [5, 30, 45, 240, "20", 15.0, None, ""])
def test_a_length_the_service_allows_is_booked(call: VapiCaller, minutes: object) -> None:
    assert book(call, duration=minutes)["ok"]
    visit = the_visit(call.clinic)
    expected = 30 if minutes in (None, "") else int(float(str(minutes)))
    assert visit.ends_at - visit.starts_at == timedelta(minutes=expected)


@pytest.mark.parametrize(
    "minutes", [0, 4, 241, -30, 10**30, 22.5, "long", "-5", True, [], {}, 1e308, "9" * 5000, "٣٠"]
)
def test_another_length_is_refused(call: VapiCaller, minutes: object) -> None:
    assert is_refused(call, "invalid_duration", duration=minutes)


def test_a_service_of_one_length_is_booked_in_that_alone(call: VapiCaller) -> None:
    with org_scope(call.clinic.id):
        Service.objects.update(shortest_minutes=None, longest_minutes=None)
    assert is_refused(call, "invalid_duration", duration=45)
    assert book(call, duration=30)["ok"]


def test_unknown_services_and_providers_are_refused(call: VapiCaller, oak: Clinic) -> None:
    for name in ("surgery", str(oak.service.pk)):
        assert is_refused(call, "unknown_service", serviceType=name)
    for name in ("Dr. Nobody", str(oak.providers[0].pk)):
        assert is_refused(call, "unknown_provider", provider=name)


def test_a_provider_is_booked_by_name(call: VapiCaller) -> None:
    assert book(call, provider="dr. TOM berg")["ok"]
    assert the_visit(call.clinic).provider.slug == "provider-1"


@pytest.mark.parametrize("name", ["", "   ", None, ..., "\x00", 0.5, [], {"first": "Dana"}, True])
def test_without_a_name_the_name_is_asked_for(call: VapiCaller, name: object) -> None:
    assert is_refused(call, "missing_argument", patientName=name)


@pytest.mark.parametrize(
    "name",
    ["Zoë Ångström", "李小龍", "O'Brien-Smith; --", "🙂" * 30, "x" * 4000, "A\x00B", "A\ud800B", "A\nB"],
)
def test_any_name_that_people_bear_is_booked(call: VapiCaller, name: str) -> None:
    assert book(call, patientName=name)["ok"]
    assert the_visit(call.clinic).patient_name


@pytest.mark.parametrize("odd", [["Dr. Tom Berg"], {"name": "Dr. Tom Berg"}, True, 1.5])
@pytest.mark.parametrize("argument", ["provider", "serviceType", "patientPhone"])
def test_an_argument_of_another_kind_is_never_guessed_at(
    call: VapiCaller, argument: str, odd: object
) -> None:
    before = row_counts()
    assert not book(call, **{argument: odd})["ok"]
    assert row_counts()["appointments"] == before["appointments"]


@pytest.mark.parametrize(
    "email",
    [
        "Dana@Example.com",
        "no address",
        "İ" * 254,
        "x" * 5000,
        "@",
        5,
        [],
        {"at": "x"},
        True,
        "\ud800@x.example",
    ],
)
def test_an_e_mail_address_never_stands_in_the_way(call: VapiCaller, email: object) -> None:
    assert book(call, patientEmail=email)["ok"]
    kept = the_visit(call.clinic).contact.email
    assert kept == ("dana@example.com" if email == "Dana@Example.com" else "")


def test_an_opted_out_patient_is_booked_without_a_text(call: VapiCaller) -> None:
    with org_scope(call.clinic.id):
        OptOut.objects.create(
            org=call.clinic.org, sender=call.clinic.number, recipient=CALLER, source="keyword"
        )
    booked = book(call)
    assert booked["smsStatus"] == "suppressed"
    assert "text" not in booked["say"]


def test_a_clinic_without_a_sender_books_without_a_text(call: VapiCaller) -> None:
    with org_scope(call.clinic.id):
        SenderAccount.objects.all().delete()
    booked = book(call)
    assert booked["smsStatus"] == "skipped"
    assert "text" not in booked["say"]
    with org_scope(call.clinic.id):
        assert not Message.objects.exists()


def test_the_text_names_clinic_date_and_time_and_never_the_service(call: VapiCaller) -> None:
    booked = book(call)
    with org_scope(call.clinic.id):
        message = Message.objects.get()
    assert "Elm Street" in message.body
    assert "10:00 AM" in message.body
    assert booked["confirmationCode"] in message.body
    assert "Consultation" not in message.body
    assert "Dana" not in message.body


def test_the_visit_knows_the_call_it_was_made_in(call: VapiCaller) -> None:
    book(call)
    with org_scope(call.clinic.id):
        assert the_visit(call.clinic).call_id == Call.objects.get(vapi_call_id=call.call_id).pk


def test_two_of_a_family_book_the_same_time_from_one_number(call: VapiCaller) -> None:
    assert not book(call)["alreadyBooked"]
    assert not book(call, patientName="Mia Ruiz")["alreadyBooked"]
    with org_scope(call.clinic.id):
        assert Appointment.objects.count() == 2
        contact = Contact.objects.get()
    assert contact.name == "Dana Ruiz"
    assert "Mia Ruiz" in contact.names


def test_the_network_says_who_calls_never_the_model(call: VapiCaller) -> None:
    book(call, caller="+14155550199", callerNumber="+14155550199", phoneNumber="+14155550199")
    assert the_visit(call.clinic).contact.phone == CALLER
