"""Redis for what may be lost: breakers, counters, throttles. Short time-outs, and no queueing up behind a dead one.

After a failure every caller in this process is told at once, for a second, instead of waiting for its own
time-out; so an absent Redis costs a caller next to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

TIMEOUT_SECONDS = 0.25
REST_SECONDS = 1.0
KEY_PREFIX = "voxanne"


class RedisAway(Exception):
    """Redis cannot be reached now, or a moment ago could not: do without."""


class RedisLink:
    """One process's way to one Redis. Safe between threads."""

    def __init__(self, url: str, rest_seconds: float = REST_SECONDS) -> None:
        self._client: redis.Redis = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            # A connection that a restarted server dropped is replaced at once; nothing is tried longer.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        self._rest_seconds = rest_seconds
        self._away_until = 0.0
        self._away = False

    def call(self, work: Callable[[Any], Answer]) -> Answer:
        """What ``work(client)`` returns. Raises RedisAway."""
        if time.monotonic() < self._away_until:
            raise RedisAway("Redis was away a moment ago.")
        try:
            answer = work(self._client)
        # Loading, full, read-only or gone: what it cannot do now it cannot do for the next caller either.
        except redis.RedisError as error:
            self._away_until = time.monotonic() + self._rest_seconds
            self._note(away=True, reason=type(error).__name__)
            raise RedisAway(type(error).__name__) from error
        if self._away:
            self._note(away=False)
        return answer

    def _note(self, *, away: bool, reason: str = "") -> None:
        """One line when it goes, one when it is back."""
        if away != self._away:
            self._away = away
            logger.warning("redis_away" if away else "redis_back", reason=reason)

    def answers(self) -> bool:
        """Asks now, whatever was seen a moment ago."""
        try:
            self._client.ping()
        except redis.RedisError:
            return False
        self._away_until = 0.0
        return True


@cache
def link() -> RedisLink:
    """The Redis of this process's settings."""
    return RedisLink(str(settings.CACHES["default"]["LOCATION"]))


def key(*parts: str) -> str:
    return ":".join((KEY_PREFIX, *parts))
