from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.test import override_settings
from django.utils import timezone
from pytest_httpserver import HTTPServer

from telephony.call_commands.commands import CALL_COMMAND
from telephony.call_commands.states import CommandState
from telephony.models import Call, CallCommand, PhoneNumber, TransferDestination
from tests.clinics import Clinic
from tests.telephony import webhooks
from tests.telephony.vapi_client import CONTROL_URL, VapiCaller, tool_call
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

TOOL = "transferCall"
DESK, BILLING = "+14155550188", "+14155550189"
ALL_WEEK = tuple(range(7))
# A Wednesday in winter: New York is five hours behind, London is not.
WEDNESDAY = datetime(2026, 11, 25, tzinfo=UTC)


def add_destination(
    clinic: Clinic,
    number: str = DESK,
    department: str = "general",
    weekdays: Sequence[int] = ALL_WEEK,
    opens: time = time(0),
    closes: time = time(0),
) -> None:
    with org_scope(clinic.id):
        TransferDestination.objects.create(
            org=clinic.org,
            department=department,
            number=number,
            weekdays=list(weekdays),
            opens=opens,
            closes=closes,
        )


def commands(clinic: Clinic) -> list[CallCommand]:
    with org_scope(clinic.id):
        return list(CallCommand.objects.select_related("call").order_by("created_at"))


def transfer(call: VapiCaller, **arguments: Any) -> dict[str, Any]:
    return call.use(TOOL, **{"summary": "A question about an invoice.", **arguments})


def test_the_caller_is_put_through_once_the_answer_has_gone_out(call: VapiCaller) -> None:
    add_destination(call.clinic)
    answer = transfer(call)
    assert (answer["ok"], answer["transferring"]) == (True, True)
    (command,) = commands(call.clinic)
    assert command.body == {
        "type": "transfer",
        "destination": {"type": "number", "number": DESK, "message": ""},
        "content": answer["say"],
    }
    assert command.state == CommandState.QUEUED
    assert command.next_attempt_at > command.created_at
    assert command.call.control_url == CONTROL_URL


@pytest.mark.parametrize(
    ("department", "number"),
    [
        ("billing", BILLING),
        ("BILLING", BILLING),
        ("general", DESK),
        ("medical", DESK),
        ("surgery", DESK),
        ("", DESK),
        (None, DESK),
        ([], DESK),
    ],
)
def test_a_department_without_a_number_of_its_own_is_the_general_one(
    call: VapiCaller, department: object, number: str
) -> None:
    add_destination(call.clinic)
    add_destination(call.clinic, BILLING, "billing")
    assert transfer(call, department=department)["ok"]
    assert commands(call.clinic)[0].body["destination"]["number"] == number


def test_the_wish_is_kept_with_the_call(call: VapiCaller) -> None:
    add_destination(call.clinic)
    transfer(call, department="billing")
    with org_scope(call.clinic.id):
        row = Call.objects.get()
    assert (row.transfer_department, row.transfer_summary) == ("billing", "A question about an invoice.")


@pytest.mark.parametrize("summary", ["", " ", None, 0.5, [], {}])
def test_without_a_summary_it_is_asked_for(call: VapiCaller, summary: object) -> None:
    add_destination(call.clinic)
    answer = transfer(call, summary=summary)
    assert (answer["ok"], answer["code"]) == (False, "missing_argument")
    assert commands(call.clinic) == []


@pytest.mark.parametrize(
    ("local", "answers"),
    [("08:59", False), ("09:00", True), ("12:30", True), ("16:59", True), ("17:00", False), ("23:00", False)],
)
def test_hours_are_the_clinics_local_ones(call: VapiCaller, local: str, answers: bool) -> None:
    add_destination(call.clinic, weekdays=range(5), opens=time(9), closes=time(17))
    moment = datetime.combine(WEDNESDAY.date(), time.fromisoformat(local), call.clinic.org.zone)
    with time_machine.travel(moment, tick=True):
        answer = transfer(call)
    assert answer["ok"] is answers
    if not answers:
        assert answer["code"] == "after_hours"
        assert commands(call.clinic) == []


@pytest.mark.parametrize(("day", "answers"), [(0, True), (4, True), (5, False), (6, False)])
def test_days_are_the_clinics_local_ones(call: VapiCaller, day: int, answers: bool) -> None:
    add_destination(call.clinic, weekdays=range(5), opens=time(9), closes=time(0))
    evening = datetime.combine(WEDNESDAY.date(), time(22), call.clinic.org.zone) + timedelta(days=day - 2)
    with time_machine.travel(evening, tick=True):
        assert transfer(call)["ok"] is answers


def test_a_department_that_is_shut_is_not_replaced_by_another(call: VapiCaller) -> None:
    add_destination(call.clinic)
    add_destination(call.clinic, BILLING, "billing", weekdays=())
    assert transfer(call, department="billing")["code"] == "after_hours"


def test_a_clinic_without_destinations_says_so(call: VapiCaller, oak: Clinic) -> None:
    add_destination(oak)
    answer = transfer(call)
    assert (answer["ok"], answer["code"]) == (False, "no_destination")
    assert commands(call.clinic) == []


@pytest.mark.parametrize("written", ["{}", " {} ", "tel:{}"])
def test_a_number_that_patients_dial_here_is_never_dialled(call: VapiCaller, written: str) -> None:
    add_destination(call.clinic, written.format(call.clinic.number))
    assert transfer(call)["code"] == "no_destination"
    assert commands(call.clinic) == []


def test_a_number_that_another_clinics_patients_dial_is_never_dialled(call: VapiCaller, oak: Clinic) -> None:
    add_destination(call.clinic, oak.number)
    assert transfer(call)["code"] == "no_destination"


def test_a_number_of_ours_that_is_not_answered_by_us_yet_is_never_dialled(call: VapiCaller) -> None:
    with org_scope(call.clinic.id):
        PhoneNumber.objects.create(org=call.clinic.org, number="+14155550123", mode=PhoneNumber.Mode.FORWARD)
    add_destination(call.clinic, "(415) 555-0123")
    assert transfer(call)["code"] == "no_destination"


@pytest.mark.parametrize("written", ["(415) 555-0188", "415-555-0188", "+1 415 555 0188"])
def test_a_number_is_dialled_as_e164_however_staff_wrote_it(call: VapiCaller, written: str) -> None:
    add_destination(call.clinic, written)
    assert transfer(call)["ok"]
    assert commands(call.clinic)[0].body["destination"]["number"] == DESK


@pytest.mark.parametrize("written", ["", "12", "front desk"])
def test_what_is_no_number_is_no_destination(call: VapiCaller, written: str) -> None:
    add_destination(call.clinic, written)
    assert transfer(call)["code"] == "no_destination"


def test_the_control_address_may_come_after_the_first_message(call: VapiCaller) -> None:
    add_destination(call.clinic)
    early = VapiCaller(call.clinic, call_id=call.call_id, control_url=None)
    early.say("assistant-request")
    early.say("status-update", status="in-progress")
    transfer(call)
    assert commands(call.clinic)[0].call.control_url == CONTROL_URL


def test_the_control_address_that_came_first_is_kept(call: VapiCaller) -> None:
    add_destination(call.clinic)
    call.say("status-update", status="in-progress")
    transfer(VapiCaller(call.clinic, call_id=call.call_id, control_url="https://other.vapi.ai/control"))
    assert commands(call.clinic)[0].call.control_url == CONTROL_URL


def test_a_repeated_wish_puts_through_once(call: VapiCaller) -> None:
    add_destination(call.clinic)
    wish = tool_call(TOOL, {"summary": "An invoice."})
    assert call.ask(wish) == call.ask(wish)
    assert len(commands(call.clinic)) == 1


@pytest.fixture
def vapi(httpserver: HTTPServer) -> Any:
    with override_settings(VAPI_API_BASE_URL=httpserver.url_for("/"), PRODUCTION=False):
        yield httpserver


def work_off(command: CallCommand) -> CallCommand:
    """Runs the command now, as a worker does."""
    with org_scope(command.org_id):
        CallCommand.objects.filter(pk=command.pk).update(next_attempt_at=timezone.now())
    claimed = work.claim(CALL_COMMAND, command.org_id, command.pk)
    assert claimed is not None
    work.settle(claimed.row, CALL_COMMAND.perform(claimed.row, claimed.prepared))
    with org_scope(command.org_id):
        return CallCommand.objects.get(pk=command.pk)


def test_the_command_reaches_the_calls_own_address(elm: Clinic, vapi: HTTPServer) -> None:
    vapi.expect_oneshot_request("/control/5f1c", method="POST").respond_with_json({})
    call = VapiCaller(elm, control_url=vapi.url_for("/control/5f1c"))
    add_destination(elm)
    transfer(call)
    command = work_off(commands(elm)[0])
    assert command.state == CommandState.DONE
    assert vapi.log[0][0].json["destination"]["number"] == DESK


def test_an_address_that_is_not_vapis_is_given_up_unasked(elm: Clinic, vapi: HTTPServer) -> None:
    call = VapiCaller(elm, control_url="http://169.254.169.254/latest/meta-data")
    add_destination(elm)
    transfer(call)
    assert work_off(commands(elm)[0]).state == CommandState.DEAD
    assert vapi.log == []


def test_a_call_that_has_ended_is_told_nothing(elm: Clinic, vapi: HTTPServer) -> None:
    call = VapiCaller(elm, control_url=vapi.url_for("/control/5f1c"))
    add_destination(elm)
    transfer(call)
    call.say("status-update", status="ended")
    webhooks.work_off()
    assert work_off(commands(elm)[0]).state == CommandState.DONE
    assert vapi.log == []


@pytest.mark.parametrize(("status", "state"), [(503, CommandState.QUEUED), (410, CommandState.DEAD)])
def test_vapi_being_away_is_waited_out_and_a_dead_call_is_not(
    elm: Clinic, vapi: HTTPServer, status: int, state: CommandState
) -> None:
    vapi.expect_request("/control/5f1c").respond_with_data("", status=status)
    add_destination(elm)
    transfer(VapiCaller(elm, control_url=vapi.url_for("/control/5f1c")))
    assert work_off(commands(elm)[0]).state == state


def test_a_destination_request_names_the_department_asked_for_last(call: VapiCaller) -> None:
    add_destination(call.clinic)
    add_destination(call.clinic, BILLING, "billing")
    assert call.say("transfer-destination-request")["destination"]["number"] == DESK
    transfer(call, department="billing")
    reply = call.say("transfer-destination-request")
    assert (reply["destination"]["type"], reply["destination"]["number"]) == ("number", BILLING)
    other = VapiCaller(call.clinic)
    assert other.say("transfer-destination-request")["destination"]["number"] == DESK


@pytest.mark.parametrize("number", ["own", "another's"])
def test_a_destination_request_never_names_a_number_of_ours(
    call: VapiCaller, oak: Clinic, number: str
) -> None:
    add_destination(call.clinic, call.clinic.number if number == "own" else oak.number)
    assert set(call.say("transfer-destination-request")) == {"error"}


def test_a_destination_request_after_hours_is_an_error_to_speak(call: VapiCaller) -> None:
    add_destination(call.clinic, weekdays=())
    assert set(call.say("transfer-destination-request")) == {"error"}


def test_a_destination_request_without_a_call_id_leaves_no_row(call: VapiCaller) -> None:
    add_destination(call.clinic)
    reply = call.say("transfer-destination-request", call={"phoneNumberId": call.clinic.phone_number_id})
    assert reply["destination"]["number"] == DESK
    with org_scope(call.clinic.id):
        assert not Call.objects.exists()
