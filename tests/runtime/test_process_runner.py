"""The process runner with small programs of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from voxanne.runtime import leftovers, process_runner
from voxanne.runtime.child import group_alive
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.leftovers import STACK_FILE, end_leftovers
from voxanne.runtime.output import Terminal
from voxanne.runtime.process_identity import ProcessIdentity, living_members
from voxanne.runtime.process_runner import ProcessRunner, ProcessSpec
from voxanne.runtime.server_log import log_path
from voxanne.runtime.state import write_private

WAITS = "import time; print('up', flush=True); time.sleep(60)"
ENDS_ON_TERM = """
import signal, sys, time
def end(*_):
    time.sleep({delay}); open({note!r}, "a").write({name!r} + " "); sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(60)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
WITH_CHILD = (
    "import subprocess, time; subprocess.Popen(['sleep', '60']); print('up', flush=True); time.sleep(60)"
)

Build = Callable[..., ProcessRunner]


def program(name: str, code: str, rank: int = 0) -> ProcessSpec:
    return ProcessSpec(name, [sys.executable, "-c", code], rank)


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def watch_for_ever(runner: ProcessRunner) -> None:
    while True:
        runner.watch()


def pids(data: Path) -> dict[str, int]:
    note = leftovers._read(data)
    return {name: process["pid"] for name, process in note["processes"].items()}


@pytest.fixture
def build(tmp_path: Path, request: pytest.FixtureRequest) -> Build:
    def make(*specs: ProcessSpec, quiet: bool = True) -> ProcessRunner:
        runner = ProcessRunner(specs, dict(os.environ), Terminal(), tmp_path, quiet)
        request.addfinalizer(runner.stop)
        return runner

    return make


def started(runner: ProcessRunner, data: Path, *names: str) -> dict[str, int]:
    """Starts the runner and waits until each program has said that it is up."""
    runner.start()
    for name in names:
        wait_until(lambda name=name: "up" in log_path(data, name).read_text())  # type: ignore[misc]
    return pids(data)


def test_a_lower_rank_has_ended_before_a_higher_one_is_asked_to(build: Build, tmp_path: Path) -> None:
    note = str(tmp_path / "order")
    first = program("first", ENDS_ON_TERM.format(delay=0.3, note=note, name="first"), 0)
    last = program("last", ENDS_ON_TERM.format(delay=0, note=note, name="last"), 1)
    runner = build(last, first)
    started(runner, tmp_path, "first", "last")
    runner.stop()
    assert Path(note).read_text().split() == ["first", "last"]


def test_stopping_leaves_no_process_and_no_note(build: Build, tmp_path: Path) -> None:
    runner = build(program("parent", WITH_CHILD))
    group = started(runner, tmp_path, "parent")["parent"]
    assert len(list(living_members(group))) == 2
    runner.stop()
    assert not group_alive(group)
    assert not (tmp_path / STACK_FILE).exists()


def test_what_does_not_end_when_asked_is_ended_by_force(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process_runner, "STOP_SECONDS", 0.3)
    runner = build(program("deaf", DEAF))
    group = started(runner, tmp_path, "deaf")["deaf"]
    runner.stop()
    assert not group_alive(group)
    assert "deaf did not end in 0.3 s" in capsys.readouterr().out


def test_a_process_that_was_killed_is_started_again_and_said_so(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process_runner, "FIRST_PAUSE_SECONDS", 0.05)
    runner = build(program("worker", WITH_CHILD))
    group = started(runner, tmp_path, "worker")["worker"]
    os.kill(group, signal.SIGKILL)

    def replaced() -> bool:
        runner.watch()
        return pids(tmp_path)["worker"] != group

    wait_until(replaced)
    assert not group_alive(group), "its children went with it"
    assert "worker was killed by signal 9: starting it again in 0.05 s." in capsys.readouterr().out


def test_a_process_that_keeps_ending_is_given_up(
    build: Build, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process_runner, "FIRST_PAUSE_SECONDS", 0.001)
    runner = build(program("broken", "raise SystemExit(3)"))
    runner.start()
    with pytest.raises(RuntimeFault, match="broken ended with exit code 3 and has been restarted 5 times"):
        watch_for_ever(runner)
    assert capsys.readouterr().out.count("starting it again") == 5


def test_lines_carry_the_name_of_their_process(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    runner = build(program("web", "print('hello'); print('again')"), quiet=False)
    runner.start()
    lines: list[str] = []

    def both() -> bool:
        lines.extend(capsys.readouterr().out.splitlines())
        return len(lines) == 2

    wait_until(both)
    assert lines == ["web     | hello", "web     | again"]


def test_the_report_of_a_failure_shows_this_runs_lines_only(build: Build, tmp_path: Path) -> None:
    log_path(tmp_path, "web").parent.mkdir()
    log_path(tmp_path, "web").write_text("of an earlier run\n")
    runner = build(program("web", WAITS))
    started(runner, tmp_path, "web")
    assert runner.log_tails() == "web:\n    up"


def test_what_a_killed_run_left_behind_is_ended(build: Build, tmp_path: Path) -> None:
    runner = build(program("web", WAITS))
    group = started(runner, tmp_path, "web")["web"]
    note = (tmp_path / STACK_FILE).read_text()
    launcher = ProcessIdentity.of(os.getpid())
    assert launcher is not None
    write_private(tmp_path / STACK_FILE, note.replace(launcher.started, "0"))
    assert end_leftovers(tmp_path) == ["web"]
    assert not group_alive(group)


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    parent = ProcessIdentity.of(os.getppid())
    assert parent is not None
    launcher = f'{{"pid": {parent.pid}, "started": "{parent.started}"}}'
    write_private(tmp_path / STACK_FILE, f'{{"launcher": {launcher}, "processes": {{}}}}')
    with pytest.raises(RuntimeFault, match=f"process {parent.pid}"):
        end_leftovers(tmp_path)
