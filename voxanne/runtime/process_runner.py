"""Keeps the stack's processes running, shows what they say, and stops them in order.

honcho, the usual choice, ends every process at once when one ends, restarts none, kills after five seconds
(a worker's warm shutdown takes longer) and knows no order; so this small one stands here.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import IO

from voxanne.runtime import leftovers
from voxanne.runtime.child import end_group, signal_group, start_child, wait_group_gone
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.output import Terminal
from voxanne.runtime.server_log import log_path, log_size, log_tail, open_log

RESTART_LIMIT = 5
FIRST_PAUSE_SECONDS = 0.5
STEADY_SECONDS = 30.0
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class ProcessSpec:
    """A long-running process; those of the lowest ``stop_rank`` are stopped first, together.

    ``environment`` is added to the stack's own.
    """

    name: str
    command: Sequence[str]
    stop_rank: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class RunningProcess:
    spec: ProcessSpec
    popen: subprocess.Popen[bytes]
    started: float
    restarts: int = 0
    restart_at: float | None = None


class ProcessRunner:
    """Not thread-safe: one thread starts, watches and stops.

    ``quiet`` sends the processes' output to ``log/<name>.log`` of the data folder instead of the terminal.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        environment: Mapping[str, str],
        terminal: Terminal,
        data: Path,
        quiet: bool,
    ) -> None:
        self._specs = specs
        self._environment = environment
        self._terminal = terminal
        self._data = data
        self._quiet = quiet
        self._processes: dict[str, RunningProcess] = {}
        self._readers: list[threading.Thread] = []
        self._log_starts = {spec.name: log_size(log_path(data, spec.name)) for spec in specs}

    def start(self) -> None:
        for spec in self._specs:
            self._processes[spec.name] = RunningProcess(spec, self._spawn(spec), time.monotonic())
        self._note()

    def watch(self) -> None:
        """Restarts what ended by itself, after a growing pause. Raises RuntimeFault when one keeps ending."""
        for process in self._processes.values():
            if process.restart_at is not None:
                self._restart_when_due(process)
            elif process.popen.poll() is not None:
                self._plan_restart(process)

    def stop(self) -> None:
        """Stops all, rank by rank; each has its time to finish what it is doing. Idempotent."""
        for rank in sorted({spec.stop_rank for spec in self._specs}):
            self._stop_rank(rank)
        for reader in self._readers:
            reader.join(timeout=1)
        self._processes.clear()
        leftovers.forget(self._data)

    def log_tails(self) -> str:
        """The last lines of each quiet process, for a failure's report."""
        tails = {
            name: log_tail(log_path(self._data, name), since=start)
            for name, start in self._log_starts.items()
        }
        return "\n".join(f"{name}:\n{tail}" for name, tail in tails.items() if tail)

    def _spawn(self, spec: ProcessSpec) -> subprocess.Popen[bytes]:
        environment = {**self._environment, **spec.environment}
        if self._quiet:
            with open(open_log(self._data, spec.name), "ab") as log:
                return start_child(spec.command, environment, log, subprocess.STDOUT)
        popen = start_child(spec.command, environment, subprocess.PIPE, subprocess.STDOUT)
        self._readers.append(follow(popen.stdout, lambda line: self._terminal.prefixed(spec.name, line)))
        return popen

    def _plan_restart(self, process: RunningProcess) -> None:
        name, code = process.spec.name, process.popen.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        # Its children would keep its port.
        end_group(process.popen.pid, STOP_SECONDS)
        if time.monotonic() - process.started > STEADY_SECONDS:
            process.restarts = 0
        if process.restarts >= RESTART_LIMIT:
            raise RuntimeFault(
                f"{name} {how} and has been restarted {RESTART_LIMIT} times: see its lines above."
            )
        pause = FIRST_PAUSE_SECONDS * 2**process.restarts
        process.restart_at = time.monotonic() + pause
        self._terminal.say(f"{name} {how}: starting it again in {pause:g} s.")

    def _restart_when_due(self, process: RunningProcess) -> None:
        if process.restart_at is None or time.monotonic() < process.restart_at:
            return
        process.popen = self._spawn(process.spec)
        process.started = time.monotonic()
        process.restarts += 1
        process.restart_at = None
        self._note()

    def _stop_rank(self, rank: int) -> None:
        ending = [process for process in self._processes.values() if process.spec.stop_rank == rank]
        for process in ending:
            signal_group(process.popen.pid, SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in ending:
            seconds = max(0.0, deadline - time.monotonic())
            popen = process.popen
            if not wait_group_gone(popen.pid, seconds, popen.poll):
                self._terminal.say(
                    f"{process.spec.name} did not end in {STOP_SECONDS:g} s: ending it by force."
                )
                end_group(popen.pid, 0, popen.poll)
            popen.poll()

    def _note(self) -> None:
        pids = {name: process.popen.pid for name, process in self._processes.items()}
        leftovers.remember(self._data, pids)


def follow(stream: IO[bytes] | None, show: Callable[[str], None]) -> threading.Thread:
    """Shows the lines of a child's output as they come; the thread ends with the output."""
    reader = threading.Thread(target=_show_lines, args=(stream, show), daemon=True)
    reader.start()
    return reader


def _show_lines(stream: IO[bytes], show: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            show(line.decode(errors="replace").rstrip())
