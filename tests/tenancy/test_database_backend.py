"""Kept connections are looked at before they are used, and a scope costs one round trip with its transaction."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connection, connections, transaction

from tests.clinics import Clinic
from tests.tenancy.subprocesses import of_the_suite
from voxanne.database.base import is_quiet
from voxanne.statements import Statement, begun_with
from voxanne.tenancy.models import Membership
from voxanne.tenancy.scope import org_scope

ONE = Statement("SELECT 1")


def end_session_from_outside() -> None:
    backend = connection.connection.info.backend_pid
    with psycopg.connect(of_the_suite(settings.DATABASE_OWNER_URL), autocommit=True) as owner:
        owner.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])


@pytest.mark.django_db(transaction=True)
def test_an_idle_connection_is_usable_without_asking_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    ONE.row()

    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("the server was asked")

    with monkeypatch.context() as watched:
        watched.setattr(psycopg.Cursor, "execute", asked)
        assert connection.is_usable()


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_ended_is_found_out_before_it_is_used() -> None:
    ONE.row()
    end_session_from_outside()
    assert not is_quiet(connection.connection)
    assert not connection.is_usable()
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_after_a_restart_of_the_server_the_next_request_works(
    elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    with org_scope(elm.id):
        assert Membership.objects.exists()
    end_session_from_outside()
    monkeypatch.setattr(connections["default"], "health_check_enabled", True)
    monkeypatch.setattr(connections["default"], "health_check_done", False)
    with org_scope(elm.id):
        assert Membership.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_connection_lost_at_the_beginning_of_a_scope_is_an_outage(
    elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    with org_scope(elm.id):
        assert Membership.objects.exists()
    end_session_from_outside()
    monkeypatch.setattr(connections["default"], "health_check_done", True)
    with pytest.raises(OperationalError), org_scope(elm.id):
        pass
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_only_a_transaction_that_has_not_begun_can_be_begun_with_something() -> None:
    assert not begun_with("SELECT 1")
    with transaction.atomic():
        assert begun_with("SELECT set_config('voxanne.org_ids', 'x', true)")
        assert not begun_with("SELECT 1")
        row = Statement("SELECT current_setting('voxanne.org_ids')").row()
        assert row == ("x",)
    row = Statement("SELECT current_setting('voxanne.org_ids', true)").row()
    assert row in {("",), (None,)}


@pytest.mark.django_db(transaction=True)
def test_a_statement_refused_at_the_beginning_leaves_the_connection_fit_for_use() -> None:
    with pytest.raises(Exception, match="no_such_function"), transaction.atomic():
        begun_with("SELECT no_such_function()")
    assert ONE.row() == (1,)
