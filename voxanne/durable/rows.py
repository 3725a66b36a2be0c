"""Taking and swapping rows of durable work: one prepared statement each, since workers do it for every row.

States stand in the text as literals, so that PostgreSQL can see that the tables' partial indexes hold every row asked
for; all other values travel apart from it. Inside a scope that may see the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, models

from voxanne.durable.models import DurableWork
from voxanne.model_rows import columns_of, instance_of
from voxanne.statements import Statement

Work = TypeVar("Work", bound=DurableWork)

TAKE = """
UPDATE {table} SET state = '{claimed}', claim_token = %(token)s, claimed_until = %(until)s, updated_at = %(now)s
WHERE id = (SELECT id FROM {table} WHERE {chosen} AND state = '{waiting}' AND next_attempt_at <= %(now)s
            {order} LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {columns}
"""
SWAP = "UPDATE {table} SET {columns} WHERE id = %(pk)s AND org_id = %(org)s AND state IN ({states}) {holder}"
CHOSEN = "id = %(pk)s AND org_id = %(org)s"


def take_one(
    model: type[Work], org_id: UUID, pk: UUID, *, token: UUID, now: datetime, until: datetime
) -> Work | None:
    """Claims this row under ``token`` until ``until``, if it waits, is due at ``now``, and nobody has it."""
    values = {"pk": pk, "org": org_id, "token": token, "now": now, "until": until}
    return _row(model, _take(model, CHOSEN, ()).row(values))


def take_next(
    model: type[Work], order: tuple[str, ...], *, token: UUID, now: datetime, until: datetime
) -> Work | None:
    """The same for the first due row in ``order``, of any clinic in scope."""
    return _row(model, _take(model, "true", order).row({"token": token, "now": now, "until": until}))


def swap(
    model: type[DurableWork],
    org_id: UUID,
    pk: UUID,
    *,
    states: tuple[str, ...],
    columns: Mapping[str, Any],
    adds_attempt: bool,
    token: UUID | None = None,
) -> bool:
    """Sets ``columns`` if the row is in one of ``states``, and held by ``token`` where one is given; whether it was."""
    statement = _swap(model, tuple(columns), states, adds_attempt, token is not None)
    values = {name: stored(model, name, value) for name, value in columns.items()}
    return statement.run({**values, "pk": pk, "org": org_id, "token": token}) == 1


@lru_cache(maxsize=64)
def _take(model: type[DurableWork], chosen: str, order: tuple[str, ...]) -> Statement:
    return Statement(
        TAKE.format(
            table=model._meta.db_table,
            chosen=chosen,
            claimed=str(model.lifecycle.claimed),
            waiting=str(model.lifecycle.waiting),
            order=f"ORDER BY {', '.join(order)}" if order else "",
            columns=columns_of(model),
        ),
        binary=True,
    )


@lru_cache(maxsize=256)
def _swap(
    model: type[DurableWork],
    columns: tuple[str, ...],
    states: tuple[str, ...],
    adds_attempt: bool,
    held: bool,
) -> Statement:
    sets = [f"{name} = %({name})s" for name in columns]
    if adds_attempt:
        sets.append("attempts = attempts + 1")
    return Statement(
        SWAP.format(
            table=model._meta.db_table,
            columns=", ".join(sets),
            states=", ".join(f"'{state}'" for state in states),
            holder="AND claim_token = %(token)s" if held else "",
        )
    )


def _row(model: type[Work], values: tuple[Any, ...] | None) -> Work | None:
    return None if values is None else instance_of(model, values)


def stored(model: type[DurableWork], name: str, value: Any) -> Any:
    plain = value.value if isinstance(value, Enum) else value
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)
    return field.get_db_prep_save(plain, connection)
