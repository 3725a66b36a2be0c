"""Tests, benchmarks and fault runs get the servers for as long as they last."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from voxanne.runtime import programs
from voxanne.runtime.state import PROJECT_ROOT, known_urls
from voxanne.runtime.stop_request import SIGNALS

PROBE = programs.Program("", "tests.runtime.probe")


@pytest.fixture(autouse=True)
def handlers_put_back() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def test_a_program_finds_the_servers_running_and_its_exit_code_is_ours(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(programs.PROGRAMS, "bench", PROBE)
    assert programs.run_program("bench", []) == 5
    assert known_urls() == (None, None)


def test_an_interrupted_program_gets_to_clean_up_and_the_servers_stop(data: Path, tmp_path: Path) -> None:
    note = tmp_path / "cleaned-up"
    start = (
        "import sys; from voxanne.runtime import programs; "
        f"programs.PROGRAMS['bench'] = programs.{PROBE!r}; "
        f"sys.exit(programs.run_program('bench', [{str(note)!r}]))"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", start], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True
    )
    assert launcher.stdout is not None
    assert launcher.stdout.readline() == "up\n"
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(60) == 130
    assert note.exists()
    assert known_urls() == (None, None)


def test_without_chromium_the_journeys_say_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CHROMIUM_PATH", raising=False)
    assert programs.run_program("browser", []) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_test_suite_says_where_the_browser_journeys_are(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(programs, "find_chromium", lambda: None)
    monkeypatch.setitem(programs.PROGRAMS, "test", PROBE)
    programs.run_program("test", [])
    assert "are left out: there is no Chromium on PATH" in capsys.readouterr().out
