"""A clinic's events of the last while, in Redis: numbered without a gap, in the order they were told.

``head`` counts; ``events`` keeps the newest of them under their numbers. Both are best effort: PostgreSQL holds
the truth. A counter that Redis lost, or brought back from an older copy of itself, begins anew at the present
millisecond, which lies above every number given before: a client that resumes can never take one event
for another. ``run`` says of which run of the server the counter is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from monitoring.redis_link import key

# Redis tells on this channel which clinic has something new.
WAKE_CHANNEL = key("live", "wake")
MOST_KEPT = 1_000
KEPT_SECONDS = 24 * 3600

_HEAD = f"""
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local known = redis.call('HMGET', KEYS[1], 'seq', 'run')
local seq = tonumber(known[1])
if not seq or known[2] ~= run then
    local now = redis.call('TIME')
    seq = math.max(now[1] * 1000 + math.floor(now[2] / 1000), (seq or 0) + 1)
    redis.call('DEL', KEYS[2])
    redis.call('HSET', KEYS[1], 'seq', string.format('%.0f', seq), 'run', run)
    redis.call('EXPIRE', KEYS[1], {KEPT_SECONDS})
end
"""
# KEYS: head, events. ARGV: the event, the channel, the clinic.
PUBLISH = f"""{_HEAD}
seq = string.format('%.0f', seq + 1)
redis.call('HSET', KEYS[1], 'seq', seq)
redis.call('XADD', KEYS[2], 'MAXLEN', {MOST_KEPT}, seq .. '-0', 'event', ARGV[1])
redis.call('EXPIRE', KEYS[1], {KEPT_SECONDS})
redis.call('EXPIRE', KEYS[2], {KEPT_SECONDS})
redis.call('PUBLISH', ARGV[2], ARGV[3])
return seq
"""
# KEYS: head, events. ARGV: the first number wanted, blank for none.
READ = f"""{_HEAD}
local found = {{}}
if ARGV[1] ~= '' then found = redis.call('XRANGE', KEYS[2], ARGV[1] .. '-0', '+') end
return {{string.format('%.0f', seq), found}}
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a call; ``kind`` is call, transcript, tool, call_ended, or stale: events before
    this one were lost, so that the calls must be looked up anew."""

    seq: int
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """``head`` is the newest event's number. ``events`` are those that were asked for, without a gap; None when
    the stream does not reach back that far, or was never as far."""

    head: int
    events: tuple[Event, ...] | None


def keys_of(org_id: UUID) -> list[str]:
    """The braces keep a clinic's keys together in a cluster."""
    return [key("live", f"{{{org_id}}}", name) for name in ("head", "events")]


def written(kind: str, data: Mapping[str, Any]) -> str:
    """An event as the stream holds it."""
    return json.dumps({"kind": kind, "data": data}, separators=(",", ":"), ensure_ascii=False)


def first_wanted(after: int | None) -> str:
    return "" if after is None else str(after + 1)


def reading(answer: Sequence[Any], after: int | None) -> Reading:
    """What READ's answer says of the events after number ``after`` (None: only the head was asked for)."""
    head = int(answer[0])
    if after is None or after > head:
        return Reading(head, None)
    events = tuple(_event(entry_id, fields) for entry_id, fields in answer[1])
    # Numbers only rise, so as many as there should be are all there are.
    return Reading(head, events if len(events) == head - after else None)


def _event(entry_id: Any, fields: Any) -> Event:
    kept = json.loads(fields[1] if isinstance(fields, list) else fields["event"])
    return Event(int(entry_id.partition("-")[0]), kept["kind"], kept["data"])
