"""Hints to the workers: "these rows are due now". Losing one costs seconds, because sweepers look at the rows.

They are published by a thread of their own, so that a slow or absent Redis never keeps a caller waiting. The first
hint after a quiet moment leaves at once; those that follow it closely travel together, for making and taking a
message costs more than working off a row.

Where one clinic's rows come by the dozen, most are not named: a drainer is woken instead, which serves the clinics in
turn (``pump.py``). Named, they would all stand in the broker's queue before the next clinic's one.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import structlog
from celery import current_app
from django.db import transaction

logger = structlog.get_logger(__name__)

BROKER_REST_SECONDS = 2.0
GATHERING_SECONDS = 0.02
# Work whose rows may travel in greater numbers waits for nobody outside, and nobody waits for it: its hints follow
# each other no closer than this.
PATIENT_SECONDS = 0.1
# One worker thread works a message's rows off one after another: what waits for a slow provider stays spread.
MOST_ROWS_A_MESSAGE = 4
DRAINER_EXPIRES_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Hint:
    kind: str
    queue: str
    org_id: UUID
    pk: UUID
    countdown: float = 0.0
    together: int = MOST_ROWS_A_MESSAGE
    most_a_second: int = 0


_waiting: queue.Queue[Hint] = queue.Queue(maxsize=10_000)
_publisher: threading.Thread | None = None
_starting = threading.Lock()


def hint_on_commit(
    kind: str,
    queue_name: str,
    org_id: UUID,
    pk: UUID,
    countdown: float = 0.0,
    *,
    together: int = MOST_ROWS_A_MESSAGE,
    most_a_second: int = 0,
) -> None:
    """Wakes a worker for this row ``countdown`` seconds after the current transaction commits. As many as ``together``
    rows of its kind may travel in one message: more where working one off waits for nobody outside. Of one clinic's at
    most ``most_a_second`` are named by this process; 0 sets no bound."""
    hint = Hint(kind, queue_name, org_id, pk, countdown, together, most_a_second)
    transaction.on_commit(lambda: offer(hint))


def offer(hint: Hint) -> None:
    """Hands the hint to the publishing thread; drops it when that is far behind (the sweeper will come by)."""
    _ensure_publisher()
    try:
        _waiting.put_nowait(hint)
    except queue.Full:
        logger.warning("hint_dropped", kind=hint.kind)


def _ensure_publisher() -> None:
    global _publisher
    if _publisher is not None and _publisher.is_alive():
        return
    with _starting:
        if _publisher is None or not _publisher.is_alive():
            _publisher = threading.Thread(target=_publish_forever, name="hint-publisher", daemon=True)
            _publisher.start()


class Crowds:
    """Which clinics' rows come by the dozen, a second at a time. For one thread."""

    def __init__(self) -> None:
        self._second = 0
        self._named: Counter[tuple[str, UUID]] = Counter()
        self._woken: set[str] = set()

    def thinned(self, hints: list[Hint]) -> tuple[list[Hint], list[Hint]]:
        """The hints that are to be published, and one of each kind of which a drainer is to be woken instead."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._named, self._woken = second, Counter(), set()
        named, instead = [], []
        for hint in hints:
            whose = (hint.kind, hint.org_id)
            self._named[whose] += 1
            if not hint.most_a_second or self._named[whose] <= hint.most_a_second:
                named.append(hint)
            elif hint.kind not in self._woken:
                self._woken.add(hint.kind)
                instead.append(hint)
        return named, instead


def _publish_forever() -> None:
    waiting = _waiting
    crowds = Crowds()
    patient: list[Hint] = []
    leave_at = 0.0
    while True:
        leaving: list[Hint] = []
        for hint in _arrived(waiting, leave_at if patient else None):
            (patient if hint.together > MOST_ROWS_A_MESSAGE else leaving).append(hint)
        now = time.monotonic()
        if patient and now >= leave_at:
            leaving, patient, leave_at = leaving + patient, [], now + PATIENT_SECONDS
        try:
            named, instead = crowds.thinned(leaving)
            for together in _alike(named):
                _publish(together)
            for one in instead:
                _wake_drainer(one)
        # Whatever keeps one hint from going out must not end the thread with the others still waiting.
        except Exception as error:
            logger.warning("hint_not_published", kind=leaving[0].kind, reason=type(error).__name__)
            # The sweeper comes by for their rows.
            patient = []
            for _ in _rest_of(waiting):
                pass
            time.sleep(BROKER_REST_SECONDS)
        else:
            time.sleep(GATHERING_SECONDS)


def _arrived(waiting: queue.Queue[Hint], until: float | None) -> list[Hint]:
    """What has been offered, waiting for the first of it; nothing when none has come by ``until`` (monotonic)."""
    try:
        first = waiting.get(timeout=None if until is None else max(until - time.monotonic(), 0.001))
    except queue.Empty:
        return []
    return [first, *_rest_of(waiting)]


def _rest_of(waiting: queue.Queue[Hint]) -> Iterator[Hint]:
    with suppress(queue.Empty):
        while True:
            yield waiting.get_nowait()


def _alike(hints: list[Hint]) -> Iterator[list[Hint]]:
    """Those that one message can carry, in the order in which their first ones came."""
    groups: dict[tuple[str, str, float], list[Hint]] = {}
    for hint in hints:
        groups.setdefault((hint.kind, hint.queue, hint.countdown), []).append(hint)
    for group in groups.values():
        most = group[0].together
        for start in range(0, len(group), most):
            yield group[start : start + most]


def _publish(together: list[Hint]) -> None:
    first = together[0]
    current_app.send_task(
        "voxanne.durable.tasks.work_off",
        args=(first.kind, [(str(hint.org_id), str(hint.pk)) for hint in together]),
        queue=first.queue,
        countdown=first.countdown or None,
        # What a message would say of its rows to people who watch the queue; making it costs as much as sending it.
        argsrepr="",
        retry=False,
        ignore_result=True,
    )


def _wake_drainer(hint: Hint) -> None:
    current_app.send_task(
        "voxanne.durable.tasks.drain",
        args=(hint.kind,),
        queue=hint.queue,
        expires=DRAINER_EXPIRES_SECONDS,
        retry=False,
        ignore_result=True,
    )
