"""The database's guards, and how to take one out: for controls that show what happens without it.

A guard is replaced by a constraint of the same name that never refuses, so the product's code runs unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol


class Cursor(Protocol):
    """What Django's cursors and psycopg's have in common."""

    def execute(self, query: Any, params: Any = None, /) -> Any: ...
    def fetchone(self) -> Any: ...


@dataclass(frozen=True)
class Guard:
    """A constraint, and the SQL of one in its place that lets everything pass."""

    table: str
    name: str
    harmless: str


NO_OVERLAP = Guard("appointments", "no_overlap", "EXCLUDE USING gist (id WITH =)")
ONE_TEXT_BACK = Guard("text_backs", "one_text_back_a_caller", "UNIQUE (org_id, number, caller, id)")
ONE_ANSWER = Guard("tool_invocations", "one_answer_a_tool_call", "UNIQUE (org_id, call_id, tool_call_id, id)")
ONE_WEBHOOK = Guard(
    "webhook_delivery_log", "processed_webhook_events", "UNIQUE (org_id, provider, event_id, id)"
)

ONE_API_ANSWER = Guard(
    "api_idempotency_keys", "one_answer_an_idempotency_key", "UNIQUE (org_id, caller, key, id)"
)


@contextmanager
def taken_out(guard: Guard, cursor: Cursor) -> Iterator[None]:
    """The database without the guard, for as long as the block runs. ``cursor``: the owner's, in autocommit.

    Afterwards the guarded table is emptied, since what it then holds the guard would refuse.
    """
    cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [guard.name])
    definition = cursor.fetchone()[0]
    _replace(guard, guard.harmless, cursor)
    try:
        yield
    finally:
        cursor.execute(f"TRUNCATE {guard.table} CASCADE")
        _replace(guard, definition, cursor)


def _replace(guard: Guard, definition: str, cursor: Cursor) -> None:
    cursor.execute(
        f"ALTER TABLE {guard.table} DROP CONSTRAINT {guard.name}, ADD CONSTRAINT {guard.name} {definition}"
    )
