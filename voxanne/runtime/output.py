"""What a person sees: one line a step with its seconds, and the processes' lines behind coloured names."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

NAME_WIDTH = 8
COLOURS = {"web": 36, "sockets": 35, "worker": 32, "beat": 33, "sandbox": 34, "voxanne": 1}
STILL_SECONDS = 5.0


class Terminal:
    """Whole lines on standard output, from any thread; a reader that went away is no reason to stop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def line(self, text: str = "") -> None:
        with self._lock:
            try:
                print(text, flush=True)
            except BrokenPipeError:
                # Python would complain once more when it flushes standard output at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def prefixed(self, name: str, text: str) -> None:
        self.line(f"{self._paint(f'{name:<{NAME_WIDTH}}|', COLOURS.get(name, 0))} {text}")

    def say(self, text: str) -> None:
        self.prefixed("voxanne", text)

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Prints the step with its seconds when it is done, and each five seconds while it is not."""
        started = time.monotonic()
        finished = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(label, started, finished), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            finished.set()
            ticker.join()
        self.say(f"{label:<28} {time.monotonic() - started:5.1f} s")

    def _tick(self, label: str, started: float, finished: threading.Event) -> None:
        while not finished.wait(STILL_SECONDS):
            self.say(f"{label} ... {time.monotonic() - started:.0f} s so far")

    def _paint(self, text: str, colour: int) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._coloured and colour else text
