"""The sockets' process as a whole: the feeds of those clinics that somebody watches, and one ear at Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from telephony.live import stream
from telephony.live.clinic_feed import PING_SECONDS, ClinicFeed
from telephony.live.listener import Listener

logger = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 2.0
REST_SECONDS = 0.5
MOST_SOCKETS = 2_000
MOST_SOCKETS_A_WATCHER = 20


class TooMany(Exception):
    """There are as many sockets as there may be, in all or of this watcher."""


class Hub:
    """Of one event loop. ``join`` and ``leave`` never wait."""

    def __init__(self, redis_url: str | None = None, ping_seconds: float = PING_SECONDS) -> None:
        self._url = redis_url or str(settings.CACHES["default"]["LOCATION"])
        self._ping_seconds = ping_seconds
        self._client: Any = None
        self._feeds: dict[UUID, tuple[ClinicFeed, asyncio.Task[None]]] = {}
        self._sockets: Counter[str] = Counter()
        self._ear: asyncio.Task[None] | None = None

    # --- How many there are ------------------------------------------------------------------------

    def admit(self, name: str = "") -> None:
        """Counts one socket of this watcher; a blank name is one that has not signed in. Raises TooMany."""
        if self._sockets.total() >= MOST_SOCKETS or (name and self._sockets[name] >= MOST_SOCKETS_A_WATCHER):
            raise TooMany
        self._sockets[name] += 1

    def dismiss(self, name: str = "") -> None:
        self._sockets[name] -= 1
        if self._sockets[name] <= 0:
            del self._sockets[name]

    # --- Who watches what --------------------------------------------------------------------------

    def join(self, org_id: UUID, listener: Listener, after: int | None = None) -> None:
        """The listener is told of this clinic from now on; from after event number ``after`` where that is known."""
        if org_id not in self._feeds:
            feed = ClinicFeed(org_id, self._read, self._ping_seconds)
            self._feeds[org_id] = (feed, asyncio.create_task(feed.run()))
        self._feeds[org_id][0].join(listener, after)
        if self._ear is None:
            self._ear = asyncio.create_task(self._listen())

    def leave(self, org_id: UUID, listener: Listener) -> None:
        if org_id not in self._feeds:
            return
        feed, task = self._feeds[org_id]
        feed.leave(listener)
        if not feed.is_watched:
            task.cancel()
            del self._feeds[org_id]

    # --- Redis -------------------------------------------------------------------------------------

    def _redis(self) -> Any:
        if self._client is None:
            self._client = Redis.from_url(
                self._url,
                decode_responses=True,
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                health_check_interval=5,
                # A connection that a restarted server dropped is replaced at once; nothing is tried longer.
                retry=Retry(NoBackoff(), 1),
            )
            self._script = self._client.register_script(stream.READ)
        return self._client

    async def _read(self, org_id: UUID, after: int | None) -> stream.Reading:
        """Raises RedisError or OSError."""
        self._redis()
        answer = await self._script(keys=stream.keys_of(org_id), args=[stream.first_wanted(after)])
        return stream.reading(answer, after)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis().pubsub() as channel:
                    await channel.subscribe(stream.WAKE_CHANNEL)
                    while True:
                        self._heard(await channel.get_message(timeout=TIMEOUT_SECONDS))
            except (RedisError, OSError) as error:
                logger.debug("live_channel_lost", reason=type(error).__name__)
                self._wake_all()
                await asyncio.sleep(REST_SECONDS)

    def _heard(self, heard: Any) -> None:
        if heard is None:
            return
        if heard["type"] == "subscribe":
            # Whatever was said while nobody listened is in the streams.
            self._wake_all()
        elif heard["type"] == "message":
            self._wake(str(heard["data"]))

    def _wake(self, org_id: str) -> None:
        known = self._feeds.get(UUID(org_id))
        if known is not None:
            known[0].wake.set()

    def _wake_all(self) -> None:
        for feed, _ in self._feeds.values():
            feed.wake.set()

    async def close(self) -> None:
        """Ends the tasks and the connections."""
        tasks = [task for _, task in self._feeds.values()] + ([self._ear] if self._ear else [])
        self._feeds.clear()
        self._ear = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
