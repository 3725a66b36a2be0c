"""The whole product as ``make run`` starts it, on ports and data of its own, for as long as a benchmark lasts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT_ROOT = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 120.0
STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Stack:
    """A running product: its web and sandbox ports, the runner's process id, what was seeded."""

    port: int
    sandbox_port: int
    pid: int
    data: Path
    seeded: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """What a ``manage.py`` command or Django in this process needs to reach the same database."""
        return {
            "VOXANNE_DATA_DIR": str(self.data),
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self.sandbox_port),
        }


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def running_stack(more: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Starts everything in a temporary data folder, with ``more`` in its environment, waits until it is ready, and
    stops it at the end."""
    with tempfile.TemporaryDirectory(prefix="voxanne-bench-") as folder:
        web, sockets, sandbox = free_ports(3)
        environment = {
            **os.environ,
            "VOXANNE_DATA_DIR": folder,
            "PORT": str(web),
            "WS_PORT": str(sockets),
            "SANDBOX_PORT": str(sandbox),
            "DEMO_CALL": "0",
            "LOG_LEVEL": "WARNING",
            **(more or {}),
        }
        log = Path(folder) / "stack.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "voxanne.runtime", "run"],
                cwd=PROJECT_ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                _wait_until_ready(web, process, log)
                seeded = _seeded(environment)
                yield Stack(web, sandbox, process.pid, Path(folder), seeded)
            finally:
                _stop(process)


def become_django(stack: Stack) -> None:
    """Lets this process read the product's statements and its database."""
    os.environ.update(stack.environment)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxanne.settings")
    import django

    django.setup()


def until_idle(stack: Stack) -> None:
    """Waits, up to four minutes, until nothing of the earlier rows is left to send, write or be told of."""
    from bookings.models import CalendarPush
    from bookings.states import PushState
    from messaging.models import Message
    from messaging.states import MessageState
    from voxanne.tenancy.scope import platform_scope

    on_their_way = [MessageState.QUEUED, MessageState.SENDING, MessageState.SENT]
    began = time.monotonic()
    while time.monotonic() - began < 240:
        with platform_scope("benchmark"):
            left = Message.objects.filter(state__in=on_their_way).count()
            left += CalendarPush.objects.filter(state__in=[PushState.QUEUED, PushState.PUSHING]).count()
        if not left:
            return
        if sys.stderr.isatty():
            print(f"    {left} texts and events are still on their way …", file=sys.stderr, flush=True)
        time.sleep(2)
    raise RuntimeError(f"{left} texts and events are still on their way after four minutes.")


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    tail = log.read_text(errors="replace")[-3000:]
    raise RuntimeError(f"The stack did not become ready:\n{tail}")


def _seeded(environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "manage.py", "seed_demo", "--json"]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, check=True, timeout=60
    )
    seeded: dict[str, Any] = json.loads(done.stdout)
    return seeded


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)


def measured_apart(module: str, number: int) -> Any:
    """What a benchmark prints as JSON, in a process of its own: this one's Django knows another stack."""
    words = [sys.executable, "-m", module, str(number), "--json"]
    done = subprocess.run(words, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def proportional_set_megabytes(pid: int) -> float:
    """The proportional set size of a process and all its descendants, in megabytes (Linux)."""
    total = 0
    for each in [pid, *descendants(pid)]:
        try:
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child)
    return found
