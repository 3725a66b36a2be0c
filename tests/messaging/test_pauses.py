"""An account-level fault holds a clinic's texts back; a person lets them go, and none is lost or worn out meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as product
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from messaging import readiness_checks
from messaging.models import Message, SenderAccount
from messaging.providers.answers import Answer, TryOutcome
from messaging.providers.twilio.codes import spoken_reason
from messaging.sending import pace, pauses
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageState
from monitoring import alerts, breaker
from monitoring.circuits_in_memory import CircuitsInMemory
from monitoring.findings import Verdict
from tests.clinics import Clinic, make_clinic
from tests.messaging.desk import Desk, later, until_somebody_waits
from tests.messaging.test_bulk_acts import dead
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db

REASON = "The Twilio account was suspended; settle that with Twilio, then send again."
OnCommit = Callable[..., Any]


def work_off() -> int:
    """What workers claim now and settle; how many."""
    done = 0
    while (claimed := work.claim_next(SMS_DELIVERY)) is not None:
        work.perform(SMS_DELIVERY, claimed)
        done += 1
    return done


def sender(clinic: Clinic) -> SenderAccount:
    with org_scope(clinic.id):
        return SenderAccount.objects.get()


@pytest.fixture
def alerted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(pauses, "alert", lambda *given, **facts: told.append((*given, facts)))
    return told


# Which faults pause


@pytest.mark.parametrize("code", [20003, 21606, 30002, 30032, 30034, 21705])
def test_a_fault_of_the_account_pauses(code: int, elm: Clinic) -> None:
    answer = Answer(TryOutcome.REFUSED_FOR_GOOD, http_status=400, error_code=code)
    assert pauses.pause_for(elm.id, answer)
    assert pauses.is_paused(elm.id)
    assert pauses.reason_of_pause(elm.id) == spoken_reason(code)


@pytest.mark.parametrize("code", [21211, 21408, 21608, 21610, 21612, 30007, 30003, 20429, 99999, None])
def test_a_fault_of_one_phone_one_text_or_one_moment_pauses_nothing(code: int | None, elm: Clinic) -> None:
    answer = Answer(TryOutcome.REFUSED_FOR_GOOD, http_status=400, error_code=code)
    assert not pauses.pause_for(elm.id, answer)
    assert not pauses.pause_for_code(elm.id, code)
    assert not pauses.is_paused(elm.id)


@pytest.mark.parametrize(
    ("status", "paused"), [(401, True), (403, True), (308, True), (400, False), (500, False)]
)
def test_an_answer_without_a_code_is_judged_by_its_status(status: int, paused: bool, elm: Clinic) -> None:
    assert pauses.pause_for(elm.id, Answer(TryOutcome.REFUSED_FOR_GOOD, http_status=status)) is paused


def test_a_try_that_had_no_answer_pauses_nothing(elm: Clinic) -> None:
    assert not pauses.pause_for(elm.id, Answer(TryOutcome.NEVER_CONNECTED))
    assert not pauses.pause_for(elm.id, Answer(TryOutcome.ACCEPTED, sid="SM1", http_status=201))


# While it is paused


def test_the_first_refusal_holds_all_the_others_back(desk: Desk) -> None:
    with org_scope(desk.clinic.id):
        own = SenderAccount.objects.get()
        own.account_sid, own.auth_token = product.TWILIO_ACCOUNT_SID, "wrong"
        own.save(update_fields=["account_sid", "auth_token"])
    known = {"sid": product.TWILIO_ACCOUNT_SID, "auth_token": product.TWILIO_AUTH_TOKEN}
    desk.sandbox.control("/twilio/accounts", known)
    first, *others = [desk.write(f"Text {serial}.") for serial in range(4)]
    assert work_off() == 1
    assert desk.now(first).state == MessageState.DEAD_LETTER
    assert [(desk.now(one).state, desk.now(one).attempts) for one in others] == [(MessageState.QUEUED, 0)] * 3
    assert all("paused" in desk.now(one).last_error for one in others)
    assert work.claim(SMS_DELIVERY, desk.clinic.id, others[0].pk) is None, "a hint finds nothing to do either"


def test_a_text_written_meanwhile_is_held_too(desk: Desk) -> None:
    pauses.pause(desk.clinic.id, REASON)
    message = desk.write()
    assert (message.state, message.next_attempt_at) == (MessageState.QUEUED, message.expires_at)
    assert message.last_error == pauses.HELD + REASON
    assert work_off() == 0


def test_a_text_that_becomes_due_meanwhile_is_held_without_an_attempt(desk: Desk) -> None:
    message = desk.write(not_before=timezone.now() + timedelta(minutes=5))
    pauses.pause(desk.clinic.id, REASON)
    with later(301):
        assert work_off() == 1
        assert work_off() == 0, "it is put aside once, not over and over"
    held = desk.now(message)
    assert (held.state, held.attempts, held.next_attempt_at) == (MessageState.QUEUED, 0, held.expires_at)
    assert desk.tries(message) == []


def test_a_held_text_expires_by_its_own_time(desk: Desk) -> None:
    message = desk.write(expires_at=timezone.now() + timedelta(minutes=30))
    pauses.pause(desk.clinic.id, REASON)
    with later(1801):
        work_off()
    assert desk.now(message).state == MessageState.EXPIRED
    assert desk.phone() == []


def test_another_clinics_texts_go_out(desk: Desk, oak: Clinic) -> None:
    pauses.pause(oak.id, REASON)
    message = desk.write()
    work_off()
    assert desk.now(message).state == MessageState.SENT


@pytest.mark.parametrize("by_a_person", [False, True])
def test_a_pause_soon_after_a_resume_is_news(
    elm: Clinic,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: OnCommit,
    by_a_person: bool,
) -> None:
    spoken: list[str] = []
    monkeypatch.setattr(alerts, "throttle", alerts.Throttle())
    monkeypatch.setattr(alerts, "aside", lambda _, act: act())
    monkeypatch.setattr(alerts, "_log", lambda raised, held: spoken.append(raised.fingerprint))
    with django_capture_on_commit_callbacks(execute=True):
        pauses.pause(elm.id, REASON, by_a_person=by_a_person)
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            pauses.resume(elm.id)
    with django_capture_on_commit_callbacks(execute=True):
        pauses.pause(elm.id, REASON, by_a_person=by_a_person)
    assert len(spoken) == 2


def test_what_a_person_wrote_is_not_where_alerts_are_counted(
    elm: Clinic, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: OnCommit
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(pauses, "is_over", ended.append)
    with django_capture_on_commit_callbacks(execute=True):
        pauses.pause(elm.id, "Mrs Alder asked us to stop", by_a_person=True)
        pauses.resume(elm.id)
    assert ended
    assert "Alder" not in str(ended)


def test_operations_is_alerted_once_and_of_what_a_person_wrote_nothing(
    elm: Clinic, oak: Clinic, alerted: list[Any], django_capture_on_commit_callbacks: OnCommit
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert [pauses.pause(elm.id, REASON) for _ in range(3)] == [True, False, False]
        pauses.pause(oak.id, "Mrs Alder asked us to stop", by_a_person=True)
    first, second = alerted
    assert first[:2] == (alerts.Severity.CRITICAL, f"sender_paused:{REASON}")
    assert (REASON in first[2], first[3]["org_id"]) == (True, str(elm.id))
    assert first[2].startswith("The texts of Elm Street are paused")
    assert second[1:3] == (f"sender_paused:{oak.id}", "The texts of Oak Road are paused: by a person")
    assert "Alder" not in str(second)


def test_readiness_and_health_name_the_clinics_that_are_paused(elm: Clinic, oak: Clinic) -> None:
    assert [found.verdict for found in readiness_checks.senders()] == [Verdict.PASS]
    pauses.pause(elm.id, REASON)
    pauses.pause(oak.id, "Mrs Alder asked us to stop", by_a_person=True)
    (found,) = readiness_checks.senders()
    assert found.verdict is Verdict.WARN
    assert f"Elm Street (elm-street): {REASON.rstrip('.')}; Oak Road (oak-road): by a person." in found.detail
    told = Client().get("/api/monitoring/sms-queue-health").json()["alerts"]
    (paused,) = (one for one in told if one["code"] == "senders_paused")
    assert "elm-street" in paused["message"]
    assert "Alder" not in str(told) + found.detail


def test_health_tells_of_an_open_circuit(elm: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "shared", CircuitsInMemory())
    for subject in "abc":
        breaker.shared.failed("twilio_sms", str(elm.id), "", subject)
    told = Client().get("/api/monitoring/sms-queue-health").json()["alerts"]
    (failing,) = (one for one in told if one["code"] == "circuit_open")
    assert "Twilio (texts) is failing for Elm Street" in failing["message"]


def test_the_claim_asks_for_no_sender(desk: Desk) -> None:
    """A pause costs the claim nothing: it looks at the texts alone."""
    pauses.pause(desk.clinic.id, REASON)
    desk.write()
    with _Statements() as asked:
        assert work.claim_next(SMS_DELIVERY) is None
    assert not any("sender_accounts" in statement for statement in asked.texts)


class _Statements:
    def __enter__(self) -> _Statements:
        self.texts: list[str] = []
        self._wrapped = connection.execute_wrapper(self._note)
        self._wrapped.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._wrapped.__exit__(*raised)

    def _note(self, execute: Any, sql: str, *rest: Any) -> Any:
        self.texts.append(sql)
        return execute(sql, *rest)


# Resuming


def test_resuming_sends_what_was_held_and_leaves_what_is_for_later(desk: Desk) -> None:
    before, tomorrow = desk.write("Before."), timezone.now() + timedelta(hours=20)
    reminder = desk.write("Tomorrow.", not_before=tomorrow)
    pauses.pause(desk.clinic.id, REASON)
    during = desk.write("During.")
    assert pauses.resume(desk.clinic.id) == 2
    assert pauses.resume(desk.clinic.id) is None
    assert work_off() == 2
    assert {desk.now(one).state for one in (before, during)} == {MessageState.SENT}
    assert (desk.now(reminder).state, desk.now(reminder).next_attempt_at) == (MessageState.QUEUED, tomorrow)
    assert (sender(desk.clinic).paused_reason, sender(desk.clinic).paused_at) == ("", None)


# Who waits for whom


@pytest.fixture
def committed() -> Iterator[Clinic]:
    with platform_scope("test data"):
        elm = make_clinic("elm-street", timezone="America/New_York", country="US")
    yield elm
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE organizations, users CASCADE")


def held_by_a_receipt(clinic: Clinic, meanwhile: Callable[[], object]) -> list[object]:
    """What ``meanwhile`` returns or raises, in a thread of its own, while a receipt has a text in hand."""
    came_to: list[object] = []

    def run() -> None:
        try:
            came_to.append(meanwhile())
        except OperationalError as error:
            came_to.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    with org_scope(clinic.id):
        Message.objects.select_for_update(of=("self",)).get()
        thread.start()
        thread.join(timeout=20)
        assert not thread.is_alive(), "it waits for a text, with the sender in hand"
    return came_to


@pytest.mark.django_db(transaction=True)
def test_a_pause_waits_for_no_text_that_a_receipt_has_in_hand(committed: Clinic) -> None:
    (pk,) = dead(committed, 1, state="queued")
    assert held_by_a_receipt(committed, lambda: pauses.pause(committed.id, REASON)) == [True]
    claimed = work.claim(SMS_DELIVERY, committed.id, pk)
    assert claimed is not None
    work.perform(SMS_DELIVERY, claimed)
    with org_scope(committed.id):
        text = Message.objects.get()
    assert (text.state, text.next_attempt_at) == (MessageState.QUEUED, text.expires_at)


@pytest.mark.django_db(transaction=True)
def test_a_change_of_pace_waits_for_no_text_that_a_receipt_has_in_hand(committed: Clinic) -> None:
    soon = timezone.now() + timedelta(minutes=1)
    dead(committed, 1, state="queued", sender=committed.number, slot_at=soon, next_attempt_at=soon)
    assert held_by_a_receipt(committed, lambda: pace.line_up_anew(committed.id, committed.number)) == [0]


@pytest.mark.django_db(transaction=True)
def test_resuming_waits_for_a_text_before_it_takes_the_sender(committed: Clinic) -> None:
    """A receipt that has the text in hand may still want the sender."""
    (pk,) = dead(committed, 1, state="queued")
    pauses.pause(committed.id, REASON)
    resumed: list[object] = []

    def resume() -> None:
        resumed.append(pauses.resume(committed.id))
        connection.close()

    thread = threading.Thread(target=resume)
    with org_scope(committed.id):
        Message.objects.select_for_update(of=("self",)).get()
        thread.start()
        until_somebody_waits()
        SenderAccount.objects.select_for_update(of=("self",), nowait=True).get()
    thread.join()
    assert resumed == [1]
    with org_scope(committed.id):
        assert Message.objects.get(pk=pk).next_attempt_at <= timezone.now()
