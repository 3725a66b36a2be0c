"""The states of a kind of durable work, and which may follow which: one table a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class ForbiddenTransition(ValueError):
    """A change of state that the kind's table does not allow."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """``waiting`` is due at ``next_attempt_at``; ``claimed`` is held under a lease; ``lost`` is where a row
    goes whose lease ran out (waiting again where repeating is harmless, an unknown state where it is not);
    ``dead`` is given up, for a person to redrive."""

    waiting: str
    claimed: str
    lost: str
    dead: str
    transitions: Mapping[str, frozenset[str]]

    def sources(self, target: str) -> tuple[str, ...]:
        """The states from which ``target`` may be reached."""
        return tuple(source for source, targets in self.transitions.items() if target in targets)

    def check(self, source: str, target: str) -> None:
        """Raises ForbiddenTransition unless ``target`` may follow ``source``."""
        if target not in self.transitions.get(source, frozenset()):
            raise ForbiddenTransition(f"{source} may not become {target}.")
