"""All tables, found in the database and in the models: each belongs to a clinic and is protected, or says why not."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction
from django.db.models import Model
from psycopg.types.json import Jsonb

from tests.clinics import Clinic
from tests.tenancy.rows import clinic_models, make_row
from voxanne.tenancy.models import Organization
from voxanne.tenancy.owned import OwnedManager
from voxanne.tenancy.scope import ScopeError, org_scope, platform_scope

pytestmark = pytest.mark.django_db

# Each table without a clinic of its own, and why that is right.
OF_NO_CLINIC = {
    "auth_group": "permissions of Django's own; roles at clinics are memberships",
    "auth_group_permissions": "as auth_group",
    "auth_permission": "names of permissions, made by migrations",
    "axes_accessattempt": "sign-in precedes any clinic; operators see it, staff do not",
    "axes_accessattemptexpiration": "as axes_accessattempt",
    "axes_accessfailurelog": "as axes_accessattempt",
    "axes_accesslog": "as axes_accessattempt",
    "django_admin_log": "operators' trail of the admin; a clinic's own trail is audit_entries",
    "django_celery_beat_clockedschedule": "the platform's schedule",
    "django_celery_beat_crontabschedule": "the platform's schedule",
    "django_celery_beat_intervalschedule": "the platform's schedule",
    "django_celery_beat_periodictask": "the platform's schedule",
    "django_celery_beat_periodictasks": "the platform's schedule",
    "django_celery_beat_solarschedule": "the platform's schedule",
    "django_content_type": "names of models, made by migrations",
    "django_migrations": "the schema's own history; the serving role may only read it",
    "django_session": "a signed session says who, and the clinic follows from memberships",
    "heartbeats": "the platform's periodic jobs",
    "users": "a person may work at several clinics; memberships say where",
    "users_groups": "as auth_group",
    "users_user_permissions": "as auth_permission",
}
Rows = dict[uuid.UUID, dict[type[Model], Any]]
# Rows of these may belong to no clinic; then only the platform's own work sees them.
OF_A_CLINIC_OR_NONE = {"breaker_transitions": "a circuit may be one clinic's or everybody's"}
ORGANIZATIONS = Organization._meta.db_table

PROTECTED_MODELS: list[type[Model]] = [Organization, *clinic_models()]

OWNED = pytest.mark.parametrize("model", clinic_models(), ids=lambda model: model._meta.db_table)
PROTECTED = pytest.mark.parametrize("model", PROTECTED_MODELS, ids=lambda model: model._meta.db_table)


def ask(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def write(statement: str, *values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def table_of(model: type[Model]) -> str:
    return model._meta.db_table


def clinic_column(model: type[Model]) -> str:
    return "id" if model is Organization else "org_id"


@pytest.fixture
def rows(elm: Clinic, oak: Clinic) -> Rows:
    """One row of every owned model at both clinics, by the clinic's id."""
    with platform_scope("test data"):
        return {
            clinic.id: {model: _one(model, clinic.org) for model in clinic_models()} for clinic in (elm, oak)
        }


def _one(model: type[Model], org: Organization) -> Any:
    # What a clinic has one of, the fixture made already.
    return model._default_manager.filter(org=org).first() or make_row(model, org)


def another(model: type[Model], row: Any) -> dict[str, Any]:
    """The columns of one more such row, as they lie in the table: encrypted columns encrypted."""
    names = [str(field.column) for field in model._meta.concrete_fields]
    listed = ", ".join(f'"{name}"' for name in names)
    found = ask(f'SELECT {listed} FROM "{table_of(model)}" WHERE id = %s', row.pk)
    values = dict(zip(names, found[0], strict=True))
    if isinstance(row.pk, uuid.UUID):
        return values | {"id": uuid.uuid4()}
    del values["id"]
    return values


# How the tables are made


def test_every_table_belongs_to_a_clinic_or_says_why_not() -> None:
    tables = {name for (name,) in ask(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')"
    )}  # fmt: skip
    owned = {table_of(model) for model in clinic_models()}
    assert tables - owned - {ORGANIZATIONS} == set(OF_NO_CLINIC)


@PROTECTED
def test_row_security_is_on_and_binds_the_owner_too(model: type[Model]) -> None:
    on = ask(
        "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", table_of(model)
    )
    assert on == [(True, True)]


@PROTECTED
def test_the_only_policies_are_the_clinics_for_all_and_the_owners_own(model: type[Model]) -> None:
    policies = {
        (name, command): roles
        for name, command, roles in ask(
            "SELECT policyname, cmd, roles FROM pg_policies WHERE schemaname = 'public' AND tablename = %s",
            table_of(model),
        )
    }
    owner = ask("SELECT tableowner FROM pg_tables WHERE tablename = %s", table_of(model))[0][0]
    assert policies == {("clinic_rows", "ALL"): ["public"], ("owner_rows", "ALL"): [owner]}


@PROTECTED
def test_the_policy_asks_for_the_clinics_of_the_transaction(model: type[Model]) -> None:
    qualifier, check = ask(
        "SELECT qual, with_check FROM pg_policies WHERE tablename = %s AND policyname = 'clinic_rows'",
        table_of(model),
    )[0]
    assert clinic_column(model) in qualifier
    assert "voxanne.org_ids" in qualifier
    assert check is None, "writing is held to the same rule as reading"


@OWNED
def test_every_row_of_a_clinic_names_it(model: type[Model]) -> None:
    nullable = ask(
        "SELECT is_nullable FROM information_schema.columns WHERE table_name = %s AND column_name = 'org_id'",
        table_of(model),
    )
    assert nullable == [("YES" if table_of(model) in OF_A_CLINIC_OR_NONE else "NO",)]


def test_the_serving_role_may_not_rewrite_the_schemas_history() -> None:
    # The suite itself is allowed to, for emptying tables; what set-up revokes stands in its own list.
    from voxanne.tenancy.bound_role import GRANTS

    assert "REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {role}" in GRANTS


# Outside a scope


def test_nothing_is_seen_outside_a_scope(rows: Rows) -> None:
    for model in PROTECTED_MODELS:
        assert ask(f'SELECT count(*) FROM "{table_of(model)}"') == [(0,)], model


def test_nothing_is_changed_or_deleted_outside_a_scope(rows: Rows) -> None:
    for model in PROTECTED_MODELS:
        table, column = table_of(model), clinic_column(model)
        assert write(f'UPDATE "{table}" SET "{column}" = "{column}"') == 0, table
        assert write(f'DELETE FROM "{table}"') == 0, table


def test_nothing_is_added_outside_a_scope(rows: Rows, elm: Clinic) -> None:
    for model in clinic_models():
        with platform_scope("test"):
            values = another(model, rows[elm.id][model])
        with refused():
            insert(model, values)


@OWNED
def test_the_manager_says_so_loudly_outside_a_scope(model: type[Model]) -> None:
    with pytest.raises(ScopeError, match="org_scope"):
        model._default_manager.all()


@OWNED
def test_every_such_model_has_that_manager_and_no_other(model: type[Model]) -> None:
    assert [type(manager) for manager in model._meta.managers] == [OwnedManager]


# Inside another clinic's scope


def refused() -> ExitStack:
    """The database refuses the row; the transaction goes on."""
    stack = ExitStack()
    stack.enter_context(pytest.raises(ProgrammingError, match="row-level security"))
    stack.enter_context(transaction.atomic())
    return stack


def insert(model: type[Model], values: dict[str, Any]) -> int:
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(["%s"] * len(values))
    adapted = [Jsonb(value) if isinstance(value, dict) else value for value in values.values()]
    return write(f'INSERT INTO "{table_of(model)}" ({names}) VALUES ({places})', *adapted)


def test_a_clinic_sees_its_own_rows_alone(rows: Rows, elm: Clinic, oak: Clinic) -> None:
    for mine, theirs in ((elm, oak), (oak, elm)):
        for model in clinic_models():
            with org_scope(mine.id):
                seen = ask(f'SELECT id, org_id FROM "{table_of(model)}"')
            assert {org_id for _, org_id in seen} == {mine.id}, model
            assert rows[mine.id][model].pk in {pk for pk, _ in seen}, model
            assert rows[theirs.id][model].pk not in {pk for pk, _ in seen}, model


def test_a_clinic_cannot_change_or_delete_anothers_row(rows: Rows, elm: Clinic, oak: Clinic) -> None:
    for model in clinic_models():
        table, theirs = table_of(model), rows[oak.id][model].pk
        with org_scope(elm.id):
            assert write(f'UPDATE "{table}" SET org_id = org_id WHERE id = %s', theirs) == 0, table
            assert write(f'DELETE FROM "{table}" WHERE id = %s', theirs) == 0, table
        with org_scope(oak.id):
            assert ask(f'SELECT count(*) FROM "{table}" WHERE id = %s', theirs) == [(1,)], table


def test_a_clinic_cannot_add_a_row_to_another(rows: Rows, elm: Clinic, oak: Clinic) -> None:
    for model in clinic_models():
        with platform_scope("test"):
            values = another(model, rows[oak.id][model])
        with org_scope(elm.id), refused():
            insert(model, values)


def test_a_clinic_cannot_give_its_row_away(rows: Rows, elm: Clinic, oak: Clinic) -> None:
    for model in clinic_models():
        statement = f'UPDATE "{table_of(model)}" SET org_id = %s WHERE id = %s'
        with org_scope(elm.id), refused():
            write(statement, oak.id, rows[elm.id][model].pk)


def test_a_clinic_sees_of_the_clinics_itself_alone(elm: Clinic, oak: Clinic) -> None:
    with org_scope(elm.id):
        assert ask("SELECT id FROM organizations") == [(elm.id,)]
        assert write("UPDATE organizations SET name = 'Ours' WHERE id = %s", oak.id) == 0


def test_rows_reached_past_the_manager_stay_inside_too(rows: Rows, elm: Clinic, oak: Clinic) -> None:
    """Related objects and refreshes use Django's own manager: the database holds the line."""
    for model in clinic_models():
        theirs = rows[oak.id][model]
        with org_scope(elm.id):
            assert not model._base_manager.filter(pk=theirs.pk).exists(), model
            assert not model._default_manager.filter(pk=theirs.pk).exists(), model


def test_the_platforms_own_work_sees_every_clinic(rows: Rows, elm: Clinic, oak: Clinic) -> None:
    for model in clinic_models():
        with platform_scope("test"):
            seen = {org_id for (org_id,) in ask(f'SELECT DISTINCT org_id FROM "{table_of(model)}"')}
        assert {elm.id, oak.id} <= seen, model
