from __future__ import annotations

from typing import Any

import pytest

from messaging.models import StaffTask
from messaging.states import TaskKind
from telephony.models import Call
from tests.clinics import Clinic
from tests.telephony.vapi_client import CALLER, VapiCaller
from tests.telephony.visits import book
from voxanne.tenancy.scope import org_scope

TOOL = "takeMessage"
WORDS = "Dana Ruiz would like her X-ray sent to her new dentist."


def tasks(clinic: Clinic) -> list[StaffTask]:
    with org_scope(clinic.id):
        return list(StaffTask.objects.order_by("created_at"))


def test_a_message_is_a_row_that_staff_see(call: VapiCaller) -> None:
    answer = call.use(TOOL, message=WORDS)
    assert (answer["ok"], answer["taken"]) == (True, True)
    assert "Elm Street" in answer["say"]
    (task,) = tasks(call.clinic)
    assert (task.kind, task.text, task.urgency) == (TaskKind.CALLER_MESSAGE, WORDS, "normal")
    assert (task.from_number, task.callback_number) == (CALLER, CALLER)
    assert task.acknowledged_at is None
    with org_scope(call.clinic.id):
        assert task.call_id == Call.objects.get().pk


def test_a_message_from_a_known_number_names_its_contact(call: VapiCaller) -> None:
    book(call)
    call.use(TOOL, message=WORDS)
    with org_scope(call.clinic.id):
        assert StaffTask.objects.get().contact.phone == CALLER  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("urgency", "kept"), [("urgent", "urgent"), ("URGENT", "urgent"), ("soon", "normal"), (7, "normal")]
)
def test_an_urgent_message_is_marked_so(call: VapiCaller, urgency: Any, kept: str) -> None:
    call.use(TOOL, message=WORDS, urgency=urgency)
    assert [task.urgency for task in tasks(call.clinic)] == [kept]


def test_another_number_may_be_given_to_call_back(call: VapiCaller) -> None:
    assert call.use(TOOL, message=WORDS, callbackNumber="(415) 555-0188")["taken"]
    assert tasks(call.clinic)[0].callback_number == "+14155550188"


def test_a_number_that_is_not_complete_is_asked_for_again(call: VapiCaller) -> None:
    answer = call.use(TOOL, message=WORDS, callbackNumber="555 0188")
    assert (answer["ok"], answer["code"]) == (False, "invalid_phone")
    assert tasks(call.clinic) == []


@pytest.mark.parametrize("caller", [None, "anonymous"])
def test_a_caller_who_withholds_the_number_is_asked_for_one_and_the_message_is_kept(
    call: VapiCaller, caller: str | None
) -> None:
    answer = VapiCaller(call.clinic, caller=caller).use(TOOL, message=WORDS)
    assert answer["taken"]
    assert "number" in answer["say"]
    assert tasks(call.clinic)[0].callback_number == ""


@pytest.mark.parametrize("message", [None, "", "   ", [], "\x00"])
def test_no_message_is_asked_for(call: VapiCaller, message: Any) -> None:
    assert call.use(TOOL, message=message)["code"] == "missing_argument"
    assert tasks(call.clinic) == []


def test_the_same_words_twice_in_a_call_are_one_message(call: VapiCaller) -> None:
    for _ in range(2):
        assert call.use(TOOL, message=WORDS)["taken"]
    call.use(TOOL, message="And please call before noon.")
    VapiCaller(call.clinic).use(TOOL, message=WORDS)
    assert len(tasks(call.clinic)) == 3


def test_a_message_is_the_clinics_own(call: VapiCaller, oak: Clinic) -> None:
    call.use(TOOL, message=WORDS)
    assert tasks(oak) == []
