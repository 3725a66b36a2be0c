"""Places in lines: in Redis for all processes, in this one's memory while Redis is away.

A line has three lanes, one a priority; in the last is whatever comes behind too. Each knows when its next text may
leave. What is asked for now pushes the others back and is not pushed by them; what can wait leaves a part of the pace
free, so that what overtakes it does not pile up at the provider. A few seconds' worth may go at once: the provider
queues so little willingly.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from monitoring import redis_link
from monitoring.redis_link import RedisAway

LANES = 3
BURST_SECONDS = 3.0
# Of the pace: what lanes behind the first one use of it.
SHARE_OF_WAITING = 0.8
MOST_IN_MEMORY = 2000

SCRIPT = """
-- Redis before 7 replicates the script itself unless told to replicate what it did.
if redis.replicate_commands then pcall(redis.replicate_commands) end
local now = tonumber(ARGV[6])
if not now then
    local time = redis.call('TIME')
    now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local lane, seconds, latest, burst, share =
    tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local known = redis.call('HMGET', KEYS[1], '0', '1', '2')
local free = {}
for each = 0, 2 do free[each] = math.max(tonumber(known[each + 1] or '0'), now) end
local wait = math.max(free[lane] - burst - now, 0)
if wait < latest then
    local last = now
    for each = lane, 2 do
        free[each] = free[each] + (each == 0 and seconds or seconds / share)
        last = math.max(last, free[each])
        redis.call('HSET', KEYS[1], tostring(each), string.format('%.6f', free[each]))
    end
    redis.call('EXPIRE', KEYS[1], math.ceil(last - now) + 1)
end
return string.format('%.6f', wait)
"""


def take_place(line: str, *, seconds: float, lane: int, latest: float) -> float:
    """In how many seconds a text that fills ``seconds`` of its sender's pace may leave; 0 means now.

    Its place is taken, unless it would be ``latest`` seconds away or more. Never raises; while Redis is away each
    process counts alone."""
    lane = min(lane, LANES - 1)
    try:
        return _shared.take(line, seconds=seconds, lane=lane, latest=latest)
    except RedisAway:
        return _alone.take(line, seconds=seconds, lane=lane, latest=latest)


def forget(line: str) -> None:
    """Empties the line."""
    _alone.forget(line)
    try:
        redis_link.link().call(lambda client: client.delete(line))
    except RedisAway:
        return


class LinesInRedis:
    """By Redis's clock, one atomic script a question. Raises RedisAway. ``clock`` (Unix seconds) stands in for it."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._script: Any = None

    def take(self, line: str, *, seconds: float, lane: int, latest: float) -> float:
        now = f"{self._clock():.6f}" if self._clock else ""
        words = [lane, seconds, latest, BURST_SECONDS, SHARE_OF_WAITING, now]
        answer = redis_link.link().call(
            lambda client: self._prepared(client)(keys=[line], args=words, client=client)
        )
        return float(answer)

    def _prepared(self, client: Any) -> Any:
        if self._script is None:
            self._script = client.register_script(SCRIPT)
        return self._script


class LinesInMemory:
    """The same rules, line by line, for one process. Safe between threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: OrderedDict[str, list[float]] = OrderedDict()

    def take(self, line: str, *, seconds: float, lane: int, latest: float) -> float:
        with self._lock:
            now = self._clock()
            free = [max(known, now) for known in self._lines.get(line, [0.0] * LANES)]
            wait = max(free[lane] - BURST_SECONDS - now, 0.0)
            if wait < latest:
                for each in range(lane, LANES):
                    free[each] += seconds if each == 0 else seconds / SHARE_OF_WAITING
                self._keep(line, free)
            return wait

    def _keep(self, line: str, free: list[float]) -> None:
        self._lines[line] = free
        self._lines.move_to_end(line)
        while len(self._lines) > MOST_IN_MEMORY:
            self._lines.popitem(last=False)

    def forget(self, line: str) -> None:
        with self._lock:
            self._lines.pop(line, None)


_shared = LinesInRedis()
_alone = LinesInMemory()
