"""Ctrl-C, SIGTERM and a lost terminal ask us to stop; so does the end of the make that started us."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STEP_SECONDS = 0.05


class StopRequested(Exception):
    """Raised out of a wait; everything that was started is stopped on its way up."""


class StopRequest:
    """Signals only set a flag, so that no work of ours is cut in the middle; waits look at it."""

    def __init__(self) -> None:
        self._asked = False
        # Killed outright, make cannot pass anything on; it alone sets MAKELEVEL for what it starts.
        self._parent = os.getppid() if os.environ.get("MAKELEVEL") else None

    def install(self) -> None:
        for signum in SIGNALS:
            signal.signal(signum, self._take)

    def asked(self) -> bool:
        return self._asked or (self._parent is not None and os.getppid() != self._parent)

    def pause(self, seconds: float = STEP_SECONDS) -> None:
        """Waits a little; raises StopRequested as soon as stopping is asked for."""
        deadline = time.monotonic() + seconds
        while True:
            if self.asked():
                raise StopRequested
            rest = deadline - time.monotonic()
            if rest <= 0:
                return
            time.sleep(min(rest, 0.2))

    def _take(self, signum: int, frame: FrameType | None) -> None:
        self._asked = True
