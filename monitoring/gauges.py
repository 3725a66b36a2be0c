"""Figures that are read where the truth is, each time somebody asks: each floor registers its own reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog
from django.db import DatabaseError
from django.db.models import Min
from django.utils import timezone

from monitoring import heartbeats
from monitoring.metric_store import Metric
from monitoring.metrics import HEARTBEAT_AGE, OLDEST_WAITING
from voxanne.durable.registry import all_kinds
from voxanne.tenancy.scope import platform_scope

logger = structlog.get_logger(__name__)

Reader = Callable[[], Mapping[tuple[str, ...], float]]
_readers: dict[str, Reader] = {}


def register_gauge(metric: Metric, reader: Reader) -> None:
    """``reader`` returns the value by label values; it opens its own scope and its queries are bounded."""
    _readers[metric.name] = reader


def read_gauge(metric: Metric) -> Mapping[tuple[str, ...], float]:
    """The gauge's values now; none where nobody reads it or the database does not answer."""
    reader = _readers.get(metric.name)
    if reader is None:
        return {}
    try:
        return reader()
    except DatabaseError as error:
        logger.warning("gauge_not_read", metric=metric.name, reason=type(error).__name__)
        return {}


def oldest_waiting() -> dict[tuple[str, ...], float]:
    """Seconds since the oldest due row of each kind of durable work became due; 0 where none is."""
    now = timezone.now()
    waits: dict[tuple[str, ...], float] = {}
    with platform_scope("oldest waiting work"):
        for kind in all_kinds():
            waiting = kind.model.objects.filter(state=kind.model.lifecycle.waiting, next_attempt_at__lte=now)
            oldest = waiting.order_by().aggregate(oldest=Min("next_attempt_at"))["oldest"]
            waits[(kind.name,)] = (now - oldest).total_seconds() if oldest else 0.0
    return waits


def heartbeat_ages() -> dict[tuple[str, ...], float]:
    return {(job,): age for job, age in heartbeats.ages().items()}


register_gauge(OLDEST_WAITING, oldest_waiting)
register_gauge(HEARTBEAT_AGE, heartbeat_ages)
