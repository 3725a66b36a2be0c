"""The door to PostgreSQL and Redis on a developer's machine.

``DATABASE_URL`` / ``REDIS_URL`` set: used as they are, nothing started. Otherwise an embedded server is
started for this checkout, once, whoever asks first; starting and stopping hold the lock of the data folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from voxanne.environment import Environment
from voxanne.runtime import ports
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.postgres import start_postgres, stop_postgres, superuser_url
from voxanne.runtime.process_identity import ProcessIdentity
from voxanne.runtime.state import (
    POSTGRES,
    SERVERS,
    VALKEY,
    RuntimeState,
    ServerRecord,
    data_directory,
    read_state,
    remember_redis_url,
    write_state,
)
from voxanne.runtime.store import Say, make_data_folder, open_store
from voxanne.runtime.valkey import start_valkey, stop_valkey

LOCK_FILE = "servers.lock"
LOCK_SECONDS = 180
SETTINGS = {POSTGRES: "DATABASE_URL", VALKEY: "REDIS_URL"}
# Valkey first: its clients' work is durable in PostgreSQL, not the other way round.
STOP_ORDER = (VALKEY, POSTGRES)


@dataclass(frozen=True)
class ServerUrls:
    """Where clients connect, and the embedded servers that this call had to start."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    started: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServerStatus:
    """``state`` is running, stopped or external (named by the environment, not ours to start or stop)."""

    name: str
    state: str
    version: str = ""
    pid: int | None = None
    port: int | None = None
    data: str = ""


def to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def external_url(name: str) -> str | None:
    """The URL the environment names for a server, also by ``<NAME>_FILE``; None when it names none."""
    return Environment().optional(SETTINGS[name])


def ensure_servers(
    *, keep: bool = False, only: tuple[str, ...] = SERVERS, say: Say = to_stderr
) -> ServerUrls:
    """Both stores, running and answering; idempotent, safe to call from several processes at once.

    ``keep`` leaves them up until ``stop_servers``; without it they end with their last holder.
    A server that was running keeps its port when it is started again. Raises RuntimeFault.
    """
    data = data_directory()
    wanted = [name for name in only if external_url(name) is None]
    started: list[str] = []
    if wanted:
        with servers_lock(data):
            state = read_state(data)
            for name in wanted:
                if _start_one(data, state, name, say):
                    started.append(name)
            state.kept = state.kept or (keep and bool(wanted))
            write_state(data, state)
    return ServerUrls(_url(data, POSTGRES), _url(data, VALKEY), tuple(started))


def stop_servers(only: tuple[str, ...] = SERVERS) -> tuple[str, ...]:
    """Stops the embedded servers of this checkout, Valkey first; returns the names of those it stopped."""
    data = data_directory()
    if not data.exists():
        return ()
    with servers_lock(data):
        state = read_state(data)
        return _stop(data, state, only)


def server_status() -> list[ServerStatus]:
    state = read_state(data_directory())
    return [_status(state, name) for name in SERVERS]


@contextlib.contextmanager
def servers_held(say: Say = to_stderr) -> Iterator[ServerUrls]:
    """The servers for as long as the block runs; they stop after it if it, or an earlier holder, started them
    and nobody else holds them. ``manage.py services start`` before or meanwhile keeps them up."""
    data = data_directory()
    myself = ProcessIdentity.of(os.getpid())
    make_data_folder(data)
    with servers_lock(data):
        state = read_state(data)
        state.holders = [*state.live_holders(), *([myself] if myself else [])]
        if not _any_alive(state):
            state.kept = False
        write_state(data, state)
    try:
        yield ensure_servers(say=say)
    finally:
        with servers_lock(data):
            state = read_state(data)
            state.holders = [holder for holder in state.live_holders() if holder != myself]
            write_state(data, state)
            if not state.holders and not state.kept:
                _stop(data, state, SERVERS)


def restart_crashed(say: Say = to_stderr) -> None:
    """Starts again a server that died by itself; one stopped on purpose has no record and stays down."""
    state = read_state(data_directory())
    for name in SERVERS:
        record = state.server(name)
        if record and not record.process.alive() and external_url(name) is None:
            say(f"{name} ended unexpectedly: starting it again.")
            ensure_servers(only=(name,), say=say)


def postgres_superuser_url() -> str | None:
    """The embedded PostgreSQL's superuser; None when it does not run. For benchmarks and fault runs only."""
    record = read_state(data_directory()).postgres
    return superuser_url(record) if record and record.process.alive() else None


@contextlib.contextmanager
def servers_lock(data: Path) -> Iterator[None]:
    """One process at a time starts or stops servers of a data folder. Raises RuntimeFault after 3 min."""
    make_data_folder(data)
    descriptor = os.open(data / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                raise RuntimeFault(
                    f"Another process has been starting or stopping servers in {data} for {LOCK_SECONDS} s."
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _any_alive(state: RuntimeState) -> bool:
    return any(record and record.process.alive() for record in (state.postgres, state.valkey))


def _start_one(data: Path, state: RuntimeState, name: str, say: Say) -> bool:
    """True when it had to be started. Its record is written at once: nothing started is forgotten."""
    record = state.server(name)
    if record and record.process.alive() and ports.answers(record.port):
        return False
    if record and record.process.alive():
        say(
            f"{name} (process {record.process.pid}) does not answer on port {record.port}: starting it again."
        )
        _stop_one(name, record)
    start: Callable[..., ServerRecord] = start_postgres if name == POSTGRES else start_valkey
    previous_port = record.port if record else _remembered_port(data, name)
    fresh = start(data, open_store(data, say), previous_port, say)
    state.set_server(name, fresh)
    write_state(data, state)
    _remember_port(data, name, fresh.port)
    if name == VALKEY:
        remember_redis_url(data, fresh.url)
    return True


def _stop(data: Path, state: RuntimeState, only: tuple[str, ...]) -> tuple[str, ...]:
    stopped = []
    for name in STOP_ORDER:
        record = state.server(name)
        if name not in only or record is None:
            continue
        if record.process.alive():
            _stop_one(name, record)
            stopped.append(name)
        state.set_server(name, None)
        write_state(data, state)
    if not _any_alive(state):
        state.kept = False
        write_state(data, state)
    return tuple(stopped)


def _stop_one(name: str, record: ServerRecord) -> None:
    if name == POSTGRES:
        stop_postgres(record.process)
    else:
        stop_valkey(record.process)


def _port_file(data: Path, name: str) -> Path:
    return data / f"{name}.port"


def _remembered_port(data: Path, name: str) -> int | None:
    try:
        return int(_port_file(data, name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _remember_port(data: Path, name: str, port: int) -> None:
    """A server stopped and started again answers where its clients look for it."""
    _port_file(data, name).write_text(f"{port}\n", encoding="ascii")


def _url(data: Path, name: str) -> str:
    record = read_state(data).server(name)
    return external_url(name) or (record.url if record else "")


def _status(state: RuntimeState, name: str) -> ServerStatus:
    if external_url(name):
        return ServerStatus(name, "external")
    record = state.server(name)
    if record is None or not record.process.alive():
        return ServerStatus(name, "stopped")
    return ServerStatus(name, "running", record.version, record.process.pid, record.port, record.data)
