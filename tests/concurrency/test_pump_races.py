"""Pumps of several workers at one table: each row is worked off once, and a worker that dies leaves the rest alone."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone

from messaging.models import DeliveryAttempt, Message
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.concurrency.racing import race
from tests.concurrency.texts import as_it_stands, write_text
from voxanne.durable import many_rows, together, work
from voxanne.durable.pump import MOST_A_TURN, Pump
from voxanne.durable.settlement import Settlement
from voxanne.durable.turns import Turn
from voxanne.durable.work import WorkKind
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True)

TEXTS = 80
PUMPS = 4


@pytest.fixture
def without_locks_for_many(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The product as if it looked, then wrote a moment later, with nobody else there."""
    slowly = many_rows.TAKE_SOME.replace("FOR UPDATE SKIP LOCKED", "").replace(
        "WHERE id = ANY(", "FROM pg_sleep(0.02) WHERE id = ANY("
    )
    monkeypatch.setattr(many_rows, "TAKE_SOME", slowly)
    many_rows._take_some.cache_clear()
    yield
    many_rows._take_some.cache_clear()


def performed_by_several(clinic: Clinic) -> Counter[UUID]:
    """How often each text was sent by pumps that all began at once."""
    for serial in range(TEXTS):
        write_text(clinic, serial)
    sent: list[UUID] = []
    lock = threading.Lock()

    def send(message: Message, _: object) -> Settlement:
        with lock:
            sent.append(message.pk)
            serial = len(sent)
        return Settlement(MessageState.SENT, columns={"provider_sid": f"SM-{message.pk.hex}-{serial}"[:40]})

    kind: WorkKind[Message] = replace(SMS_DELIVERY, perform=send, gives_way=0)
    race([lambda: Pump(kind, 10).run()] * PUMPS)
    return Counter(sent)


def test_each_text_is_worked_off_once_by_several_pumps(clinic: Clinic) -> None:
    sent = performed_by_several(clinic)
    assert (len(sent), set(sent.values())) == (TEXTS, {1})
    with org_scope(clinic.id):
        assert set(Message.objects.values_list("state", "attempts")) == {(MessageState.SENT, 1)}
        assert DeliveryAttempt.objects.count() == TEXTS


@pytest.mark.usefixtures("without_locks_for_many")
def test_without_the_row_lock_some_are_worked_off_more_than_once(clinic: Clinic) -> None:
    assert max(performed_by_several(clinic).values()) > 1


def test_a_worker_that_dies_leaves_unknown_what_may_have_left_and_nothing_else(clinic: Clinic) -> None:
    pks = [write_text(clinic, serial) for serial in range(MOST_A_TURN + 4)]
    taken = together.claim_turn(SMS_DELIVERY, Turn(0, clinic.id, timezone.now()), MOST_A_TURN)
    assert len(taken.claimed) == MOST_A_TURN
    # It dies here: its connection goes, nothing more is written.
    connections["default"].close()
    assert work.release_lost(SMS_DELIVERY, now=timezone.now() + SMS_DELIVERY.lease * 2) == MOST_A_TURN
    claimed = {one.row.pk for one in taken.claimed}
    for pk in pks:
        wanted = MessageState.UNKNOWN if pk in claimed else MessageState.QUEUED
        assert as_it_stands(clinic, pk).state == wanted
    with org_scope(clinic.id):
        tried = set(DeliveryAttempt.objects.values_list("message_id", flat=True))
    assert tried == claimed


def test_a_worker_that_dies_before_it_commits_its_claims_has_claimed_nothing(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    for serial in range(4):
        write_text(clinic, serial)

    def killed(rows: list[Message]) -> list[object]:
        SMS_DELIVERY.prepare_all(rows)  # type: ignore[misc]
        raise SystemExit

    kind = replace(SMS_DELIVERY, prepare_all=killed)
    with pytest.raises(SystemExit):
        together.claim_turn(kind, Turn(0, clinic.id, timezone.now()), MOST_A_TURN)
    with org_scope(clinic.id):
        assert set(Message.objects.values_list("state", flat=True)) == {MessageState.QUEUED}
        assert not DeliveryAttempt.objects.exists()


def release(late: datetime) -> None:
    work.release_lost(SMS_DELIVERY, now=late)


def test_rows_settled_together_and_losing_their_leases_at_once_happen_one_or_the_other(
    clinic: Clinic,
) -> None:
    for turn in range(5):
        for serial in range(MOST_A_TURN):
            write_text(clinic, 100 * turn + serial)
        taken = together.claim_turn(SMS_DELIVERY, Turn(0, clinic.id, timezone.now()), MOST_A_TURN).claimed
        late = timezone.now() + SMS_DELIVERY.lease * 2
        landed = [
            (one.row, Settlement(MessageState.SENT, columns={"provider_sid": f"SM{one.row.pk.hex}"}))
            for one in taken
        ]
        race([partial(together.settle_all, SMS_DELIVERY, landed), partial(release, late)])
        for one in taken:
            row = as_it_stands(clinic, one.row.pk)
            # A settlement that came too late says what became of the text all the same.
            assert (row.state, row.provider_sid) == (MessageState.SENT, f"SM{row.pk.hex}")
