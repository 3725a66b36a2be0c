"""Texts and the breaker: an open circuit costs no attempt, and a leave to probe never gets lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from messaging.manners import consent
from messaging.models import Message
from messaging.sending import circuit, gates
from messaging.sending.delivery import SMS_DELIVERY
from messaging.sending.holds import Hold
from messaging.sending.pauses import pause
from messaging.states import MessageState
from monitoring import breaker
from monitoring.breaker import Decision, Service
from monitoring.circuits import COOL_DOWN_SECONDS, CircuitState
from tests.clinics import Clinic
from tests.messaging.desk import PATIENT, Desk, later
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


def fail(desk: Desk, times: int = 3) -> None:
    """So many texts of the clinic find Twilio refusing connections."""
    desk.shut()
    for serial in range(times):
        desk.send(desk.write(f"Before, number {serial}."))
    desk.open()


def asked(desk: Desk) -> int:
    return sum(
        each["method"] == "POST" for each in desk.sandbox.control("/requests?service=twilio&limit=1000")
    )


def state_of(desk: Desk, service: Service = Service.TWILIO_SMS) -> CircuitState:
    reports = breaker.shared.report(service.value)
    mine = [one.state for one in reports if one.clinic == str(desk.clinic.id)]
    return mine[0] if mine else CircuitState.CLOSED


def decide(desk: Desk) -> Decision:
    return breaker.decide(Service.TWILIO_SMS, desk.clinic.id)


# An open circuit


def test_an_open_circuit_costs_no_attempt_and_leaves_no_try_behind(desk: Desk) -> None:
    fail(desk)
    message = desk.write()
    settlement = desk.send(message)
    row = desk.now(message)
    assert (row.state, row.attempts, row.first_attempted_at) == (MessageState.QUEUED, 0, None)
    assert desk.tries(message) == []
    assert timedelta(seconds=25) < settlement.wait < timedelta(seconds=COOL_DOWN_SECONDS + 5)
    assert "tried again by itself" in row.last_error
    assert asked(desk) == 0, "Twilio was not asked"


def test_a_text_waits_as_long_as_the_circuit_does_and_then_goes_out(desk: Desk, circuits: list[Any]) -> None:
    fail(desk)
    message = desk.write()
    desk.send(message)
    with later(COOL_DOWN_SECONDS + 10):
        desk.send(message)
    assert desk.now(message).state == MessageState.SENT
    assert [one.outcome for one in desk.tries(message)] == ["accepted"]
    assert circuits == [("clinic", "open"), ("clinic", "half_open"), ("clinic", "closed")]


def test_a_text_that_would_be_too_late_expires_and_says_why(desk: Desk) -> None:
    fail(desk)
    message = desk.write(expires_at=timezone.now() + timedelta(seconds=20))
    desk.send(message)
    assert (desk.now(message).state, desk.now(message).last_error) == (MessageState.EXPIRED, circuit.TOO_LATE)


def test_a_text_just_in_time_is_not_made_late_by_the_spread(desk: Desk) -> None:
    fail(desk)
    message = desk.write(expires_at=timezone.now() + timedelta(seconds=COOL_DOWN_SECONDS + 1))
    assert desk.send(message).wait <= timedelta(seconds=COOL_DOWN_SECONDS)
    assert desk.now(message).state == MessageState.QUEUED


def test_the_rest_of_the_clinics_queue_is_put_off_with_it(desk: Desk, oak: Clinic) -> None:
    fail(desk)
    rest = [desk.write(f"Waiting, number {serial}.") for serial in range(20)]
    short = desk.write(expires_at=timezone.now() + timedelta(seconds=20))
    theirs = Desk(oak, desk.sandbox, desk.gate_port).write("From Oak Road.")
    desk.send(rest[0])
    now = timezone.now()
    waits = [(desk.now(one).next_attempt_at - now).total_seconds() for one in rest]
    assert all(20 < wait < COOL_DOWN_SECONDS + 6 for wait in waits)
    assert len(set(waits)) > 10, "they do not all come back in the same instant"
    assert desk.now(short).next_attempt_at <= now, "it expires by its own time"
    with org_scope(oak.id):
        assert Message.objects.get(pk=theirs.pk).next_attempt_at <= now
    assert all(desk.now(one).attempts == 0 for one in rest)


def test_another_clinics_texts_go_out(desk: Desk, oak: Clinic) -> None:
    fail(desk)
    theirs = Desk(oak, desk.sandbox, desk.gate_port)
    message = theirs.write("From Oak Road.", recipient="+447700900123")
    theirs.send(message)
    assert theirs.now(message).state == MessageState.SENT


# What counts


def test_one_message_alone_opens_nothing(desk: Desk) -> None:
    desk.shut()
    message = desk.write()
    for turn in range(5):
        with later(11 * turn):
            desk.send(message)
    assert decide(desk).allowed
    desk.open()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("accepted_then_lost", {}),
        ("connection_reset", {}),
        ("slow", {"delay_seconds": 1.5}),
        ("rate_limited", {}),
        ("server_error", {}),
        ("server_error_with_body", {"code": 20503, "status": 503}),
    ],
)
def test_an_outage_opens_the_circuit(desk: Desk, kind: str, more: dict[str, Any]) -> None:
    desk.sandbox.fault(kind, match={"method": "POST"}, count=3, **more)
    for serial in range(3):
        desk.send(desk.write(f"Number {serial}."))
    assert not decide(desk).allowed


@pytest.mark.parametrize("code", [21211, 21610, 21614, 21617, 20404])
def test_a_bad_number_or_another_refusal_opens_nothing(desk: Desk, code: int) -> None:
    desk.sandbox.fault("refused_permanent", code=code)
    for serial in range(4):
        desk.send(desk.write(f"Number {serial}.", recipient=f"+1415555018{serial}"))
    assert decide(desk).allowed


def test_an_address_of_ours_that_is_none_tells_nothing(desk: Desk, settings: Any) -> None:
    settings.TWILIO_API_BASE_URL = "http://[no-address/twilio"
    for serial in range(4):
        desk.send(desk.write(f"Number {serial}."))
    assert decide(desk).allowed


def test_whatsapp_has_a_circuit_of_its_own() -> None:
    assert circuit.service_of(Message(recipient=PATIENT)) is Service.TWILIO_SMS
    assert circuit.service_of(Message(recipient=PATIENT, channel="whatsapp")) is Service.TWILIO_WHATSAPP


# A leave to probe


@pytest.fixture
def cooled(desk: Desk) -> Iterator[Desk]:
    """The circuit was opened and has cooled down: the next text probes."""
    fail(desk)
    with later(COOL_DOWN_SECONDS + 6):
        yield desk


def test_a_probe_that_fails_opens_the_circuit_again(cooled: Desk) -> None:
    cooled.shut()
    cooled.send(cooled.write())
    cooled.open()
    assert state_of(cooled) is CircuitState.OPEN


def test_a_probe_that_is_answered_is_a_try_like_others(cooled: Desk) -> None:
    """Twilio lives and is busy with this number: that it may be asked again is known, and an attempt is used."""
    cooled.sandbox.fault("refused_permanent", code=21611)
    message = cooled.write()
    cooled.send(message)
    assert state_of(cooled) is CircuitState.CLOSED
    assert (cooled.now(message).state, cooled.now(message).attempts) == (MessageState.QUEUED, 1)


def test_while_one_probes_the_others_wait_a_moment(cooled: Desk) -> None:
    probing, other = cooled.write(), cooled.write("Another.")
    claimed = work.claim(SMS_DELIVERY, cooled.clinic.id, probing.pk)
    assert claimed is not None
    assert timedelta(seconds=1) < cooled.send(other).wait < timedelta(seconds=5)
    assert cooled.now(other).attempts == 0
    work.perform(SMS_DELIVERY, claimed)
    assert state_of(cooled) is CircuitState.CLOSED


def held(message: Message, clinic: Any, now: Any, undecided: Any) -> Hold:
    return Hold(timedelta(hours=1), "Quiet hours.")


def broken(message: Message, clinic: Any, now: Any, undecided: Any) -> Hold:
    raise RuntimeError("a gate of ours is broken")


@pytest.mark.parametrize("barrier", [held, broken])
def test_a_text_that_a_gate_holds_gives_its_leave_back(
    cooled: Desk, barrier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "GATES", (barrier,))
    message = cooled.write()
    claimed = work.claim(SMS_DELIVERY, cooled.clinic.id, message.pk)
    if claimed is not None:
        work.perform(SMS_DELIVERY, claimed)
    assert state_of(cooled) is CircuitState.HALF_OPEN
    assert decide(cooled).allowed, "another may probe at once"


def test_a_text_of_who_opted_out_gives_its_leave_back(cooled: Desk) -> None:
    message = cooled.write()
    with org_scope(cooled.clinic.id):
        consent.record(
            cooled.clinic.id, sender=cooled.clinic.number, recipient=PATIENT, opted_out=True, source="keyword"
        )
    cooled.send(message)
    assert cooled.now(message).state == MessageState.SUPPRESSED
    assert decide(cooled).allowed


def test_a_held_text_gives_its_leave_back(cooled: Desk) -> None:
    message = cooled.write()
    pause(cooled.clinic.id, "For a test.")
    with org_scope(cooled.clinic.id):
        Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now())
    cooled.send(message)
    assert cooled.now(message).state == MessageState.QUEUED
    assert decide(cooled).allowed


def test_a_lease_that_ran_out_before_the_try_gives_its_leave_back(cooled: Desk) -> None:
    message = cooled.write()
    claimed = work.claim(SMS_DELIVERY, cooled.clinic.id, message.pk)
    assert claimed is not None
    claimed.row.claimed_until = timezone.now() - timedelta(seconds=1)
    assert work.perform(SMS_DELIVERY, claimed) is None
    assert decide(cooled).allowed


def test_a_try_that_broke_in_our_own_code_gives_its_leave_back(
    cooled: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of ours")

    message = cooled.write()
    monkeypatch.setattr("messaging.sending.delivery.twilio.send", raising)
    cooled.send(message)
    assert cooled.now(message).state == MessageState.UNKNOWN
    assert decide(cooled).allowed


def test_a_probe_whose_claim_was_lost_meanwhile_still_tells_how_it_went(cooled: Desk) -> None:
    message = cooled.write()
    claimed = work.claim(SMS_DELIVERY, cooled.clinic.id, message.pk)
    assert claimed is not None
    with org_scope(cooled.clinic.id):
        Message.objects.filter(pk=message.pk).update(state=MessageState.UNKNOWN, claim_token=None)
    work.perform(SMS_DELIVERY, claimed)
    assert state_of(cooled) is CircuitState.CLOSED
