"""A clinic whose credential cannot be read keeps no other clinic waiting."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from messaging.models import Message, SenderAccount
from messaging.sending import pauses, standing
from telephony.missed_calls import polling
from telephony.missed_calls.dial_outcomes import Verdict
from telephony.models import PhoneNumber
from telephony.never_dead import last_known, line_keeping
from tests.clinics import Clinic
from tests.missed_calls.twilio_post import call, set_up
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


def spoil(clinic: Clinic) -> None:
    """It has an account of its own, whose token another key encrypted."""
    with org_scope(clinic.id):
        sender = SenderAccount.objects.get()
        sender.account_sid, sender.auth_token = "AC" + "9" * 32, "its-own-token"
        sender.save()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE sender_accounts SET auth_token = 'v1:rubbish' WHERE id = %s", [sender.pk])


def test_other_clinics_missed_calls_are_looked_up(
    elm: Clinic, oak: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    for clinic in (elm, oak):
        set_up(clinic, mode=PhoneNumber.Mode.FORWARD)
        call(clinic).rings()
    spoil(oak)
    monkeypatch.setattr(polling, "_look_up", lambda *_: polling.Found(Verdict.MISSED))
    with time_machine.travel(timezone.now() + timedelta(seconds=60)):
        polling.check_missed_calls()
    with org_scope(elm.id):
        assert Message.objects.count() == 1
    with org_scope(oak.id):
        assert Message.objects.count() == 0


def test_other_clinics_last_known_lines_are_kept_and_its_own_stays(elm: Clinic, oak: Clinic) -> None:
    for clinic in (elm, oak):
        set_up(clinic, mode=PhoneNumber.Mode.FORWARD)
    line_keeping.refresh_all()
    spoil(oak)
    assert line_keeping.refresh_all() > 0
    line_keeping.refresh_clinic(oak.id)
    for clinic in (elm, oak):
        with org_scope(clinic.id):
            number = PhoneNumber.objects.values_list("number", flat=True).first()
        assert number is not None
        assert last_known.of_number(number) is not None


def test_operations_still_read_who_is_paused(oak: Clinic) -> None:
    spoil(oak)
    pauses.pause(oak.id, "The token was changed", by_a_person=True)
    assert standing.paused_senders().number == 1
