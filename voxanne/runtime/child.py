"""A program of ours in a session of its own: Ctrl-C reaches only us, and it ends with all it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from voxanne.runtime.process_identity import ProcessIdentity, living_members
from voxanne.runtime.state import PROJECT_ROOT

KILL_SECONDS = 5.0
POLL_SECONDS = 0.02


def start_child(
    command: Sequence[str],
    environment: Mapping[str, str],
    output: int | IO[bytes] | None,
    errors: int | IO[bytes] | None,
) -> subprocess.Popen[bytes]:
    """Starts a command in the project's folder; files it makes are private to its user."""
    return subprocess.Popen(
        list(command),
        env=dict(environment),
        cwd=PROJECT_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
        umask=0o077,
    )


def end_group(leader: int, seconds: float, collect: Callable[[], object] = lambda: None) -> bool:
    """Asks a session's processes to end, waits, then ends them by force; True when none had to be forced.

    ``collect`` takes in the exit code of a leader that is our own child.
    """
    signal_group(leader, signal.SIGTERM)
    if wait_group_gone(leader, seconds, collect):
        return True
    signal_group(leader, signal.SIGKILL)
    wait_group_gone(leader, KILL_SECONDS, collect)
    return False


def signal_group(leader: int, signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signum)


def wait_group_gone(leader: int, seconds: float, collect: Callable[[], object] = lambda: None) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        collect()
        if not group_alive(leader):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)


def group_alive(leader: int) -> bool:
    """Whether a process of the group still lives; orphans that nobody collects are dead all the same."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return ProcessIdentity.of(leader) is not None or any(living_members(leader))
