"""Both paths, and repeats of each, see a call end at the same instant: one of them settles it, with one text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from bookings.plan import plan_of
from messaging.models import Message, StaffTask
from messaging.outbox import Enqueued, enqueue
from telephony.missed_calls import settling
from telephony.missed_calls.lines import line_of
from telephony.missed_calls.settling import Incoming, Outcome, Path
from telephony.models import ActiveCall
from tests.clinics import Clinic
from tests.concurrency.conftest import Without
from tests.concurrency.racing import race
from tests.guards import ONE_TEXT_BACK
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

RUNS = 100
RUNS_OF_CONTROL = 20
_serial = count(1)


def ringing(clinic: Clinic, caller: str) -> ActiveCall:
    with org_scope(clinic.id):
        line = line_of(clinic.id, clinic.number, clinic.org.country)
        incoming = Incoming(f"CA{next(_serial):032x}", caller, clinic.number)
        call = settling.note_call(clinic.id, line, incoming, line.first_stage)
    assert call is not None
    return call


def settles(call: ActiveCall, path: Path) -> Callable[[], bool]:
    """What a webhook's or the poller's transaction does once it knows that nobody took the call."""

    def settle() -> bool:
        with org_scope(call.org_id):
            seen = ActiveCall.objects.get(pk=call.pk)
            return settling.settle(seen, Outcome.MISSED, path, plan_of(call.org_id)).done

    return settle


def new_caller() -> str:
    return f"+1415555{next(_serial) % 10_000:04d}"


def race_of_both_paths(clinic: Clinic) -> list[bool]:
    call = ringing(clinic, new_caller())
    contenders = [settles(call, Path.FAST), settles(call, Path.FALLBACK), settles(call, Path.FAST)]
    won, _ = race(contenders)
    return won


def texts(clinic: Clinic) -> int:
    with org_scope(clinic.id):
        return Message.objects.count()


def test_both_paths_at_once_are_one_settlement_one_text_and_one_task(clinic: Clinic) -> None:
    wins = [race_of_both_paths(clinic) for _ in range(RUNS)]
    assert [won.count(True) for won in wins] == [1] * RUNS
    with org_scope(clinic.id):
        assert Message.objects.filter(kind__startswith="missed_call").count() == RUNS
        assert StaffTask.objects.count() == RUNS
        assert ActiveCall.objects.filter(processed=True, outcome="missed", text="queued").count() == RUNS


@pytest.fixture
def without_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product as two earlier systems were: each path looks, then sends what it found to be owed. Nothing is
    claimed, no text is recognised as said before, and no caller is left alone for half an hour."""

    def looked(call: ActiveCall, columns: dict[str, object]) -> bool:
        unsettled = not ActiveCall.objects.get(pk=call.pk).processed
        ActiveCall.objects.filter(pk=call.pk).update(**columns)
        return unsettled

    def nobody_else(*_: object) -> UUID:
        return new_id()

    serial = count(1)

    def as_new(**given: Any) -> Enqueued:
        return enqueue(**{**given, "dedupe_key": f"{given['dedupe_key']}-{next(serial)}"})

    monkeypatch.setattr(settling, "_claimed", looked)
    monkeypatch.setattr("telephony.missed_calls.text_backs._begin_cool_down", nobody_else)
    monkeypatch.setattr("telephony.missed_calls.text_backs.enqueue", as_new)


@pytest.mark.usefixtures("without_claim")
def test_without_the_claim_callers_are_texted_twice(clinic: Clinic) -> None:
    wins = [race_of_both_paths(clinic) for _ in range(RUNS_OF_CONTROL)]
    assert any(won.count(True) > 1 for won in wins)
    assert texts(clinic) > RUNS_OF_CONTROL


def test_copies_of_a_new_calls_webhook_at_once_make_one_row(clinic: Clinic) -> None:
    incoming = Incoming(f"CA{next(_serial):032x}", new_caller(), clinic.number)

    def note() -> object:
        with org_scope(clinic.id):
            line = line_of(clinic.id, clinic.number, clinic.org.country)
            call = settling.note_call(clinic.id, line, incoming, line.first_stage)
        return call.pk if call else None

    noted, _ = race([note] * 8)
    assert len(set(noted)) == 1
    assert None not in noted


def race_of_five_calls(clinic: Clinic) -> None:
    caller = new_caller()
    calls = [ringing(clinic, caller) for _ in range(5)]
    race([partial(settles(call, Path.FAST)) for call in calls])


def test_five_calls_of_one_caller_settled_at_once_are_one_text(clinic: Clinic) -> None:
    for _ in range(RUNS_OF_CONTROL):
        race_of_five_calls(clinic)
    assert texts(clinic) == RUNS_OF_CONTROL


def test_without_the_unique_key_they_are_several(clinic: Clinic, without: Without) -> None:
    with without(ONE_TEXT_BACK):
        race_of_five_calls(clinic)
        assert texts(clinic) > 1
