"""Whose turn it is: clinics with rows that are due, each once a round, so that nobody waits behind another's thousands.

A lane's rows go before those of the next one. Within a lane the clinic goes first that was served longest ago, then
the one whose row has waited longest. The statement looks at one row a clinic and lane, whatever stands behind it.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.utils import timezone

from voxanne.durable.many_rows import led_by_the_index
from voxanne.durable.work import WorkKind
from voxanne.statements import Statement
from voxanne.tenancy.scope import platform_scope

# What became due since then is seen by the next look.
LOOK_SECONDS = 0.5
REST_SECONDS = 0.1
# How far ahead a look tells of rows that are not due yet.
AHEAD = timedelta(seconds=60)

# From each clinic's first row in the index to the next clinic's: PostgreSQL has no such scan of its own. A lane is read
# as an integer, which the kind's index on (lane::integer, org_id, next_attempt_at) alone can serve: an index without
# the clinic has the planner believe that it finds a clinic's few rows among everybody's thousands as fast.
HEADS = """
WITH RECURSIVE heads AS (
    (SELECT {lane}::integer AS lane, org_id, next_attempt_at FROM {table} WHERE state = '{waiting}'
     ORDER BY {lane}::integer, org_id, next_attempt_at LIMIT 1)
    UNION ALL
    SELECT following.lane, following.org_id, following.next_attempt_at
    FROM heads, LATERAL (
        SELECT {lane}::integer AS lane, org_id, next_attempt_at FROM {table}
        WHERE state = '{waiting}' AND ({lane}::integer, org_id) > (heads.lane, heads.org_id)
        ORDER BY {lane}::integer, org_id, next_attempt_at LIMIT 1
    ) AS following
)
SELECT lane, org_id, next_attempt_at FROM heads WHERE next_attempt_at <= %(by)s
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """A clinic with rows in a lane, the first of them due at ``due_at``."""

    lane: int
    org_id: UUID
    due_at: datetime


class Turns:
    """One worker's memory of whom it served. Not for use by several threads."""

    def __init__(self, kind: WorkKind[Any]) -> None:
        self._kind = kind
        self._look_at = float("-inf")
        self._lanes: dict[int, deque[Turn]] = {}
        self._served: dict[UUID, float] = {}
        self.soonest: datetime | None = None

    def next(self) -> Turn | None:
        """Whose turn it is now; None when nothing is due, and ``soonest`` then says when something will be."""
        if time.monotonic() >= self._look_at:
            self._look()
        waiting = next((self._lanes[lane] for lane in sorted(self._lanes) if self._lanes[lane]), None)
        if waiting is None:
            return None
        turn = waiting.popleft()
        self._served[turn.org_id] = time.monotonic()
        if not any(self._lanes.values()):
            self._look_at = 0.0
        return turn

    def look_anew(self) -> None:
        """Somebody knows of rows that the last look may not have seen."""
        self._look_at = float("-inf")

    def again(self, turn: Turn) -> None:
        """The clinic has more rows in this lane: its next turn comes behind the others'."""
        self._lanes[turn.lane].append(turn)
        self._look_at = self._looked_at + LOOK_SECONDS

    def _look(self) -> None:
        now = timezone.now()
        heads = heads_of(self._kind, now + AHEAD)
        served = {head.org_id: self._served.get(head.org_id, 0.0) for head in heads}
        self._served = served
        self._lanes = {}
        for head in sorted(heads, key=lambda head: (served[head.org_id], head.due_at)):
            if head.due_at <= now:
                self._lanes.setdefault(head.lane, deque()).append(head)
        self.soonest = min((head.due_at for head in heads if head.due_at > now), default=None)
        self._looked_at = time.monotonic()
        self._look_at = self._looked_at + (LOOK_SECONDS if self._lanes else REST_SECONDS)


def heads_of(kind: WorkKind[Any], by: datetime) -> list[Turn]:
    """Of each clinic and lane the first row that waits, if it is due by then."""
    with platform_scope(f"whose turn for {kind.name}"):
        statement = _heads(kind.model._meta.db_table, kind.lane, str(kind.model.lifecycle.waiting))
        with led_by_the_index():
            return [Turn(*row) for row in statement.rows({"by": by})]


@lru_cache(maxsize=16)
def _heads(table: str, lane: str, waiting: str) -> Statement:
    return Statement(HEADS.format(table=table, lane=lane, waiting=waiting), binary=True)
