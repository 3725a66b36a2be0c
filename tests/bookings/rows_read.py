"""How many rows of a table PostgreSQL reads for what is done, whatever statements do it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

READ = "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = %s"


class RowsRead:
    """``count`` stands after the block."""

    count = -1


@contextmanager
def rows_read(table: str) -> Iterator[RowsRead]:
    """Within one transaction, which a test is."""
    before, read = _so_far(table), RowsRead()
    yield read
    read.count = _so_far(table) - before


def _so_far(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(READ, [table])
        row = cursor.fetchone()
    assert row is not None, f"There is no table {table}."
    return int(row[0])
