"""Is the database well? Asked on a thread of its own, so that an answer is bounded in time whatever hangs.

A server that was stopped in its tracks (SIGSTOP, a dead network) answers no statement time-out and refuses no
connection; only not waiting for it bounds the answer.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Overdue
from dataclasses import dataclass, field
from functools import cache

import structlog
from django.db import DatabaseError, ProgrammingError, connection

from monitoring import heartbeats
from monitoring.migrated import MigratedCheck

logger = structlog.get_logger(__name__)

ANSWER_SECONDS = 2.0
SIZE_KEPT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What one look saw; ``heartbeat_ages`` in seconds by job, ``size_mb`` as of the last minute."""

    reachable: bool
    migrated: bool = False
    size_mb: float | None = None
    heartbeat_ages: Mapping[str, float] = field(default_factory=dict)


DOWN = DatabaseReport(reachable=False)


class DatabaseLook:
    """One look: the heartbeats each time, the size once a minute, the migrations until they are complete."""

    def __init__(self) -> None:
        self._migrated = MigratedCheck()
        self._size_mb: float | None = None
        self._size_at = 0.0

    def __call__(self) -> DatabaseReport:
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        try:
            if not self._migrated():
                return DatabaseReport(reachable=True)
            return DatabaseReport(True, True, self._size(), heartbeats.ages())
        except ProgrammingError:
            return DatabaseReport(reachable=True)
        except DatabaseError as error:
            logger.warning("database_unreachable", reason=type(error).__name__)
            connection.close()
            return DOWN

    def _size(self) -> float | None:
        if self._size_mb is None or time.monotonic() - self._size_at > SIZE_KEPT_SECONDS:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_database_size(current_database())")
                self._size_mb = round(cursor.fetchone()[0] / 2**20, 1)
            self._size_at = time.monotonic()
        return self._size_mb


class DatabaseProbe:
    """Shares one look between all who ask while it is under way. Safe between threads."""

    def __init__(self, look: Callable[[], DatabaseReport], answer_seconds: float = ANSWER_SECONDS) -> None:
        self._look = look
        self._answer_seconds = answer_seconds
        self._lock = threading.Lock()
        self._under_way: Future[DatabaseReport] | None = None
        self._began = 0.0
        self._wanted: queue.SimpleQueue[Future[DatabaseReport]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def report(self) -> DatabaseReport:
        """What a look finds that began no earlier than the one under way; DOWN when that takes too long, and
        at once when it already has."""
        asked, began = self._asked()
        try:
            return asked.result(timeout=max(0.0, began + self._answer_seconds - time.monotonic()))
        except Overdue:
            logger.warning("database_unreachable", reason="no answer in time")
            return DOWN

    def _asked(self) -> tuple[Future[DatabaseReport], float]:
        with self._lock:
            if self._under_way is not None and not self._under_way.done():
                return self._under_way, self._began
            asked: Future[DatabaseReport] = Future()
            self._under_way, self._began = asked, time.monotonic()
            self._wanted.put(asked)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="database-probe", daemon=True)
                self._thread.start()
            return asked, self._began

    def _work(self) -> None:
        while True:
            asked = self._wanted.get()
            try:
                asked.set_result(self._look())
            # Whatever went wrong belongs to the one who asked; the thread goes on.
            except Exception as error:
                asked.set_exception(error)


@cache
def probe() -> DatabaseProbe:
    """This process's own."""
    return DatabaseProbe(DatabaseLook())
