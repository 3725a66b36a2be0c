from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client
from twilio.request_validator import RequestValidator

from messaging.manners import consent
from messaging.models import InboundMessage, StaffTask
from messaging.staff_tasks import acknowledge
from tests.clinics import Clinic
from tests.telephony.webhooks import work_off
from voxanne.tenancy.scope import org_scope, platform_scope

PATH = "/api/webhooks/twilio/sms"
PATIENT = "+14155550142"


def post(clinic: Clinic, body: str, *, sid: str = "SM1", token: str | None = None, **more: str) -> int:
    """A text that comes in and is worked off at once."""
    status = arrive(clinic, body, sid=sid, token=token, **more)
    work_off()
    return status


def arrive(clinic: Clinic, body: str, *, sid: str, token: str | None = None, **more: str) -> int:
    form = {"MessageSid": sid, "From": PATIENT, "To": clinic.number, "Body": body}
    form = {**form, "AccountSid": settings.TWILIO_ACCOUNT_SID, **more}
    signer = RequestValidator(token or settings.TWILIO_AUTH_TOKEN)
    signature = signer.compute_signature(f"{settings.BACKEND_URL}{PATH}", form)
    return Client().post(PATH, form, headers={"X-Twilio-Signature": signature}).status_code


def opted_out(clinic: Clinic) -> bool:
    with org_scope(clinic.id):
        return consent.has_opted_out(clinic.id, sender=clinic.number, recipient=PATIENT)


@pytest.mark.parametrize("word", ["STOP", "stop", " Stop. ", "CANCEL", "END"])
def test_a_stop_word_alone_opts_the_person_out(elm: Clinic, word: str) -> None:
    assert post(elm, word) == 200
    assert opted_out(elm)


def test_a_sentence_with_a_stop_word_is_only_a_text(elm: Clinic) -> None:
    assert post(elm, "Please do not stop my visit") == 200
    assert not opted_out(elm)


def test_start_takes_a_stop_back(elm: Clinic) -> None:
    post(elm, "STOP", sid="SM1")
    post(elm, "START", sid="SM2")
    assert not opted_out(elm)


def test_a_stop_repeated_after_a_start_changes_nothing(elm: Clinic) -> None:
    post(elm, "STOP", sid="SM1")
    post(elm, "START", sid="SM2")
    assert post(elm, "STOP", sid="SM1") == 200
    assert not opted_out(elm)


def test_a_stop_at_one_clinic_leaves_the_other_alone(elm: Clinic, oak: Clinic) -> None:
    post(elm, "STOP")
    assert not opted_out(oak)


def test_twilio_s_own_verdict_comes_before_the_words(elm: Clinic) -> None:
    assert post(elm, "arrêt", OptOutType="STOP") == 200
    assert opted_out(elm)


@pytest.mark.parametrize("more", [{"AccountSid": "AC" + "9" * 32}, {"To": "+14155550000"}])
def test_a_text_of_another_account_or_number_is_refused(elm: Clinic, more: dict[str, str]) -> None:
    assert post(elm, "STOP", **more) == 403
    with platform_scope("count"):
        assert not InboundMessage.objects.exists()


def test_a_forged_text_is_refused(elm: Clinic) -> None:
    assert post(elm, "STOP", token="wrong") == 403
    assert not opted_out(elm)


def tasks(clinic: Clinic) -> list[tuple[str, str, bool]]:
    with org_scope(clinic.id):
        return [
            (task.kind, task.text, task.urgency == "urgent")
            for task in StaffTask.objects.order_by("created_at")
        ]


def test_a_text_that_is_no_keyword_is_for_a_person_to_read_once(elm: Clinic, oak: Clinic) -> None:
    for _ in range(2):
        post(elm, "Can I come at 3pm?")
    assert tasks(elm) == [("text", "Can I come at 3pm?", False)]
    assert tasks(oak) == []


def test_a_conversation_has_one_open_task_however_many_texts_come(elm: Clinic, oak: Clinic) -> None:
    for serial in range(4):
        post(elm, f"Question {serial}", sid=f"SM{serial}")
    assert tasks(elm) == [("text", "4 texts. The newest: Question 3", False)]
    with org_scope(elm.id):
        assert (StaffTask.objects.get().texts, InboundMessage.objects.count()) == (4, 4)
    post(elm, "Another's", sid="SM8", From="+14155550143")
    post(oak, "At Oak", sid="SM9")
    assert (len(tasks(elm)), len(tasks(oak))) == (2, 1)


def test_an_urgent_text_makes_the_open_task_urgent_and_no_later_one_takes_that_back(elm: Clinic) -> None:
    for serial, words in enumerate(("May I come?", "Stop texting me", "Thanks")):
        post(elm, words, sid=f"SM{serial}")
    assert tasks(elm) == [("text", "3 texts, one of them urgent. The newest: Thanks", True)]


def test_a_text_after_its_task_was_seen_to_makes_a_new_one(elm: Clinic) -> None:
    for serial in range(3):
        post(elm, f"Question {serial}", sid=f"SM{serial}")
        with org_scope(elm.id):
            assert acknowledge(StaffTask.objects.get(acknowledged_at=None), None) is True
    assert sorted(text for _, text, _ in tasks(elm)) == ["Question 0", "Question 1", "Question 2"]


@pytest.mark.parametrize("words", ["Stop texting me", "stop, please", "STOP. I mean it"])
def test_a_wish_that_is_more_than_a_word_is_urgent_for_a_person(elm: Clinic, words: str) -> None:
    post(elm, words)
    assert tasks(elm) == [("text", words, True)]


@pytest.mark.parametrize("word", ["STOP", "START", "HELP"])
def test_what_is_answered_by_itself_is_nobodys_task(elm: Clinic, word: str) -> None:
    post(elm, word)
    assert tasks(elm) == []
