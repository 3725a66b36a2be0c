"""Whatever role the address of the database names, requests are served by one that row-level security binds."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from tests.clinics import Clinic
from tests.tenancy.subprocesses import in_production, last_line, of_the_suite, run
from voxanne.runtime.servers import postgres_superuser_url
from voxanne.tenancy.bound_role import serving_role
from voxanne.tenancy.checks import refuse_unbound_role, serving_role_faults

WHO = """
import django
django.setup()
from django.db import connection
from django.test import override_settings
with connection.cursor() as cursor:
    cursor.execute("SELECT current_user, session_user, (SELECT count(*) FROM providers)")
    print(*cursor.fetchone())
"""
START_WEB = "import voxanne.wsgi; print('started')"
START_SOCKETS = "import voxanne.asgi; print('started')"
START_BOTH = "import voxanne.wsgi, voxanne.asgi; print('started')"
REFUSED = "it would see every clinic's rows"


@pytest.fixture
def superuser_url() -> str:
    """The suite's database, by the server's superuser."""
    url = postgres_superuser_url()
    if url is None:
        pytest.skip("the database is not the embedded one, so its superuser is not ours to use")
    return of_the_suite(url)


@pytest.fixture
def owner_url() -> str:
    return of_the_suite(settings.DATABASE_OWNER_URL)


@pytest.fixture
def bypassing_url(superuser_url: str) -> Iterator[str]:
    """A role with BYPASSRLS and the rights that a serving role needs."""
    name = "bypassing_" + settings.DATABASES["default"]["NAME"]
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE \"{name}\" LOGIN BYPASSRLS PASSWORD 'of-this-test'")
        connection.execute(f'GRANT {serving_role()} TO "{name}"')
        place = urlsplit(superuser_url)
        yield place._replace(netloc=f"{name}:of-this-test@{place.hostname}:{place.port}").geturl()
        connection.execute(f'DROP ROLE "{name}"')


@pytest.mark.django_db(transaction=True)
def test_a_superusers_address_still_serves_as_the_bound_role(elm: Clinic, superuser_url: str) -> None:
    assert last_line(run(WHO, DATABASE_URL=superuser_url)) == f"{serving_role()} postgres 0"


@pytest.mark.django_db(transaction=True)
def test_the_owners_address_still_serves_as_the_bound_role(elm: Clinic, owner_url: str) -> None:
    owner = urlsplit(owner_url).username
    assert last_line(run(WHO, DATABASE_URL=owner_url)) == f"{serving_role()} {owner} 0"


def test_set_up_by_a_superuser_makes_and_binds_the_role(superuser_url: str, django_db_setup: None) -> None:
    """A fresh database, migrated by the superuser whose address is all that is given."""
    name = settings.DATABASES["default"]["NAME"] + "_fresh"
    fresh = urlsplit(superuser_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            migrated = run(["manage.py", "migrate", "--verbosity", "0"], DATABASE_URL=fresh)
            assert migrated.returncode == 0, migrated.stderr
            assert last_line(run(WHO, DATABASE_URL=fresh)) == f"{serving_role()} postgres 0"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


# What production refuses


@pytest.mark.django_db
def test_the_role_of_this_suite_has_no_fault() -> None:
    assert serving_role_faults() == []
    assert run_checks(databases=["default"], include_deployment_checks=False) == []


@pytest.mark.django_db
def test_the_check_asks_only_the_database_that_serves() -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        try:
            assert [fault.id for fault in run_checks(databases=["default"])] == ["tenancy.E001"]
            assert run_checks(databases=["owner"]) == []
        finally:
            cursor.execute(f'SET ROLE "{serving_role()}"')


@pytest.mark.parametrize("program", [START_WEB, START_SOCKETS])
@pytest.mark.django_db
def test_production_does_not_start_as_a_superuser(superuser_url: str, owner_url: str, program: str) -> None:
    ran = run(program, **in_production(superuser_url, owner_url))
    assert ran.returncode != 0
    assert f"The database role postgres is a superuser, so {REFUSED}" in ran.stderr
    assert "started" not in ran.stdout


@pytest.mark.django_db
def test_production_does_not_start_as_the_tables_owner(owner_url: str) -> None:
    # Said by another address, so that it is not taken for set-up's own.
    ran = run(START_WEB, **in_production(owner_url, owner_url + "?application_name=owner"))
    assert ran.returncode != 0
    assert f"has the rights of the tables' owner, so {REFUSED}" in ran.stderr


@pytest.mark.django_db
def test_production_does_not_start_as_a_role_that_bypasses(bypassing_url: str, owner_url: str) -> None:
    ran = run(START_WEB, **in_production(bypassing_url, owner_url))
    assert ran.returncode != 0
    assert f"has BYPASSRLS, so {REFUSED}" in ran.stderr


@pytest.mark.parametrize("program", ["worker", "beat"])
@pytest.mark.django_db
def test_workers_and_beat_do_not_start_either(superuser_url: str, owner_url: str, program: str) -> None:
    words = ["-m", "celery", "-q", "-A", "voxanne", program, *(["-P", "solo"] if program == "worker" else [])]
    ran = run(words, **in_production(superuser_url, owner_url))
    assert ran.returncode != 0
    assert REFUSED in ran.stderr


@pytest.mark.django_db
def test_production_starts_as_the_bound_role(superuser_url: str) -> None:
    assert last_line(run(START_BOTH, **in_production(superuser_url))) == "started"


def test_a_database_that_is_away_keeps_nobody_from_starting() -> None:
    away = "postgresql://someone:else@127.0.0.1:1/nowhere"
    assert last_line(run(START_BOTH, **in_production(away))) == "started"


@pytest.mark.django_db
def test_elsewhere_than_in_production_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def faults() -> list[str]:
        raise AssertionError("asked")

    monkeypatch.setattr("voxanne.tenancy.checks.serving_role_faults", faults)
    refuse_unbound_role()


def test_the_refusal_names_every_fault_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    monkeypatch.setattr("django.conf.settings.PRODUCTION", True)
    monkeypatch.setattr("voxanne.tenancy.checks.serving_role_faults", lambda: ["One thing.", "Another."])
    with pytest.raises(ImproperlyConfigured, match=r"(?s)One thing\..*Another\."):
        refuse_unbound_role()
