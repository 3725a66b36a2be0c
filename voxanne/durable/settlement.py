"""How one try of durable work ended: what the worker tells the mechanism."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Together(Protocol):
    """A record that may be written in one go with others of its kind, of whichever clinics in scope."""

    def __call__(self) -> object: ...

    @staticmethod
    def write_all(records: Sequence[Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Settlement:
    """The state to go to, and the columns to set with it.

    ``uses_attempt`` is False for a try that never reached the other side.
    ``wait`` delays the next try; it counts for waiting states alone.
    ``within`` is the work itself where it is nothing but rows: done in the settling transaction and only while
    the claim holds, so that it and its mark commit together or not at all. What it raises undoes both.
    ``record`` writes what the try leaves behind, in the same transaction: of a worker's own try whether its
    claim still holds or not, of a change from elsewhere only when the row moved.
    """

    state: str
    error: str = ""
    uses_attempt: bool = True
    wait: timedelta = timedelta(0)
    columns: Mapping[str, Any] = field(default_factory=dict)
    record: Callable[[], object] | None = None
    within: Callable[[], None] | None = None

    def also(self, record: Callable[[], object]) -> Settlement:
        """The same, leaving this behind too."""
        first = self.record

        def both() -> None:
            if first is not None:
                first()
            record()

        return replace(self, record=both)
