from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any

import pytest
from django.db import connection, connections

from messaging.fates import receipts
from messaging.models import Message
from tests.clinics import Clinic, make_clinic
from tests.guards import Guard, taken_out
from voxanne.durable import rows
from voxanne.statements import Statement
from voxanne.tenancy.owned import OwnedQuerySet
from voxanne.tenancy.scope import platform_scope

_clinics = count(1)
Without = Callable[[Guard], AbstractContextManager[None]]


@pytest.fixture(scope="module", autouse=True)
def _leave_nothing(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """What these tests commit goes with the module; within it every test has a clinic of its own."""
    yield
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE organizations, users CASCADE")
        connection.close()


@pytest.fixture
def clinic(transactional_db: None, settings: Any) -> Iterator[Clinic]:
    """A clinic with two providers whose rows are really committed, so that other connections see them.

    Its texts go with the test: sweepers and workers look at every clinic's.
    """
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with platform_scope("test data"):
        made = make_clinic(f"elm-street-{next(_clinics)}", timezone="America/New_York", country="US")
    yield made
    with platform_scope("test data"):
        Message.objects.all().delete()


@pytest.fixture
def without(clinic: Clinic) -> Without:
    """Takes a guard out of the database for the length of a block; see ``tests.guards``."""

    @contextmanager
    def block(guard: Guard) -> Iterator[None]:
        with connections["owner"].cursor() as cursor, taken_out(guard, cursor):
            yield
        connections["owner"].close()

    return block


@pytest.fixture
def without_row_locks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The product as if it looked, then wrote, with nobody else there."""

    def unlocked(rows: Any, **_: Any) -> Any:
        return rows

    monkeypatch.setattr(OwnedQuerySet, "select_for_update", unlocked)
    monkeypatch.setattr(rows, "TAKE", rows.TAKE.replace("FOR UPDATE SKIP LOCKED", ""))
    # Looked at, then a moment later written: as long as anything may take between the two.
    looked = receipts.SPOKEN_OF.sql.replace("FOR UPDATE", "")
    slowly = Statement(f"SELECT looked.* FROM ({looked}) looked, pg_sleep(random() * 0.02)")
    monkeypatch.setattr(receipts, "SPOKEN_OF", slowly)
    rows._take.cache_clear()
    yield
    rows._take.cache_clear()
