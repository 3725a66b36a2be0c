"""The states of a kind of durable work, and which may follow which: one table a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


class ForbiddenTransition(ValueError):
    """A change of state that the kind's table does not allow."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """``waiting`` is due at ``next_attempt_at``; ``claimed`` is held under a lease; ``lost`` is where a row
    goes whose lease ran out (waiting again where repeating is harmless, an unknown state where it is not);
    ``dead`` is given up, for a person to redrive.

    ``stamps`` names the columns that hold when a state was entered, ``clears`` those that lose their meaning
    on entering it; both hold whoever moves the row.
    """

    waiting: str
    claimed: str
    lost: str
    dead: str
    transitions: Mapping[str, frozenset[str]]
    stamps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clears: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def sources(self, target: str) -> tuple[str, ...]:
        """The states from which ``target`` may be reached."""
        return tuple(source for source, targets in self.transitions.items() if target in targets)

    def check(self, source: str, target: str) -> None:
        """Raises ForbiddenTransition unless ``target`` may follow ``source``."""
        if target not in self.transitions.get(source, frozenset()):
            raise ForbiddenTransition(f"{source} may not become {target}.")

    def columns_on_entering(self, state: str, now: datetime) -> dict[str, Any]:
        """What a row's own columns become when it enters ``state`` at ``now`` (UTC)."""
        cleared: dict[str, Any] = dict.fromkeys(self.clears.get(state, ()))
        return cleared | dict.fromkeys(self.stamps.get(state, ()), now)
