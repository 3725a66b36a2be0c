"""Set-up in turns: whoever migrates a database, makes its roles or seeds it does so alone; the others wait.

A session's advisory lock, so it goes with a process that dies. A connection pooler between us and PostgreSQL must
pool by session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, connections

# Beside the periodic jobs' corner of the advisory locks (monitoring.sole_run).
LOCK_SPACE = 0x564F59
SET_UP = 1
LOOK_SECONDS = 0.2
# How it begins is how `make run` knows a line to be shown at once (voxanne.runtime.set_up).
WAITING = "waiting: another set-up is under way on this database; this one goes on when that has ended."

Say = Callable[[str], None]


@contextmanager
def one_set_up(alias: str, say: Say) -> Iterator[None]:
    """Holds the database's set-up for the block, on connection ``alias``; says so, once, if it has to wait for it."""
    if not _taken(alias):
        say(WAITING)
        # Asked for again and again, not waited for within PostgreSQL: a waiting statement keeps a snapshot, which
        # would in turn hold up a migration that builds an index concurrently.
        while not _taken(alias):
            time.sleep(LOOK_SECONDS)
    try:
        yield
    finally:
        # What ended the block matters more than a connection that was lost with the lock on it.
        with suppress(DatabaseError):
            _ask(alias, "SELECT pg_advisory_unlock(%s, %s)")


def _taken(alias: str) -> bool:
    return _ask(alias, "SELECT pg_try_advisory_lock(%s, %s)")


def _ask(alias: str, statement: str) -> bool:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, [LOCK_SPACE, SET_UP])
        return bool(cursor.fetchone()[0])
