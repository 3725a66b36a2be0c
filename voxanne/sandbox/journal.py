"""The append-only journal: one JSON object a line, so that a restart still knows every SID it gave out."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

FLUSH_SECONDS = 0.1

Record = tuple[str, dict[str, Any]]


class Journal:
    """Buffers records and writes them at most 100 ms later, and at ``close``.

    With no path nothing is kept. A crash loses at most the last 100 ms; a line torn by it is skipped.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._buffer: list[str] = []
        self._file: TextIO | None = None
        self._timer: asyncio.TimerHandle | None = None

    def replay(self) -> Iterator[Record]:
        """The records written so far, oldest first."""
        if self.path is None or not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                    yield entry["kind"], entry["data"]
                except (ValueError, KeyError, TypeError):
                    continue

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace the file by the shortest one that leads to the same state, atomically."""
        self._close_file()
        self._buffer.clear()
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as out:
            out.writelines(_line(kind, data) for kind, data in records)
        os.replace(fresh, self.path)

    def append(self, kind: str, data: dict[str, Any]) -> None:
        """Remember one record; it reaches the file within 100 ms."""
        if self.path is None:
            return
        self._buffer.append(_line(kind, data))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what is buffered."""
        self._timer = None
        if not self._buffer or self.path is None:
            return
        if self._file is None:
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write("".join(self._buffer))
        self._file.flush()
        self._buffer.clear()

    def close(self) -> None:
        """Write what is buffered and close the file."""
        if self._timer is not None:
            self._timer.cancel()
        self.flush()
        self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _line(kind: str, data: dict[str, Any]) -> str:
    return json.dumps({"kind": kind, "data": data}, separators=(",", ":"), ensure_ascii=False) + "\n"
