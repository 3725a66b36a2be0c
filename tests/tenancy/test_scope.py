"""Whose rows are seen, and for how long: scopes within scopes, failures, threads, kept and pooled connections."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection, transaction

from bookings.models import Provider
from messaging.models import Contact
from tests.clinics import Clinic
from tests.tenancy.subprocesses import last_line, of_the_suite, run
from voxanne.tenancy.scope import ScopeError, current_scope, narrow_to, org_scope, platform_scope, within_org


def visible() -> set[UUID]:
    """The clinics whose rows the database shows now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT org_id FROM providers")
        return {org_id for (org_id,) in cursor.fetchall()}


def setting() -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(current_setting('voxanne.org_ids', true), '')"
            " || coalesce(current_setting('voxanne.platform', true), '')"
        )
        return str(cursor.fetchone()[0])


class Mishap(Exception):
    """Something of a caller's own."""


# Narrower, never wider


def test_a_scope_may_hold_several_clinics(elm: Clinic, oak: Clinic) -> None:
    with org_scope(elm.id, oak.id):
        assert visible() == {elm.id, oak.id}
        assert set(Provider.objects.values_list("org_id", flat=True)) == {elm.id, oak.id}


def test_a_scope_of_no_clinic_sees_nothing(elm: Clinic) -> None:
    with org_scope():
        assert visible() == set()
        assert not Provider.objects.exists()


def test_a_scope_within_a_scope_narrows_it_and_gives_it_back(elm: Clinic, oak: Clinic) -> None:
    with org_scope(elm.id, oak.id):
        with org_scope(oak.id):
            assert visible() == {oak.id}
        assert visible() == {elm.id, oak.id}
        with org_scope():
            assert visible() == set()
        assert visible() == {elm.id, oak.id}
    assert visible() == set()


def test_the_same_scope_again_changes_nothing(elm: Clinic) -> None:
    with org_scope(elm.id):
        with org_scope(elm.id):
            assert visible() == {elm.id}
        assert visible() == {elm.id}


def test_the_platforms_scope_may_narrow_to_a_clinic_and_is_given_back(elm: Clinic, oak: Clinic) -> None:
    with platform_scope("test"):
        with org_scope(elm.id):
            assert visible() == {elm.id}
        assert visible() == {elm.id, oak.id}
        with platform_scope("test within a test"):
            assert visible() == {elm.id, oak.id}


@pytest.mark.parametrize("wider", ["another clinic", "one more clinic", "the platform"])
def test_a_scope_cannot_be_widened(elm: Clinic, oak: Clinic, wider: str) -> None:
    opened = {
        "another clinic": org_scope(oak.id),
        "one more clinic": org_scope(elm.id, oak.id),
        "the platform": platform_scope("anything"),
    }[wider]
    with org_scope(elm.id):
        with pytest.raises(ScopeError, match="widen"), opened:
            pytest.fail("it opened")
        assert visible() == {elm.id}


def test_a_scope_narrowed_halfway_is_given_back_whole_at_its_end(elm: Clinic, oak: Clinic) -> None:
    with platform_scope("test"):
        with platform_scope("test within a test"):
            narrow_to(elm.id)
            assert visible() == {elm.id}
            assert set(Provider.objects.values_list("org_id", flat=True)) == {elm.id}
        assert visible() == {elm.id, oak.id}
    assert visible() == set()


def test_a_scope_cannot_be_narrowed_to_a_clinic_outside_it(elm: Clinic, oak: Clinic) -> None:
    with org_scope(elm.id):
        with pytest.raises(ScopeError):
            narrow_to(oak.id)
        assert visible() == {elm.id}
    with pytest.raises(ScopeError):
        narrow_to(elm.id)


def test_a_clinics_own_scope_is_joined_and_any_other_is_narrowed(elm: Clinic, oak: Clinic) -> None:
    with within_org(elm.id):
        assert visible() == {elm.id}
        with within_org(elm.id):
            assert len(connection.savepoint_ids) == 1
        assert visible() == {elm.id}
    with org_scope(elm.id, oak.id):
        with within_org(oak.id):
            assert visible() == {oak.id}
        assert visible() == {elm.id, oak.id}


# After failures


def test_a_scope_is_given_back_after_a_failure_inside_the_inner_one(elm: Clinic, oak: Clinic) -> None:
    with org_scope(elm.id, oak.id):
        with pytest.raises(Mishap), org_scope(elm.id):
            raise Mishap
        assert visible() == {elm.id, oak.id}
        assert current_scope() is not None
    assert current_scope() is None
    assert visible() == set()


def test_a_scope_is_given_back_after_the_inner_ones_statement_failed(elm: Clinic, oak: Clinic) -> None:
    with org_scope(elm.id, oak.id):
        with pytest.raises(Exception, match="division"), org_scope(elm.id), connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")
        assert visible() == {elm.id, oak.id}


def test_a_scope_outlives_the_rollback_of_a_savepoint(elm: Clinic) -> None:
    with org_scope(elm.id):
        savepoint = transaction.savepoint()
        Contact.objects.create(org=elm.org, phone="+14155550101")
        transaction.savepoint_rollback(savepoint)
        assert visible() == {elm.id}
        assert not Contact.objects.exists()


def test_a_scope_that_marks_itself_for_rollback_ends_quietly(elm: Clinic, oak: Clinic) -> None:
    """As the pages' answer of 500 does, also where a transaction stands around it."""
    with org_scope(elm.id, oak.id):
        with org_scope(elm.id):
            Contact.objects.create(org=elm.org, phone="+14155550102")
            transaction.set_rollback(True)
        assert visible() == {elm.id, oak.id}
        assert not Contact.objects.exists()


def test_a_scope_inside_a_bare_transaction_leaves_it_without_one(elm: Clinic) -> None:
    with transaction.atomic():
        with org_scope(elm.id):
            assert visible() == {elm.id}
        assert visible() == set()
        assert setting() == ""


# On one connection, one transaction after another


@contextmanager
def nothing_left() -> Iterator[None]:
    yield
    assert current_scope() is None
    assert not connection.in_atomic_block
    assert setting() == ""
    assert visible() == set()


@pytest.mark.django_db(transaction=True)
def test_the_setting_ends_with_the_transaction_on_a_kept_connection(elm: Clinic) -> None:
    backend = connection.connection.info.backend_pid if connection.connection else None
    with nothing_left(), org_scope(elm.id):
        assert visible() == {elm.id}
    with nothing_left(), platform_scope("test"):
        assert visible() == {elm.id}
    with nothing_left(), pytest.raises(Mishap), org_scope(elm.id):
        raise Mishap
    with nothing_left(), org_scope(elm.id):
        transaction.set_rollback(True)
    assert connection.connection.info.backend_pid == backend, "it was one connection all along"


ON_A_POOL = """
import django
django.setup()
from uuid import UUID
from django.db import connection
from voxanne.tenancy.scope import org_scope

SEEN = "SELECT pg_backend_pid(), count(*), coalesce(current_setting('voxanne.org_ids', true), '') FROM providers"

def seen():
    with connection.cursor() as cursor:
        cursor.execute(SEEN)
        return cursor.fetchone()

with org_scope(UUID("{org_id}")):
    inside = seen()
connection.close()
outside = seen()
try:
    with org_scope(UUID("{org_id}")):
        1 / 0
except ZeroDivisionError:
    connection.close()
after_failure = seen()
print(inside[0] == outside[0] == after_failure[0], inside[1], outside[1:], after_failure[1:])
connection.close()
"""


@pytest.mark.django_db(transaction=True)
def test_the_setting_ends_with_the_transaction_on_a_pooled_connection(elm: Clinic) -> None:
    program = ON_A_POOL.format(org_id=elm.id)
    ran = run(program, DATABASE_URL=of_the_suite(settings.DATABASE_URL), DATABASE_POOL_SIZE="1")
    assert last_line(ran) == "True 2 (0, '') (0, '')"


# Beside each other


def in_a_thread(work: Callable[[], object]) -> object:
    """What ``work`` gives on a thread and connection of its own."""
    came: list[object] = []

    def run() -> None:
        try:
            came.append(work())
        except Exception as error:
            came.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return came[0]


@pytest.mark.django_db(transaction=True)
def test_threads_do_not_share_a_scope(elm: Clinic, oak: Clinic) -> None:
    def another() -> set[UUID]:
        assert current_scope() is None
        with org_scope(oak.id):
            return visible()

    with org_scope(elm.id):
        assert in_a_thread(visible) == set()
        assert in_a_thread(another) == {oak.id}
        assert isinstance(in_a_thread(lambda: Provider.objects.all()), ScopeError)
        assert visible() == {elm.id}


@pytest.mark.django_db(transaction=True)
def test_a_context_carried_to_another_thread_carries_no_rows_with_it(elm: Clinic) -> None:
    """As frameworks do that copy the context: the other connection has not been told of any clinic."""
    with org_scope(elm.id):
        context = contextvars.copy_context()
        assert in_a_thread(lambda: context.run(lambda: list(Provider.objects.all()))) == []
