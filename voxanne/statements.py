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
from django.db import connection

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
        with connection.wrap_database_errors, _cursor() as cursor:
            return cursor.execute(self.sql, values, prepare=True).fetchone()

    def rows(self, values: Values = ()) -> list[tuple[Any, ...]]:
        with connection.wrap_database_errors, _cursor() as cursor:
            return cursor.execute(self.sql, values, prepare=True).fetchall()

    def run(self, values: Values = ()) -> int:
        """Runs it and returns how many rows it touched."""
        with connection.wrap_database_errors, _cursor() as cursor:
            return cursor.execute(self.sql, values, prepare=True).rowcount


def _cursor() -> psycopg.Cursor[tuple[Any, ...]]:
    """What ``connection.cursor()`` checks, and a cursor that binds on the server."""
    connection.validate_thread_sharing()
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    return psycopg.Cursor(connection.connection)
