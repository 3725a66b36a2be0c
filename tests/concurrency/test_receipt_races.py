"""A receipt and the answer it overtakes, and receipts among themselves: a text's fate only moves forward."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from messaging.fates.receipts import Receipt, apply_receipt
from messaging.models import Message
from messaging.providers.answers import Answer, TryOutcome
from messaging.sending.delivery import settlement_of
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.concurrency.racing import race
from tests.concurrency.texts import as_it_stands, claimed_text
from voxanne.durable import work
from voxanne.durable.lifecycle import Lifecycle

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 15
STATUSES = ("sending", "sent", "delivered")


def receipts_of(message: Message) -> list[Callable[[], object]]:
    sid = f"SM{message.pk.hex}"
    return [
        partial(apply_receipt, message.org_id, message.pk, Receipt(sid, status, None)) for status in STATUSES
    ]


def answer_of(message: Message, outcome: TryOutcome) -> Callable[[], object]:
    sid = f"SM{message.pk.hex}" if outcome == TryOutcome.ACCEPTED else ""
    answer = Answer(outcome, sid=sid, status="queued" if sid else "")
    return partial(work.settle, message, settlement_of(message, answer))


def fates(clinic: Clinic, outcome: TryOutcome) -> list[Message]:
    """What becomes of texts whose answer and receipts all come at the same instant."""
    ended = []
    for serial in range(ROUNDS):
        message = claimed_text(clinic, serial)
        race([answer_of(message, outcome), *receipts_of(message)])
        ended.append(as_it_stands(clinic, message.pk))
    return ended


@pytest.mark.parametrize("outcome", [TryOutcome.ACCEPTED, TryOutcome.LOST])
def test_a_text_whose_answer_and_receipts_come_at_once_ends_delivered(
    clinic: Clinic, outcome: TryOutcome
) -> None:
    ended = fates(clinic, outcome)
    assert {message.state for message in ended} == {MessageState.DELIVERED}
    assert all(message.provider_sid == f"SM{message.pk.hex}" for message in ended)


def last_words(clinic: Clinic) -> set[str]:
    """What receipts that come at the same instant leave as the word on texts that Twilio has."""
    said = set()
    for serial in range(ROUNDS):
        message = claimed_text(clinic, serial)
        answer_of(message, TryOutcome.ACCEPTED)()
        race(receipts_of(message))
        said.add(as_it_stands(clinic, message.pk).provider_status)
    return said


def test_a_later_word_is_never_overwritten_by_an_earlier_one(clinic: Clinic) -> None:
    assert last_words(clinic) == {"delivered"}


@pytest.mark.usefixtures("without_row_locks")
def test_without_the_row_lock_an_earlier_word_overwrites_a_later_one(clinic: Clinic) -> None:
    assert last_words(clinic) != {"delivered"}


@pytest.mark.usefixtures("without_row_locks")
def test_without_lock_and_table_of_transitions_a_delivered_text_goes_back(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything(lifecycle: Lifecycle, target: str) -> tuple[str, ...]:
        return tuple(lifecycle.transitions)

    monkeypatch.setattr(Lifecycle, "sources", everything)
    ended = fates(clinic, TryOutcome.ACCEPTED)
    assert {message.state for message in ended} != {MessageState.DELIVERED}
