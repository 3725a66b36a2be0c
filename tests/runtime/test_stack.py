"""The whole stack from the outside, as ``make run`` starts it: one real start, one demo call, one stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from voxanne.runtime.ports import choose, is_free
from voxanne.runtime.process_identity import living_members
from voxanne.runtime.state import PROJECT_ROOT, read_state

START_SECONDS = 120
STOP_SECONDS = 60


def choose_three() -> list[int]:
    found: list[int] = []
    while len(found) < 3:
        port = choose()
        if port not in found:
            found.append(port)
    return found


@pytest.mark.slow
def test_the_stack_starts_plays_one_call_and_stops_without_a_trace(data: Path) -> None:
    web, sockets, sandbox = ports = choose_three()
    names = {"PORT": str(web), "WS_PORT": str(sockets), "SANDBOX_PORT": str(sandbox)}
    launcher = subprocess.Popen(
        [sys.executable, "-m", "voxanne.runtime", "run"],
        cwd=PROJECT_ROOT,
        env={**os.environ, **names, "VOXANNE_DATA_DIR": str(data), "DEMO_CALL": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    hurry = threading.Timer(START_SECONDS, launcher.terminate)
    hurry.start()
    lines = []
    assert launcher.stdout is not None
    for line in launcher.stdout:
        lines.append(line)
        if "Ctrl-C stops everything" in line:
            break
    hurry.cancel()
    said = "".join(lines)
    try:
        assert "event on calendar" in said, said
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/health/ready", timeout=10) as answer:
            assert answer.status == 200
        groups = stack_groups(data)
        assert len(groups) == 5
    finally:
        launcher.send_signal(signal.SIGTERM)
        rest = launcher.communicate(timeout=STOP_SECONDS)[0]
    assert launcher.returncode == 0, rest
    assert not [pid for group in groups for pid in living_members(group)]
    assert all(is_free(port) for port in ports)
    assert read_state(data).postgres is None


def stack_groups(data: Path) -> list[int]:
    note = json.loads((data / "stack.json").read_text())
    return [process["pid"] for process in note["processes"].values()]
