"""One request a provider received, read whole, and the log of the recent ones."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from voxanne.sandbox.fault import Fault
from voxanne.sandbox.formats import iso_milliseconds

REMEMBERED_REQUESTS = 5000


@dataclass
class Exchange:
    """A request as a handler sees it; ``received_at`` is when its headers arrived, before any delay."""

    service: str
    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes
    received_at: float
    faults: list[Fault] = field(default_factory=list)

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @cached_property
    def form(self) -> dict[str, str]:
        """The form fields, last value of each name; empty for another media type."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return {}
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @cached_property
    def json(self) -> Any:
        """The JSON body, or None when it is empty or not JSON."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError:
            return None

    def fault(self, kind: str) -> Fault | None:
        """The asked-for fault of that kind that this request drew, if any."""
        return next((fault for fault in self.faults if fault.kind == kind), None)


class RequestLog:
    """The most recent requests, for contract tests to look at. Credentials are not kept."""

    def __init__(self) -> None:
        self._entries: deque[tuple[Exchange, int | None, float]] = deque(maxlen=REMEMBERED_REQUESTS)

    def add(self, exchange: Exchange, status: int | None, seconds: float) -> None:
        self._entries.append((exchange, status, seconds))

    def clear(self) -> None:
        self._entries.clear()

    def listing(self, service: str | None, path: str | None, limit: int) -> list[dict[str, Any]]:
        """Newest first, with the answer's status (None: no answer was sent)."""
        chosen = []
        for exchange, status, seconds in reversed(self._entries):
            if (service and exchange.service != service) or (path and path not in exchange.path):
                continue
            chosen.append(_describe(exchange, status, seconds))
            if len(chosen) >= limit:
                break
        return chosen


def _describe(exchange: Exchange, status: int | None, seconds: float) -> dict[str, Any]:
    hidden = {"authorization", "cookie"}
    return {
        "at": iso_milliseconds(exchange.received_at),
        "service": exchange.service,
        "method": exchange.method,
        "path": exchange.path,
        "query": exchange.query,
        "headers": {name: value for name, value in exchange.headers.items() if name not in hidden},
        "form": exchange.form or None,
        "json": exchange.json,
        "status": status,
        "faults": [fault.kind for fault in exchange.faults],
        "milliseconds": round(seconds * 1000, 1),
    }
