"""Work that no caller waits for: alerts, and notes of what changed. One thread a process, a bounded queue.

What is handed over here may be lost with the process. What must not be lost is a row (``voxanne.durable``).
"""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db import connections

logger = structlog.get_logger(__name__)

MOST_WAITING = 1_000
EXIT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Errand:
    what: str
    work: Callable[[], object]


_waiting: queue.Queue[Errand] = queue.Queue(maxsize=MOST_WAITING)
_thread: threading.Thread | None = None
_starting = threading.Lock()


def aside(what: str, work: Callable[[], object]) -> None:
    """Does ``work`` soon, on another thread; drops it, with a line in the log, when too much waits already."""
    _ensure_thread()
    try:
        _waiting.put_nowait(Errand(what, work))
    except queue.Full:
        logger.warning("errand_dropped", what=what)


def finish(seconds: float = EXIT_SECONDS) -> bool:
    """Waits until everything handed over so far is done; False when that takes longer than ``seconds``."""
    ends = time.monotonic() + seconds
    with _waiting.all_tasks_done:
        while _waiting.unfinished_tasks:
            if not _waiting.all_tasks_done.wait(max(0.0, ends - time.monotonic())):
                return False
    return True


def _ensure_thread() -> None:
    global _thread
    if _thread is not None and _thread.is_alive():
        return
    with _starting:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_work_off, name="aside", daemon=True)
            _thread.start()
            atexit.register(finish)


def _work_off() -> None:
    while True:
        errand = _waiting.get()
        try:
            errand.work()
        # An errand's fault is its own: it is written down, and the next one is done.
        except Exception:
            logger.exception("errand_failed", what=errand.what)
        finally:
            if _waiting.empty():
                # Errands are rare; a connection kept for them would be one less for callers.
                connections.close_all()
            _waiting.task_done()
