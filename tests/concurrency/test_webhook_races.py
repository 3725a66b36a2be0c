"""Copies of one webhook at the same instant, and workers that come to one call's webhooks at once."""

from __future__ import annotations

from functools import partial

import pytest

from telephony.models import Call, CallEvent, WebhookDelivery
from telephony.vapi.arrivals import arrival_of
from telephony.vapi.payload import message_of
from telephony.webhooks import ledger
from telephony.webhooks.ledger import WEBHOOK, Arrival, Provider
from tests.clinics import Clinic
from tests.concurrency.conftest import Without
from tests.concurrency.racing import race
from tests.guards import ONE_WEBHOOK
from tests.telephony.vapi_client import VapiCaller
from tests.telephony.vapi_events import at
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

COPIES, ROUNDS, WORKERS = 8, 10, 4


def copies_at_once(clinic: Clinic) -> int:
    """Each round takes one event in so many times at once; how many rows that makes."""
    for serial in range(ROUNDS):
        arrival = Arrival(Provider.VAPI, f"event-{serial}", "nothing", {"type": "nothing"})
        race([partial(ledger.take_in, clinic.id, arrival)] * COPIES)
    with org_scope(clinic.id):
        return WebhookDelivery.objects.count()


def test_copies_that_arrive_at_once_are_one_row(clinic: Clinic) -> None:
    assert copies_at_once(clinic) == ROUNDS


def test_without_the_key_each_copy_is_a_row(clinic: Clinic, without: Without) -> None:
    with without(ONE_WEBHOOK):
        assert copies_at_once(clinic) == ROUNDS * COPIES


def work_all_off() -> int:
    done = 0
    while (claimed := work.claim_next(WEBHOOK)) is not None:
        work.perform(WEBHOOK, claimed)
        done += 1
    return done


def test_workers_at_one_calls_webhooks_neither_lose_nor_double_any(clinic: Clinic) -> None:
    calls = [VapiCaller(clinic) for _ in range(5)]
    for call in calls:
        for second in range(10):
            said = call.message("transcript", role="user", transcript=f"Line {second}", timestamp=at(second))
            ledger.take_in(clinic.id, arrival_of(message_of(said["message"])))
        for status in ("ended", "forwarding", "in-progress"):
            moved = call.message("status-update", status=status, timestamp=at(60))
            ledger.take_in(clinic.id, arrival_of(message_of(moved["message"])))
    worked, _ = race([work_all_off] * WORKERS)
    assert sum(worked) == 5 * 13
    with org_scope(clinic.id):
        assert set(WebhookDelivery.objects.values_list("state", "attempts")) == {("completed", 1)}
        assert CallEvent.objects.filter(kind="transcript").count() == 50
        assert set(Call.objects.values_list("status", flat=True)) == {"ended"}
        assert Call.objects.count() == 5
