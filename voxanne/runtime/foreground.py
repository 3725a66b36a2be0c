"""Ctrl-C at ``make run``: told to us alone, so that make ends with our exit code, 0, and not with one of its own.

A terminal sends Ctrl-C to every process of its foreground group. Make is one of them, and a make that was interrupted
ends by that signal whatever its recipe returns. So a small process of ours becomes the foreground group for as long as
the stack runs, and hands on what the terminal says. Whoever signals make's own group, or make, is heard as before.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

TERMINAL = "/dev/tty"
HANDED_ON = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM)


@contextmanager
def interrupts_come_to_us() -> Iterator[None]:
    """For the length of the block; changes nothing without make, without a terminal, or in the background. Before
    any thread is started: it forks."""
    terminal = _terminal_of_ours() if os.environ.get("MAKELEVEL") else None
    if terminal is None:
        yield
        return
    ours = os.getpgrp()
    our_end, listeners_end = socket.socketpair()
    listener = os.fork()
    if listener == 0:
        our_end.close()
        _listen(os.getppid(), listeners_end)
    listeners_end.close()
    try:
        # Not sooner: what the terminal says before the listener is ready would be lost.
        our_end.recv(1)
        _set_foreground(terminal, listener)
        yield
    finally:
        _set_foreground(terminal, ours)
        our_end.close()
        # Outright, so that even a stopped one keeps nobody waiting.
        os.kill(listener, signal.SIGKILL)
        os.waitpid(listener, 0)
        os.close(terminal)


def _terminal_of_ours() -> int | None:
    """The terminal, open, where we stand in its foreground."""
    try:
        terminal = os.open(TERMINAL, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    if os.tcgetpgrp(terminal) == os.getpgrp():
        return terminal
    os.close(terminal)
    return None


def _listen(parent: int, line: socket.socket) -> None:
    """The small process: hands the terminal's signals on until its parent is done, or gone. Never returns."""
    try:
        os.setpgid(0, 0)
        for signum in HANDED_ON:
            signal.signal(signum, lambda *_: os.kill(parent, signal.SIGINT))
        # Stopped, it could hand nothing on: the stack is not to be suspended.
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        line.send(b"!")
        line.recv(1)
    finally:
        os._exit(0)


def _set_foreground(terminal: int, group: int) -> None:
    """As a background group we would be stopped for this, were the signal not ignored. A terminal that is gone has
    nobody left to tell."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with suppress(OSError):
            os.tcsetpgrp(terminal, group)
    finally:
        signal.signal(signal.SIGTTOU, before)
