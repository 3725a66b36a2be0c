"""One clinic's live calls, told to those who watch them: a snapshot first, then each event once and in order.

Channels' group layer is not used for this: it drops messages silently where a receiver is behind, and tells nobody
that Redis went away in between. The stream is read instead; what Redis says on its channel only wakes the reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from telephony.live.feed import STALE
from telephony.live.listener import MOST_BYTES_REPLAYED, Listener, Telling, message
from telephony.live.snapshot import live_calls, without_transcripts
from telephony.live.stream import Event, Reading
from telephony.live.threads import off_the_loop

logger = structlog.get_logger(__name__)

PING_SECONDS = 15.0
RETRY_SECONDS = 1.0

Read = Callable[[UUID, int | None], Awaitable[Reading]]


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A socket that is to be told how things stand; ``after`` is the last event it knows, if it resumes."""

    listener: Listener
    after: int | None


class ClinicFeed:
    """``run`` is the one task that reads this clinic's stream and tells its listeners."""

    def __init__(self, org_id: UUID, read: Read, ping_seconds: float = PING_SECONDS) -> None:
        self.org_id = org_id
        self.wake = asyncio.Event()
        self._read = read
        self._ping_seconds = ping_seconds
        self._listeners: dict[Listener, None] = {}
        self._newcomers: list[Newcomer] = []
        # The last event that was told; events between it and Redis's return cannot be known.
        self._position: int | None = None
        self._trusted = False

    @property
    def is_watched(self) -> bool:
        return bool(self._listeners or self._newcomers)

    def join(self, listener: Listener, after: int | None = None) -> None:
        """Also for one who watches already and wants to go on from an earlier event."""
        self._newcomers.append(Newcomer(listener, after))
        self.wake.set()

    def leave(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)
        self._newcomers = [each for each in self._newcomers if each.listener is not listener]

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        next_ping = loop.time() + self._ping_seconds
        while True:
            there = await self._turned()
            if loop.time() >= next_ping:
                self._ping()
                next_ping = loop.time() + self._ping_seconds
            wait = next_ping - loop.time()
            await self._woken(wait if there else min(wait, RETRY_SECONDS))

    async def _woken(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self.wake.wait()

    async def _turned(self) -> bool:
        """Tells what is new; False when something was away, and it is to be tried again soon."""
        self.wake.clear()
        newcomers, self._newcomers = self._newcomers, []
        try:
            there = await self._catch_up()
            await self._welcome(newcomers)
        # Mostly the database, away for a while. Whatever it is, the watchers of this clinic must not go deaf.
        except Exception as error:
            logger.warning("live_calls_not_told", reason=type(error).__name__)
            self._newcomers = [*newcomers, *self._newcomers]
            self._trusted = False
            return False
        return there

    async def _catch_up(self) -> bool:
        try:
            read = await self._read(self.org_id, self._position if self._trusted else None)
        except (RedisError, OSError):
            self._trusted = False
            return False
        self._position = read.head
        if read.events is None or _lost_some(read.events):
            await self._show(self._listeners, read.head)
        else:
            self._tell(self._listeners, read.events)
        self._trusted = True
        return True

    async def _welcome(self, newcomers: list[Newcomer]) -> None:
        fresh = [each.listener for each in newcomers if not await self._resumed(each)]
        await self._show(fresh, self._position or 0)
        for each in newcomers:
            if not each.listener.closing.done():
                self._listeners[each.listener] = None

    async def _resumed(self, newcomer: Newcomer) -> bool:
        """Replays what was missed; False when that is not known any more, or too much."""
        if newcomer.after is None or not self._trusted:
            return False
        try:
            read = await self._read(self.org_id, newcomer.after)
        except (RedisError, OSError):
            return False
        if read.events is None or _lost_some(read.events):
            return False
        tellings = [Telling(self.org_id, event) for event in read.events]
        if sum(len(telling.whole) for telling in tellings) > MOST_BYTES_REPLAYED:
            return False
        newcomer.listener.positions[self.org_id] = newcomer.after
        for telling in tellings:
            newcomer.listener.tell_event(self.org_id, telling)
        # Also who missed nothing is to know that it goes on from there.
        newcomer.listener.tell(message("ping", newcomer.listener.positions[self.org_id], self.org_id, {}))
        return True

    def _tell(self, listeners: Iterable[Listener], events: Iterable[Event]) -> None:
        for event in events:
            telling = Telling(self.org_id, event)
            for listener in listeners:
                listener.tell_event(self.org_id, telling)

    async def _show(self, listeners: Iterable[Listener], seq: int) -> None:
        """A snapshot. It is read after ``seq`` was, so it holds at least all that came up to there."""
        shown = list(listeners)
        if not shown:
            return
        calls = await off_the_loop(lambda: live_calls(self.org_id))
        whole = message("snapshot", seq, self.org_id, {"calls": calls})
        withheld = message("snapshot", seq, self.org_id, {"calls": without_transcripts(calls)})
        for listener in shown:
            rights = listener.rights.get(self.org_id)
            if rights is not None:
                listener.positions[self.org_id] = seq
                listener.tell(whole if rights.reads_transcripts else withheld)

    def _ping(self) -> None:
        for listener in self._listeners:
            listener.tell(message("ping", listener.positions.get(self.org_id, 0), self.org_id, {}))


def _lost_some(events: Iterable[Any]) -> bool:
    return any(event.kind == STALE for event in events)
