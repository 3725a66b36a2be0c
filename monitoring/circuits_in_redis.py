"""The circuits of all processes: one atomic script in Redis a question, by Redis's clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from monitoring import redis_link
from monitoring.circuits import (
    COOL_DOWN_SECONDS,
    FAILURES_TO_OPEN,
    PROBE_POLL_SECONDS,
    PROBE_SECONDS,
    WINDOW_SECONDS,
    CircuitReport,
    CircuitState,
    Clock,
    Level,
    Ruling,
    Transition,
    is_well,
    next_probe,
)  # fmt: skip
from monitoring.redis_link import RedisLink

SCRIPT = """
-- Redis before 7 replicates the script itself unless told to replicate what it did.
if redis.replicate_commands then pcall(redis.replicate_commands) end
local now = tonumber(ARGV[5])
if not now then
    local time = redis.call('TIME')
    now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local op, token, subject, clinic = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local to_open, window, cool_down, probe, poll =
    tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local day = 86400
local transitions = {}

local function circuit(level, key, failures, who)
    local found = redis.call('HMGET', key, 'state', 'opened_at', 'token', 'probe_until')
    return {level = level, key = key, failures = failures, who = who, state = found[1] or 'closed',
            opened_at = tonumber(found[2]), token = found[3], probe_until = tonumber(found[4])}
end

local function becomes(c, state)
    transitions[#transitions + 1] = c.level .. ':' .. state
    if state == 'closed' then
        redis.call('DEL', c.key, c.failures)
        return
    end
    redis.call('HSET', c.key, 'state', state)
    redis.call('EXPIRE', c.key, day)
    redis.call('SADD', KEYS[5], clinic)
    redis.call('EXPIRE', KEYS[5], day)
end

local function open(c)
    redis.call('HDEL', c.key, 'token', 'probe_until')
    redis.call('HSET', c.key, 'opened_at', string.format('%.6f', now))
    redis.call('HSETNX', c.key, 'failing_since', string.format('%.6f', now))
    becomes(c, 'open')
end

local function count(c)
    redis.call('ZREMRANGEBYSCORE', c.failures, '-inf', string.format('(%.6f', now - window))
    return redis.call('ZCARD', c.failures)
end

local both = {circuit('service', KEYS[1], KEYS[2], clinic), circuit('clinic', KEYS[3], KEYS[4], subject)}

if op == 'ask' then
    local retry_after, doubtful = 0, 0
    for _, c in ipairs(both) do
        if c.state == 'open' then
            retry_after = math.max(retry_after, c.opened_at + cool_down - now)
        elseif c.state == 'half_open' and c.probe_until > now then
            retry_after = math.max(retry_after, math.min(poll, c.probe_until - now))
        elseif c.state == 'closed' and redis.call('EXISTS', c.failures) == 1 then
            doubtful = 1
        end
    end
    if retry_after > 0 then
        return {0, tostring(retry_after), 0}
    end
    for _, c in ipairs(both) do
        if c.state ~= 'closed' then
            doubtful = 2
            if c.state == 'open' then becomes(c, 'half_open') end
            redis.call('HSET', c.key, 'token', token, 'probe_until', string.format('%.6f', now + probe))
        end
    end
    return {1, '0', doubtful, unpack(transitions)}
end

for _, c in ipairs(both) do
    local probing = c.state == 'half_open' and c.token == token
    if op == 'succeeded' then
        if probing then becomes(c, 'closed') elseif c.state == 'closed' then redis.call('DEL', c.failures) end
    elseif op == 'failed' then
        if probing then
            open(c)
        elseif c.state == 'closed' then
            redis.call('ZADD', c.failures, string.format('%.6f', now), c.who)
            redis.call('EXPIRE', c.failures, math.ceil(window))
            redis.call('SADD', KEYS[5], clinic)
            redis.call('EXPIRE', KEYS[5], day)
            if count(c) >= to_open then open(c) end
        end
    elseif op == 'abandoned' and probing then
        redis.call('HSET', c.key, 'probe_until', string.format('%.6f', now))
    end
end
return {1, '0', 0, unpack(transitions)}
"""


# What the script answers to ``ask`` where the call is a probe; 1 where a circuit has failures to forget.
PROBES = 2


class CircuitsInRedis:
    """Every method raises RedisAway. ``clock`` (Unix seconds) stands in for Redis's own."""

    def __init__(self, link: Callable[[], RedisLink] = redis_link.link, clock: Clock | None = None) -> None:
        self._link = link
        self._clock = clock
        self._script: Any = None

    def ask(self, service: str, clinic: str, token: str) -> Ruling:
        return self._run("ask", service, clinic, token, "")

    def succeeded(self, service: str, clinic: str, token: str) -> Ruling:
        return self._run("succeeded", service, clinic, token, "")

    def failed(self, service: str, clinic: str, token: str, subject: str) -> Ruling:
        return self._run("failed", service, clinic, token, subject)

    def abandoned(self, service: str, clinic: str, token: str) -> Ruling:
        return self._run("abandoned", service, clinic, token, "")

    def _run(self, what: str, service: str, clinic: str, token: str, subject: str) -> Ruling:
        keys = _keys(service, clinic)
        now = f"{self._clock():.6f}" if self._clock else ""
        words = [what, token, subject, clinic, now, FAILURES_TO_OPEN, WINDOW_SECONDS, COOL_DOWN_SECONDS,
                 PROBE_SECONDS, PROBE_POLL_SECONDS]  # fmt: skip
        allowed, retry_after, doubtful, *transitions = self._link().call(
            lambda client: self._prepared(client)(keys=keys, args=words, client=client)
        )
        made = tuple(
            Transition(Level(level), CircuitState(state))
            for level, state in (line.decode().split(":") for line in transitions)
        )
        return Ruling(bool(allowed), float(retry_after), bool(doubtful), made, probes=doubtful == PROBES)

    def _prepared(self, client: redis.Redis) -> Any:
        if self._script is None:
            self._script = client.register_script(SCRIPT)
        return self._script

    def report(self, service: str) -> list[CircuitReport]:
        """The service's own circuit, then those of clinics that are not simply well."""
        return self._link().call(lambda client: self._reports(client, service))

    def _reports(self, client: Any, service: str) -> list[CircuitReport]:
        known = _keys(service, "")[4]
        clinics = sorted(member.decode() for member in client.smembers(known))
        now = self._clock() if self._clock else _redis_time(client)
        pipeline = client.pipeline(transaction=False)
        for clinic in (None, *clinics):
            keys = _keys(service, clinic or "")
            pipeline.hgetall(keys[0] if clinic is None else keys[2])
            pipeline.zcount(keys[1] if clinic is None else keys[3], now - WINDOW_SECONDS, "+inf")
        answers = iter(pipeline.execute())
        reports = [_report(service, clinic, next(answers), next(answers)) for clinic in (None, *clinics)]
        well = [one.clinic for one in reports if one.clinic and is_well(one)]
        if well:
            client.srem(known, *well)
        return [one for one in reports if one.clinic is None or not is_well(one)]


def _keys(service: str, clinic: str) -> list[str]:
    # The braces keep a service's keys together where Redis is a cluster.
    root = redis_link.key("breaker", f"{{{service}}}")
    return [
        f"{root}:all",
        f"{root}:all:failures",
        f"{root}:of:{clinic}",
        f"{root}:of:{clinic}:failures",
        f"{root}:known",
    ]


def _redis_time(client: Any) -> float:
    seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1_000_000


def _report(service: str, clinic: str | None, kept: dict[bytes, bytes], failures: int) -> CircuitReport:
    texts = {name.decode(): value.decode() for name, value in kept.items()}
    state = CircuitState(texts.get("state", "closed"))
    opened_at = float(texts["opened_at"]) if "opened_at" in texts else None
    probe_until = float(texts["probe_until"]) if "probe_until" in texts else None
    since = float(texts["failing_since"]) if "failing_since" in texts else opened_at
    return CircuitReport(
        service, clinic, state, failures, opened_at, next_probe(state, opened_at, probe_until), since
    )
