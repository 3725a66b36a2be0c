"""Programs that need the servers but not the stack: tests, browser journeys, benchmarks, fault runs.

The servers are held while the program runs and stop after it, unless somebody else holds or keeps them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from voxanne.runtime.child import end_group, start_child
from voxanne.runtime.options import stack_environment
from voxanne.runtime.servers import servers_held
from voxanne.runtime.state import data_directory
from voxanne.runtime.stop_request import StopRequest, StopRequested

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_SETTING = "CHROMIUM_PATH"
INTERRUPTED = 130
INTERRUPT_SECONDS = 20.0


@dataclass(frozen=True)
class Program:
    """``module`` is run with ``words`` and whatever stands behind them on the command line."""

    text: str
    module: str
    words: tuple[str, ...] = ()
    whole_stack_environment: bool = False


PROGRAMS = {
    "test": Program("the test suite on real PostgreSQL and Redis", "pytest"),
    "browser": Program("the browser journeys in real Chromium", "pytest", ("tests/browser",)),
    # They start a whole stack of their own, with a sandbox of its own.
    "bench": Program("the benchmarks", "tests.benchmarks"),
    "faults": Program("the fault runs", "tests.faults", (), whole_stack_environment=True),
}


def run_program(name: str, words: Sequence[str]) -> int:
    """The program's exit code; 130 when it was interrupted. Raises RuntimeFault."""
    program = PROGRAMS[name]
    chromium = find_chromium()
    if name == "test":
        _say_where_browser_journeys_are(chromium)
    if name == "browser" and chromium is None:
        print(
            "The browser journeys did not run: no Chromium on PATH (`apt-get install chromium`).",
            file=sys.stderr,
        )
        return 1
    environment = stack_environment() if program.whole_stack_environment else dict(os.environ)
    environment["VOXANNE_DATA_DIR"] = str(data_directory())
    if chromium:
        environment[CHROMIUM_SETTING] = chromium
    stop = StopRequest()
    stop.install()
    with servers_held():
        child = start_child(
            [sys.executable, "-m", program.module, *program.words, *words], environment, None, None
        )
        try:
            while child.poll() is None:
                stop.pause()
        except StopRequested:
            _interrupt(child)
            return INTERRUPTED
    return int(child.returncode)


def _interrupt(child: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C would: fixtures get the time to end what they started."""
    child.send_signal(signal.SIGINT)
    deadline = time.monotonic() + INTERRUPT_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    end_group(child.pid, INTERRUPT_SECONDS, child.poll)


def find_chromium() -> str | None:
    named = os.environ.get(CHROMIUM_SETTING, "").strip()
    if named:
        return named
    found = (shutil.which(name) for name in CHROMIUM_NAMES)
    return next((path for path in found if path), None)


def _say_where_browser_journeys_are(chromium: str | None) -> None:
    reason = "`make browser` runs them" if chromium else "there is no Chromium on PATH"
    print(f"The browser journeys (tests/browser) are left out: {reason}.", flush=True)
