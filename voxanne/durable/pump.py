"""Many rows under way at once in one process: one thread claims and settles, many hands wait for the other side.

A row's own work is mostly waiting for an answer. The thread that claims therefore hands it on at once, claims the next,
and settles what has come back in the meantime, several in one transaction. A process has one pump a kind: a second call
for it lets the first one go on for longer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any

import structlog
from django.db import connection, connections
from django.utils import timezone

from voxanne.durable import together, work
from voxanne.durable.callers import give_way
from voxanne.durable.coming_back import hint_again
from voxanne.durable.settlement import Settlement
from voxanne.durable.turns import Turns
from voxanne.durable.work import Claimed, WorkKind

logger = structlog.get_logger(__name__)

# As many waits for a provider at once: 64 of 100 ms are 640 rows a second.
HANDS = 64
# Of one clinic in a row, before it is another's turn.
MOST_A_TURN = 8
REST_SECONDS = 0.1
SHORT_REST_SECONDS = 0.01

_pumps: dict[str, Pump] = {}
_starting = threading.Lock()


def pump(kind: WorkKind[Any], seconds: float) -> int:
    """Works due rows off until none is due, or will be, within ``seconds``; how many. Where this process has a pump for
    the kind already, that one goes on for ``seconds`` from now, and 0 is returned at once."""
    with _starting:
        running = _pumps.get(kind.name)
        if running is not None and running.go_on(seconds):
            return 0
        own = _pumps[kind.name] = Pump(kind, seconds)
    try:
        return own.run()
    finally:
        with _starting:
            own.take_off()


@cache
def _hands() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(HANDS, thread_name_prefix="hand")


class Pump:
    """Works off one kind's rows. Run by one thread."""

    def __init__(self, kind: WorkKind[Any], seconds: float) -> None:
        self._kind = kind
        self._turns = Turns(kind)
        self._landed: SimpleQueue[tuple[Claimed[Any], Settlement | None]] = SimpleQueue()
        self._flying = 0
        self._failure: Exception | None = None
        self._asked = False
        self._ends = time.monotonic() + seconds

    def go_on(self, seconds: float) -> bool:
        """Claims for as long from now, and looks once more before it ends; False where it failed."""
        if self._failure is not None:
            return False
        self._asked, self._ends = True, time.monotonic() + seconds
        return True

    def take_off(self) -> None:
        """No longer the process's own; another may begin."""
        if _pumps.get(self._kind.name) is self:
            del _pumps[self._kind.name]

    def run(self) -> int:
        """How many rows were worked off. Raises what kept one from being settled, after the others were."""
        done = 0
        while True:
            more = self._claimed()
            if self._flying:
                done += self._settle(wait=not more)
            elif not more and not self._rest() and self._is_over():
                break
        if self._failure is not None:
            raise self._failure
        return done

    def _is_over(self) -> bool:
        """Whether nobody asked it to go on since it last looked; whoever asks from now on begins another."""
        with _starting:
            if self._asked:
                self._asked = False
                self._turns.look_anew()
                return False
            self.take_off()
            return True

    def _claimed(self) -> bool:
        """``_claim``; where the database fails, nothing new is begun, and what is under way still comes back."""
        try:
            return self._claim()
        except Exception as error:
            self._give_up(error)
            return False

    def _give_up(self, error: Exception) -> None:
        """What is under way is settled still, as far as may be; nothing new is begun."""
        self._failure, self._ends = self._failure or error, float("-inf")

    def _claim(self) -> bool:
        """Takes one turn, if there are hands for it and time is left; whether another one may be taken at once."""
        if self._flying > HANDS - MOST_A_TURN or time.monotonic() >= self._ends:
            return False
        give_way(self._kind.gives_way)
        turn = self._turns.next()
        if turn is None:
            return False
        taken = together.claim_turn(self._kind, turn, MOST_A_TURN)
        for claimed in taken.claimed:
            self._flying += 1
            _hands().submit(self._perform, claimed)
        if taken.count == MOST_A_TURN:
            self._turns.again(turn)
        elif not taken.count:
            # Another worker has these rows just now.
            time.sleep(SHORT_REST_SECONDS)
        return True

    def _perform(self, claimed: Claimed[Any]) -> None:
        """In a hand's thread, which has no business with the database."""
        settlement = None
        try:
            settlement = work.performed(self._kind, claimed)
        except Exception as error:
            logger.exception("work_left_to_its_lease", kind=self._kind.name, error=type(error).__name__)
        finally:
            # A hand lives as long as its process. Whatever it borrowed all the same, the pool has few of.
            connections.close_all()
            self._landed.put((claimed, settlement))

    def _settle(self, *, wait: bool) -> int:
        """Settles all that has come back; waits a moment for the first of it if told to. How many."""
        back = list(self._back(wait=wait))
        self._flying -= len(back)
        landed = [(claimed.row, settlement) for claimed, settlement in back if settlement is not None]
        try:
            together.settle_all(self._kind, landed)
        except Exception as error:
            self._give_up(error)
            return 0
        for row, settlement in landed:
            hint_again(self._kind, row, settlement)
        return len(landed)

    def _back(self, *, wait: bool) -> Iterator[tuple[Claimed[Any], Settlement | None]]:
        with suppress(Empty):
            if wait:
                if not connection.in_atomic_block:
                    connection.close_if_unusable_or_obsolete()
                yield self._landed.get(timeout=REST_SECONDS)
            while True:
                yield self._landed.get_nowait()

    def _rest(self) -> bool:
        """Waits a moment for rows that will be due while there is time; False where there are none."""
        soonest = self._turns.soonest
        left = self._ends - time.monotonic()
        if soonest is None or left <= 0 or (soonest - timezone.now()).total_seconds() > left:
            return False
        time.sleep(min(REST_SECONDS, left))
        return True
