from __future__ import annotations

import os
import subprocess

from voxanne.runtime.process_identity import ProcessIdentity, command_line


def test_a_process_is_known_by_its_pid_and_start() -> None:
    myself = ProcessIdentity.of(os.getpid())
    assert myself is not None
    assert myself.alive()
    assert not ProcessIdentity(os.getpid(), "1").alive()


def test_an_ended_process_that_nobody_collected_is_dead() -> None:
    child = subprocess.Popen(["true"])
    identity = ProcessIdentity.of(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert ProcessIdentity.of(child.pid) is None
    assert identity is None or not identity.alive()
    child.wait()


def test_the_command_line_is_a_living_processs_own() -> None:
    assert "pytest" in command_line(os.getpid())
    child = subprocess.Popen(["true"])
    child.wait()
    assert command_line(child.pid) == ""


def test_what_is_not_an_identity_is_read_as_none() -> None:
    assert ProcessIdentity.from_json({"pid": "12"}) is None
    assert ProcessIdentity.from_json(None) is None
