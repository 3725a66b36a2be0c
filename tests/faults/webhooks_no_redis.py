"""Valkey stops, webhooks go on arriving, and it comes back empty: each is stored, acknowledged and worked off."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from tests.faults import evidence
from tests.faults.redis_emptied import sweepers_kept_out
from tests.faults.rows import Row
from tests.faults.stack import Stack
from tests.faults.webhooks import ENDED, EVENTS, Posted, messages_of_calls, post_all, states_since
from voxanne.runtime.faults import RuntimeFault

NAME = "webhooks-no-redis"
CALLS = 100
WEBHOOKS = 2 * CALLS
SLOWEST_MILLISECONDS = 1000.0
OUTAGE_SECONDS = 10.0
WORKED_OFF_SECONDS = 60.0
CONTROL_SECONDS = 20.0


@dataclass(frozen=True)
class Outage:
    """``waiting``: webhooks not worked off when Valkey came back, and ``left`` when the wait was over."""

    mark: datetime
    posted: Posted
    waiting: int
    seconds: float
    left: int


def run(stack: Stack) -> Row:
    evidence.wait_until_idle(stack)
    outage = _outage(stack, WORKED_OFF_SECONDS)
    calls = evidence.one(stack, ENDED, mark=outage.mark)
    events = evidence.one(stack, EVENTS, mark=outage.mark)
    states = states_since(stack, outage.mark)
    figures = (
        f"{outage.posted.acknowledged} of {WEBHOOKS} webhooks acknowledged while it was away, slowest "
        f"{outage.posted.slowest:.0f} ms; {outage.waiting} waiting at its return, all worked off "
        f"{outage.seconds:.1f} s after it: {states['completed']} completed, {calls} calls with their report, "
        f"{events} events"
    )
    whole = states == {"completed": WEBHOOKS} and calls == CALLS and events == WEBHOOKS
    quick = outage.posted.slowest < SLOWEST_MILLISECONDS
    return Row(NAME, figures, whole and quick and outage.posted.acknowledged == WEBHOOKS)


def control(stack: Stack) -> Row:
    """The same without the sweeper."""
    evidence.wait_until_idle(stack)
    with sweepers_kept_out(stack):
        outage = _outage(stack, CONTROL_SECONDS)
    figures = (
        f"no sweeper: {outage.left} of {WEBHOOKS} webhooks still waiting {CONTROL_SECONDS:g} s "
        "after Valkey's return"
    )
    evidence.wait_until_quiet(stack)
    return Row(NAME, figures, not outage.left)


def _outage(stack: Stack, patience: float) -> Outage:
    mark = evidence.now(stack)
    folder = stack.valkey_folder()
    stack.stop_valkey()
    stopped = time.monotonic()
    stack.empty_valkey(folder)
    posted = post_all(stack, messages_of_calls(stack.clinic, CALLS))
    time.sleep(max(0.0, OUTAGE_SECONDS - (time.monotonic() - stopped)))
    waiting = _waiting(stack, mark)
    stack.start_valkey()
    began = time.monotonic()
    with suppress(RuntimeFault):
        stack.until("worked off", lambda: _waiting(stack, mark) == 0, patience)
    return Outage(mark, posted, waiting, time.monotonic() - began, _waiting(stack, mark))


def _waiting(stack: Stack, mark: datetime) -> int:
    states = states_since(stack, mark)
    return states["pending"] + states["processing"]
