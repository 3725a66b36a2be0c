"""``make run`` and ``make demo``: set-up, the stack's processes, one demo call, and an orderly end."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from voxanne.environment import Environment
from voxanne.runtime import ports
from voxanne.runtime.child import start_child
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.foreground import interrupts_come_to_us
from voxanne.runtime.leftovers import end_leftovers
from voxanne.runtime.options import StackOptions, stack_environment, stack_options
from voxanne.runtime.output import Terminal
from voxanne.runtime.process_runner import ProcessRunner, ProcessSpec, follow
from voxanne.runtime.servers import external_url, restart_crashed, servers_held
from voxanne.runtime.set_up import StepFailed, manage, run_step, set_up, wait_for
from voxanne.runtime.state import SERVERS
from voxanne.runtime.stop_request import StopRequest, StopRequested
from voxanne.runtime.store import make_data_folder

READY_SECONDS = 60.0
READY_PAUSE_SECONDS = 0.1
WATCH_PAUSE_SECONDS = 0.5
# Idle web threads are kept, and with them their database connections. On two cores, more threads than these answer
# fewer callers, for they wait for each other's turn in Python.
WEB = (
    "granian --interface wsgi --no-ws --workers 2 --blocking-threads 3 --blocking-threads-idle-timeout 600 "
    "--respawn-failed-workers --workers-kill-timeout 15 --log-level warning voxanne.wsgi:application"
)
# Small messages only: their compression would cost more memory than it saves traffic.
SOCKETS = (
    "uvicorn voxanne.asgi:application --timeout-graceful-shutdown 5 --log-level warning "
    "--ws-max-size 65536 --ws-per-message-deflate false"
)
WORKER = (
    "celery -q -A voxanne worker -P threads -c 32 -Q sms,calendar,calls,webhooks,maintenance "
    "--without-gossip --without-mingle -l warning"
)
BEAT = "celery -q -A voxanne beat --pidfile= -l warning"

# Celery closes a task's connection at its end: with a pool it is handed on, not opened anew for each task.
WORKER_CONNECTIONS = "4"


def yielding(command: list[str]) -> list[str]:
    """The command at a lower priority: on one machine, what a caller waits for comes before what can wait."""
    return ["nice", "-n", "15", *command] if shutil.which("nice") else command


def process_specs(options: StackOptions) -> list[ProcessSpec]:
    """The stack's processes. The sandbox stops last: work that is being finished still talks to it."""

    def python(module: str, *words: str) -> list[str]:
        return [sys.executable, "-m", *module.split(), *words]

    def listening(port: int) -> tuple[str, ...]:
        return "--host", ports.LOOPBACK, "--port", str(port)

    files = str(options.data / "sandbox")
    sandbox = python("voxanne.sandbox", "--quiet", "--port", str(options.sandbox_port), "--data-dir", files)
    return [
        # It takes any key unless the operator names one; ours is only a stand-in.
        ProcessSpec(
            "sandbox",
            yielding(sandbox),
            stop_rank=1,
            environment={"VAPI_API_KEY": Environment().text("VAPI_API_KEY")},
        ),
        ProcessSpec("web", python(WEB, *listening(options.port))),
        ProcessSpec("sockets", python(SOCKETS, *listening(options.ws_port))),
        ProcessSpec(
            "worker", yielding(python(WORKER)), environment={"DATABASE_POOL_SIZE": WORKER_CONNECTIONS}
        ),
        ProcessSpec("beat", python(BEAT)),
    ]


def run() -> int:
    """The stack in the foreground until it is told to stop; 0 then, 1 when it cannot start or go on."""
    terminal, stop = Terminal(), StopRequest()
    stop.install()
    with interrupts_come_to_us():
        return _reported(terminal, lambda: _run(terminal, stop))


def demo() -> int:
    """The stack for one demo call; the call's exit code, and nothing left running."""
    terminal, stop = Terminal(), StopRequest()
    stop.install()
    return _reported(terminal, lambda: _demo(terminal, stop))


def _run(terminal: Terminal, stop: StopRequest) -> int:
    options = stack_options()
    with _stack(options, terminal, stop, quiet=False) as (runner, seeded):
        if options.demo_call:
            _call(options, stop, lambda line: terminal.prefixed("call", line))
        _connect(options, terminal, stop)
        for line in summary(options, seeded):
            terminal.say(line)
        while True:
            stop.pause(WATCH_PAUSE_SECONDS)
            runner.watch()
            restart_crashed(terminal.say)


def _demo(terminal: Terminal, stop: StopRequest) -> int:
    options = stack_options()
    with _stack(options, terminal, stop, quiet=True) as (runner, _):
        code = _call(options, stop, terminal.line) if options.demo_call else 0
        if code:
            terminal.line(runner.log_tails())
    return code


@contextmanager
def _stack(
    options: StackOptions, terminal: Terminal, stop: StopRequest, *, quiet: bool
) -> Iterator[tuple[ProcessRunner, dict[str, Any]]]:
    """The whole stack, ready to answer, for as long as the block runs."""
    _clear_the_way(options, terminal)
    environment = stack_environment(options)
    began = time.monotonic()
    with _servers(terminal):
        seeded = set_up(environment, options.data, terminal, stop)
        runner = ProcessRunner(process_specs(options), environment, terminal, options.data, quiet)
        try:
            with terminal.step("processes"):
                runner.start()
                _wait_ready(options, runner, stop)
            terminal.say(f"ready after {time.monotonic() - began:.1f} s")
            yield runner, seeded
        except RuntimeFault:
            if quiet:
                terminal.line(runner.log_tails())
            raise
        finally:
            terminal.say("stopping")
            runner.stop()


@contextmanager
def _servers(terminal: Terminal) -> Iterator[None]:
    if any(external_url(name) for name in SERVERS):
        # The Redis client's memory is spent only where it is needed.
        from voxanne.runtime.external import check_external_servers

        check_external_servers()
    began = time.monotonic()
    with servers_held(terminal.say) as urls:
        started = ", ".join(urls.started) or "running already"
        terminal.say(f"{f'servers ({started})':<28} {time.monotonic() - began:5.1f} s")
        yield


def _clear_the_way(options: StackOptions, terminal: Terminal) -> None:
    make_data_folder(options.data)
    ended = end_leftovers(options.data)
    # Counts of callers that a killed run was answering; none of ours runs yet.
    shutil.rmtree(options.data / "callers", ignore_errors=True)
    if ended:
        terminal.say(f"ended what a killed run had left behind: {', '.join(ended)}")
    taken = [f"{name} {number}" for name, number in options.ports.items() if not ports.is_free(number)]
    if taken:
        raise RuntimeFault(
            f"In use by another program: {', '.join(taken)}. Stop it, or choose others: "
            f"`PORT={options.port + 100} SANDBOX_PORT={options.sandbox_port + 100} make run`."
        )


def _wait_ready(options: StackOptions, runner: ProcessRunner, stop: StopRequest) -> None:
    """Until web, sandbox and sockets answer. Raises RuntimeFault that names those that do not in time."""
    waiting: dict[str, Callable[[], bool]] = {
        "sandbox": lambda: ports.answers(options.sandbox_port),
        "sockets": lambda: ports.answers(options.ws_port),
        "web": lambda: _is_ready(f"{options.web_url}/health/ready"),
    }
    deadline = time.monotonic() + READY_SECONDS
    while waiting:
        runner.watch()
        waiting = {name: ready for name, ready in waiting.items() if not ready()}
        if waiting and time.monotonic() > deadline:
            raise RuntimeFault(f"Not ready after {READY_SECONDS:g} s: {', '.join(waiting)}.")
        stop.pause(READY_PAUSE_SECONDS)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  (an address of our own)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _call(options: StackOptions, stop: StopRequest, show: Callable[[str], None]) -> int:
    """Places the demo call, shows its lines as they come, and returns its exit code."""
    command = manage("simulate_call")
    popen = start_child(command, stack_environment(options), subprocess.PIPE, subprocess.STDOUT)
    lines = follow(popen.stdout, show)
    code = wait_for(popen, stop)
    lines.join(timeout=2)
    if code:
        show(f"The demo call did not go through (exit code {code}).")
    return code


def _connect(options: StackOptions, terminal: Terminal, stop: StopRequest) -> None:
    """Gives the demo clinics their tools at the sandbox's Vapi; the stack goes on whatever comes of it."""
    environment = stack_environment(options)
    addresses = (environment["VAPI_API_BASE_URL"], environment["TWILIO_API_BASE_URL"])
    if not all(address.startswith(f"{options.sandbox_url}/") for address in addresses):
        return
    try:
        with terminal.step("tools at the sandbox"):
            run_step(manage("connect_demo"), environment, stop, terminal.say)
    except StepFailed as fault:
        terminal.say(str(fault))


def summary(options: StackOptions, seeded: dict[str, Any]) -> list[str]:
    """Where everything is and who may sign in."""
    addresses = {
        "admin": f"{options.web_url}/admin/",
        "API": f"{options.web_url}/api/docs/",
        "health": f"{options.web_url}/health",
        "live calls": f"ws://localhost:{options.ws_port}/ws/call",
        "sandbox": f"{options.sandbox_url} (phones: {options.sandbox_url}/phone)",
    }
    lines = ["", *(f"{name:<12}{address}" for name, address in addresses.items()), ""]
    platform = seeded.get("platform", {})
    lines.append(f"{'operator':<12}{platform.get('username', '-')} / {platform.get('password', '-')}")
    for clinic in seeded.get("clinics", []):
        lines.append(f"{clinic.get('name', clinic.get('slug', '-'))} ({clinic.get('timezone', '-')})")
        for person in clinic.get("staff", []):
            login = f"{person.get('username', '-')} / {person.get('password', '-')}"
            lines.append(f"  {person.get('role', '-'):<14}{login}")
    return [*lines, "", "Ctrl-C stops everything."]


def _reported(terminal: Terminal, work: Callable[[], int]) -> int:
    try:
        return work()
    except StopRequested:
        terminal.say("stopped")
        return 0
    except RuntimeFault as fault:
        terminal.line(str(fault))
        return 1
