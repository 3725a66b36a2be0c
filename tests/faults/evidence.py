"""What the database says happened, asked as its superuser: row-level security hides nothing here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from tests.faults.callers import one_after_another, tool_call
from tests.faults.stack import Stack
from tests.guards import Guard, taken_out

# A backend passes its counters on with the first transaction it ends a second after the last time.
STATISTICS_SECONDS = 1.1
QUIET_SECONDS = 90.0
SWEEP = "wake workers for due rows"

OVERLAPS = """
SELECT count(*) FROM appointments a JOIN appointments b ON a.provider_id = b.provider_id AND a.id < b.id
WHERE tstzrange(a.blocked_from, a.blocked_until) && tstzrange(b.blocked_from, b.blocked_until)
  AND a.status IN ('held', 'confirmed') AND b.status IN ('held', 'confirmed')
  AND (a.starts_at AT TIME ZONE %(zone)s)::date = %(day)s AND (b.starts_at AT TIME ZONE %(zone)s)::date = %(day)s
"""
VISITS = """
SELECT provider_id::text, to_char(starts_at AT TIME ZONE %(zone)s, 'HH24:MI'), count(*) FROM appointments
WHERE (starts_at AT TIME ZONE %(zone)s)::date = %(day)s AND status IN ('held', 'confirmed') GROUP BY 1, 2
"""
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
BUSY = """
SELECT (SELECT count(*) FROM sms_delivery_log WHERE state IN ('queued', 'sending', 'unknown'))
     + (SELECT count(*) FROM calendar_pushes WHERE state IN ('queued', 'pushing'))
     + (SELECT count(*) FROM call_commands WHERE state IN ('queued', 'sending'))
     + (SELECT count(*) FROM webhook_delivery_log WHERE state IN ('pending', 'processing'))
"""


def one(stack: Stack, query: str, **values: Any) -> Any:
    """The first column of the first row."""
    row = stack.database.execute(query, values).fetchone()
    return row[0] if row else None


def overlaps(stack: Stack, day: date) -> int:
    """How many pairs of live visits of one provider overlap on the clinic's local ``day``."""
    return int(one(stack, OVERLAPS, zone=stack.clinic["timezone"], day=day))


def visits(stack: Stack, day: date) -> Counter[tuple[str, str]]:
    """How many live visits each (provider, local start) has on ``day``."""
    rows = stack.database.execute(VISITS, {"zone": stack.clinic["timezone"], "day": day}).fetchall()
    return Counter({(provider, at): number for provider, at, number in rows})


def deadlocks(stack: Stack) -> int:
    """All deadlocks so far, once every connection of the web server has reported its own."""
    time.sleep(STATISTICS_SECONDS)
    look = {"date": stack.fresh_day().isoformat()}
    one_after_another(
        stack.options.port, [tool_call(stack.clinic, "checkAvailability", look) for _ in range(48)]
    )
    return int(one(stack, DEADLOCKS))


def now(stack: Stack) -> datetime:
    moment: datetime = one(stack, "SELECT clock_timestamp()")
    return moment


def texts_since(stack: Stack, mark: datetime) -> list[tuple[str, str, str]]:
    """(recipient, body, state) of each text about a visit that was written since ``mark``: callers of an earlier run
    may still be texted back."""
    query = (
        "SELECT recipient, body, state FROM sms_delivery_log WHERE created_at >= %s AND kind = 'confirmation'"
    )
    return list(stack.database.execute(query, [mark]).fetchall())


def states_since(stack: Stack, mark: datetime) -> Counter[str]:
    return Counter(state for _, _, state in texts_since(stack, mark))


def wait_until_quiet(stack: Stack) -> None:
    """Until all durable work is done."""
    stack.until("quiet", lambda: one(stack, BUSY) == 0, QUIET_SECONDS)


def wait_until_idle(stack: Stack) -> None:
    """Until all durable work is done and a sweep that began after it has found nothing: no worker is still at it."""
    wait_until_quiet(stack)
    mark = now(stack)
    swept = "SELECT count(*) FROM heartbeats WHERE job = %(job)s AND started_at > %(mark)s"
    stack.until("a sweep", lambda: one(stack, swept, job=SWEEP, mark=mark) > 0, QUIET_SECONDS)
    wait_until_quiet(stack)


@contextmanager
def without(stack: Stack, guard: Guard) -> Iterator[None]:
    """The stack's database without a guard, for as long as the block runs."""
    wait_until_quiet(stack)
    with stack.database.cursor() as cursor, taken_out(guard, cursor):
        yield
        wait_until_quiet(stack)
