from __future__ import annotations

import subprocess
import sys
import time

import pytest

from voxanne.runtime import output
from voxanne.runtime.output import Terminal
from voxanne.runtime.state import PROJECT_ROOT


def test_a_step_is_one_line_with_its_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal().step("tables"):
        pass
    line = capsys.readouterr().out
    assert line.split() == ["voxanne", "|", "tables", "0.0", "s"]


def test_a_long_step_says_that_it_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "STILL_SECONDS", 0.05)
    with Terminal().step("tables"):
        time.sleep(0.2)
    assert "tables ... 0 s so far" in capsys.readouterr().out


def test_a_failed_step_is_not_reported_as_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), Terminal().step("tables"):
        raise ValueError("broken")
    assert capsys.readouterr().out == ""


def test_a_reader_that_went_away_does_not_stop_us() -> None:
    code = (
        "from voxanne.runtime.output import Terminal; t = Terminal()\n"
        "for _ in range(20000): t.line('x' * 100)\n"
        "import sys; print('went on', file=sys.stderr)"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.readline()
    program.stdout.close()
    assert program.stderr.read() == "went on\n"
    assert program.wait(10) == 0
