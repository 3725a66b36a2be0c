"""The suite's ground: a fresh database of its own, made by the owner, used as the role that serves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections

from monitoring import access
from tests.clinics import Clinic, make_clinic
from tests.tenancy.kept_clean import leave_nothing, quick_passwords
from voxanne.tenancy import bound_role
from voxanne.tenancy.scope import platform_scope

__all__ = ["leave_nothing", "quick_passwords"]

TEST_DATABASE = "test_voxanne"
# ``--hypothesis-profile=long``: the state machines look for minutes.
hypothesis.settings.register_profile("long")


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any, worker_suffix: str) -> Iterator[None]:
    """Creates and migrates the test database as the owner; tests then run as the bound role."""
    name = f"{TEST_DATABASE}{worker_suffix}"
    with django_db_blocker.unblock():
        _recreate(name)
        for alias in ("owner", "default"):
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = name
            settings.DATABASES[alias]["NAME"] = name
        call_command("migrate", verbosity=0)
        _let_tests_empty_tables()
        connections["owner"].close()
    yield
    with django_db_blocker.unblock():
        for alias in ("owner", "default"):
            connections[alias].close()


@pytest.fixture(scope="session")
def worker_suffix(request: pytest.FixtureRequest) -> str:
    """Keeps apart suites that run beside each other on one server: parallel workers, and by hand."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "")
    return "".join(f"_{part}" for part in (os.environ.get("VOXANNE_TEST_SUFFIX", ""), worker) if part)


def _recreate(name: str) -> None:
    owner = connections["owner"]
    with owner._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{name}"')


def _let_tests_empty_tables() -> None:
    """Transactional tests end by emptying the tables, which the bound role may not do in earnest."""
    with connections["owner"].cursor() as cursor:
        role = connections["owner"].ops.quote_name(bound_role.serving_role())
        cursor.execute(f"GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO {role}")
        cursor.execute(f"GRANT INSERT, UPDATE, DELETE ON django_migrations TO {role}")


@pytest.fixture(autouse=True)
def _fresh_counters() -> Iterator[None]:
    """No test sees another's counters. Redis is the suite's own when none was named."""
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def _own_data_folder(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is kept outside the database is each test's own."""
    settings.DATA_DIR = tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def _called_by_the_test_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's test client calls this machine by a name of its own."""
    monkeypatch.setattr(access, "OWN_NAMES", access.OWN_NAMES | {"testserver"})


@pytest.fixture
def elm(db: None) -> Clinic:
    """A clinic in New York with two providers."""
    with platform_scope("test data"):
        return make_clinic("elm-street", timezone="America/New_York", country="US")


@pytest.fixture
def oak(db: None) -> Clinic:
    """Another clinic, in London: the stranger in every test of isolation."""
    with platform_scope("test data"):
        return make_clinic("oak-road", timezone="Europe/London", country="GB")
