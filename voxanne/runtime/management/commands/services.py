from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.servers import ServerStatus, ensure_servers, server_status, stop_servers
from voxanne.runtime.state import SERVERS

COLUMNS = ("server", "state", "version", "pid", "port", "data")


class Command(BaseCommand):
    help = "Starts, stops or shows the embedded PostgreSQL and Valkey of this checkout."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("start", "stop", "status"))
        parser.add_argument("server", nargs="*", help=f"one of {', '.join(SERVERS)}; all when none is named")

    def handle(self, *args: Any, **options: Any) -> None:
        only = tuple(options["server"]) or SERVERS
        unknown = set(only) - set(SERVERS)
        if unknown:
            raise CommandError(f"Unknown server {', '.join(sorted(unknown))}: name one of {', '.join(SERVERS)}.")
        try:
            if options["action"] == "start":
                ensure_servers(only=only, say=self.stdout.write)
            if options["action"] == "stop":
                stopped = stop_servers(only)
                self.stdout.write(f"stopped: {', '.join(stopped) or 'nothing was running'}")
                return
        except RuntimeFault as fault:
            raise CommandError(str(fault)) from fault
        self.stdout.write(table(server_status()))


def table(statuses: list[ServerStatus]) -> str:
    rows = [COLUMNS] + [
        tuple("-" if cell in (None, "") else str(cell) for cell in (s.name, s.state, s.version, s.pid, s.port, s.data))
        for s in statuses
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
