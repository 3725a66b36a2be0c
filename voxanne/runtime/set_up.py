"""The steps between a fresh checkout and a stack that can start; repeating them costs little."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from voxanne.runtime.child import end_group, start_child
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.output import Terminal
from voxanne.runtime.process_runner import follow
from voxanne.runtime.state import PROJECT_ROOT
from voxanne.runtime.stop_request import StopRequest, StopRequested

END_SECONDS = 10.0
SHOWN_LINES = 60
STATIC_STAMP = "static.stamp"
STATIC_LOCK = "static.lock"
# How a line begins that says what a command waits for (voxanne.tenancy.turns).
WAITING = "waiting: "

Say = Callable[[str], None]


class StepFailed(RuntimeFault):
    """A command of ours ended with a code that is not 0."""

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        self.code = code
        lines = "\n".join(f"    {line}" for line in output.splitlines()[-SHOWN_LINES:])
        shown = " ".join(command).removeprefix("-m ")
        super().__init__(f"`{shown}` ended with exit code {code}:\n{lines}".rstrip(":\n"))


def manage(*words: str) -> list[str]:
    return [sys.executable, "manage.py", *words]


def run_step(
    command: Sequence[str], environment: Mapping[str, str], stop: StopRequest, say: Say | None = None
) -> str:
    """Runs a command to its end and returns its standard output. ``say`` is told at once what it waits for.

    Raises StepFailed with what it said, StopRequested when stopping is asked for meanwhile.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        popen = start_child(command, environment, output, subprocess.PIPE)
        listening = follow(popen.stderr, partial(_take_down, errors, say))
        try:
            code = wait_for(popen, stop)
        finally:
            listening.join(END_SECONDS)
        said, complained = _text(output), _text(errors)
    if code:
        raise StepFailed(command[1:], code, said + complained)
    return said


def _take_down(errors: IO[bytes], say: Say | None, line: str) -> None:
    errors.write(f"{line}\n".encode())
    if say and line.startswith(WAITING):
        say(line)


def wait_for(popen: subprocess.Popen[bytes], stop: StopRequest) -> int:
    """A child's exit code; the child is ended when stopping is asked for."""
    try:
        while popen.poll() is None:
            stop.pause()
    except StopRequested:
        end_group(popen.pid, END_SECONDS, popen.poll)
        raise
    return int(popen.returncode)


def migrate(environment: Mapping[str, str], stop: StopRequest, say: Say | None = None) -> None:
    run_step(manage("migrate", "--database", "owner", "--noinput"), environment, stop, say)


def collect_static(environment: Mapping[str, str], data: Path, stop: StopRequest) -> bool:
    """Gathers static files unless neither ours nor the pinned packages changed; True when it did. One at a time:
    what one run gathers another must not clear away."""
    with (data / STATIC_LOCK).open("w") as file:
        while not _locked(file):
            stop.pause()
        return _collect_static(environment, data, stop)


def _collect_static(environment: Mapping[str, str], data: Path, stop: StopRequest) -> bool:
    stamp = data / STATIC_STAMP
    now = static_fingerprint()
    if stamp.exists() and stamp.read_text(encoding="ascii") == now and (data / "static").is_dir():
        return False
    run_step(manage("collectstatic", "--noinput", "--clear"), environment, stop)
    stamp.write_text(now, encoding="ascii")
    return True


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def static_fingerprint() -> str:
    """Changes with any static file of ours, with the pinned packages and with the settings."""
    digest = hashlib.sha256()
    for name in ("requirements-dev.txt", "voxanne/settings.py"):
        path = PROJECT_ROOT / name
        digest.update(path.read_bytes() if path.exists() else b"")
    for pattern in ("*/static/**/*", "voxanne/*/static/**/*"):
        for path in sorted(PROJECT_ROOT.glob(pattern)):
            place = path.relative_to(PROJECT_ROOT)
            # The gathered copies lie in a hidden folder and are no sources.
            if path.is_file() and not place.parts[0].startswith("."):
                found = path.stat()
                digest.update(f"{place} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def seed_demo(environment: Mapping[str, str], stop: StopRequest, say: Say | None = None) -> dict[str, Any]:
    """What ``seed_demo --json`` prints: addresses, platform credentials and clinics with their staff."""
    said = run_step(manage("seed_demo", "--json"), environment, stop, say)
    try:
        seeded = json.loads(said)
    except ValueError as error:
        raise RuntimeFault(f"`manage.py seed_demo --json` printed no JSON: {error}.") from error
    if not isinstance(seeded, dict):
        raise RuntimeFault("`manage.py seed_demo --json` must print one object.")
    return seeded


def set_up(
    environment: Mapping[str, str], data: Path, terminal: Terminal, stop: StopRequest
) -> dict[str, Any]:
    """Tables, static files and demo clinics; returns what was seeded."""
    with terminal.step("tables"):
        migrate(environment, stop, terminal.say)
    with terminal.step("static files"):
        collect_static(environment, data, stop)
    with terminal.step("demo clinics"):
        return seed_demo(environment, stop, terminal.say)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
