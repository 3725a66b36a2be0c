"""Ctrl-C typed at a terminal where make runs us: make ends with our exit code. By a real make in a real terminal."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest

from voxanne.runtime.state import PROJECT_ROOT

SECONDS = 20
PROGRAM = """
import os, sys
from voxanne.runtime.foreground import interrupts_come_to_us
from voxanne.runtime.stop_request import StopRequest, StopRequested
stop = StopRequest()
stop.install()
terminal = os.open("/dev/tty", os.O_RDWR)
before = os.tcgetpgrp(terminal)
try:
    {guard}
        print("ready", flush=True)
        stop.pause(15)
    sys.exit(3)
except StopRequested:
    print("given back" if os.tcgetpgrp(terminal) == before else "kept", flush=True)
    sys.exit({code})
"""
GUARDED, UNGUARDED = "with interrupts_come_to_us():", "if True:"


def makefile(folder: Path, guard: str = GUARDED, code: int = 0) -> Path:
    program = folder / "program.py"
    program.write_text(PROGRAM.format(guard=guard, code=code))
    made = folder / "Makefile"
    made.write_text(f"run:\n\t@{sys.executable} {program}\n")
    return made


class InATerminal:
    """make, in a terminal of its own."""

    def __init__(self, file: Path) -> None:
        self.pid, self.keyboard = pty.fork()
        if self.pid == 0:
            os.environ["PYTHONPATH"] = str(PROJECT_ROOT)
            os.environ.pop("MAKELEVEL", None)
            os.environ.pop("MAKEFLAGS", None)
            os.execvp("make", ["make", "-f", str(file), "run"])  # noqa: S606
        self.said = b""

    def read_until(self, words: bytes) -> None:
        ends = time.monotonic() + SECONDS
        while words not in self.said and time.monotonic() < ends:
            try:
                self.said += os.read(self.keyboard, 1024)
            except OSError:
                break
        assert words in self.said, self.said

    def ended(self) -> int:
        """The exit code as a shell tells it."""
        status = self._status_in_time()
        os.close(self.keyboard)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _status_in_time(self) -> int:
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return status
            time.sleep(0.02)
        raise AssertionError(f"make goes on; it said {self.said!r}")

    def is_deserted(self) -> bool:
        """Whether no process of the terminal's session is left."""
        return not any(
            _session_of(entry) == self.pid for entry in Path("/proc").iterdir() if entry.name.isdigit()
        )


def _session_of(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[3])
    except (OSError, IndexError):
        return None


@pytest.mark.parametrize("key", [b"\x03", b"\x1c"], ids=["Ctrl-C", "Ctrl-backslash"])
def test_ctrl_c_ends_make_with_our_exit_code_and_leaves_nothing(tmp_path: Path, key: bytes) -> None:
    terminal = InATerminal(makefile(tmp_path))
    terminal.read_until(b"ready")
    os.write(terminal.keyboard, key)
    terminal.read_until(b"given back")
    assert terminal.ended() == 0
    assert terminal.is_deserted()


def test_a_fault_of_ours_is_still_makes(tmp_path: Path) -> None:
    terminal = InATerminal(makefile(tmp_path, code=5))
    terminal.read_until(b"ready")
    os.write(terminal.keyboard, b"\x03")
    assert terminal.ended() == 2, "make's own code for a recipe that failed"


def test_without_it_make_itself_is_interrupted(tmp_path: Path) -> None:
    """The control: this is why."""
    terminal = InATerminal(makefile(tmp_path, guard=UNGUARDED))
    terminal.read_until(b"ready")
    os.write(terminal.keyboard, b"\x03")
    assert terminal.ended() != 0


def test_the_stack_is_not_suspended_so_that_ctrl_c_is_heard_after_ctrl_z(tmp_path: Path) -> None:
    terminal = InATerminal(makefile(tmp_path))
    terminal.read_until(b"ready")
    os.write(terminal.keyboard, b"\x1a\x03")
    assert terminal.ended() == 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("group", [True, False], ids=["group", "make alone"])
def test_make_and_its_group_are_heard_as_before(tmp_path: Path, signum: signal.Signals, group: bool) -> None:
    if signum == signal.SIGINT and not group:
        pytest.skip("make does not hand an interrupt on that it alone was sent")
    terminal = InATerminal(makefile(tmp_path))
    terminal.read_until(b"ready")
    (os.killpg if group else os.kill)(terminal.pid, signum)
    terminal.read_until(b"given back")
    assert terminal.ended() == 128 + signum
    assert terminal.is_deserted()
