"""The counters behind the limits, in Redis: an absent Redis is "cannot count", not an error and not a wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache

Answer = TypeVar("Answer")

REST_SECONDS = 1.0


class LimitCache(RedisCache):
    """Django's Redis cache, with None for every answer that Redis did not give. After a failure it does not
    ask again for a second."""

    # Of the class, not of the instance: Django makes one instance a thread.
    away_until = 0.0

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self._or_none(lambda: super(LimitCache, self).add(key, value, timeout, version)))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> Any:
        return self._or_none(lambda: super(LimitCache, self).incr(key, delta, version))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._or_none(lambda: super(LimitCache, self).get(key, default, version))

    def _or_none(self, work: Callable[[], Answer]) -> Answer | None:
        if time.monotonic() < LimitCache.away_until:
            return None
        try:
            return work()
        except (redis.ConnectionError, redis.TimeoutError):
            LimitCache.away_until = time.monotonic() + REST_SECONDS
            return None
