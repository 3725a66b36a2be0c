"""What the processes of a running stack cost, read from /proc (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.benchmarks.stack import descendants
from voxanne.runtime.state import POSTGRES, read_state


def command_of(pid: int) -> str:
    """A process's command line; blank when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def seconds_of(pids: Iterable[int]) -> float:
    """Seconds of processor time so far, of these together."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def postgres_processes(data: Path) -> list[int]:
    """Those of the server that keeps its data there; it stands apart from the processes of the stack."""
    server = read_state(data).server(POSTGRES)
    return [] if server is None else [server.process.pid, *descendants(server.process.pid)]
