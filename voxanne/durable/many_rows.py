"""Taking and swapping several rows of durable work in one statement; see rows.py, whose rules hold here too.

A row that is taken with others has a lease and a token of its own, like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, models

from voxanne.durable.models import DurableWork
from voxanne.durable.rows import stored
from voxanne.model_rows import columns_of, instance_of
from voxanne.statements import Statement

Work = TypeVar("Work", bound=DurableWork)

# The inner choice stands in an array, so that it is made once and the rows are then found by their key.
TAKE_SOME = """
UPDATE {table} SET state = '{claimed}', claim_token = gen_random_uuid(), claimed_until = %(until)s, updated_at = %(now)s
WHERE id = ANY(ARRAY(
    SELECT id FROM {table}
    WHERE org_id = %(org)s AND {lane}::integer = %(lane)s AND state = '{waiting}' AND next_attempt_at <= %(now)s
    ORDER BY next_attempt_at LIMIT {most} FOR UPDATE SKIP LOCKED))
RETURNING {columns}
"""
SWAP_ALL = """
UPDATE {table} SET {sets}
FROM unnest({arrays}) AS given ({names})
WHERE {table}.id = given.pk AND {table}.org_id = given.org AND {table}.claim_token = given.token
  AND {table}.state = '{claimed}'
RETURNING {table}.id
"""
SORTING = Statement(
    "SELECT set_config('enable_sort', %(how)s::text, true), set_config('enable_bitmapscan', %(how)s::text, true)"
)
KEYS = {"pk": "uuid", "org": "uuid", "token": "uuid"}


@contextmanager
def led_by_the_index() -> Iterator[None]:
    """Statements of the block read rows in an index's order and stop when they have enough. Row-level security hides
    from the planner how many there are: it would rather read a clinic's ten thousands and sort them."""
    SORTING.row({"how": "off"})
    yield
    SORTING.row({"how": "on"})


def take_some(
    model: type[Work], org_id: UUID, lane: str, value: int, most: int, *, now: datetime, until: datetime
) -> list[Work]:
    """Claims until ``until`` at most ``most`` of the clinic's rows in this lane that are due at ``now``: those that
    have waited longest, in that order."""
    values = {"org": org_id, "lane": value, "now": now, "until": until}
    with led_by_the_index():
        found = _take_some(model, lane, most).rows(values)
    taken = [instance_of(model, row) for row in found]
    return sorted(taken, key=lambda row: row.next_attempt_at)


def swap_all(
    held: Sequence[DurableWork], columns: Sequence[Mapping[str, Any]], *, adds_attempt: bool
) -> set[UUID]:
    """Sets each claimed row's own ``columns`` where its claim still holds; the ids of those rows.

    All rows are of one model, and all name the same columns.
    """
    model, names = type(held[0]), tuple(columns[0])
    values: dict[str, Any] = {name: [stored(model, name, one[name]) for one in columns] for name in names}
    values |= {
        "pk": [row.pk for row in held], "org": [row.org_id for row in held],
        "token": [row.claim_token for row in held],
    }  # fmt: skip
    return {pk for (pk,) in _swap_all(model, names, adds_attempt).rows(values)}


@lru_cache(maxsize=32)
def _take_some(model: type[DurableWork], lane: str, most: int) -> Statement:
    return Statement(
        TAKE_SOME.format(
            table=model._meta.db_table,
            lane=lane,
            most=most,
            claimed=str(model.lifecycle.claimed),
            waiting=str(model.lifecycle.waiting),
            columns=columns_of(model),
        ),
        binary=True,
    )


@lru_cache(maxsize=128)
def _swap_all(model: type[DurableWork], names: tuple[str, ...], adds_attempt: bool) -> Statement:
    sets = [f"{name} = given.{name}" for name in names]
    if adds_attempt:
        sets.append(f"attempts = {model._meta.db_table}.attempts + 1")
    types = {**KEYS, **{name: _type_of(model, name) for name in names}}
    return Statement(
        SWAP_ALL.format(
            table=model._meta.db_table,
            sets=", ".join(sets),
            arrays=", ".join(f"%({name})s::{kind}[]" for name, kind in types.items()),
            names=", ".join(types),
            claimed=str(model.lifecycle.claimed),
        ),
        binary=True,
    )


def _type_of(model: type[DurableWork], name: str) -> str:
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)
    kind = field.db_type(connection)
    assert kind is not None
    return kind
