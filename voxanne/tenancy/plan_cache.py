"""What a clinic rarely changes, kept in memory and never stale.

Each clinic row carries ``plan_version``; database triggers raise it with every change to the tables that a
cached value is made of. Callers read the version with the clinic (they need the row anyway) and ask here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar
from uuid import UUID

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ClinicKey:
    """A clinic at one version of its plan."""

    org_id: UUID
    plan_version: int


class PlanCache(Generic[Value]):
    """The newest value a clinic, for the ``size`` clinics used last. Safe between threads."""

    def __init__(self, load: Callable[[UUID], Value], size: int = 1000) -> None:
        self._load = load
        self._size = size
        self._values: OrderedDict[UUID, tuple[int, Value]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: ClinicKey) -> Value:
        """The value of this version; loads it inside the caller's scope when it is not known."""
        with self._lock:
            known = self._values.get(key.org_id)
            if known is not None and known[0] == key.plan_version:
                self._values.move_to_end(key.org_id)
                return known[1]
        value = self._load(key.org_id)
        with self._lock:
            self._values[key.org_id] = (key.plan_version, value)
            self._values.move_to_end(key.org_id)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value
