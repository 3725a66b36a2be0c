"""The embedded Redis-compatible server: append-only file, loopback, a password, nothing ever evicted.

It holds wake-ups and counters only; PostgreSQL holds the truth. Files it cannot read are therefore set aside.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from voxanne.runtime import ports
from voxanne.runtime.binaries import ValkeyBinary, find_valkey
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.passwords import REDIS_FILE, read_or_make
from voxanne.runtime.process_identity import ProcessIdentity
from voxanne.runtime.server_log import log_path, log_size, log_tail, open_log
from voxanne.runtime.state import VALKEY, ServerRecord, write_private
from voxanne.runtime.store import Say, Store, process_of_pid_file, reachable_valkey

START_SECONDS = 60
STOP_SECONDS = 20
POLL_SECONDS = 0.02
UNREADABLE = (
    "Can't handle RDB",
    "Bad file format",
    "AOF MANIFEST FILE ERROR",
    "Wrong signature",
    "Fatal error loading",
)


def start_valkey(data: Path, store: Store, previous_port: int | None, say: Say) -> ServerRecord:
    """Starts the server of a store, waits until it answers; RuntimeFault with its log's tail if not."""
    binary = reachable_valkey(store, find_valkey())
    stray = process_of_pid_file(store.valkey / "valkey.pid", str(store.valkey))
    if stray:
        # Our record of it was lost, and two servers must not write one append-only file.
        stop_valkey(stray)
    log = log_path(data, VALKEY)
    before = log_size(log)
    started = _launch(data, store, binary, previous_port)
    if started is None and any(sign in log_tail(log, 40, before) for sign in UNREADABLE):
        aside = store.valkey.with_name(f"valkey.{time.strftime('%Y%m%d-%H%M%S')}")
        store.valkey.rename(aside)
        say(
            f"{binary.path.name} {binary.version} cannot read its files: "
            f"set aside as {aside}, starting empty."
        )
        started = _launch(data, store, binary, previous_port)
    if started is None:
        # The port may have been taken between our look and the server's.
        started = _launch(data, store, binary, None)
    if started is None:
        raise RuntimeFault(
            f"{binary.path.name} did not start in {store.valkey}:\n{log_tail(log, since=before)}"
        )
    process, port = started
    return ServerRecord(
        process=process,
        port=port,
        url=f"redis://:{read_or_make(store.path / REDIS_FILE)}@{ports.LOOPBACK}:{port}/0",
        version=binary.version,
        binaries=str(binary.path.parent),
        data=str(store.valkey),
    )


def stop_valkey(process: ProcessIdentity) -> None:
    """SIGTERM: the append-only file is flushed and closed."""
    for signum, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5)):
        if not process.alive():
            return
        os.kill(process.pid, signum)
        if process.wait_gone(seconds):
            return
    raise RuntimeFault(f"Valkey (process {process.pid}) does not stop: see its log.")


def _launch(
    data: Path, store: Store, binary: ValkeyBinary, previous_port: int | None
) -> tuple[ProcessIdentity, int] | None:
    """(process, port) once it answers; None when it ended by itself."""
    if not store.valkey.exists():
        store.valkey.mkdir(mode=0o700)
        store.own(store.valkey)
    port = ports.choose(previous_port)
    password = read_or_make(store.path / REDIS_FILE)
    configuration = store.path / "valkey.conf"
    write_private(configuration, _configuration(store, port, password))
    store.own(configuration)
    output = open_log(data, VALKEY)
    try:
        server = store.popen([binary.path, configuration], output=output)
    finally:
        os.close(output)
    if not _wait_ready(server, port, password, log_path(data, VALKEY)):
        return None
    process = ProcessIdentity.of(server.pid)
    server.returncode = 0  # The server outlives this object; nobody waits for it through it.
    return (process, port) if process else None


def _configuration(store: Store, port: int, password: str) -> str:
    lines = {
        "bind": ports.LOOPBACK,
        "port": str(port),
        "dir": f'"{store.valkey}"',
        "pidfile": f'"{store.valkey / "valkey.pid"}"',
        "requirepass": password,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        # Keeps the store's folder in the command line, by which a lost server is found again.
        "set-proc-title": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _wait_ready(server: subprocess.Popen[bytes], port: int, password: str, log: Path) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            return False
        if _ping(port, password):
            return True
        time.sleep(POLL_SECONDS)
    server.kill()
    server.wait()
    raise RuntimeFault(f"Valkey was not ready after {START_SECONDS} s:\n{log_tail(log)}")


def _ping(port: int, password: str) -> bool:
    """Asks in the Redis protocol's inline form; while the file is being loaded the answer is an error."""
    try:
        with socket.create_connection((ports.LOOPBACK, port), timeout=2) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                chunk = connection.recv(256)
                if not chunk:
                    return False
                answer += chunk
            return b"+PONG" in answer
    except OSError:
        return False
