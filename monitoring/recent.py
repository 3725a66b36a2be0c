"""What was counted lately: the counters' growth since a snapshot that is kept in Redis beside them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitoring import redis_link
from monitoring.metric_store import SEPARATOR, Field, Metric, bucket_counts, series_of
from monitoring.metrics import store
from monitoring.redis_link import RedisAway

Sums = Mapping[Field, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    at: float
    sums: Sums


def growth(window: str, seconds: float) -> Sums:
    """What every counter and bucket gained in the last one to two times ``seconds``; nothing on the first call
    and while Redis is away. ``window`` names the snapshots, so that windows of several lengths stand side by side."""
    now, sums = time.time(), store.read()
    try:
        older, newer = redis_link.link().call(lambda redis: _snapshots(redis, window))
        if newer is None or now - newer.at >= seconds or newer.at > now:
            redis_link.link().call(lambda redis: _rotate(redis, window, Snapshot(now, sums)))
    except RedisAway:
        return {}
    base = older or newer
    return _difference(sums, base.sums) if base else {}


def _difference(sums: Sums, before: Sums) -> Sums:
    # A counter that shrank began anew, with an emptied Redis: all it has is growth.
    return {
        field: value - before.get(field, 0) if value >= before.get(field, 0) else value
        for field, value in sums.items()
        if value != before.get(field, 0)
    }


def _snapshots(redis: Any, window: str) -> tuple[Snapshot | None, Snapshot | None]:
    older, newer = redis.mget(_key(window, "older"), _key(window, "newer"))
    return _read(older), _read(newer)


def _rotate(redis: Any, window: str, snapshot: Snapshot) -> None:
    sums = {SEPARATOR.join(field): value for field, value in snapshot.sums.items()}
    pipeline = redis.pipeline()
    if redis.exists(_key(window, "newer")):
        pipeline.rename(_key(window, "newer"), _key(window, "older"))
    pipeline.set(_key(window, "newer"), json.dumps({"at": snapshot.at, "sums": sums}))
    pipeline.execute()


def _read(kept: bytes | None) -> Snapshot | None:
    if kept is None:
        return None
    value = json.loads(kept)
    sums = {tuple(field.split(SEPARATOR)): amount for field, amount in value["sums"].items()}
    return Snapshot(value["at"], sums)


def _key(window: str, which: str) -> str:
    return redis_link.key("metrics", "window", window, which)


def total(metric: Metric, sums: Sums, labels: Field | None = None) -> int:
    """How many observations or counts; of one set of labels, or of all."""
    if metric.bounds:
        wanted = series_of(metric, sums) if labels is None else {labels}
        return sum(sum(bucket_counts(metric, one, sums)) for one in wanted)
    return sum(
        value
        for field, value in sums.items()
        if field[0] == metric.name and (labels is None or field[1:] == labels)
    )


def quantile(metric: Metric, sums: Sums, share: float) -> float | None:
    """The seconds that ``share`` (0 to 1) of a histogram's observations did not exceed, all labels together;
    within a bucket by proportion, as Prometheus does. None without observations."""
    counts = [0] * (len(metric.bounds) + 1)
    for labels in series_of(metric, sums):
        counts = [have + more for have, more in zip(counts, bucket_counts(metric, labels, sums), strict=True)]
    wanted, below, lower = share * sum(counts), 0, 0.0
    if not sum(counts):
        return None
    for bound, count in zip(metric.bounds, counts, strict=False):
        if count and below + count >= wanted:
            return lower + (bound - lower) * (wanted - below) / count
        below, lower = below + count, bound
    return metric.bounds[-1]
