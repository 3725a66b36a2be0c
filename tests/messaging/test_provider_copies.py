"""What is kept of a try's request and of Twilio's answer: no words of the text, no whole number."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from twilio.base.exceptions import TwilioRestException

from messaging.fates.receipts import Receipt, apply_receipt
from messaging.models import Message
from messaging.providers.answers import Answer, TryOutcome
from messaging.providers.twilio.client import answer_of_exception
from messaging.providers.twilio.codes import spoken_reason
from messaging.sending.provider_copies import copy_of_answer, copy_of_request
from tests.messaging.desk import PATIENT, Desk

WORDS = "Elm Street: you are booked for Tue 1 Dec at 10:00. Reply STOP to opt out."


def message(**changes: Any) -> Message:
    given = {
        "recipient": PATIENT,
        "sender": "+14155570100",
        "body": WORDS,
        "segments": 1,
        "expires_at": timezone.now() + timedelta(hours=2),
    }
    return Message(**{**given, **changes})


def test_a_request_is_kept_without_words_and_whole_numbers() -> None:
    kept = copy_of_request(message())
    assert json.loads(kept) == {
        "to": "•••0142", "by": "sms", "from": "•••0100", "characters": len(WORDS), "segments": 1, "encoding": "GSM-7",
        "validSeconds": 7199,
    }  # fmt: skip
    assert "booked" not in kept
    assert PATIENT not in kept


@pytest.mark.parametrize("sender", ["whatsapp:+14155570100", "+14155570100", "14155570100"])
def test_a_senders_number_is_masked_however_it_is_written(sender: str) -> None:
    assert json.loads(copy_of_request(message(sender=sender)))["from"] == "•••0100"


def test_a_services_id_is_kept_whole() -> None:
    service = "MG" + "0" * 32
    assert json.loads(copy_of_request(message(sender=service)))["from"] == service


def test_a_rehearsals_number_is_what_was_asked_for(settings: Any) -> None:
    settings.SMS_REDIRECT_TO = "+14155559999"
    kept = json.loads(copy_of_request(message()))
    assert (kept["to"], kept["redirected"]) == ("•••9999", True)


@pytest.mark.parametrize(
    "said",
    [
        f"The body “{WORDS}” was refused",
        f"Refused: {WORDS.upper()}",
        "Refused: elm  street you-are-booked for Tue",
        "Refused for Sam: code 4821",
        "Refused: S-a-m",
        "Refused: sam@example.org, +14155550142, 415 555 0142",
    ],
)
@pytest.mark.parametrize("said_as", ["msg", "detail"])
def test_of_the_providers_own_sentence_nothing_is_kept(said: str, said_as: str) -> None:
    refused = TwilioRestException(400, "/Messages.json", msg="", code=21614)
    setattr(refused, said_as, said)
    given = answer_of_exception(refused)
    assert json.loads(copy_of_answer(given) or "") == {"http": 400, "code": 21614}
    assert given.error == spoken_reason(21614)


def test_where_nothing_came_back_nothing_is_kept() -> None:
    assert copy_of_answer(Answer(TryOutcome.NEVER_CONNECTED, error="Twilio could not be reached")) is None


@pytest.mark.django_db
def test_a_try_that_twilio_refused_shows_what_was_asked_and_answered(desk: Desk) -> None:
    desk.sandbox.control(
        "/faults", {"service": "twilio", "kind": "refused_permanent", "code": 21614, "count": 1}
    )
    text = desk.write(WORDS)
    desk.send(text)
    (one,) = desk.tries(text)
    assert one.request is not None
    assert one.answer is not None
    assert one.request["to"] == "•••0142"
    assert one.request["characters"] == len(WORDS)
    assert one.answer == {"http": 400, "code": 21614}
    everything = json.dumps([one.request, one.answer])
    assert PATIENT[1:] not in everything
    assert "booked" not in everything


@pytest.mark.django_db
def test_a_try_that_twilio_took_shows_its_sid(desk: Desk) -> None:
    text = desk.write(WORDS)
    desk.send(text)
    (one,) = desk.tries(text)
    assert one.answer == {"http": 201, "sid": one.provider_sid, "status": "queued"}


@pytest.mark.django_db
def test_the_copies_cost_no_statement_of_their_own(desk: Desk) -> None:
    """Those of a try are one to begin it and one to end it, as before."""
    text = desk.write(WORDS)
    with CaptureQueriesContext(connection) as asked:
        desk.send(text)
    assert not [query for query in asked.captured_queries if "delivery_attempts" in query["sql"]]


@pytest.mark.django_db
def test_a_later_word_that_it_did_not_arrive_stands_with_the_answer(desk: Desk) -> None:
    text = desk.write(WORDS)
    desk.send(text)
    sid = desk.now(text).provider_sid
    apply_receipt(desk.clinic.id, text.pk, Receipt(sid, "undelivered", 30005))
    (one,) = desk.tries(text)
    assert one.answer == {
        "http": 201,
        "sid": sid,
        "status": "queued",
        "then": "undelivered",
        "thenCode": 30005,
    }
