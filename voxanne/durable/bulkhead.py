"""A bulkhead a kind of work: how many of this process's threads it may fill, so that a crowd of one kind keeps none
of another waiting (M. Nygard, *Release It!*, "Bulkheads").

Whoever finds every place taken leaves word and goes: the rows wait in their table anyhow, and each of those who have
a place looks there for more before giving it up.
"""

from __future__ import annotations

import threading


class Bulkhead:
    """``places`` for threads. Safe to use from any of them."""

    def __init__(self, places: int) -> None:
        self._places = self._free = places
        self._to_look = 0
        self._lock = threading.Lock()

    def enter(self) -> bool:
        """Takes a place; False where all are taken, and then all who have one are told of more work."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            self._to_look = self._places
            return False

    def leave(self) -> bool:
        """Gives the place up; False where somebody left word meanwhile: the place is kept, to look for more.

        One word holds for as many looks as there are places, for it may stand for as many rows and more.
        """
        with self._lock:
            if self._to_look:
                self._to_look -= 1
                return False
            self._free += 1
            return True


_bulkheads: dict[tuple[str, int], Bulkhead] = {}
_building = threading.Lock()


def bulkhead_of(name: str, places: int) -> Bulkhead:
    """This process's bulkhead of so many places for the kind of that name."""
    with _building:
        return _bulkheads.setdefault((name, places), Bulkhead(places))
