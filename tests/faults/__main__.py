"""``python -m tests.faults [--list] [--only NAME …] [--no-controls]``: the fault runs and their controls."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType, ModuleType

import psycopg

from tests.faults import (
    any_provider,
    database_stopped,
    missed_calls,
    moving_slot,
    moving_visits,
    overlapping,
    redis_emptied,
    same_slot,
    thousand_texts,
    tool_call_copies,
    twilio_down,
    webhooks_no_redis,
    worker_killed,
)
from tests.faults.callers import all_at_once, tool_call
from tests.faults.rows import Row, Shown, table
from tests.faults.stack import Stack, running_stack
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.programs import INTERRUPTED
from voxanne.runtime.stop_request import SIGNALS, StopRequested

# The killed worker comes last: it leaves calendar events behind whose leases run for a minute.
RUNS: dict[str, ModuleType] = {
    module.NAME: module
    for module in (
        same_slot,
        overlapping,
        any_provider,
        moving_slot,
        moving_visits,
        tool_call_copies,
        missed_calls,
        redis_emptied,
        database_stopped,
        webhooks_no_redis,
        twilio_down,
        thousand_texts,
        worker_killed,
    )
}
WARM_UP_CALLS = 48
BEGAN = time.monotonic()


def main() -> int:
    asked = _arguments()
    if asked.list:
        for name, module in RUNS.items():
            print(f"{name:<18}{(module.__doc__ or '').strip()}")
        return 0
    for signum in SIGNALS:
        signal.signal(signum, _stop)
    load = os.getloadavg()[0]
    try:
        with running_stack(say) as stack:
            _warm_up(stack)
            shown = [_show(stack, name, controls=not asked.no_controls) for name in _chosen(asked)]
            say("stopping")
    except RuntimeFault as fault:
        print(fault, file=sys.stderr)
        return 1
    except StopRequested:
        return INTERRUPTED
    print(f"\n{table(shown)}\n")
    print(f"{os.cpu_count()} cores; load before {load:.1f}, after {os.getloadavg()[0]:.1f}.")
    failed = [each.run.name for each in shown if not each.good]
    print(f"Failed: {', '.join(failed)}." if failed else "Nothing was lost, doubled or leaked.", flush=True)
    return 1 if failed else 0


def _stop(signum: int, frame: FrameType | None) -> None:
    """However we are told to stop, the stack ends on the way out, and being told again does not hurry it."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise StopRequested


def say(text: str) -> None:
    print(f"[{time.monotonic() - BEGAN:6.1f} s] {text}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the runs and what they do")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), metavar="NAME", help="only these runs")
    parser.add_argument("--no-controls", action="store_true", help="leave the controls out")
    return parser.parse_args()


def _chosen(asked: argparse.Namespace) -> list[str]:
    """The names asked for, else all, in our order."""
    return [name for name in RUNS if not asked.only or name in asked.only]


def _warm_up(stack: Stack) -> None:
    """Every thread of the web server has answered once, so that no run measures its start."""
    look = {"date": stack.fresh_day().isoformat()}
    calls = [tool_call(stack.clinic, "checkAvailability", look) for _ in range(WARM_UP_CALLS)]
    faults = [answer.fault for answer in all_at_once(stack.options.port, calls) if answer.fault]
    if faults:
        raise RuntimeFault(f"The stack does not answer: {faults[0]}\n{stack.log_tails()}")


def _show(stack: Stack, name: str, *, controls: bool) -> Shown:
    module = RUNS[name]
    run = _row(stack, name, "", module.run)
    return Shown(run, _row(stack, name, " without guard", module.control) if controls else None)


def _row(stack: Stack, name: str, what: str, play: Callable[[Stack], Row]) -> Row:
    """A run that cannot be played to its end has not held; a control that cannot has caught nothing."""
    say(f"{name}{what} …")
    try:
        row = play(stack)
    except (RuntimeFault, OSError, psycopg.Error) as fault:
        row = Row(name, f"{fault}\n{stack.log_tails()}", held=bool(what))
    say(f"{name}{what}: {row.figures}")
    return replace(row, figures=row.figures.partition("\n")[0])


if __name__ == "__main__":
    sys.exit(main())
