"""News for open pages: every change is told to all listeners, without ever holding up the teller."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WAITING_NEWS = 500


class Bus:
    """A listener that falls too far behind gets one ``resync`` instead of the news it missed."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[dict[str, Any]]] = set()

    @property
    def has_listeners(self) -> bool:
        return bool(self._listeners)

    @contextmanager
    def listener(self) -> Iterator[asyncio.Queue[dict[str, Any]]]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WAITING_NEWS + 1)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        """Tell every listener that there is no more to come."""
        self.tell("closed", {})

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        for queue in self._listeners:
            if queue.qsize() < WAITING_NEWS:
                queue.put_nowait({"kind": kind, "data": data})
            else:
                _empty(queue)
                queue.put_nowait({"kind": "resync", "data": {}})


def _empty(queue: asyncio.Queue[dict[str, Any]]) -> None:
    while not queue.empty():
        queue.get_nowait()
