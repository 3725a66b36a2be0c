"""Is the process we started still the one behind this number? A pid alone may have been handed on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.02


@dataclass(frozen=True)
class ProcessIdentity:
    """A pid and the moment its process began, in the system's own words; together they never recur."""

    pid: int
    started: str

    @staticmethod
    def of(pid: int) -> ProcessIdentity | None:
        """The identity of a living process; None when it has ended or is a zombie."""
        started = _started(pid)
        return ProcessIdentity(pid, started) if started else None

    @staticmethod
    def from_json(value: Any) -> ProcessIdentity | None:
        if not isinstance(value, dict) or not isinstance(value.get("pid"), int):
            return None
        return ProcessIdentity(value["pid"], str(value.get("started", "")))

    def alive(self) -> bool:
        return _started(self.pid) == self.started

    def wait_gone(self, seconds: float) -> bool:
        """True once the process has ended; False when it still lives after ``seconds``."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        _reap(self.pid)
        return True


def command_line(pid: int) -> str:
    """The words a process was started with, joined by blanks; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except FileNotFoundError:
        return "" if sys.platform == "linux" else _ps(pid, "args=")
    except OSError:
        return ""


def living_members(group: int) -> Iterator[int]:
    """Pids of a process group's living processes."""
    if sys.platform != "linux":
        for line in _ps_words(["-axo", "pid=,pgid=,stat="]).splitlines():
            pid, member_of, state = line.split()
            if int(member_of) == group and not state.startswith("Z"):
                yield int(pid)
        return
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat_fields(int(folder.name))
        if fields and int(fields[2]) == group:
            yield int(folder.name)


def _started(pid: int) -> str:
    if sys.platform != "linux":
        words = _ps(pid, "stat=,lstart=").split()
        return "" if not words or words[0].startswith("Z") else " ".join(words[1:])
    fields = _stat_fields(pid)
    return fields[19] if fields else ""


def _stat_fields(pid: int) -> list[str]:
    """Field 3 and those after it of proc_pid_stat(5); none for a process that has ended.

    The name before them stands in brackets and may hold blanks and brackets of its own. State is field 3, the
    group field 5, the start in clock ticks since boot field 22.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()
    return [] if fields[0] in "ZX" else fields


def _ps(pid: int, columns: str) -> str:
    return _ps_words(["-o", columns, "-p", str(pid)])


def _ps_words(words: list[str]) -> str:
    return subprocess.run(["ps", *words], capture_output=True, text=True, check=False).stdout.strip()


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
