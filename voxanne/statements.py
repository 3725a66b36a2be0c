"""SQL statements on the path where a caller waits: prepared once a connection, planned once.

Under row-level security planning such a statement costs more than running it; prepared, PostgreSQL does the same
bookings in about half the time (``make bench`` shows both). Django's own cursors bind on the client and
prepare nothing. Everything else goes through the ORM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

Values = Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, run on Django's current connection and in its transaction. Raises Django's DatabaseError.

    Parameters travel apart from the text, so one that may be NULL, or stands where PostgreSQL cannot tell its
    type, is cast in the text.
    """

    sql: str

    def row(self, values: Values = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        database = connections[DEFAULT_DB_ALIAS]
        with database.wrap_database_errors, _cursor(database) as cursor:
            return cursor.execute(self.sql, values, prepare=True).fetchone()

    def rows(self, values: Values = ()) -> list[tuple[Any, ...]]:
        database = connections[DEFAULT_DB_ALIAS]
        with database.wrap_database_errors, _cursor(database) as cursor:
            return cursor.execute(self.sql, values, prepare=True).fetchall()

    def run(self, values: Values = ()) -> int:
        """Runs it and returns how many rows it touched."""
        database = connections[DEFAULT_DB_ALIAS]
        with database.wrap_database_errors, _cursor(database) as cursor:
            return cursor.execute(self.sql, values, prepare=True).rowcount


def _cursor(database: BaseDatabaseWrapper) -> psycopg.Cursor[tuple[Any, ...]]:
    """What the connection's own ``cursor()`` checks, and a cursor that binds on the server."""
    database.validate_thread_sharing()
    database.close_if_health_check_failed()
    database.ensure_connection()
    database.validate_no_broken_transaction()
    return psycopg.Cursor(database.connection)
