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
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus

Values = Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, run on Django's current connection and in its transaction. Raises Django's DatabaseError.

    Parameters travel apart from the text, so one that may be NULL, or stands where PostgreSQL cannot tell its
    type, is cast in the text. ``binary`` fetches values in PostgreSQL's own form, which is several times quicker for
    many times and ids; JSON then comes read, not as text.
    """

    sql: str
    binary: bool = False

    def row(self, values: Values = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        database = connections[DEFAULT_DB_ALIAS]
        with database.wrap_database_errors, _cursor(database) as cursor:
            return cursor.execute(self.sql, values, prepare=True, binary=self.binary).fetchone()

    def rows(self, values: Values = ()) -> list[tuple[Any, ...]]:
        database = connections[DEFAULT_DB_ALIAS]
        with database.wrap_database_errors, _cursor(database) as cursor:
            return cursor.execute(self.sql, values, prepare=True, binary=self.binary).fetchall()

    def run(self, values: Values = ()) -> int:
        """Runs it and returns how many rows it touched."""
        database = connections[DEFAULT_DB_ALIAS]
        with database.wrap_database_errors, _cursor(database) as cursor:
            return cursor.execute(self.sql, values, prepare=True, binary=self.binary).rowcount


def begun_with(sql: str) -> bool:
    """Sends ``sql`` in one round trip with the BEGIN that the current transaction still owes; False, and nothing is
    sent, where it has begun. Raises Django's DatabaseError.

    ``sql`` is one statement without parameters; its rows are not read.
    """
    database = connections[DEFAULT_DB_ALIAS]
    with database.wrap_database_errors:
        _make_ready(database)
        connection = database.connection
        if connection.autocommit or connection.info.transaction_status != TransactionStatus.IDLE:
            return False
        result = connection.pgconn.exec_(f"BEGIN; {sql}".encode())
        if connection.info.status != ConnStatus.OK:
            raise psycopg.OperationalError("The connection to the database was lost.")
        if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            raise psycopg.errors.error_from_result(result)
    return True


def _cursor(database: BaseDatabaseWrapper) -> psycopg.Cursor[tuple[Any, ...]]:
    """A cursor that binds on the server."""
    _make_ready(database)
    return psycopg.Cursor(database.connection)


def _make_ready(database: BaseDatabaseWrapper) -> None:
    """What the connection's own ``cursor()`` checks before it gives one."""
    database.validate_thread_sharing()
    database.close_if_health_check_failed()
    database.ensure_connection()
    database.validate_no_broken_transaction()
