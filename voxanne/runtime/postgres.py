"""The embedded PostgreSQL: made once, started and stopped by us, asked in over TCP with a password.

Durability stays at PostgreSQL's safe defaults. Its log keeps no statement, no parameter and no row:
error lines quote what people typed, so they are left to the application, which masks.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from voxanne.runtime import ports
from voxanne.runtime.binaries import PostgresBinaries, find_postgres
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.passwords import OWNER_FILE, SUPERUSER_FILE, read_or_make
from voxanne.runtime.process_identity import ProcessIdentity, command_line
from voxanne.runtime.server_log import log_path, log_size, log_tail, open_log
from voxanne.runtime.state import POSTGRES, ServerRecord
from voxanne.runtime.store import Say, Store, process_of_pid_file, reachable_postgres

SUPERUSER = "postgres"
OWNER = "voxanne"
DATABASE = "voxanne"
INIT_SECONDS = 120
START_SECONDS = 60
STOP_SECONDS = 30
START_TRIES = 3
POLL_SECONDS = 0.03
OPTIONS = {
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}


def start_postgres(data: Path, store: Store, previous_port: int | None, say: Say) -> ServerRecord:
    """Starts the server of a store, made first if there is none, and waits until it answers.

    A server that already runs there without a record is taken over. Raises RuntimeFault with the tail of
    the server's log when it does not come up.
    """
    binaries = reachable_postgres(store, find_postgres(_major(store)))
    _set_aside_unusable(store, binaries, say)
    if not store.postgres.exists():
        _initialise(data, store, binaries)
    process, port = _running(store) or _launch(data, store, binaries, previous_port)
    password = read_or_make(store.path / OWNER_FILE)
    _prepare(store, port, password)
    return ServerRecord(
        process=process,
        port=port,
        url=f"postgresql://{OWNER}:{password}@{ports.LOOPBACK}:{port}/{DATABASE}",
        version=binaries.version,
        binaries=str(binaries.directory),
        data=str(store.postgres),
    )


def stop_postgres(process: ProcessIdentity) -> None:
    """Fast shutdown: clients are cut off, committed work is kept; an immediate one if that takes too long.

    SIGTERM would wait for the last pooled connection to close by itself (PostgreSQL manual, 18.5).
    """
    for signum, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10)):
        if not process.alive():
            return
        os.kill(process.pid, signum)
        if process.wait_gone(seconds):
            return
    raise RuntimeFault(f"PostgreSQL (process {process.pid}) does not stop: see its log.")


def superuser_url(record: ServerRecord) -> str:
    """The URL of the server's superuser, for benchmarks and fault runs; the product never uses it."""
    password = read_or_make(Path(record.data).with_name(SUPERUSER_FILE))
    return f"postgresql://{SUPERUSER}:{password}@{ports.LOOPBACK}:{record.port}/{DATABASE}"


def _major(store: Store) -> int | None:
    try:
        return int((store.postgres / "PG_VERSION").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _set_aside_unusable(store: Store, binaries: PostgresBinaries, say: Say) -> None:
    """Another major version cannot read the files, and without its password nobody can ask it in."""
    if not store.postgres.exists():
        return
    major = _major(store)
    if major == binaries.major and (store.path / SUPERUSER_FILE).exists():
        return
    if process_of_pid_file(store.postgres / "postmaster.pid", str(store.postgres)):
        raise RuntimeFault(
            f"A PostgreSQL that we know no password of runs on {store.postgres}: stop it and try again."
        )
    aside = store.postgres.with_name(f"postgres.{time.strftime('%Y%m%d-%H%M%S')}")
    store.postgres.rename(aside)
    reason = "the password is missing" if major == binaries.major else f"they are of version {major}"
    say(
        f"PostgreSQL {binaries.version} cannot use the files there ({reason}): "
        f"set aside as {aside}, starting empty."
    )


def _initialise(data: Path, store: Store, binaries: PostgresBinaries) -> None:
    """Makes the files beside their final place and moves them in whole; an interrupted run leaves none."""
    password = read_or_make(store.path / SUPERUSER_FILE)
    fresh = store.path / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    store.own(fresh)
    with tempfile.NamedTemporaryFile("w", dir=store.path, prefix=".password") as file:
        file.write(password)
        file.flush()
        store.own(Path(file.name))
        who = ["-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={file.name}"]
        what = ["-D", str(fresh), "-E", "UTF8", *_locale(binaries)]
        _run_initdb(data, store, [str(binaries.tool("initdb")), *who, *what])
    fresh.rename(store.postgres)


def _locale(binaries: PostgresBinaries) -> list[str]:
    """Unicode letter rules that do not depend on the machine's locales; text sorts by code point."""
    if binaries.major >= 17:
        return ["--locale-provider=builtin", "--locale=C.UTF-8"]
    return ["--locale=C.UTF-8"]


def _run_initdb(data: Path, store: Store, command: list[str]) -> None:
    log = log_path(data, POSTGRES)
    before = log_size(log)
    output = open_log(data, POSTGRES)
    try:
        run = store.popen(command, output=output)
        code = run.wait(INIT_SECONDS)
    except subprocess.TimeoutExpired as error:
        run.kill()
        run.wait()
        raise RuntimeFault(f"initdb took over {INIT_SECONDS} s:\n{log_tail(log, since=before)}") from error
    finally:
        os.close(output)
    if code:
        raise RuntimeFault(
            f"PostgreSQL's files could not be made in {store.path}:\n{log_tail(log, since=before)}"
        )


def _running(store: Store) -> tuple[ProcessIdentity, int] | None:
    """A server that runs on these files although our record of it was lost: its process and port."""
    note = store.postgres / "postmaster.pid"
    process = process_of_pid_file(note, str(store.postgres))
    if process:
        # Line 4 of postmaster.pid is the port (PostgreSQL source, miscadmin.h).
        return process, int(note.read_text(encoding="utf-8").splitlines()[3])
    if note.exists():
        _clear_stale_note(note)
    return None


def _clear_stale_note(note: Path) -> None:
    """PostgreSQL believes its pid file if any process of its account has that number now: removed then."""
    try:
        pid = int(note.read_text(encoding="utf-8").split()[0])
    except (ValueError, IndexError):
        pid = 0
    if "postgres" not in command_line(pid):
        note.unlink()


def _launch(
    data: Path, store: Store, binaries: PostgresBinaries, previous_port: int | None
) -> tuple[ProcessIdentity, int]:
    log = log_path(data, POSTGRES)
    before = 0
    for attempt in range(START_TRIES):
        port = ports.choose(previous_port if attempt == 0 else None)
        output = open_log(data, POSTGRES)
        before = log_size(log)
        options = [
            word
            for name, value in (OPTIONS | {"port": str(port)}).items()
            for word in ("-c", f"{name}={value}")
        ]
        try:
            server = store.popen([binaries.tool("postgres"), "-D", store.postgres, *options], output=output)
        finally:
            os.close(output)
        if _wait_ready(store, server, port, log, before):
            process = ProcessIdentity.of(server.pid)
            if process:
                server.returncode = 0  # The server outlives this object; nobody waits for it through it.
                return process, port
    raise RuntimeFault(f"PostgreSQL did not start on {store.postgres}:\n{log_tail(log, since=before)}")


def _wait_ready(store: Store, server: subprocess.Popen[bytes], port: int, log: Path, before: int) -> bool:
    """True once it lets us in, False when it ended; RuntimeFault when it does neither in time."""
    deadline = time.monotonic() + START_SECONDS
    reason = ""
    while time.monotonic() < deadline:
        if server.poll() is not None:
            return False
        try:
            _as_superuser(store, port).close()
        except psycopg.OperationalError as error:
            reason = str(error).strip()
            if "authentication failed" in reason:
                break
        else:
            return True
        time.sleep(POLL_SECONDS)
    os.kill(server.pid, signal.SIGINT)
    server.wait(STOP_SECONDS)
    raise RuntimeFault(f"PostgreSQL does not let us in ({reason}):\n{log_tail(log, since=before)}")


def _as_superuser(store: Store, port: int) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(
        host=ports.LOOPBACK,
        port=port,
        user=SUPERUSER,
        dbname="postgres",
        password=read_or_make(store.path / SUPERUSER_FILE),
        connect_timeout=5,
        autocommit=True,
    )


def _prepare(store: Store, port: int, password: str) -> None:
    """The owner's role and database, made or mended; no superuser, no right to bypass row security."""
    role, database = sql.Identifier(OWNER), sql.Identifier(DATABASE)
    with _as_superuser(store, port) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        attributes = "ALTER ROLE {} LOGIN CREATEDB CREATEROLE NOSUPERUSER NOBYPASSRLS PASSWORD {}"
        connection.execute(sql.SQL(attributes).format(role, sql.Literal(password)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
