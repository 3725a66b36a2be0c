"""Workers that reach for the same rows: each row is claimed once, and only its holder settles it."""

from __future__ import annotations

from collections import Counter
from functools import partial
from threading import Barrier
from uuid import UUID

import pytest
from django.utils import timezone

from messaging.models import DeliveryAttempt, Message
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.concurrency.racing import LONGEST_SECONDS, race
from tests.concurrency.texts import as_it_stands, back_in_the_queue, claimed_text, lose_the_lease, write_text
from voxanne.durable import work
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 8
ROUNDS = 10
SENT = Settlement(MessageState.SENT, columns={"provider_sid": "SM-late"})
SENT_BY_THE_SECOND = Settlement(MessageState.SENT, columns={"provider_sid": "SM-second"})


def claims_of_one_row(clinic: Clinic, serial: int) -> int:
    """How many of the workers believe that they hold the row."""
    pk = write_text(clinic, serial)
    claimed, _ = race([partial(work.claim, SMS_DELIVERY, clinic.id, pk)] * WORKERS)
    return sum(one is not None for one in claimed)


def test_one_row_is_claimed_by_one_worker(clinic: Clinic) -> None:
    assert [claims_of_one_row(clinic, serial) for serial in range(ROUNDS)] == [1] * ROUNDS
    with org_scope(clinic.id):
        assert DeliveryAttempt.objects.count() == ROUNDS


@pytest.mark.usefixtures("without_row_locks")
def test_one_row_is_claimed_by_several_without_the_row_lock(clinic: Clinic) -> None:
    assert max(claims_of_one_row(clinic, serial) for serial in range(ROUNDS)) > 1


def drain() -> list[UUID]:
    mine = []
    while (claimed := work.claim_next(SMS_DELIVERY)) is not None:
        mine.append(claimed.row.pk)
    return mine


def claims_of_many_rows(clinic: Clinic) -> Counter[UUID]:
    for serial in range(40):
        write_text(clinic, serial)
    claimed, _ = race([drain] * WORKERS)
    return Counter(pk for mine in claimed for pk in mine)


def test_many_rows_are_claimed_once_each_and_none_is_left(clinic: Clinic) -> None:
    claims = claims_of_many_rows(clinic)
    assert (len(claims), set(claims.values())) == (40, {1})


@pytest.mark.usefixtures("without_row_locks")
def test_many_rows_are_claimed_more_than_once_without_the_row_lock(clinic: Clinic) -> None:
    assert max(claims_of_many_rows(clinic).values()) > 1


def second_worker_holds(late: Message) -> Message:
    """The first worker's lease ran out, the row was queued again, and a second worker claimed it."""
    lose_the_lease(late)
    back_in_the_queue(late)
    claimed = work.claim(SMS_DELIVERY, late.org_id, late.pk)
    assert claimed is not None
    return claimed.row


def test_a_worker_that_lost_its_lease_settles_nothing(clinic: Clinic) -> None:
    late = claimed_text(clinic)
    second = second_worker_holds(late)
    assert not work.settle(late, SENT)
    assert as_it_stands(clinic, late.pk).state == MessageState.SENDING
    assert work.settle(second, SENT_BY_THE_SECOND)
    assert as_it_stands(clinic, late.pk).provider_sid == "SM-second"


def test_a_late_worker_settles_anothers_claim_without_the_token(clinic: Clinic) -> None:
    late = claimed_text(clinic)
    second = second_worker_holds(late)
    late.claim_token = second.claim_token
    assert work.settle(late, SENT)
    assert not work.settle(second, SENT_BY_THE_SECOND)


def settle_while_the_lease_is_lost(held: Message) -> tuple[bool, bool]:
    """Whether the worker settled its row, and whether the sweeper took it away; both try at once."""
    answer = Settlement(MessageState.SENT, columns={"provider_sid": f"SM{held.pk.hex}"})
    late = timezone.now() + SMS_DELIVERY.lease * 2
    (settled, released), _ = race(
        [lambda: work.settle(held, answer), lambda: work.release_lost(SMS_DELIVERY, now=late) == 1]
    )
    return settled, released


def test_settling_and_losing_the_lease_at_once_happen_one_or_the_other(clinic: Clinic) -> None:
    for serial in range(ROUNDS):
        held = claimed_text(clinic, serial)
        settled, released = settle_while_the_lease_is_lost(held)
        assert settled != released
        wanted = MessageState.SENT if settled else MessageState.UNKNOWN
        assert as_it_stands(clinic, held.pk).state == wanted


def test_a_dead_letter_redriven_by_several_at_once_is_redriven_once(clinic: Clinic) -> None:
    held = claimed_text(clinic)
    work.settle(held, Settlement(MessageState.DEAD_LETTER))
    done, _ = race([partial(work.redrive, Message, clinic.id, held.pk)] * WORKERS)
    assert done.count(True) == 1


def test_a_check_before_the_redrive_lets_several_through(clinic: Clinic) -> None:
    held = claimed_text(clinic)
    work.settle(held, Settlement(MessageState.DEAD_LETTER))
    all_looked = Barrier(WORKERS)

    def look_then_redrive() -> bool:
        with org_scope(clinic.id):
            message = Message.objects.get(pk=held.pk)
            all_looked.wait(LONGEST_SECONDS)
            if message.state != MessageState.DEAD_LETTER:
                return False
            message.state = MessageState.QUEUED
            message.save(update_fields=["state"])
            return True

    done, _ = race([look_then_redrive] * WORKERS)
    assert done.count(True) == WORKERS
