"""What has served its time is removed: one rule a table, registered by the floor that owns it."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import DatabaseError

logger = structlog.get_logger(__name__)

Rule = Callable[[], int]
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
