"""Workers that send a clinic's texts at once: together they send what its budget has, and not one more."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from messaging.manners import budget
from messaging.models import Message, MessagingPolicy, StaffTask
from messaging.sending.delivery import SMS_DELIVERY, Prepared
from monitoring import redis_link
from monitoring.redis_link import RedisLink
from tests.clinics import Clinic
from tests.concurrency.racing import race
from tests.concurrency.texts import write_text
from tests.sandbox.running import free_port
from voxanne.durable import work
from voxanne.statements import Statement
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 8
BUDGET = 20
TEXTS = 60


def may_go(clinic: Clinic) -> int:
    """How many texts the workers may send, of more than the budget has."""
    with org_scope(clinic.id):
        MessagingPolicy.objects.create(org=clinic.org, monthly_segments=BUDGET)
    for serial in range(TEXTS):
        write_text(clinic, serial)
    went, _ = race([partial(drain, clinic)] * WORKERS)
    return sum(went)


def drain(clinic: Clinic) -> int:
    """Claims what is due; nothing leaves the house."""
    went = 0
    while (claimed := work.claim_next(SMS_DELIVERY)) is not None:
        if isinstance(claimed.prepared, Prepared):
            went += 1
        else:
            work.perform(SMS_DELIVERY, claimed)
    return went


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = RedisLink(f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setattr(redis_link, "link", lambda: gone)


def test_together_they_send_what_the_budget_has(clinic: Clinic) -> None:
    assert may_go(clinic) == BUDGET
    with org_scope(clinic.id):
        assert Message.objects.filter(first_attempted_at__isnull=False).count() == BUDGET
        told = sorted(StaffTask.objects.values_list("urgency", flat=True))
    assert told == ["normal", "urgent"], "each is told once"


def test_also_while_redis_loses_the_sum_over_and_over(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = budget._run

    def forgetful(asked: Any, base: int | None) -> list[str]:
        answer = run(asked, base)
        redis_link.link().call(lambda client: client.delete(budget._keys(asked)[0]))
        return answer

    monkeypatch.setattr(budget, "_run", forgetful)
    assert may_go(clinic) == BUDGET


@pytest.mark.usefixtures("no_redis")
def test_also_without_redis(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "BUSY_WAIT", budget.BUSY_WAIT * 0)
    assert may_go(clinic) == BUDGET


@pytest.mark.usefixtures("no_redis")
def test_without_its_lock_they_send_more(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "ALONE", Statement("SELECT true, pg_sleep(0 * length(%(org)s::text))"))
    slow: Callable[..., int] = budget.used_in

    def counted_a_moment_ago(*given: Any) -> int:
        used = slow(*given)
        Statement("SELECT pg_sleep(0.01)").row()
        return used

    monkeypatch.setattr(budget, "used_in", counted_a_moment_ago)
    assert may_go(clinic) > BUDGET
