"""What has served its time is removed: one rule a table, registered by the floor that owns it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import DatabaseError
from django.db.models import Model, QuerySet

from voxanne.tenancy.scope import platform_scope

logger = structlog.get_logger(__name__)

# Small transactions: others wait for none of them.
ROWS_AT_A_TIME = 1_000

Rule = Callable[[], int]
Row = TypeVar("Row", bound=Model)
_rules: dict[str, Rule] = {}


def register_retention(table: str, rule: Rule) -> None:
    """``rule`` removes the rows of ``table`` that have served their time and returns how many."""
    _rules[table] = rule


def clean_up() -> dict[str, int | None]:
    """Applies every rule and returns how many rows each removed; None for one that the database refused.
    One rule's failure keeps no other from running."""
    return {table: _applied(table, rule) for table, rule in sorted(_rules.items())}


def _applied(table: str, rule: Rule) -> int | None:
    try:
        removed = rule()
    except DatabaseError as error:
        logger.exception("retention_failed", table=table, reason=type(error).__name__)
        return None
    logger.info("retention_applied", table=table, removed=removed)
    return removed


def remove(old: Callable[[], QuerySet[Row]], reason: str) -> int:
    """Removes the rows that ``old`` finds, a portion at a time; returns how many. ``reason`` names the work."""
    return in_portions(old, QuerySet.delete, reason)


def in_portions(
    find: Callable[[], QuerySet[Row]], act: Callable[[QuerySet[Row]], object], reason: str
) -> int:
    """Does ``act`` to the rows that ``find`` finds, after which it finds them no more; returns how many they were.
    Both are called in the platform's scope."""
    done = 0
    while True:
        with platform_scope(reason):
            rows = find()
            portion = list(rows.values_list("pk", flat=True)[:ROWS_AT_A_TIME])
            act(rows.model._default_manager.filter(pk__in=portion))
        done += len(portion)
        if len(portion) < ROWS_AT_A_TIME:
            return done
