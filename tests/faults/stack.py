"""A whole stack of a run's own: PostgreSQL, Valkey, web, worker, beat and sandbox, as ``make run`` starts them.

Everything lies in a temporary folder and listens on free ports; all of it ends with the block, whatever happened.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import requests

from tests.faults.processes import KeptProcess
from tests.faults.sandbox import SandboxControl
from voxanne.environment import Environment, resolve_backend_url
from voxanne.runtime import ports
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.launcher import process_specs
from voxanne.runtime.options import StackOptions, stack_environment, stack_options
from voxanne.runtime.servers import ensure_servers, postgres_superuser_url, servers_held, stop_servers
from voxanne.runtime.set_up import migrate, seed_demo
from voxanne.runtime.state import POSTGRES, VALKEY, data_directory, read_state
from voxanne.runtime.stop_request import StopRequest

Say = Callable[[str], None]

STARTED = ("sandbox", "web", "worker", "beat")
# What of the caller's environment reaches the stack; servers, ports and providers are the stack's own.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "TERM")
# Settings that shorten the waits of a run; production waits 60 s between two looks, holds a text for 30 s, and lets a
# service that failed rest for 30 s.
GAP_SECONDS, LEASE_SECONDS, COOL_DOWN_SECONDS = 5, 15, 5
READY_SECONDS = 60.0
# A gate of the sandbox's, which can be shut: the way to Twilio.
TWILIO_PORT = "TWILIO_PORT"
PATIENCE = "-c lock_timeout=30s -c statement_timeout=60s"
WATCH_PAUSE_SECONDS = 0.2
FIRST_DAY_AHEAD = 7


class Stack:
    """The running stack and everything a fault run does to it."""

    def __init__(
        self, options: StackOptions, seeded: dict[str, Any], processes: dict[str, KeptProcess]
    ) -> None:
        self.options = options
        self.clinics: list[dict[str, Any]] = seeded["clinics"]
        self.cron_secret: str = seeded["platform"]["cron_secret"]
        self.backend_url = resolve_backend_url(Environment(), options.port).url
        self.sandbox = SandboxControl(options.sandbox_url)
        self.twilio_port = int(os.environ[TWILIO_PORT])
        self.processes = processes
        self.database = _superuser()
        self._days = _weekdays(ZoneInfo(self.clinics[0]["timezone"]))
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._fault: RuntimeFault | None = None

    @property
    def clinic(self) -> dict[str, Any]:
        """The demo clinic with three providers."""
        return self.clinics[0]

    def fresh_day(self) -> date:
        """A weekday on which no other run books."""
        return next(self._days)

    def start(self) -> None:
        for process in self.processes.values():
            process.start()
        self._watcher.start()
        self.until("web, sandbox", self._answers, READY_SECONDS)
        self.sandbox.open_gate(self.twilio_port)

    def end(self) -> None:
        self._ended.set()
        self._watcher.join(timeout=10)
        for process in self.processes.values():
            process.kill()
        self.database.close()

    def kill(self, name: str) -> None:
        self.processes[name].kill()

    def restart(self, name: str) -> None:
        self.processes[name].start()

    def stop_valkey(self) -> None:
        stop_servers(only=(VALKEY,))

    def start_valkey(self) -> None:
        """On the port where its clients look for it."""
        ensure_servers(only=(VALKEY,), say=lambda text: None)

    def poll_missed_calls(self) -> None:
        """As one would who schedules from outside."""
        headers = {"Authorization": f"Bearer {self.cron_secret}"}
        requests.post(f"{self.backend_url}/api/cron/check-missed-calls", headers=headers, timeout=30)

    def stop_postgres(self) -> None:
        self.database.close()
        stop_servers(only=(POSTGRES,))

    def start_postgres(self) -> None:
        """On the port where its clients look for it."""
        ensure_servers(only=(POSTGRES,), say=lambda text: None)
        self.database = _superuser()

    def empty_valkey(self, folder: str) -> None:
        """Forgets everything that the stopped server kept in ``folder``."""
        for path in Path(folder).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def valkey_folder(self) -> str:
        record = read_state(data_directory()).valkey
        if record is None:
            raise RuntimeFault("Valkey does not run.")
        return record.data

    def until(self, what: str, holds: Callable[[], bool], seconds: float, every: float = 0.05) -> float:
        """Waits until ``holds()``, which is asked again after ``every`` seconds; the seconds it took. Raises
        RuntimeFault when it takes longer, or when a process of the stack keeps ending."""
        began = time.monotonic()
        while not holds():
            if self._fault is not None:
                raise self._fault
            if time.monotonic() - began > seconds:
                raise RuntimeFault(f"{what}: not within {seconds:g} s")
            time.sleep(every)
        return time.monotonic() - began

    def log_tails(self) -> str:
        tails = (process.log_tail() for process in self.processes.values())
        return "\n".join(tail for tail in tails if tail)

    def _answers(self) -> bool:
        return all(ports.answers(port) for port in (self.options.port, self.options.sandbox_port))

    def _watch(self) -> None:
        while not self._ended.wait(WATCH_PAUSE_SECONDS):
            try:
                for process in self.processes.values():
                    process.watch()
            except RuntimeFault as fault:
                self._fault = fault
                return


def _superuser() -> psycopg.Connection[Any]:
    return psycopg.connect(postgres_superuser_url() or "", autocommit=True, options=PATIENCE)


@contextmanager
def running_stack(say: Say) -> Iterator[Stack]:
    """The stack for as long as the block runs. Replaces this process's environment. Raises RuntimeFault."""
    with ExitStack() as ending:
        data = _temporary_folder(ending)
        options = _own_environment(data)
        ending.enter_context(servers_held(lambda text: None))
        environment = stack_environment(options)
        stop = StopRequest()
        say("tables and demo clinics")
        migrate(environment, stop)
        seeded = seed_demo(environment, stop)
        say("processes")
        stack = Stack(options, seeded, _processes(options, environment))
        ending.callback(stack.end)
        stack.start()
        yield stack


def _temporary_folder(ending: ExitStack) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="voxanne-faults-"))
    ending.callback(shutil.rmtree, folder, ignore_errors=True)
    # Root's servers run as another account, which must be able to pass through.
    folder.chmod(0o711)
    return folder / "data"


def _own_environment(data: Path) -> StackOptions:
    """Points this process, and all it starts, at the stack's own servers and ports."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    chosen = {name: ports.choose() for name in ("PORT", "WS_PORT", "SANDBOX_PORT", TWILIO_PORT)}
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update({name: str(number) for name, number in chosen.items()})
    os.environ["TWILIO_API_BASE_URL"] = f"http://127.0.0.1:{chosen[TWILIO_PORT]}/twilio"
    os.environ["VOXANNE_DATA_DIR"] = str(data)
    os.environ["MESSAGE_RECONCILE_GAP"] = str(GAP_SECONDS)
    os.environ["MESSAGE_LEASE_SECONDS"] = str(LEASE_SECONDS)
    os.environ["BREAKER_COOL_DOWN_SECONDS"] = str(COOL_DOWN_SECONDS)
    return stack_options()


def _processes(options: StackOptions, environment: Mapping[str, str]) -> dict[str, KeptProcess]:
    folder = options.data / "processes"
    specs = {spec.name: spec for spec in process_specs(options)}
    return {name: KeptProcess(specs[name], environment, folder) for name in STARTED}


def _weekdays(zone: ZoneInfo) -> Iterator[date]:
    day = datetime.now(zone).date() + timedelta(days=FIRST_DAY_AHEAD)
    while True:
        if day.weekday() < 5:
            yield day
        day += timedelta(days=1)
