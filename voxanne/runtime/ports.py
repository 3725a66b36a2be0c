"""TCP ports on 127.0.0.1: is one free, and which to take."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
FIRST, LAST = 15000, 32000
TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server could listen there now. A port in TIME_WAIT counts as free, as it does for servers."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def answers(port: int, seconds: float = 1.0) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=seconds):
            return True
    except OSError:
        return False


def choose(preferred: int | None = None) -> int:
    """``preferred`` if it is free, else a free one outside the kernel's range for outgoing connections.

    A port from that range could be taken by any client while the server restarts, and those who know
    the server's address would never find it again.
    """
    if preferred and is_free(preferred):
        return preferred
    last = min(LAST, _first_outgoing_port() - 1)
    for _ in range(TRIES if last > FIRST else 0):
        port = FIRST + secrets.randbelow(last - FIRST + 1)
        if is_free(port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _first_outgoing_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return LAST + 1
