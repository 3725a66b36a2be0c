"""The embedded servers by hand: ``manage.py services`` and ``python -m voxanne.runtime services``."""

from __future__ import annotations

import argparse

from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.servers import ServerStatus, ensure_servers, server_status, stop_servers
from voxanne.runtime.state import SERVERS
from voxanne.runtime.store import Say

HELP = "Starts, stops or shows the embedded PostgreSQL and Valkey of this checkout."
COLUMNS = ("server", "state", "version", "pid", "port", "data")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("start", "stop", "status"))
    parser.add_argument("servers", nargs="*", help=f"of {' and '.join(SERVERS)}; both when none is named")


def perform(action: str, servers: list[str], say: Say) -> None:
    """Does it and says what stands then. Raises RuntimeFault."""
    only = tuple(servers) or SERVERS
    unknown = sorted(set(only) - set(SERVERS))
    if unknown:
        raise RuntimeFault(f"Unknown server {', '.join(unknown)}: name {' or '.join(SERVERS)}.")
    if action == "start":
        ensure_servers(keep=True, only=only, say=say)
    if action == "stop":
        stopped = stop_servers(only)
        say(f"stopped: {', '.join(stopped) or 'nothing was running'}")
        return
    say(status_table(server_status()))


def status_table(statuses: list[ServerStatus]) -> str:
    rows = [COLUMNS, *(_cells(status) for status in statuses)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _cells(status: ServerStatus) -> tuple[str, ...]:
    cells = (status.name, status.state, status.version, status.pid, status.port, status.data)
    return tuple("-" if cell in (None, "") else str(cell) for cell in cells)
