"""Many threads that do the same at the same instant, each on a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from django.db import connection, connections

Result = TypeVar("Result")
LONGEST_SECONDS = 30.0


class _Racer(threading.Thread, Generic[Result]):
    def __init__(
        self, work: Callable[[], Result], start_line: threading.Barrier, expected: type[Exception] | None
    ) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._start_line = start_line
        self._expected = expected
        self.result: Result | None = None
        self.refusal: Exception | None = None
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            connection.ensure_connection()
            self._start_line.wait(LONGEST_SECONDS)
            self.result = self._work()
        except BaseException as error:
            if self._expected is not None and isinstance(error, self._expected):
                self.refusal = error
            else:
                self.fault = error
        finally:
            connections.close_all()


def race(
    contenders: Sequence[Callable[[], Result]], refusal: type[Exception] | None = None
) -> tuple[list[Result], list[Exception]]:
    """Lets all go at once and waits for them: what they returned, and the refusals some were given.

    Any other exception of a contender (a deadlock, a time-out) is raised here.
    """
    start_line = threading.Barrier(len(contenders))
    racers = [_Racer(work, start_line, refusal) for work in contenders]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(LONGEST_SECONDS)
        assert not racer.is_alive(), "A contender did not come home."
    faults = [racer.fault for racer in racers if racer.fault is not None]
    if faults:
        raise faults[0]
    refusals = [racer.refusal for racer in racers if racer.refusal is not None]
    results = [racer.result for racer in racers if racer.refusal is None]
    return results, refusals  # type: ignore[return-value]  # None is a result like any other
