"""Whether sending again can help: by its time, by whose fault it was, and by how sending stands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.models import Message
from messaging.providers.twilio.codes import CODES
from messaging.sending import pauses
from messaging.undelivered.redrive_chances import Chance, Sending, chance_of, judge, sending_of, with_chance
from tests.clinics import Clinic
from tests.messaging.test_queue_health import make
from voxanne.tenancy.scope import org_scope

NOW = timezone.now()
GOOD = NOW + timedelta(days=1)


def dead(code: int | None, **more: Any) -> Message:
    return Message(
        **{"state": "dead_letter", "error_code": code, "expires_at": GOOD, "dead_lettered_at": NOW, **more}
    )


@pytest.mark.parametrize(
    ("message", "chance"),
    [
        (dead(30003), Chance.LIKELY),
        (dead(20429), Chance.LIKELY),
        (dead(None), Chance.LIKELY),
        (dead(20003), Chance.WHEN_MENDED),
        (dead(21614), Chance.NO),
        (dead(21617), Chance.NO),
        (dead(30004), Chance.NO),
        (dead(30410), Chance.UNSURE),
        (dead(39999), Chance.UNSURE),
        (dead(None, in_doubt_since=NOW), Chance.UNSURE),
        (dead(30003, in_doubt_since=NOW), Chance.UNSURE),
        (dead(21614, in_doubt_since=NOW), Chance.UNSURE),
        (dead(None, provider_sid="SM1"), Chance.UNSURE),
        (dead(30003, expires_at=NOW), Chance.TOO_LATE),
        (dead(21614, expires_at=NOW), Chance.TOO_LATE),
    ],
)
def test_the_fault_and_the_time_decide(message: Message, chance: Chance) -> None:
    assert chance_of(message, NOW) is chance


def test_a_paused_sender_and_what_went_out_since_are_told() -> None:
    assert "paused" in judge(dead(30003), Sending(paused="Credentials"), NOW).why
    assert judge(dead(20003), Sending(), NOW).chance is Chance.WHEN_MENDED
    before, after = (Sending(last_sent_at=NOW + timedelta(minutes=shift)) for shift in (-1, 1))
    assert judge(dead(20003), before, NOW).chance is Chance.WHEN_MENDED
    assert judge(dead(20003), after, NOW).chance is Chance.LIKELY
    assert judge(dead(21614), after, NOW).chance is Chance.NO


@pytest.mark.django_db
def test_every_text_is_found_under_the_chance_that_it_shows(elm: Clinic) -> None:
    texts = [
        make(elm, "dead_letter", error_code=code, expires_at=expires)
        for code in (None, 39999, *CODES)
        for expires in (NOW - timedelta(hours=1), GOOD)
    ]
    texts += [
        make(elm, "dead_letter", in_doubt_since=NOW, error_code=code) for code in (None, 30003, 20003, 21614)
    ]
    texts += [make(elm, "dead_letter", provider_sid="SM7")]
    with org_scope(elm.id):
        found = {
            chance: set(Message.objects.filter(with_chance(chance, NOW)).values_list("pk", flat=True))
            for chance in Chance
        }
    assert sum(len(pks) for pks in found.values()) == len(texts)
    for text in texts:
        assert text.pk in found[chance_of(text, NOW)], (text.error_code, text.expires_at)


@pytest.mark.django_db
def test_how_sending_stands_is_each_clinics_own(elm: Clinic, oak: Clinic) -> None:
    make(oak, "delivered", sent_at=NOW)
    make(elm, "dead_letter", sent_at=NOW)
    pauses.pause(elm.id, "Credentials are wrong.")
    with org_scope(elm.id):
        assert sending_of([elm.id]) == {elm.id: Sending(paused="Credentials are wrong.")}
    with org_scope(oak.id):
        assert sending_of([oak.id]) == {oak.id: Sending(last_sent_at=NOW)}
