"""Periodic work when workers share a pool of connections: its lock never outlives its run."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest
from django.db import connection

from monitoring.models import Heartbeat
from monitoring.schedule import PeriodicJob
from monitoring.sole_run import LOCK_SPACE, sole_run
from tests.concurrency.racing import race

pytestmark = pytest.mark.django_db(transaction=True)

ALWAYS = PeriodicJob("test the pool", "tests.no_task", every_seconds=0, expires=10)
ONCE = PeriodicJob("test the period", "tests.no_task", every_seconds=3600, expires=10)


@pytest.fixture
def pool(transactional_db: None) -> Iterator[None]:
    """This thread's connection comes from a pool, as a worker's do."""
    connection.close()
    before = connection.settings_dict
    connection.settings_dict = deepcopy(before) | {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}
    connection.settings_dict["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 2, "timeout": 5}
    yield
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict = before


@pytest.fixture(autouse=True)
def _forget(transactional_db: None) -> Iterator[None]:
    yield
    Heartbeat.objects.filter(job__in=[ALWAYS.name, ONCE.name]).delete()


def locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s", [LOCK_SPACE]
        )
        return int(cursor.fetchone()[0])


def test_a_run_on_a_pooled_connection_leaves_no_lock_behind(pool: None) -> None:
    with sole_run(ALWAYS) as ours:
        assert ours
        assert locks() == 1
    assert locks() == 0


def test_a_run_that_fails_on_a_pooled_connection_leaves_no_lock_behind(pool: None) -> None:
    with pytest.raises(ZeroDivisionError), sole_run(ALWAYS):
        raise ZeroDivisionError
    assert locks() == 0


def test_a_period_that_many_ring_for_at_once_is_run_once() -> None:
    def ring() -> bool:
        with sole_run(ONCE) as ours:
            return ours

    ours, _ = race([ring] * 8)
    assert ours.count(True) == 1
