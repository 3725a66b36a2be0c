"""One process of the stack under the launcher's own runner: restarted when it dies, unless it was told to be down."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals

from voxanne.runtime.child import signal_group, wait_group_gone
from voxanne.runtime.leftovers import STACK_FILE
from voxanne.runtime.output import Terminal
from voxanne.runtime.process_runner import ProcessRunner, ProcessSpec

GONE_SECONDS = 10.0


class KeptProcess:
    """Starts, kills and pauses one process; ``watch`` starts it again when it ended by itself."""

    def __init__(self, spec: ProcessSpec, environment: Mapping[str, str], folder: Path) -> None:
        self.spec = spec
        self._environment = environment
        self._folder = folder / spec.name
        self._folder.mkdir(parents=True)
        self._runner: ProcessRunner | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        with self._lock:
            if self._runner is None:
                self._runner = ProcessRunner(
                    [self.spec], self._environment, Terminal(), self._folder, quiet=True
                )
                self._runner.start()

    def kill(self) -> None:
        """Ends it at once, as a crash or the kernel would, and leaves it down until ``start``."""
        with self._lock:
            if self._runner is None:
                return
            leader = self._leader()
            signal_group(leader, SIGKILL)
            wait_group_gone(leader, GONE_SECONDS)
            self._runner.stop()
            self._runner = None

    def pause(self) -> None:
        self._signal(SIGSTOP)

    def resume(self) -> None:
        self._signal(SIGCONT)

    def watch(self) -> None:
        """Raises RuntimeFault when the process keeps ending."""
        with self._lock:
            if self._runner is not None:
                self._runner.watch()

    def log_tail(self) -> str:
        with self._lock:
            return self._runner.log_tails() if self._runner is not None else ""

    def _signal(self, signum: Signals) -> None:
        with self._lock:
            signal_group(self._leader(), signum)

    def _leader(self) -> int:
        note = json.loads((self._folder / STACK_FILE).read_text(encoding="utf-8"))
        return int(note["processes"][self.spec.name]["pid"])
