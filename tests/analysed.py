"""What PostgreSQL's planner knows of a table, brought up to date within a test's own transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper


def analyse(table: str) -> None:
    """For anybody but its owner ANALYZE only warns. Raises AssertionError where the statistics stayed as they were."""
    with _as_owner() as cursor:
        cursor.execute(f'ANALYZE "{table}"')
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = %s", [table])
        (known,) = cursor.fetchone()
        cursor.execute(f'SELECT count(*) FROM "{table}"')
        (visible,) = cursor.fetchone()
    assert known >= visible, f"The planner knows of {known} rows in {table}; {visible} are seen."


def emptied(*tables: str) -> None:
    """Empties them and what refers to them: the planner takes them for new ones, whose size nobody has counted."""
    with _as_owner() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")


@contextmanager
def _as_owner() -> Iterator[CursorWrapper]:
    """As whom the connection was opened."""
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        yield cursor
        # What raises ends the test's transaction, and the role with it.
        cursor.execute(f'SET ROLE "{settings.DATABASE_BOUND_ROLE}"')
