from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any

import pytest
from django.db import connection, connections

from tests.clinics import Clinic, make_clinic
from tests.guards import Guard, taken_out
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
def clinic(transactional_db: None, settings: Any) -> Clinic:
    """A clinic with two providers whose rows are really committed, so that other connections see them."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with platform_scope("test data"):
        return make_clinic(f"elm-street-{next(_clinics)}", timezone="America/New_York", country="US")


@pytest.fixture
def without(clinic: Clinic) -> Without:
    """Takes a guard out of the database for the length of a block; see ``tests.guards``."""

    @contextmanager
    def block(guard: Guard) -> Iterator[None]:
        with connections["owner"].cursor() as cursor, taken_out(guard, cursor):
            yield
        connections["owner"].close()

    return block
