from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bookings.models import Appointment, CalendarConnection, CalendarPush
from bookings.states import AppointmentStatus, PushState
from messaging.models import Message
from messaging.states import MessageKind, MessageState
from tests.clinics import Clinic
from tests.telephony.rows import row_counts
from tests.telephony.vapi_client import VapiCaller
from tests.telephony.visits import NOT_FOUND, STRANGER, book, live, visit
from voxanne.tenancy.scope import org_scope

TOOL = "cancelAppointment"


def test_a_cancelled_visit_is_gone_and_its_text_and_calendar_follow(call: VapiCaller) -> None:
    with org_scope(call.clinic.id):
        CalendarConnection.objects.create(org=call.clinic.org, provider=call.clinic.providers[0])
    booked = book(call, provider="provider-0")
    with org_scope(call.clinic.id):
        CalendarPush.objects.update(state=PushState.DONE)
    answer = call.use(TOOL, appointmentId=booked["appointmentId"], reason="Feeling better")
    assert (answer["ok"], answer["cancelled"]) == (True, True)
    assert "10:00 AM is cancelled" in answer["say"]
    gone = visit(call.clinic, booked["appointmentId"])
    assert (gone.status, gone.cancel_reason) == (AppointmentStatus.CANCELLED, "Feeling better")
    with org_scope(call.clinic.id):
        texts = dict(Message.objects.values_list("kind", "state"))
        assert CalendarPush.objects.get().state == PushState.QUEUED
    assert texts == {
        MessageKind.CONFIRMATION: MessageState.CANCELED,
        MessageKind.CANCELLED: MessageState.QUEUED,
    }


def test_the_time_is_free_again_at_once(call: VapiCaller) -> None:
    booked = book(call, provider="provider-0")
    call.use(TOOL, appointmentId=booked["appointmentId"])
    book(VapiCaller(call.clinic, caller=STRANGER), "Sam Okafor", provider="provider-0")


def test_code_or_number_and_name_cancel_too(call: VapiCaller) -> None:
    code = book(call)["confirmationCode"]
    book(call, start="11:00")
    book(call, "Mia Ruiz", "09:00")
    assert VapiCaller(call.clinic, caller=STRANGER).use(TOOL, confirmationCode=code)["cancelled"]
    assert VapiCaller(call.clinic).use(TOOL, patientName="dana")["cancelled"]
    assert live(call.clinic) == ["09:00"]


@pytest.mark.parametrize("which", ["appointmentId", "patientName", "confirmationCode"])
def test_a_stranger_cancels_nothing_and_learns_nothing(call: VapiCaller, which: str) -> None:
    booked = book(call)
    given = {"appointmentId": booked["appointmentId"], "patientName": "Dana", "confirmationCode": "BCGHJK"}
    answer = VapiCaller(call.clinic, caller=STRANGER).use(TOOL, **{which: given[which]})
    assert answer == {"ok": False, "code": "unknown_visit", "say": NOT_FOUND}
    assert live(call.clinic) == ["10:00"]


def test_nothing_said_is_asked_back(call: VapiCaller) -> None:
    book(call)
    assert VapiCaller(call.clinic).use(TOOL)["code"] == "missing_argument"
    assert live(call.clinic) == ["10:00"]


def test_another_clinics_visit_is_nobodys_here(call: VapiCaller, oak: Clinic) -> None:
    booked = book(VapiCaller(oak, caller="+447700900142"))
    here = VapiCaller(call.clinic, caller="+447700900142")
    for which in ({"appointmentId": booked["appointmentId"]}, {"patientName": "Dana"}):
        assert here.use(TOOL, **which)["code"] == "unknown_visit"
    assert live(oak) == ["10:00"]


@pytest.mark.parametrize("by", ["appointmentId", "confirmationCode"])
def test_cancelled_twice_is_cancelled_once_and_answered_alike(call: VapiCaller, by: str) -> None:
    booked = book(call)
    which: dict[str, Any] = {by: booked[by]}
    first = VapiCaller(call.clinic).use(TOOL, **which)
    texts = row_counts()["sms_delivery_log"]
    again = VapiCaller(call.clinic).use(TOOL, **which)
    assert again == first
    assert row_counts()["sms_delivery_log"] == texts


def test_the_next_one_cancelled_twice_in_a_call_leaves_the_one_after_it(call: VapiCaller) -> None:
    book(call)
    book(call, start="11:00")
    caller = VapiCaller(call.clinic)
    assert caller.use(TOOL, patientName="Dana") == caller.use(TOOL, patientName="Dana")
    assert live(call.clinic) == ["11:00"]


def test_in_another_call_the_next_one_is_the_next_one(call: VapiCaller) -> None:
    book(call)
    book(call, start="11:00")
    for _ in range(2):
        assert VapiCaller(call.clinic).use(TOOL, patientName="Dana")["cancelled"]
    assert live(call.clinic) == []


def test_each_of_a_family_cancels_their_own_in_one_call(call: VapiCaller) -> None:
    book(call)
    book(call, "Mia Ruiz", "11:00")
    caller = VapiCaller(call.clinic)
    for name in ("Dana", "Mia"):
        assert caller.use(TOOL, patientName=name)["cancelled"]
    assert live(call.clinic) == []


def test_a_visit_that_was_moved_is_cancelled_by_its_first_id(call: VapiCaller) -> None:
    booked = book(call)
    day = call.clinic.next_weekday().isoformat()
    call.use("rescheduleAppointment", newDate=day, newTime="14:30", appointmentId=booked["appointmentId"])
    assert call.use(TOOL, appointmentId=booked["appointmentId"])["cancelled"]
    assert live(call.clinic) == []


def test_a_visit_that_is_over_is_not_cancelled(call: VapiCaller) -> None:
    booked = book(call)
    start = timezone.now() - timedelta(hours=2)
    end = start + timedelta(minutes=30)
    with org_scope(call.clinic.id):
        Appointment.objects.update(starts_at=start, blocked_from=start, ends_at=end, blocked_until=end)
    for which in ("appointmentId", "confirmationCode"):
        assert call.use(TOOL, **{which: booked[which]})["code"] == "unknown_visit"
    assert call.use(TOOL, patientName="Dana")["code"] == "unknown_visit"
    assert visit(call.clinic, booked["appointmentId"]).status == AppointmentStatus.CONFIRMED


def test_an_overlong_or_odd_reason_keeps_no_visit(call: VapiCaller) -> None:
    for start, reason in (("10:00", "x" * 5000), ("11:00", ["odd"]), ("12:00", None)):
        booked = book(call, start=start)
        assert call.use(TOOL, appointmentId=booked["appointmentId"], reason=reason)["cancelled"]
        assert len(visit(call.clinic, booked["appointmentId"]).cancel_reason) <= 200
