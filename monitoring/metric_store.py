"""Counters and histograms of all processes together: kept locally for a blink, then added up in Redis.

Why Redis and not prometheus-client's shared files: web, workers and sockets may run on several machines, come
and go with their process ids, and leave no files to clean; and adding to a number in memory is faster than
writing to a file. The price is that what was counted in the last quarter of a second is lost with a killed
process, and everything with an emptied Redis: counters may start anew, rates survive it.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from monitoring import redis_link
from monitoring.redis_link import RedisAway

logger = structlog.get_logger(__name__)

FLUSH_SECONDS = 0.25
AWAY_SECONDS = 1.0
SEPARATOR = "\x1f"
SUM = "sum"
MICROSECONDS = 1_000_000
# A label that is made of what strangers send would grow without end; beyond this it reads "other".
MOST_SERIES = 400
OTHER = "other"

Field = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter, or a histogram where ``bounds`` (upper, seconds, rising) are given."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


class MetricStore:
    """Adds cheaply on any thread; one thread of its own carries the sums to Redis."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[Field, int] = {}
        self._known: dict[str, set[Field]] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        os.register_at_fork(after_in_child=self._forget_thread)

    def count(self, metric: Metric, labels: Field, amount: int = 1) -> None:
        with self._lock:
            series = self._series(metric, labels)
            self._sums[series] = self._sums.get(series, 0) + amount
        self._carry_soon()

    def observe(self, metric: Metric, labels: Field, seconds: float) -> None:
        bucket = str(bisect_left(metric.bounds, seconds))
        with self._lock:
            series = self._series(metric, labels)
            sums = self._sums
            at = (*series, bucket)
            sums[at] = sums.get(at, 0) + 1
            at = (*series, SUM)
            sums[at] = sums.get(at, 0) + int(seconds * MICROSECONDS)
        self._carry_soon()

    def _series(self, metric: Metric, labels: Field) -> Field:
        known = self._known.setdefault(metric.name, set())
        if labels not in known:
            if len(known) >= MOST_SERIES:
                labels = (OTHER,) * len(labels)
            known.add(labels)
        return (metric.name, *labels)

    def read(self) -> Mapping[Field, int]:
        """Every sum by (metric, labels…, and for a histogram its bucket's index or ``sum``). What other
        processes counted in the last quarter of a second may be missing."""
        self.flush()
        try:
            kept = redis_link.link().call(lambda redis: redis.hgetall(_key()))
        except RedisAway:
            with self._lock:
                return dict(self._sums)
        return {tuple(field.decode().split(SEPARATOR)): int(value) for field, value in kept.items()}

    def flush(self) -> bool:
        """Carries what was counted here to Redis now; False when Redis is away, and nothing is lost by that."""
        with self._lock:
            carried, self._sums = self._sums, {}
        if not carried:
            return True
        try:
            redis_link.link().call(lambda redis: _add(redis, carried))
        except RedisAway:
            with self._lock:
                for field, amount in carried.items():
                    self._sums[field] = self._sums.get(field, 0) + amount
            return False
        return True

    def _carry_soon(self) -> None:
        if self._wake.is_set():
            return
        self._wake.set()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._carry, name="metrics", daemon=True)
            self._thread.start()

    def _carry(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(FLUSH_SECONDS)
            self._wake.clear()
            if not self.flush():
                time.sleep(AWAY_SECONDS)
                self._wake.set()

    def _forget_thread(self) -> None:
        self._thread = None
        self._lock = threading.Lock()
        self._wake = threading.Event()


def _add(redis: object, sums: Mapping[Field, int]) -> None:
    pipeline = redis.pipeline(transaction=True)  # type: ignore[attr-defined]
    for field, amount in sums.items():
        pipeline.hincrby(_key(), SEPARATOR.join(field), amount)
    pipeline.execute()


def _key() -> str:
    return redis_link.key("metrics")


def series_of(metric: Metric, sums: Mapping[Field, int]) -> set[Field]:
    """The label values for which a histogram has anything."""
    size = len(metric.labels)
    return {field[1 : 1 + size] for field in sums if field[0] == metric.name and len(field) == size + 2}


def bucket_counts(metric: Metric, labels: Field, sums: Mapping[Field, int]) -> list[int]:
    """How many fell into each bucket, the last of which has no upper bound."""
    return [sums.get((metric.name, *labels, str(index)), 0) for index in range(len(metric.bounds) + 1)]
