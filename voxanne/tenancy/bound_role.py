"""The role that serves: it reads and writes rows, owns no table, and cannot bypass row-level security."""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, connections
from django.db.backends.utils import CursorWrapper

GRANTS = (
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role}",
    # Forged history would hide a half-made schema.
    "REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {role}",
)

# A role is the whole server's, and set-ups of two databases do not wait for each other: unique violation, duplicate
# object, and a row of the catalogue that somebody else has just changed.
MADE_MEANWHILE = frozenset({"23505", "42710", "XX000"})
TRIES = 5


def serving_role() -> str:
    """The role that requests run as: our own bound role, or the one that ``DATABASE_URL`` names."""
    if settings.ASSUMES_BOUND_ROLE:
        return str(settings.DATABASE_BOUND_ROLE)
    return str(settings.DATABASES["default"]["USER"])


def ensure_role() -> None:
    """Makes the bound role, if ours, and lets the connecting role assume it. On the owner's connection."""
    if not settings.ASSUMES_BOUND_ROLE:
        return
    for tries_left in reversed(range(TRIES)):
        try:
            with connections["owner"].cursor() as cursor:
                _create_role(cursor, serving_role())
            return
        except DatabaseError as error:
            if not tries_left or getattr(error.__cause__, "sqlstate", None) not in MADE_MEANWHILE:
                raise


def _create_role(cursor: CursorWrapper, role: str) -> None:
    name = connections["owner"].ops.quote_name(role)
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
    if cursor.fetchone() is None:
        cursor.execute(f"CREATE ROLE {name} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE")
    cursor.execute(
        "SELECT pg_has_role(current_user, %s, 'SET')"
        if _knows_set_option(cursor)
        else "SELECT pg_has_role(current_user, %s, 'MEMBER')",
        [role],
    )
    if not cursor.fetchone()[0]:
        cursor.execute(f"GRANT {name} TO CURRENT_USER")


def _knows_set_option(cursor: CursorWrapper) -> bool:
    """Whether membership and the right to assume a role are told apart (PostgreSQL 16 and later)."""
    cursor.execute("SELECT current_setting('server_version_num')::int")
    return bool(cursor.fetchone()[0] >= 160000)


def grant_rights() -> None:
    """Lets the serving role use every table that exists and will exist. On the owner's connection."""
    name = connections["owner"].ops.quote_name(serving_role())
    with connections["owner"].cursor() as cursor:
        for grant in GRANTS:
            cursor.execute(grant.format(role=name))
