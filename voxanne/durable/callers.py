"""Callers first: while those who wait on the line for an answer need this machine's processors, what can wait gives
way, for a moment.

Each serving process keeps the number of callers it is answering in a small file of its own, mapped into memory, so
that counting costs no system call; workers on the same machine read them. Workers elsewhere share no processor
with the callers and find no files.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
from django.conf import settings

logger = structlog.get_logger(__name__)

FOLDER = "callers"
# How many are being answered, and when the last one came or went (Unix seconds).
LAYOUT = struct.Struct("<id")
# A process that was killed while it answered leaves its count behind.
STALE_SECONDS = 5.0
LOOK_SECONDS = 0.004
# Each who is being answered keeps PostgreSQL at work as well: with fewer than these there are processors to spare.
# On two or three, one caller is a crowd, and so is the pause before the next one of many who follow each other closely.
CROWD = max(1, len(os.sched_getaffinity(0)) // 2) if hasattr(os, "sched_getaffinity") else 1
RELIST_SECONDS = 1.0
PAUSE_SECONDS = 0.02


class Counter:
    """This process's own count. Made anew in a forked process."""

    def __init__(self, folder: Path | None) -> None:
        """In ``folder``; without one it counts for itself alone. Raises OSError."""
        self.pid = os.getpid()
        self._map = mmap.mmap(-1, LAYOUT.size) if folder is None else _shown(folder / str(self.pid))
        self._count = 0
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        with self._lock:
            self._count += number
            self._map[:] = LAYOUT.pack(self._count, time.time())


def _shown(path: Path) -> mmap.mmap:
    """A file of its own under that name. One that an earlier process of this number left is replaced, never cut
    short: whoever has it mapped would be killed by the kernel for reading what is gone (SIGBUS)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}")
    fresh.unlink(missing_ok=True)
    with fresh.open("w+b") as file:
        file.write(LAYOUT.pack(0, time.time()))
        file.flush()
        mapped = mmap.mmap(file.fileno(), LAYOUT.size)
    fresh.replace(path)
    return mapped


_counter: Counter | None = None
_making = threading.Lock()


@contextmanager
def answering() -> Iterator[None]:
    """A caller waits for as long as the block runs."""
    counter = _own_counter()
    counter.add(1)
    try:
        yield
    finally:
        counter.add(-1)


def _own_counter() -> Counter:
    global _counter
    if _counter is None or _counter.pid != os.getpid():
        with _making:
            if _counter is None or _counter.pid != os.getpid():
                _counter = _new_counter()
    return _counter


def _new_counter() -> Counter:
    try:
        return Counter(settings.DATA_DIR / FOLDER)
    except OSError as error:
        # Nobody gives way then; no caller is refused for it.
        logger.warning("callers_not_counted", reason=type(error).__name__)
        return Counter(None)


class Watch:
    """What a worker sees of the callers on its machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # By name and inode: a process may come to have the number of one that is gone.
        self._maps: dict[tuple[str, int], mmap.mmap] = {}
        self._listed_at = 0.0
        self._lock = threading.Lock()

    def waiting(self) -> int:
        """How many callers are being answered at this moment."""
        now = time.time()
        return sum(count for count, at in self._counts() if count > 0 and abs(now - at) < STALE_SECONDS)

    def crowded(self) -> bool:
        """Whether callers need the machine's processors: so many are being answered, or just were."""
        if self.waiting() >= CROWD:
            return True
        now = time.time()
        return CROWD == 1 and any(abs(now - at) < PAUSE_SECONDS for _, at in self._counts())

    def _counts(self) -> list[tuple[int, float]]:
        with self._lock:
            self._list()
            return [LAYOUT.unpack(mapped[:]) for mapped in self._maps.values()]

    def _list(self) -> None:
        now = time.monotonic()
        if now - self._listed_at < RELIST_SECONDS:
            return
        self._listed_at = now
        found = self._files()
        for gone in self._maps.keys() - found:
            self._maps.pop(gone).close()
        for name, inode in found - self._maps.keys():
            with suppress(OSError, ValueError), (self._folder / name).open("rb") as file:
                self._maps[name, inode] = mmap.mmap(file.fileno(), LAYOUT.size, access=mmap.ACCESS_READ)

    def _files(self) -> set[tuple[str, int]]:
        try:
            with os.scandir(self._folder) as entries:
                return {(entry.name, entry.inode()) for entry in entries if entry.name.isdigit()}
        except OSError:
            return set()


_watch: Watch | None = None
_looking = threading.Lock()


def give_way(longest_seconds: float) -> None:
    """Waits until callers leave processors of this machine to spare, ``longest_seconds`` at most."""
    global _watch
    if longest_seconds <= 0:
        return
    if _watch is None:
        _watch = Watch(settings.DATA_DIR / FOLDER)
    ends = time.monotonic() + longest_seconds
    if not _watch.crowded():
        return
    # One thread looks for all; the others wait for their turn, which comes when the crowd is over.
    if _looking.acquire(timeout=longest_seconds):
        try:
            while _watch.crowded() and time.monotonic() < ends:
                time.sleep(LOOK_SECONDS)
        finally:
            _looking.release()
