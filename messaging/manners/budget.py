"""How many texts a clinic sends: a month's budget of segments, and so many texts a minute. Only where its rules say so.

A text counts once, with its first try by SMS (by WhatsApp it has no segments). The rows are the truth
(``first_attempted_at``); Redis keeps their sum, so that no row of the clinic's makes its texts wait for each other. The
sum is made anew from the rows each hour, and whenever Redis lost it: it leaves out the texts that Redis counted within
the last minute and adds those as Redis has them, since their rows may not be committed yet. Where Redis is away the
rows themselves are counted, one text at a time.

Texts are begun several at a time, and their rows say so before the first of them is judged: whoever counts rows leaves
out those of the same transaction that were not let through.

Of the month the last fifth is kept from texts to many, and the last tenth from reminders, so that who just booked is
told. What does not fit waits: for a larger budget, for the next month, or until its time is over.

Of a minute, too, the last fifth is kept for what was asked for, save where it was put back with many. Whoever finds a
minute full is given a place in the line of its kind and comes back when it is up: ten thousand waiting texts are not
asked about over and over. What was counted for a text that its sender's pace then holds is given back, its place in the
line too: else a pace slower than the limit would have the minute full of texts that do not go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from messaging.manners import minute_lines
from messaging.manners.budget_notices import tell_when_near, tell_when_spent
from messaging.manners.policy import HELD_BY_BUDGET, HELD_BY_MINUTE, Policy, policy_of
from messaging.models import Message
from messaging.sending.holds import Hold, Taken, Undecided
from messaging.sending.priorities import ASKED_FOR, TIMED, as_it_was
from monitoring import redis_link
from monitoring.redis_link import RedisAway
from voxanne.statements import Statement
from voxanne.tenancy.plan_cache import ClinicKey

MINUTE = timedelta(minutes=1)
# Of ten parts of the month: how many a text may use up, by the priority that it was written with.
MONTH_SHARES = {ASKED_FOR: 10, TIMED: 9}
MONTH_SHARE_OF_BULK = 8
MINUTE_SHARE_OF_WHAT_CAN_WAIT = 8
REBUILT_EVERY = timedelta(hours=1)
BUSY_WAIT = timedelta(seconds=1)
SPENT = f"{HELD_BY_BUDGET} of texts is used up. It goes out when the budget is raised, or when the next month begins."
KEPT = (
    f"{HELD_BY_BUDGET} of texts is nearly used up, and the rest is kept for confirmations. It goes out when the budget"
    " is raised, or when the next month begins."
)
MINUTE_FULL = f"{HELD_BY_MINUTE}. It goes out by itself when its turn comes."

SCRIPT = """
if redis.replicate_commands then pcall(redis.replicate_commands) end
local used_key, counted, gone, line = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, segments, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local most, base, a_minute, rebuilt_every = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local entry = id .. '/' .. segments
local used, known, place = 0, false, false

if most >= 0 then
    used = tonumber(redis.call('GET', used_key))
    if not used then
        redis.call('ZREMRANGEBYSCORE', counted, '-inf', now - 60)
        local recent = redis.call('ZRANGE', counted, 0, -1)
        if base == '' then return {'unknown', '0', unpack(recent)} end
        used = tonumber(base)
        for _, one in ipairs(recent) do used = used + tonumber(string.match(one, '/(%d+)$')) end
        redis.call('SET', used_key, used, 'EX', rebuilt_every)
    end
    known = redis.call('ZSCORE', counted, entry)
    if not known and used + segments > most then return {'spent', tostring(used)} end
end

if a_minute > 0 then
    redis.call('ZREMRANGEBYSCORE', gone, '-inf', now - 60)
    redis.call('ZREMRANGEBYSCORE', line, '-inf', now - 60)
    place = tonumber(redis.call('ZSCORE', line, id))
    local last = redis.call('ZREVRANGE', line, 0, 0, 'WITHSCORES')[2]
    local free = redis.call('ZCARD', gone) < a_minute
    local turn = (place and place <= now) or (not place and not last)
    if not (free and turn) then
        if not (place and place > now) then
            local oldest = redis.call('ZRANGE', gone, 0, 0, 'WITHSCORES')[2]
            place = now
            if not free then place = math.max(place, tonumber(oldest) + 60) end
            if last then place = math.max(place, tonumber(last)) end
            place = place + 60 / a_minute
            redis.call('ZADD', line, string.format('%.6f', place), id)
            redis.call('EXPIRE', line, math.ceil(place - now) + 120)
        end
        return {'wait', string.format('%.6f', place - now)}
    end
    redis.call('ZREM', line, id)
    redis.call('ZADD', gone, string.format('%.6f', now), id)
    redis.call('EXPIRE', gone, 120)
end

if most >= 0 and not known then
    used = redis.call('INCRBY', used_key, segments)
    redis.call('ZADD', counted, string.format('%.6f', now), entry)
    redis.call('EXPIRE', counted, rebuilt_every + 120)
end
return {'go', tostring(used), place and string.format('%.6f', place) or ''}
"""
# Leaves what the sum is made of as the text was before it was counted.
GIVE_BACK = """
if redis.replicate_commands then pcall(redis.replicate_commands) end
local used_key, counted, gone, line = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, segments, place = ARGV[1], ARGV[2], ARGV[3]
redis.call('ZREM', gone, id)
if place ~= '' then
    redis.call('ZADD', line, place, id)
    if redis.call('TTL', line) < 120 then redis.call('EXPIRE', line, 120) end
end
if redis.call('ZREM', counted, id .. '/' .. segments) == 1 and redis.call('EXISTS', used_key) == 1 then
    redis.call('DECRBY', used_key, segments)
end
"""

OF_MONTH = Statement("""
SELECT coalesce(sum(segments), 0)::bigint FROM sms_delivery_log
WHERE org_id = %(org)s AND first_attempted_at >= %(since)s AND id <> ALL (%(without)s::uuid[])
""")
OF_MINUTE = Statement("""
SELECT count(*), min(first_attempted_at) FROM sms_delivery_log
WHERE org_id = %(org)s AND first_attempted_at > %(since)s AND id <> ALL (%(without)s::uuid[])
""")
ALONE = Statement("SELECT pg_try_advisory_xact_lock(hashtextextended('text budget ' || %(org)s::text, 0))")


@dataclass(frozen=True, slots=True)
class _Asked:
    """One text that wants to go out, and how much of the month and the minute its kind may use."""

    message: Message
    clinic: ClinicKey
    policy: Policy
    now: datetime
    undecided: Undecided = ()

    @property
    def without(self) -> list[UUID]:
        """Texts that do not count, whatever their rows say."""
        return [self.message.pk, *self.undecided]

    @property
    def month(self) -> datetime:
        return month_of(self.now, self.policy)

    @property
    def most_of_month(self) -> int | None:
        limit = self.policy.monthly_segments
        share = MONTH_SHARES.get(as_it_was(self.message), MONTH_SHARE_OF_BULK)
        return None if limit is None else limit * share // 10

    @property
    def most_of_minute(self) -> int:
        limit = self.policy.messages_a_minute or 0
        if self.message.priority == ASKED_FOR or limit == 0:
            return limit
        return max(1, limit * MINUTE_SHARE_OF_WHAT_CAN_WAIT // 10)


def within_budget(
    message: Message, clinic: ClinicKey, now: datetime, undecided: Undecided = ()
) -> Hold | Taken | None:
    """The gate: counts a text that goes out for the first time, or holds it back."""
    policy = policy_of(clinic)
    if (policy.monthly_segments, policy.messages_a_minute) == (None, None):
        return None
    if message.first_attempted_at is not None:
        return None
    asked = _Asked(message, clinic, policy, now, undecided)
    try:
        said, figure, place = _ask_redis(asked)
    except RedisAway:
        # The rows are what is counted: one that is taken back counts no more.
        return _judged(asked, *_ask_rows(asked))
    return _judged(asked, said, figure) or Taken(partial(_give_back, asked, place))


def _judged(asked: _Asked, said: str, figure: float) -> Hold | None:
    if said == "wait":
        return Hold(timedelta(seconds=max(figure, 0.05)), MINUTE_FULL, may_end_sooner=True)
    if said == "spent":
        was_asked_for = as_it_was(asked.message) == ASKED_FOR
        if was_asked_for:
            tell_when_spent(asked.clinic.org_id, asked.policy, asked.month, int(figure))
        reason = SPENT if was_asked_for else KEPT
        return Hold(next_month(asked.now, asked.policy) - asked.now, reason, may_end_sooner=True)
    tell_when_near(asked.clinic.org_id, asked.policy, asked.month, int(figure))
    return None


def month_of(now: datetime, policy: Policy) -> datetime:
    """When the month began at the clinic."""
    local = now.astimezone(policy.zone)
    return datetime(local.year, local.month, 1, tzinfo=policy.zone)


def next_month(now: datetime, policy: Policy) -> datetime:
    local = now.astimezone(policy.zone)
    return datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=policy.zone)


def used_in(org_id: UUID, month: datetime, without: list[UUID] | None = None) -> int:
    """Segments first tried since ``month`` began, those of ``without`` aside; from the rows, in the clinic's scope."""
    row = OF_MONTH.row({"org": org_id, "since": month, "without": without or []})
    assert row is not None
    return int(row[0])


# --- As Redis has it -------------------------------------------------------------------------------


def _ask_redis(asked: _Asked) -> tuple[str, float, str]:
    """What the script says: go, wait, or spent; with seconds or segments, and the place in the minute's line that one
    which may go had there. Raises RedisAway."""
    said, figure, *more = _run(asked, None)
    if said == "unknown":
        # Of these the rows may not be committed yet.
        uncertain = [UUID(one.partition("/")[0]) for one in more]
        base = used_in(asked.clinic.org_id, asked.month, [*asked.without, *uncertain])
        said, figure, *more = _run(asked, base)
    return said, float(figure), more[0] if more else ""


def _give_back(asked: _Asked, place: str) -> None:
    """As if the text had not been counted. What Redis misses of it is forgotten with the hour."""
    words = [str(asked.message.pk), asked.message.segments, place]
    keys = _keys(asked)
    try:
        redis_link.link().call(
            lambda client: _prepared(client, GIVE_BACK)(keys=keys, args=words, client=client)
        )
    except RedisAway:
        return


def _run(asked: _Asked, base: int | None) -> list[str]:
    most = -1 if asked.most_of_month is None else asked.most_of_month
    words = [str(asked.message.pk), asked.message.segments, f"{asked.now.timestamp():.6f}", most,
             "" if base is None else base, asked.most_of_minute, int(REBUILT_EVERY.total_seconds())]  # fmt: skip
    keys = _keys(asked)
    answer = redis_link.link().call(
        lambda client: _prepared(client, SCRIPT)(keys=keys, args=words, client=client)
    )
    return [part.decode() for part in answer]


def _keys(asked: _Asked) -> list[str]:
    org = asked.clinic.org_id
    root = minute_lines.root(org)
    month = f"{asked.month:%Y-%m}"
    return [
        f"{root}:used:{month}",
        f"{root}:counted:{month}",
        f"{root}:gone",
        minute_lines.line(org, asked.message.priority),
    ]


_scripts: dict[str, Any] = {}


def _prepared(client: Any, text: str) -> Any:
    if text not in _scripts:
        _scripts[text] = client.register_script(text)
    return _scripts[text]


# --- Without Redis ---------------------------------------------------------------------------------


def _ask_rows(asked: _Asked) -> tuple[str, float]:
    """The same from the rows. One text of the clinic's at a time: the next sees this one's row committed."""
    org = asked.clinic.org_id
    alone = ALONE.row({"org": org})
    if alone is None or not alone[0]:
        return "wait", BUSY_WAIT.total_seconds()
    used, most = 0, asked.most_of_month
    if most is not None:
        used = used_in(org, asked.month, asked.without)
        if used + asked.message.segments > most:
            return "spent", used
    if asked.most_of_minute:
        row = OF_MINUTE.row({"org": org, "since": asked.now - MINUTE, "without": asked.without})
        assert row is not None
        if row[0] >= asked.most_of_minute:
            return "wait", (row[1] + MINUTE - asked.now).total_seconds()
    return "go", used + asked.message.segments
