"""What Twilio is answered about a call, and what the end of its dial comes to."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.conf import settings
from django.utils import timezone

from messaging.manners import consent
from messaging.models import Message, SenderAccount, StaffTask
from telephony.models import ActiveCall, Call, PhoneNumber
from tests.clinics import Clinic
from tests.missed_calls.twilio_post import CALLER, RESULT, STATUS, VOICE, call, new_sid, post, set_up
from tests.telephony.rows import row_counts
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

LINE = "+14155550199"
ASSISTANT = "sip:assistant@sip.vapi.ai"
FORWARD, THEN = PhoneNumber.Mode.FORWARD, PhoneNumber.Mode.FORWARD_THEN_ASSISTANT
TO_ASSISTANT = f"{RESULT}&stage=assistant"


@pytest.fixture
def forwarding(elm: Clinic) -> Clinic:
    set_up(elm, mode=FORWARD)
    return elm


@pytest.fixture
def then_assistant(elm: Clinic) -> Clinic:
    set_up(elm, mode=THEN, assistant_address=ASSISTANT)
    return elm


def texts(clinic: Clinic) -> list[Message]:
    with org_scope(clinic.id):
        return list(Message.objects.all())


def tasks(clinic: Clinic) -> list[StaffTask]:
    with org_scope(clinic.id):
        return list(StaffTask.objects.all())


def dial_of(twiml: str) -> ElementTree.Element:
    dial = ElementTree.fromstring(twiml).find("Dial")  # noqa: S314  (we wrote it)
    assert dial is not None, twiml
    return dial


def test_a_call_rings_the_clinics_line_and_leaves_a_row(forwarding: Clinic) -> None:
    ringing = call(forwarding)
    dial = dial_of(ringing.rings())
    number = dial.find("Number")
    assert number is not None
    assert number.text == LINE
    assert dial.attrib == {
        "action": f"{settings.BACKEND_URL}{RESULT}", "method": "POST", "timeout": "18", "answerOnBridge": "true",
    }  # fmt: skip
    row = ringing.row()
    assert (row.processed, row.stage, row.from_number, row.outcome) == (False, "clinic", CALLER, "")


def test_a_repeated_webhook_leaves_one_row(forwarding: Clinic) -> None:
    ringing = call(forwarding)
    assert ringing.rings() == ringing.rings()
    ringing.row()


def test_a_number_of_the_assistant_dials_it(elm: Clinic) -> None:
    set_up(elm, mode=PhoneNumber.Mode.ASSISTANT, assistant_address=ASSISTANT)
    ringing = call(elm)
    dial = dial_of(ringing.rings())
    sip = dial.find("Sip")
    assert sip is not None
    assert sip.text == ASSISTANT
    assert ringing.row().stage == "assistant"
    ringing.dial_ends("failed", TO_ASSISTANT)
    assert [text.kind for text in texts(elm)] == [texts(elm)[0].kind]


def test_an_assistant_without_an_address_rings_the_line(elm: Clinic) -> None:
    set_up(elm, mode=PhoneNumber.Mode.ASSISTANT, assistant_address="")
    assert LINE in call(elm).rings()


def test_a_line_that_is_one_of_our_own_numbers_is_never_rung(forwarding: Clinic, oak: Clinic) -> None:
    set_up(forwarding, forward_to=oak.number)
    ringing = call(forwarding)
    assert "<Dial" not in ringing.rings()
    assert ringing.row().outcome == "missed"
    assert len(texts(forwarding)) == 1


@pytest.mark.parametrize("status", ["no-answer", "busy", "failed", "canceled"])
def test_a_dial_that_nobody_took_is_missed_and_texted(forwarding: Clinic, status: str) -> None:
    ringing = call(forwarding)
    ringing.rings()
    assert "text message" in ringing.dial_ends(status)
    row = ringing.row()
    assert (row.processed, row.outcome, row.settled_by, row.text) == (True, "missed", "fast", "queued")
    assert row.processed_at is not None
    (text,) = texts(forwarding)
    assert row.message_id == text.pk
    assert (text.recipient, text.state, text.about) == (CALLER, "queued", f"missed:{row.pk}")
    (task,) = tasks(forwarding)
    assert (task.kind, task.callback_number) == ("missed_call", CALLER)
    assert CALLER not in task.text


@pytest.mark.parametrize(
    ("columns", "leg", "outcome"),
    [
        ({}, {"DialBridged": "true", "DialCallDuration": "3"}, "answered"),
        ({}, {}, "answered"),
        ({}, {"DialBridged": "false", "DialCallDuration": "3"}, "missed"),
        ({"voicemail_seconds": 20}, {"DialBridged": "true", "DialCallDuration": "19"}, "missed"),
        ({"voicemail_seconds": 20}, {"DialBridged": "true", "DialCallDuration": "20"}, "answered"),
        ({"voicemail_seconds": 20}, {"DialBridged": "true"}, "answered"),
        ({"voicemail_seconds": 20}, {"DialBridged": "true", "DialCallDuration": "x" * 99}, "answered"),
        ({"whisper": True}, {"DialCallDuration": "3"}, "missed"),
    ],
)
def test_completed_is_believed_only_where_somebody_took_it(
    forwarding: Clinic, columns: dict[str, int], leg: dict[str, str], outcome: str
) -> None:
    set_up(forwarding, **columns)
    ringing = call(forwarding)
    ringing.rings()
    ringing.dial_ends("completed", **leg)
    assert ringing.row().outcome == outcome
    assert len(texts(forwarding)) == (outcome == "missed")


@pytest.mark.parametrize("status", ["in-progress", "something-new", ""])
def test_an_outcome_that_says_nothing_is_left_to_the_poller(forwarding: Clinic, status: str) -> None:
    ringing = call(forwarding)
    ringing.rings()
    ringing.dial_ends(status)
    assert not ringing.row().processed


def test_an_outcome_of_a_call_never_seen_makes_its_row_and_settles_it(forwarding: Clinic) -> None:
    ringing = call(forwarding)
    ringing.dial_ends("no-answer")
    assert ringing.row().outcome == "missed"
    assert len(texts(forwarding)) == 1


def test_a_repeated_outcome_is_one_text(forwarding: Clinic) -> None:
    ringing = call(forwarding)
    ringing.rings()
    for _ in range(3):
        ringing.dial_ends("no-answer")
        post(STATUS, ringing.form(CallStatus="no-answer"))
    assert len(texts(forwarding)) == 1
    assert len(tasks(forwarding)) == 1


def test_an_answered_call_is_never_found_missed_afterwards(forwarding: Clinic) -> None:
    ringing = call(forwarding)
    ringing.rings()
    ringing.dial_ends("completed", DialBridged="true")
    ringing.dial_ends("no-answer")
    assert ringing.row().outcome == "answered"
    assert texts(forwarding) == []


def test_an_unanswered_ring_goes_on_to_the_assistant(then_assistant: Clinic) -> None:
    ringing = call(then_assistant)
    assert LINE in ringing.rings()
    onward = ringing.dial_ends("no-answer")
    assert ASSISTANT in onward
    assert dial_of(onward).attrib["action"] == f"{settings.BACKEND_URL}{TO_ASSISTANT}"
    assert ringing.dial_ends("no-answer") == onward
    row = ringing.row()
    assert (row.stage, row.processed) == ("assistant", False)
    ringing.dial_ends("completed", TO_ASSISTANT, DialBridged="true")
    assert ringing.row().outcome == "answered"
    assert texts(then_assistant) == []


def test_it_is_missed_when_the_assistant_fails_too(then_assistant: Clinic) -> None:
    ringing = call(then_assistant)
    ringing.rings()
    ringing.dial_ends("busy")
    ringing.dial_ends("failed", TO_ASSISTANT)
    assert ringing.row().outcome == "missed"
    assert len(texts(then_assistant)) == 1


def test_a_ring_that_is_told_of_again_otherwise_settles_nothing_of_the_assistants(
    then_assistant: Clinic,
) -> None:
    ringing = call(then_assistant)
    ringing.rings()
    ringing.dial_ends("no-answer")
    ringing.dial_ends("no-answer", CallStatus="completed")
    assert (ringing.row().stage, ringing.row().processed) == ("assistant", False)


@pytest.mark.parametrize(
    ("status", "parent"), [("canceled", "in-progress"), ("no-answer", "canceled"), ("no-answer", "completed")]
)
def test_it_is_missed_when_the_caller_leaves_first(then_assistant: Clinic, status: str, parent: str) -> None:
    ringing = call(then_assistant)
    ringing.rings()
    assert "<Dial" not in ringing.dial_ends(status, CallStatus=parent)
    assert ringing.row().outcome == "missed"


def test_whoever_picks_up_presses_1_to_take_the_call(forwarding: Clinic) -> None:
    set_up(forwarding, whisper=True)
    ringing = call(forwarding)
    number = dial_of(ringing.rings()).find("Number")
    assert number is not None
    address = number.attrib["url"]
    assert address == f"{settings.BACKEND_URL}{VOICE}/whisper/{ringing.row().pk}"
    path = address.removeprefix(settings.BACKEND_URL)
    leg = ringing.form(CallSid=new_sid(), ParentCallSid=ringing.sid, To=LINE)
    asked = post(path, leg).content.decode()
    assert "<Gather" in asked
    assert "Hangup" in asked
    assert CALLER not in asked
    assert ringing.row().whisper == "asked"
    assert "Hangup" not in post(path, {**leg, "Digits": "1"}).content.decode()
    post(path, leg)
    assert ringing.row().whisper == "accepted"
    ringing.dial_ends("completed", DialCallDuration="30")
    assert ringing.row().outcome == "answered"


def test_a_call_refused_at_the_whisper_is_missed(forwarding: Clinic) -> None:
    set_up(forwarding, whisper=True)
    ringing = call(forwarding)
    ringing.rings()
    path = f"{VOICE}/whisper/{ringing.row().pk}"
    leg = ringing.form(CallSid=new_sid(), ParentCallSid=ringing.sid, To=LINE, Digits="2")
    assert "Hangup" in post(path, leg).content.decode()
    ringing.dial_ends("completed", DialBridged="true", DialCallDuration="30")
    assert ringing.row().outcome == "missed"


def test_the_whisper_of_another_clinics_call_is_shut(forwarding: Clinic) -> None:
    set_up(forwarding, whisper=True)
    ringing = call(forwarding)
    ringing.rings()
    own_account(forwarding)
    path = f"{VOICE}/whisper/{ringing.row().pk}"
    assert post(path, {**ringing.form(To=LINE), "Digits": "1"}).status_code == 403
    assert ringing.row().whisper == ""


@pytest.mark.parametrize(
    "caller", ["anonymous", "Restricted", "+266696687", "", "sip:dana@example.com", "\x00"]
)
def test_a_withheld_number_gets_no_text_and_staff_are_told(forwarding: Clinic, caller: str) -> None:
    ringing = call(forwarding, caller)
    ringing.rings()
    ringing.dial_ends("no-answer")
    assert ringing.row().text == "withheld"
    assert texts(forwarding) == []
    assert len(tasks(forwarding)) == 1


def test_a_landline_gets_no_text(forwarding: Clinic) -> None:
    ringing = call(forwarding, "+442079460018")
    ringing.dial_ends("no-answer")
    assert ringing.row().text == "landline"
    assert texts(forwarding) == []


def test_a_number_of_ours_gets_no_text(forwarding: Clinic, oak: Clinic) -> None:
    for caller in (oak.number, forwarding.number):
        ringing = call(forwarding, caller)
        ringing.dial_ends("no-answer")
        assert ringing.row().text == "our_number"
    assert texts(forwarding) == []


def test_who_opted_out_gets_no_text(forwarding: Clinic) -> None:
    with org_scope(forwarding.id):
        consent.record(
            forwarding.id, sender=forwarding.number, recipient=CALLER, opted_out=True, source="keyword"
        )
    ringing = call(forwarding)
    ringing.dial_ends("no-answer")
    assert ringing.row().text == "suppressed"
    assert [text.state for text in texts(forwarding)] == ["suppressed"]


def test_who_got_through_meanwhile_gets_no_text(forwarding: Clinic) -> None:
    missed, taken = call(forwarding), call(forwarding)
    missed.rings()
    taken.rings()
    taken.dial_ends("completed", DialBridged="true")
    missed.dial_ends("no-answer")
    assert missed.row().text == "got_through"
    assert texts(forwarding) == []


def test_who_spoke_with_the_assistant_meanwhile_gets_no_text(forwarding: Clinic) -> None:
    missed = call(forwarding)
    missed.rings()
    with org_scope(forwarding.id):
        Call.objects.create(
            org=forwarding.org, vapi_call_id="a-call", from_number=CALLER, started_at=timezone.now()
        )
    missed.dial_ends("no-answer")
    assert missed.row().text == "got_through"


def test_who_booked_meanwhile_gets_no_text(forwarding: Clinic) -> None:
    from tests.telephony.vapi_client import VapiCaller

    missed = call(forwarding)
    missed.rings()
    booked = VapiCaller(forwarding).use(
        "bookClinicAppointment",
        appointmentDate=forwarding.next_weekday().isoformat(),
        appointmentTime="10:00",
        patientName="Dana Ruiz",
        patientPhone=CALLER,
    )
    assert booked["ok"]
    missed.dial_ends("no-answer")
    assert missed.row().text == "booked"
    assert "missed_call" not in {text.kind for text in texts(forwarding)}


def test_a_caller_who_rings_five_times_gets_one_text(forwarding: Clinic) -> None:
    calls = [call(forwarding) for _ in range(5)]
    for ringing in calls:
        ringing.rings()
        ringing.dial_ends("no-answer")
    assert [ringing.row().text for ringing in calls] == ["queued", *["cool_down"] * 4]
    assert len(texts(forwarding)) == 1
    assert len(tasks(forwarding)) == 1


def test_half_an_hour_later_there_is_a_text_again(forwarding: Clinic) -> None:
    from telephony.models import TextBack

    call(forwarding).dial_ends("no-answer")
    for minutes, expected in ((29, 1), (31, 2)):
        with org_scope(forwarding.id):
            TextBack.objects.update(texted_at=timezone.now() - timedelta(minutes=minutes))
        call(forwarding).dial_ends("no-answer")
        assert len(texts(forwarding)) == expected


def test_another_clinic_texts_the_same_caller_all_the_same(forwarding: Clinic, oak: Clinic) -> None:
    set_up(oak, mode=FORWARD)
    call(forwarding).dial_ends("no-answer")
    call(oak).dial_ends("no-answer")
    assert (len(texts(forwarding)), len(texts(oak))) == (1, 1)


def test_the_numbers_own_status_settles_a_call_that_no_dial_told_of(forwarding: Clinic) -> None:
    ringing = call(forwarding)
    assert post(STATUS, ringing.form(CallStatus="no-answer")).status_code == 204
    row = ringing.row()
    assert (row.outcome, row.settled_by) == ("missed", "fast")


def test_a_completed_call_that_no_dial_told_of_waits_for_the_poller(forwarding: Clinic) -> None:
    ringing = call(forwarding)
    assert post(STATUS, ringing.form(CallStatus="completed")).status_code == 204
    assert not ringing.row().processed


def test_an_unknown_number_hears_a_sentence(elm: Clinic) -> None:
    before = row_counts()
    form = call(elm).form(To="+14155559999")
    answer = post(VOICE, form)
    assert answer.status_code == 200
    assert b"not in service" in answer.content
    assert post(RESULT, {**form, "DialCallStatus": "busy"}).status_code == 200
    assert post(STATUS, {**form, "CallStatus": "busy"}).status_code == 204
    assert row_counts() == before


OWN_ACCOUNT, OWN_TOKEN = "AC" + "7" * 32, "the-clinics-own-token"


def own_account(clinic: Clinic) -> None:
    with org_scope(clinic.id):
        sender = SenderAccount.objects.get()
        sender.account_sid, sender.auth_token = OWN_ACCOUNT, OWN_TOKEN
        sender.save()


@pytest.mark.parametrize("path", [VOICE, RESULT, STATUS])
def test_nothing_is_believed_without_the_owners_signature(forwarding: Clinic, oak: Clinic, path: str) -> None:
    set_up(oak, mode=FORWARD)
    own_account(oak)
    before = row_counts()
    form = call(forwarding).form(DialCallStatus="no-answer", CallStatus="no-answer")
    own = {**form, "AccountSid": OWN_ACCOUNT}
    assert post(path, form, "wrong").status_code == 403
    assert post(path, form, OWN_TOKEN).status_code == 403
    assert post(path, own, OWN_TOKEN).status_code == 403, "an account names another's number"
    assert post(path, {**form, "To": oak.number}).status_code == 403, "the platform names a clinic's own"
    assert post(path, {**own, "To": "+14155559999"}, OWN_TOKEN).status_code == 403
    assert row_counts() == before
    assert post(path, {**own, "To": oak.number}, OWN_TOKEN).status_code in (200, 204)


def test_a_call_of_another_clinic_is_not_touched_by_naming_it(forwarding: Clinic, oak: Clinic) -> None:
    set_up(oak, mode=FORWARD)
    ringing, forged = call(forwarding), call(oak)
    ringing.rings()
    forged.sid = ringing.sid
    assert LINE in forged.rings()
    forged.dial_ends("no-answer")
    assert not ringing.row().processed
    with org_scope(oak.id):
        assert not ActiveCall.objects.exists()
        assert not Message.objects.exists()


@pytest.mark.parametrize(
    "form", [{}, {"CallSid": ""}, {"CallSid": "\x00"}, {"From": "\ud800", "CallSid": "x" * 5000}]
)
@pytest.mark.parametrize("path", [VOICE, RESULT, STATUS])
def test_whatever_a_signed_request_says_gives_no_fault(
    forwarding: Clinic, path: str, form: dict[str, str]
) -> None:
    sendable = {name: value.encode("utf-8", "replace").decode() for name, value in form.items()}
    assert post(path, {**call(forwarding).form(), **sendable}).status_code in (200, 204)


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_other_methods_are_refused(elm: Clinic, method: str) -> None:
    from tests.missed_calls.twilio_post import CLIENT

    for path in (VOICE, STATUS):
        assert getattr(CLIENT, method)(path).status_code == 405
